"""Preprocessing: what makes network inputs of raw rows, learned on the training part and kept with the run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Array, Shape
from nnctl.core.errors import DataError
from nnctl.core.foreign import json_of
from nnctl.core.inert import inert_json
from nnctl.data.audio import AudioEncoder
from nnctl.data.columns import ColumnEncoder
from nnctl.data.finite import refuse_unusable
from nnctl.data.preprocessing_form import refuse_another_form
from nnctl.data.scaling import Affine
from nnctl.data.table import Table, counted
from nnctl.data.targets import Task, class_indices, regression_values
from nnctl.data.times import Grid
from nnctl.data.tokens import TextEncoder

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Preprocessing", "SeriesForm"]


@dataclass(frozen=True)
class SeriesForm:
    """What a row of a time series holds, and how the rows follow one another.

    Parameters
    ----------
    inputs : tuple of str
        The columns that the network sees.
    grid : Grid
        Their times'.
    """

    inputs: tuple[str, ...]
    grid: Grid

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"inputs": self.inputs, "grid": self.grid.to_plain()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``to_plain`` was given."""
        return cls(tuple(plain["inputs"]), Grid.from_plain(plain["grid"]))


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What was learned from the training part: columns to numbers, scaling, class names, target scaling.

    Parameters
    ----------
    task : {"classification", "regression"}
        What the targets are.
    inputs : tuple of str
        The raw columns in their order, as a new file must hold them; empty where a row is not a vector.
    input_shape : tuple of int
        The shape of one row as the network sees it.
    encoder : ColumnEncoder or None
        Fills, categories and their order for a frame; None for an array.
    scaling : Affine
        Of the encoded inputs; one-hot columns are left alone.
    target : str
        What the target is called.
    classes : tuple of str or None
        Names by class index; None for regression.
    target_scaling : Affine or None
        Of the regression targets; None for classification.
    tokens : tuple of str or None
        What the inputs stand for, where they are tokens and no quantities.
    text : TextEncoder or None
        What makes tokens of texts, where the inputs were texts.
    series : SeriesForm or None
        What the rows of a time series are, where the inputs are windows of it.
    audio : AudioEncoder or None
        What makes features of recordings, where the inputs were recordings.
    """

    task: Task
    inputs: tuple[str, ...]
    input_shape: Shape
    encoder: ColumnEncoder | None
    scaling: Affine
    target: str
    classes: tuple[str, ...] | None
    target_scaling: Affine | None
    tokens: tuple[str, ...] | None = None
    text: TextEncoder | None = None
    series: SeriesForm | None = field(default=None, kw_only=True)
    audio: AudioEncoder | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the network's inputs, one-hot columns as ``column=category``."""
        return self.inputs if self.encoder is None else self.encoder.features

    @property
    def outputs(self) -> int:
        """How many classes, or how many values a regression predicts."""
        if self.classes is not None:
            return len(self.classes)
        assert self.target_scaling is not None
        return int(self.target_scaling.center.size)

    def tokenized(self, table: Table) -> Table:
        """Return the table with its texts as rows of tokens; any other table as it is.

        Raises
        ------
        DataError
            The network reads texts and there are none, or one has no token.
        """
        if self.text is None:
            return table
        if not isinstance(table.x, np.ndarray) or table.x.ndim != 1:
            raise DataError("the network was trained on texts; give a file of texts.")
        x, lengths, y = self.text.rows(table.x.tolist())
        found = replace(table, x=x, lengths=lengths, tokens=self.tokens)
        return found if y is None else replace(found, y=y, classes=self.classes)

    def transform(self, table: Table, dtype: DTypeLike = np.float32) -> Array:
        r"""Return the network's inputs, shape (N, \*input_shape); texts must be tokenized.

        Raises
        ------
        DataError
            The rows have another shape than those of the training part, or hold NaN, infinite or missing values that
            nothing was learned for.
        """
        x = self.encoded(table)
        if x.shape[1:] != self.input_shape:
            raise DataError(
                f"a row of the input has shape {x.shape[1:]}; the network was trained on {self.input_shape}."
            )
        refuse_unusable(x, self.features)
        return self.scaling.apply(x, dtype=dtype) if self.tokens is None else x.astype(np.int32)

    def encoded(self, table: Table) -> Array:
        """Return the table's inputs as one numeric array, before scaling."""
        if isinstance(table.x, np.ndarray) and self.encoder is None:
            return table.x
        return (self.encoder or ColumnEncoder(self.inputs)).encode(self._frame(table))

    def _frame(self, table: Table) -> pl.DataFrame:
        """Return the table's inputs as a frame of exactly the columns of the training part."""
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        if isinstance(table.x, np.ndarray):
            if self.encoder is not None and self.encoder.categorical:
                raise DataError(
                    "the network was trained on columns of texts; give a csv, tsv or parquet file with them."
                )
            if table.x.shape[1:] != (len(self.inputs),):
                raise DataError(
                    f"a row has shape {table.x.shape[1:]}; the network was trained on {len(self.inputs)} columns."
                )
            return pl.DataFrame(table.x, schema=list(self.inputs))
        missing = [name for name in self.inputs if name not in table.x.columns]
        if missing:
            raise DataError(
                f"{counted(len(missing), 'column')} of the training data {'are' if missing[1:] else 'is'} missing: "
                f"{', '.join(missing[:20])}. "
                f"There are: {', '.join(table.x.columns[:20]) or 'none'}."
            )
        return table.x.select(self.inputs)

    def unseen(self, table: Table) -> str | None:
        """Return one sentence on categories, or pieces of texts, that the training part did not have, or None."""
        if self.text is not None:
            return self.text.vocabulary.unseen(map(str, table.x))
        return None if self.encoder is None else self.encoder.unseen(self._frame(table))

    def encode_target(self, table: Table, dtype: DTypeLike = np.float32) -> Array:
        """Return class indices, int64 (N,), or scaled regression targets, `dtype` (N, outputs)."""
        if self.classes is not None:
            return class_indices(table, self.classes)
        assert self.target_scaling is not None
        return self.target_scaling.apply(regression_values(table), dtype=dtype)

    def decode_target(self, y: Array) -> Array:
        """Return class names for indices (N,), or regression outputs (N, outputs) in their original units."""
        if self.classes is not None:
            return np.asarray(self.classes)[y]
        assert self.target_scaling is not None
        return self.target_scaling.invert(y)

    def to_json(self) -> str:
        """Return all of it as JSON text; ``from_json`` gives back the same bits."""
        plain = {
            "task": self.task,
            "inputs": self.inputs,
            "input_shape": self.input_shape,
            "encoder": None if self.encoder is None else self.encoder.to_plain(),
            "scaling": self.scaling.to_plain(),
            "target": self.target,
            "classes": self.classes,
            "target_scaling": None if self.target_scaling is None else self.target_scaling.to_plain(),
            "tokens": self.tokens,
            "text": None if self.text is None else self.text.to_plain(),
            "series": None if self.series is None else self.series.to_plain(),
            "audio": None if self.audio is None else self.audio.to_plain(),
        }
        return inert_json(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=1))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return what ``to_json`` was given.

        Raises
        ------
        DataError
            The text is no preprocessing.
        """
        try:
            plain = json_of(text)
            refuse_another_form(plain)
            return cls(
                task=plain["task"],
                inputs=tuple(plain["inputs"]),
                input_shape=tuple(plain["input_shape"]),
                encoder=None if plain["encoder"] is None else ColumnEncoder.from_plain(plain["encoder"]),
                scaling=Affine.from_plain(plain["scaling"]),
                target=plain["target"],
                classes=None if plain["classes"] is None else tuple(plain["classes"]),
                target_scaling=None if plain["target_scaling"] is None else Affine.from_plain(plain["target_scaling"]),
                tokens=tuple(plain["tokens"]) if plain.get("tokens") else None,
                text=TextEncoder.from_plain(plain["text"]) if plain.get("text") else None,
                series=SeriesForm.from_plain(plain["series"]) if plain.get("series") else None,
                audio=AudioEncoder.from_plain(plain["audio"]) if plain.get("audio") else None,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"the run's preprocessing cannot be read: {error}.") from None
