"""Files that are whole or not there: written beside, fsynced, renamed.

A reader sees the old file or the new one, and so does the next boot: after the rename the directory is fsynced too.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnctl.core.errors import DiskError
from nnctl.core.inert import inert_json

__all__ = ["disk_errors", "leftovers", "link", "replace", "strict_json", "sync"]

_ELSEWHERE = "or choose another place with --runs-dir."
_ADVICE = {
    errno.ENOSPC: f"Free some space, {_ELSEWHERE}",
    errno.EDQUOT: f"Free some of your quota, {_ELSEWHERE}",
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f).",
    errno.EROFS: "Choose another place with --runs-dir.",
    errno.EACCES: f"Give yourself write permission, {_ELSEWHERE}",
    errno.EPERM: f"Give yourself write permission, {_ELSEWHERE}",
    errno.ENOTDIR: "Choose another place with --runs-dir.",
    errno.EEXIST: "Choose another place with --runs-dir.",
}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of writing `path` into a DiskError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise DiskError(f"{path}: cannot be written: {reason}. {_ADVICE.get(error.errno or 0, '')}".rstrip()) from error


def replace(path: Path, content: bytes | Sequence[bytes | memoryview]) -> None:
    """Write a file, given as a whole or in pieces, atomically, and to the disk itself, before returning.

    Raises
    ------
    DiskError
        If it cannot be written; what stood there before still does.
    """
    temporary = _beside(path)
    with disk_errors(path):
        try:
            with temporary.open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync(path.parent)


def link(path: Path, name: Path) -> None:
    """Let a second name in the same directory stand for a file, in place of what it stood for."""
    temporary = _beside(name)
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:  # a file system without links
        replace(name, path.read_bytes())
        return
    try:
        temporary.replace(name)
    finally:  # where both names stood for this file already, nothing was renamed
        temporary.unlink(missing_ok=True)
    sync(name.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp-{os.getpid()}")


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(directory: Path) -> list[Path]:
    """Return the half-written files that killed writers left under a directory."""
    return sorted(directory.rglob(".*.tmp-*"))


def strict_json(data: Any, indent: int | None = None, *, ascii_only: bool = False) -> str:
    """Return JSON that every reader takes: a number that is not finite is null, since JSON has no NaN."""
    return inert_json(json.dumps(_jsonable(data), indent=indent, ensure_ascii=ascii_only, allow_nan=False))


def _jsonable(value: Any) -> Any:
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers; to read a run needs no NumPy
        return _jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value
