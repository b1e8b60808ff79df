"""Files that someone else may have written: read up to a size, and understood up to a depth."""

from __future__ import annotations

import json
import os
import stat
from typing import Any, NoReturn

__all__ = ["json_of", "read_up_to"]

MOST_BYTES = 64_000_000
MOST_LEVELS = 200
"""More than a spec can have, with all that `resolved.yaml` and run.json wrap around it."""


def read_up_to(path: str | os.PathLike[str], most: int = MOST_BYTES) -> bytes:
    """Return what a file holds.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is a pipe, a device or the like, which may never end, or is larger than `most` bytes.
    """
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"it is larger than {most // 10**6} MB")
    return raw


def json_of(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises
    ------
    ValueError
        It is no JSON, has a NaN or an infinity, or is nested more than 200 levels deep; the text says which.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
        level = [value]
        for _ in range(MOST_LEVELS):
            level = [item for value in level for item in _inside(value)]
            if not level:
                return value
    except RecursionError:
        pass
    raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON")


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe would wait for a writer, for ever
