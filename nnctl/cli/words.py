"""Text that commands write: to a file, and as cells of a table that other programs open."""

from __future__ import annotations

from pathlib import Path

from nnctl.core.errors import DiskError

__all__ = ["write_file"]


def write_file(path: Path, text: str) -> None:
    """Write a text file that a person asked for.

    Raises
    ------
    DiskError
        Where it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error.strerror}.") from None
