"""Tables of many rows as plain text: they fit the terminal, and 2,000 rows take milliseconds, not a second."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from textwrap import fill
from unicodedata import combining, east_asian_width

import typer

from nnctl.core.inert import inert

__all__ = ["Column", "lay_out", "paint", "shorten", "terminal_width", "wrapped"]

_GAP = "  "
_COLOURS = {
    "pass": "green",
    "warn": "yellow",
    "fail": "red",
    "running": "cyan",
    "interrupted": "yellow",
    "killed": "yellow",
    "diverged": "red",
    "failed": "red",
    "broken": "red",
}


@dataclass
class Column:
    """A column: its heading and its cells.

    Parameters
    ----------
    heading : str
    cells : list of str
    worth : float
        Where there is no room for all, columns of more worth are taken first.
    left : bool
        Whether it is set to the left; figures stand to the right.
    narrowest : int or None
        Down to which width its texts may be shortened; None if not at all.
    """

    heading: str
    cells: list[str]
    worth: float = 0.0
    left: bool = False
    narrowest: int | None = None

    @cached_property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(map(_width, (self.heading, *self.cells)))

    @property
    def least(self) -> int:
        """The width that it needs."""
        return self.width if self.narrowest is None else min(self.width, max(self.narrowest, _width(self.heading)))


def terminal_width() -> int | None:
    """Return the width of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lay_out(columns: Sequence[Column], width: int | None) -> tuple[list[str], list[str]]:
    """Return the lines of a table, and the headings of the columns that found no room in it.

    Parameters
    ----------
    columns : sequence of Column
        The first one is always shown.
    width : int or None
        The room there is; None for no limit.
    """
    whole = [replace(c, heading=inert(c.heading), cells=list(map(inert, c.cells))) for c in columns]
    shown = _fitting(whole, width)
    left_out = [column.heading for column in whole if column not in shown]
    widths = [column.width for column in shown]
    if width is not None:
        for i, column in reversed(list(enumerate(shown))):
            excess = _total(widths) - width
            if excess > 0:
                widths[i] = max(column.least, widths[i] - excess)
    rows = zip(*([column.heading, *column.cells] for column in shown), strict=True)
    lines = [
        _GAP.join(
            _padded(shorten(cell, wide), wide, left=column.left)
            for cell, wide, column in zip(row, widths, shown, strict=True)
        ).rstrip()
        for row in rows
    ]
    return lines, left_out


def _fitting(columns: list[Column], width: int | None) -> list[Column]:
    """Return the columns that there is room for, the first one and then those of most worth, in their order."""
    if width is None:
        return columns
    taken = {0}
    for i in sorted(range(1, len(columns)), key=lambda i: -columns[i].worth):
        if _total([columns[k].least for k in (*taken, i)]) <= width:
            taken.add(i)
    return [columns[i] for i in sorted(taken)]


def paint(line: str, word: str) -> str:
    """Return a line in the colour of a status or verdict, on a terminal that shows colours; it obeys nothing else."""
    line = inert(line)
    if word not in _COLOURS or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return line
    return typer.style(line, fg=_COLOURS[word])


def shorten(text: str, width: int) -> str:
    """Return a text of at most this width, its middle left out where it is longer."""
    if _width(text) <= width:
        return text
    if not text.isascii():
        text = text.encode("ascii", "replace").decode()
        if len(text) <= width:
            return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - tail :]}"


def wrapped(text: str, width: int | None) -> str:
    """Return a sentence in lines of at most this width, broken between words."""
    text = inert(text)
    return text if width is None else fill(text, width, break_on_hyphens=False)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _padded(text: str, width: int, *, left: bool) -> str:
    room = " " * (width - _width(text))
    return text + room if left else room + text


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
