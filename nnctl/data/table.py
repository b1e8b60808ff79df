"""Table: what a source yields, before anything is split, filled, scaled or encoded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.component import did_you_mean
from nnctl.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from nnctl.data.audio.recordings import Recordings
    from nnctl.data.series import Series
    from nnctl.data.tokens import TextEncoder, Wording

__all__ = ["Columns", "Encoding", "Impute", "PartName", "Table", "blocks", "counted", "rows_of", "shown_rows"]

PartName: TypeAlias = Literal["train", "validation", "test"]
Encoding: TypeAlias = Literal["onehot", "ordinal"]
Impute: TypeAlias = Literal["median", "mean", "most_frequent", "error"]


@dataclass(frozen=True)
class Columns:
    """How the columns of a frame become numbers; what is left open is found from the data.

    Parameters
    ----------
    numeric, categorical : tuple of str
        Columns whose kind is said and not found.
    encoding : {"onehot", "ordinal"}
        What a category becomes: K columns of 0 and 1, or its place in the sorted list of categories.
    impute : {"median", "mean", "most_frequent", "error"}
        What fills a missing number; a missing category becomes a category of its own, or the most frequent one.
    max_categories : int
        More distinct texts than this in one column are taken for a mistake.
    """

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    encoding: Encoding = "onehot"
    impute: Impute = "median"
    max_categories: int = 100


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of raw inputs and targets.

    Parameters
    ----------
    x : array (N, ...) or polars.DataFrame
        Numeric inputs in the source's own dtype; a frame of columns that are still to be encoded; or texts (N,).
    y : array (N,) or (N, outputs), or None
        Raw targets, numbers or texts; class indices where `classes` is given, then also (N, T), one for every position
        of a sequence; None in an input without targets.
    features : tuple of str
        The names of the columns of x; empty where a row of x is not a vector.
    target : str
        What y is called.
    classes : tuple of str or None
        The names that the indices in y stand for.
    weight : array (N,) or None
        How much each row counts in the loss.
    side : mapping of str to array (N,)
        Columns that are no inputs, by name, such as the group or the time of a row.
    files : tuple of str
        The file of every row, where an input to predict has one for each.
    parts : mapping of part name to array of row numbers
        The parts that the source itself defines; empty where all rows are one pool.
    columns : Columns
        How the columns of a frame become numbers; without meaning for an array.
    dropped : tuple of str
        Columns that the source was told to leave out.
    lengths : int array (N,) or None
        How many positions of every row are there, where x (N, T) or (N, T, D) holds sequences of different lengths,
        filled up to the longest with zeros.
    tokens : tuple of str or None
        What the numbers of x stand for, where they are tokens, (N, T), and no quantities.
    text : Wording, TextEncoder or None
        How the texts of x become tokens, once the training part is known; or what made the tokens of x from texts.
    sequence : bool
        Whether x (N, T, D) holds sequences of quantities, so that a feature means the same at every step, and is scaled
        alike.
    recordings : Recordings or None
        The sounds that the rows of x were made of.
    notes : tuple of str
        What a person should know of how the rows were read.
    series : Series or None
        What follows what, where the rows are the steps of a time series and the network sees windows of them: x (S, D)
        and y (S, K) are then sorted by series and time.
    """

    x: Array | pl.DataFrame
    y: Array | None
    features: tuple[str, ...] = ()
    target: str = "target"
    classes: tuple[str, ...] | None = None
    weight: Array | None = None
    side: Mapping[str, Array] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    parts: Mapping[PartName, Array] = field(default_factory=dict)
    columns: Columns = field(default_factory=Columns)
    dropped: tuple[str, ...] = ()
    lengths: Array | None = None
    tokens: tuple[str, ...] | None = None
    text: Wording | TextEncoder | None = None
    sequence: bool = False
    recordings: Recordings | None = None
    notes: tuple[str, ...] = ()
    series: Series | None = None

    def __len__(self) -> int:
        return len(self.x)

    def taken_out(self, name: str, role: str) -> tuple[Array, Table]:
        """Return the column called `name`, and the table in which it is no input.

        Parameters
        ----------
        name : str
        role : str
            Where the spec names it, for messages.

        Raises
        ------
        DataError
            There is no such column, or a value of it is missing.
        """
        if name in self.side:
            return self.side[name], self
        if name in self.dropped:
            raise DataError(f"{role}: column '{name}' stands in `drop`. Take it out there: it is no input anyway.")
        if name not in self.features:
            known = (*self.side, *self.features)
            listed = ", ".join(known[:20]) or "none"
            raise DataError(f"{role}: there is no column '{name}'.{did_you_mean(name, known)} Columns: {listed}.")
        i = self.features.index(name)
        features = self.features[:i] + self.features[i + 1 :]
        if isinstance(self.x, np.ndarray):
            return self.x[:, i], replace(self, x=np.delete(self.x, i, axis=1), features=features)
        column = self.x[name]
        missing = np.flatnonzero(column.is_null().to_numpy())
        if len(missing):
            where = f"{counted(len(missing), 'row')} ({shown_rows(missing)})"
            raise DataError(f"{role}: column '{name}' is missing in {where}.")
        values = column.to_numpy()
        values = values.astype(str) if values.dtype.kind == "O" else values
        return values, replace(self, x=self.x.drop(name), features=features)


def blocks(x: Array, rows: Array | None = None) -> Iterator[Array]:
    """Walk through the rows of x, about a megabyte at a time, so that no second copy of a large set is ever held."""
    size = max(1, (1 << 18) // max(1, math.prod(x.shape[1:])))
    for start in range(0, len(x if rows is None else rows), size):
        stop = start + size
        yield x[start:stop] if rows is None else x[rows[start:stop]]


def counted(n: int, noun: str) -> str:
    """Return ``"1 row"`` or ``"3 rows"``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def shown_rows(rows: Array) -> str:
    """Return the first rows as a person counts them, from 1: ``"rows 3, 8, 20, ..."``."""
    first = ", ".join(str(int(row) + 1) for row in rows[:5])
    return f"row{'s' if len(rows) > 1 else ''} {first}{', ...' if len(rows) > 5 else ''}"


def rows_of(start: int, n: int) -> Array:
    """Return the row numbers start, ..., start + n - 1."""
    return np.arange(start, start + n)
