"""The columns of `nnctl compare`: which there are, what stands in them, and which matter most."""

from __future__ import annotations

import csv
import io
from collections import Counter
from math import log
from typing import Any

from nnctl.cli.columns import Column
from nnctl.cli.words import cell, duration, number
from nnctl.core.errors import UsageError
from nnctl.runs.comparison import Comparison, Row
from nnctl.runs.query import resolve

__all__ = ["Fields"]


class Fields:
    """The columns of a comparison.

    Parameters
    ----------
    found : Comparison
    chosen : str, optional
        Which columns to show beside the name, as keys with commas between them; by default all that tell something.

    Raises
    ------
    UsageError
        For a key that no run has.
    """

    def __init__(self, found: Comparison, chosen: str | None = None) -> None:
        self.found = found
        self.keys = ["name", *(self._standard() if chosen is None else self._asked(chosen))]

    def value(self, row: Row, key: str) -> Any:
        """Return what a run has in a column."""
        return row.value if key == self.found.metric else row.facts.get(key)

    def columns(self) -> list[Column]:
        """Return them with their cells as texts."""
        return [self._column(key) for key in self.keys]

    def _column(self, key: str) -> Column:
        values = [self.value(row, key) for row in self.found.rows]
        cells = [_text(key, value) for value in values]
        left = any(isinstance(value, str) for value in values)
        return Column(key, cells, self._worth(key, cells), left=left, narrowest=32 if key == "name" else 24)

    def csv(self) -> str:
        """Return them with all their digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(cell, self.keys))
        for row in self.found.rows:
            values = [self.value(row, key) for key in self.keys]
            writer.writerow([cell(value) if isinstance(value, str) else value for value in values])
        return text.getvalue()

    def _standard(self) -> list[str]:
        found = self.found
        losses = [name for name in ("val_loss", "train_loss") if name != found.metric and name in found.known]
        figures = dict.fromkeys([found.metric, "epoch", *found.tests, *losses])
        return [*figures, "parameters", "time", "seed", "status", *found.keys]

    def _asked(self, chosen: str) -> list[str]:
        words = [word.strip() for word in chosen.split(",") if word.strip()]
        try:
            keys = [resolve(word, self.found.known) for word in words] if self.found.rows else words
        except UsageError as error:
            raise UsageError(f"--columns: {error}") from None
        return [key for key in keys if key != "name"]

    def _worth(self, key: str, cells: list[str]) -> float:
        """Return how much a column tells: of the spec's keys those most that part the runs most evenly."""
        if key == self.found.metric:
            return 100
        if key in self.found.keys:
            return 60 + 30 * _evenness(cells)
        worth = {"status": 78, "seed": 66, "epoch": 40, "test_loss": 35, "parameters": 30, "time": 25}
        always = worth.get(key, 88 if key.startswith("test_") else 20)
        return always if len(set(cells)) > 1 else always / 10


def _evenness(cells: list[str]) -> float:
    """Return the entropy of the cells, from 0 where all are the same to 1 where each is another."""
    shares = [count / len(cells) for count in Counter(cells).values()]
    return -sum(share * log(share) for share in shares) / log(len(cells)) if len(shares) > 1 else 0.0


def _text(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key == "time":
        return duration(value)
    if key == "parameters":
        return f"{value:,}"
    if isinstance(value, bool):
        return str(value).lower()
    return number(value) if isinstance(value, float) else str(value)
