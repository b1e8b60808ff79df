"""Sources that yield a frame of named columns: which one is the target, and what the others are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array
from nnctl.core.component import Items, PositiveInt, did_you_mean
from nnctl.core.errors import DataError
from nnctl.data.sources.paths import found
from nnctl.data.sources.source import Source
from nnctl.data.table import Columns, Encoding, Impute, PartName, Table, counted, rows_of, shown_rows

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FileSource", "FrameFile", "FrameSource", "require_column", "targets_of"]


LONGEST_LABEL = 1000
"""Characters; an array of texts holds each of them as wide as the longest."""


class FrameSource(Source):
    """Named columns: the target, the weight, and inputs that are numbers or categories."""

    target: str
    """The column to predict."""
    drop: Items[str] = ()
    """Columns to leave out."""
    numeric: Items[str] = ()
    """Columns that hold numbers, where this is not found by itself."""
    categorical: Items[str] = ()
    """Columns that hold categories though they look like numbers, such as codes."""
    encoding: Encoding = "onehot"
    """Categories become K columns of 0 and 1 (onehot), or one column with their place in the sorted list (ordinal)."""
    impute: Impute = "median"
    """What fills a missing number, learned from the training part; `error` forbids missing values. A missing category
    becomes a category of its own, or with most_frequent the most frequent one."""
    max_categories: PositiveInt = 100
    """More distinct texts than this in one column are taken for a mistake, such as an identifier."""
    weight: str | None = None
    """A column that says how much each row counts in the loss; it is no input then."""
    label_strip: str = ""
    """Characters to take off both ends of a text label, such as the dot in "<=50K."."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "label": "target",
        "labels": "target",
        "class": "target",
        "y": "target",
        "target_column": "target",
        "label_column": "target",
        "ignore": "drop",
        "exclude": "drop",
        "drop_columns": "drop",
        "categorical_features": "categorical",
        "sample_weight": "weight",
    }

    def table_of(self, frame: pl.DataFrame, target: str, parts: dict[PartName, Array]) -> Table:
        """Return the table that the frame makes.

        Raises
        ------
        DataError
            A column that is named is not there, or a target is missing.
        """
        if len(frame) == 0:
            raise DataError(f"{self.name}: there are no rows.")
        for role, names in (
            ("target", (target,)),
            ("drop", self.drop),
            ("weight", (self.weight,) if self.weight else ()),
        ):
            for name in names:
                require_column(frame, name, f"data.source.{self.name}.{role}")
        y = targets_of(frame, target, self.label_strip)
        inputs = frame.drop({target, *self.drop} | ({self.weight} if self.weight else set()))
        return Table(
            inputs,
            y,
            tuple(inputs.columns),
            target,
            weight=None if self.weight is None else frame[self.weight].to_numpy(),
            parts=parts,
            columns=Columns(self.numeric, self.categorical, self.encoding, self.impute, self.max_categories),
            dropped=self.drop,
        )


class FileSource(Source):
    """Rows in a file, or in one file for each part."""

    files: ClassVar[tuple[str, ...]] = ("path", "train", "validation", "test")

    path: str | None = None
    """The file with all rows; they are split by the split section."""
    train: str | None = None
    """The file of the training part, in place of `path`."""
    validation: str | None = None
    """The file of the validation part."""
    test: str | None = None
    """The file of the test part."""

    @classmethod
    def value_field(cls) -> str | None:
        """``csv: file`` names the file."""
        return "path"

    @model_validator(mode="after")
    def _path_or_parts(self) -> Self:
        if (self.path is None) == (self.train is None):
            raise PydanticCustomError("nnctl", "needs either path, or train (with validation or test).")
        if self.path is not None and (self.validation or self.test):
            raise PydanticCustomError("nnctl", "has path and a file for a part. Write train in place of path.")
        return self

    def read(self, path: Path) -> pl.DataFrame:
        """Return the columns of one file as it stores them."""
        raise NotImplementedError

    def read_all(self, base: Path) -> tuple[pl.DataFrame, dict[PartName, Array]]:
        """Return the rows of the file, or of all files, and which of them are which part."""
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        if self.path is not None:
            return self.read(found(self.path, base)), {}
        files: dict[PartName, str | None] = {"train": self.train, "validation": self.validation, "test": self.test}
        frames = {name: self.read(found(file, base)) for name, file in files.items() if file is not None}
        parts: dict[PartName, Array] = {}
        start = 0
        for name, frame in frames.items():
            if frame.columns != frames["train"].columns:
                raise DataError(
                    f"{files[name]}: has the columns {', '.join(frame.columns)}; "
                    f"the training file {files['train']} has {', '.join(frames['train'].columns)}. They must agree."
                )
            if len(frame) == 0:
                raise DataError(f"{files[name]}: there are no rows.")
            parts[name] = rows_of(start, len(frame))
            start += len(frame)
        return pl.concat(list(frames.values()), how="vertical_relaxed"), parts


class FrameFile(FrameSource, FileSource):
    """Columns in a file, or in one file for each part."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read the file or files."""
        frame, parts = self.read_all(base)
        return self.table_of(self.typed(frame), self.target, parts)

    def typed(self, frame: pl.DataFrame, keep: tuple[str, ...] | None = None) -> pl.DataFrame:
        """Return every column as numbers, or as texts if it is one of `keep`; a missing value is null."""
        raise NotImplementedError


def targets_of(frame: pl.DataFrame, target: str, label_strip: str = "") -> Array:
    """Return the target column as an array (N,) of numbers or texts.

    Raises
    ------
    DataError
        A target is missing.
    """
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    column = frame[target]
    if column.dtype.is_float():
        column = column.fill_nan(None)
    missing = np.flatnonzero(column.is_null().to_numpy())
    if len(missing):
        where = f"{counted(len(missing), 'row')} of {len(column):,} ({shown_rows(missing)})"
        raise DataError(f"target '{target}' is missing in {where}. Remove these rows: a target cannot be guessed.")
    if column.dtype == pl.String:
        column = column.str.strip_chars(label_strip) if label_strip else column
        lengths = column.str.len_chars().to_numpy()
        too_long = np.flatnonzero(lengths > LONGEST_LABEL)
        if len(too_long):
            raise DataError(
                f"target '{target}' holds a text of {int(lengths.max()):,} characters ({shown_rows(too_long)}); a "
                f"label has at most {LONGEST_LABEL:,}. Is another column the target, or is a quotation mark not closed?"
            )
        return column.to_numpy().astype(str)
    return np.array(column.to_numpy())


def require_column(frame: pl.DataFrame, name: str, role: str) -> None:
    """Raise where a column is not there, as `role` of the spec says.

    Raises
    ------
    DataError
        Names the column that it resembles, and those that there are.
    """
    if name not in frame.columns:
        listed = ", ".join(frame.columns[:20]) + (", ..." if len(frame.columns) > 20 else "")
        raise DataError(f"{role}: there is no column '{name}'.{did_you_mean(name, frame.columns)} Columns: {listed}.")
