"""Text that commands write: files, and cells of a table that a spreadsheet may open."""

from __future__ import annotations

from pathlib import Path

from nnctl.core.errors import DiskError

__all__ = ["cell", "write_file"]


def cell(text: str) -> str:
    """Return a text as it can stand in a CSV file: what a spreadsheet would run as a formula is marked as a text.

    Source: OWASP, "CSV Injection". A number such as -1 is none.
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
