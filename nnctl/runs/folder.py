"""A directory that one command makes and fills: exclusively made, every file replaced atomically."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnctl.core.errors import DataError, DiskError, UsageError
from nnctl.core.foreign import json_of, read_up_to
from nnctl.runs import atomic

__all__ = ["FORMAT", "Folder", "is_newer", "iso", "make_folder", "named_like_ours", "unreadable"]

FORMAT = 1
"""The version of the layout of runs and checks."""

_LONGEST_NAME = 80


@dataclass(frozen=True)
class Folder:
    """A directory of files that are each the old one or the new one, never torn."""

    path: Path

    def write_bytes(self, name: str, content: bytes | Sequence[bytes | memoryview]) -> None:
        """Replace a file atomically; `name` may lie in a subfolder, such as ``plots/loss.png``."""
        path = self.path / name
        if path.parent != self.path:  # a run directory that was removed is not made again
            if path.parent.is_symlink():
                raise DiskError(f"{path.parent}: is a link; nnctl writes to no place that a run leads to. Remove it.")
            with atomic.disk_errors(path):
                if not path.parent.is_dir():
                    path.parent.mkdir(exist_ok=True)
                    atomic.sync(self.path)
        atomic.replace(path, content)

    def write_text(self, name: str, text: str) -> None:
        """Replace a text file atomically."""
        self.write_bytes(name, text.encode())

    def write_json(self, name: str, data: Any) -> None:
        """Replace a JSON file atomically; a number that is not finite becomes null, since JSON has no NaN."""
        self.write_text(name, atomic.strict_json(data, indent=2) + "\n")

    def read_json(self, name: str) -> Any:
        """Return what a JSON file holds.

        Raises
        ------
        DataError
            If it is missing or damaged.
        """
        path = self.path / name
        try:
            raw = read_up_to(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}.") from None
        try:
            return json_of(raw)
        except ValueError as error:
            raise DataError(f"{path}: is damaged: it is not JSON ({error}).") from None


def is_newer(record: Mapping[str, Any]) -> bool:
    """Whether a newer nnctl wrote a run.json or check.json."""
    found = record.get("format")
    return isinstance(found, int) and found > FORMAT


def unreadable(record: Mapping[str, Any]) -> str:
    """Return why a run.json or check.json of such a format cannot be read by this nnctl; "" where it can."""
    found = record.get("format")
    if is_newer(record):
        return f"was written by a newer nnctl: it has format {found}, and this one reads {FORMAT}. Update nnctl"
    return "" if type(found) is int and found == FORMAT else f"is damaged: it has format {found!r:.60}"


def named_like_ours(name: str) -> bool:
    """Whether a directory has a name such as `make_folder` gives."""
    return re.search(r"-\d{8}-\d{6}-[0-9a-f]{4}$", name) is not None


def make_folder(root: Path, name: str, now: datetime) -> Path:
    """Make ``<name>-<UTC time>-<4 hex>`` in the folder of all runs, and that folder if it is not there.

    Parameters
    ----------
    name : str
        What is not a letter, a digit or one of ``._-`` becomes a hyphen.
    now : datetime
        Aware of its zone.

    Raises
    ------
    UsageError
        If nothing is left of the name.
    DiskError
        If the directory cannot be made.
    """
    stem = f"{_safe(name)}-{now.astimezone(UTC):%Y%m%d-%H%M%S}"
    with atomic.disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        path = _make_exclusively(root, stem)
        atomic.sync(root)
    return path


def iso(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _safe(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST_NAME].strip("-.")
    if not safe:
        raise UsageError(f"a run cannot be named {name!r}: use letters, digits and '._-'.")
    return safe


def _make_exclusively(root: Path, stem: str) -> Path:
    for _ in range(1000):
        path = root / f"{stem}-{secrets.token_hex(2)}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise DiskError(f"{root}: has no free directory name left for {stem}. Choose another place with --runs-dir.")
