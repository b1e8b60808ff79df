"""Text that commands write: figures as a person reads them, files, and cells that a spreadsheet may open."""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from stat import S_ISREG

import typer

from nnctl.core.errors import DiskError
from nnctl.core.inert import inert

__all__ = ["cell", "continued", "counted", "duration", "number", "say", "size", "write_file"]


def number(value: float) -> str:
    """Return a figure in four significant digits."""
    return f"{value:.4g}" if isfinite(value) else str(value)


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    if count >= 2**30:
        return f"{count / 2**30:.2f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 // 20 else f"{count / 2**10:.1f} KiB"


def counted(count: int, noun: str) -> str:
    """Return ``1 epoch`` or ``1,200 epochs``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cell(text: str) -> str:
    """Return a text as it can stand in a CSV file: what a spreadsheet would run as a formula is marked as a text.

    Source: OWASP, "CSV Injection". A number such as -1 is none.
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text without what a terminal would obey; its line breaks stay."""
    typer.echo(inert(text, keep="\n\t"), err=err, nl=nl)


def continued(text: str) -> str:
    """Return a text whose lines after the first are indented, so that a name with a line break in it begins none."""
    return re.sub(r"\n(?! )", "\n  ", text)


def write_file(path: Path, text: str) -> None:
    """Write a text file that a person asked for: whole, or not at all; what stood there keeps its mode.

    Raises
    ------
    DiskError
        Where it cannot be written; what stood there still does.
    """
    from nnctl.runs.atomic import replace  # noqa: PLC0415 - what --help does not need

    try:
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and not S_ISREG(mode):  # /dev/stdout, or a pipe
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return
        file = path.resolve()  # a link stays a link
        replace(file, text.encode(errors="backslashreplace"))
        if mode is not None:
            file.chmod(mode)
    except (DiskError, OSError) as error:
        reason = error if isinstance(error, OSError) else error.__cause__
        said = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        raise DiskError(f"{path}: cannot be written: {said.lower()}.") from None
