"""From a source to what a network is trained on: load, check, split, fit on the training part, transform every part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, cast

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.augment.augmentation import Augmentation
from nnctl.data.columns import ColumnEncoder
from nnctl.data.dataset import Prepared, Split
from nnctl.data.dates import in_time
from nnctl.data.finite import refuse_unusable
from nnctl.data.image_files import ImageFiles, ScaledImages
from nnctl.data.prepare_series import prepare_series
from nnctl.data.prepare_texts import tokenized, training_texts
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.scaling import Affine, NoScaling, Scaling
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan, split_rows
from nnctl.data.table import Table, counted, shown_rows
from nnctl.data.targets import Task, class_indices, class_names, regression_values

__all__ = ["prepare"]

LARGE_TARGET = 10
"""A mean or standard deviation of the targets beyond this is worth a note; outputs of a new network are around 1."""


def prepare(
    source: Source,
    split: SplitPlan,
    scaling: Scaling,
    *,
    task: Task,
    target_scaling: Scaling | None = None,
    seed: int = 0,
    dtype: DTypeLike = np.float32,
    base: Path | None = None,
    augment: Sequence[Augmentation] = (),
) -> Prepared:
    """Return the parts of a data set as arrays, and the preprocessing that made them.

    Whatever is learned (fills, categories, center and scale) is learned from the training part alone. Every part is
    written once, in `dtype`.

    Parameters
    ----------
    source, split, scaling, target_scaling
        What the spec's `data` section says; targets are scaled in a regression only.
    task : {"classification", "regression"}
        What the loss asks for.
    seed : int
        The run's; generated data draw from its stream "data", the split from "split".
    dtype : dtype
        Of the inputs and the regression targets; class indices are int64.
    base : Path
        The spec's directory, which relative paths start from; else the working directory.
    augment : sequence of Augmentation
        Those of texts can bring words in, which the vocabulary then has.

    Raises
    ------
    DataError
        The data cannot be read, or cannot be learned from.
    """
    base = base or Path.cwd()
    table = _loaded(source, base, seed)
    if table.series is not None:
        return prepare_series(table, split, scaling, target_scaling or NoScaling(), task, dtype)
    table = _without_side_columns(table, split)
    classes = class_names(table) if task == "classification" else None
    y = regression_values(table) if classes is None else class_indices(table, classes)
    labels = y if classes is not None and y.ndim == 1 else None
    rows = split_rows(table, split, labels, classes or (), seed)
    texts = training_texts(table, rows["train"], augment, base)
    table, text_encoder, text_notes = tokenized(table, rows, texts)

    inputs = _Inputs.fit(table, rows["train"], scaling)
    targets = _Targets(y) if classes is not None else _Targets.fit(y, table, rows["train"], target_scaling)
    preprocessing = Preprocessing(
        task=task,
        inputs=table.features,
        input_shape=inputs.x.shape[1:],
        encoder=inputs.encoder,
        scaling=inputs.scaling,
        target=table.target,
        classes=classes,
        target_scaling=targets.scaling,
        tokens=table.tokens,
        text=text_encoder,
        audio=None if table.recordings is None else table.recordings.encoder,
    )

    def part(chosen: Array) -> Split:
        weight = None if table.weight is None else table.weight[chosen].astype(dtype)
        lengths = None if table.lengths is None else table.lengths[chosen]
        return Split(inputs.of(chosen, dtype), targets.of(chosen, dtype), weight, chosen, lengths)

    parts = {name: part(chosen) for name, chosen in rows.items()}
    return Prepared(
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        preprocessing=preprocessing,
        notes=(*table.notes, *text_notes, *inputs.notes, *targets.notes),
        texts=texts,
        recordings=table.recordings if any(step.changes_sound for step in augment) else None,
    )


@dataclass(frozen=True, eq=False)
class _Inputs:
    """The inputs of all rows as one array, what made it of a frame, how it is scaled, and what a person should know."""

    x: Array
    encoder: ColumnEncoder | None
    scaling: Affine
    are_tokens: bool
    notes: tuple[str, ...]

    @classmethod
    def fit(cls, table: Table, train: Array, scaling: Scaling) -> Self:
        """Learn from the training part what makes numbers of the inputs, and what scales them; tokens are not scaled.

        One-hot columns are left alone. A feature of sequences is scaled by every step of them that is there.
        """
        x, encoder, notes = _encoded(table, train)
        are_tokens = table.tokens is not None
        instances = _positions(x, table, train) if table.sequence else (x, train)
        affine = (NoScaling() if are_tokens else scaling).fit(*instances)
        return cls(x, encoder, affine if encoder is None else affine.except_where(encoder.is_onehot), are_tokens, notes)

    def of(self, rows: Array, dtype: DTypeLike) -> Array:
        """Return the inputs of some rows as the network receives them."""
        if isinstance(self.x, ImageFiles):
            return cast("Array", ScaledImages(self.x, rows, self.scaling, np.dtype(dtype)))  # is used as one
        return self.x[rows].astype(np.int32) if self.are_tokens else self.scaling.apply(self.x, rows, dtype)


@dataclass(frozen=True, eq=False)
class _Targets:
    """The targets of all rows, how those of a regression are scaled, and what a person should know."""

    y: Array
    scaling: Affine | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, y: Array, table: Table, train: Array, scaling: Scaling | None) -> Self:
        """Learn the scaling of a regression's targets from the training part, or note that they are large without."""
        values, there = _positions(y, table, train) if y.ndim == 3 else (y, train)
        affine = (scaling or NoScaling()).fit(values, there).spread(values.shape[1:])
        large = _large(values[there]) if scaling is None or isinstance(scaling, NoScaling) else None
        return cls(y, affine, (large,) if large else ())

    def of(self, rows: Array, dtype: DTypeLike) -> Array:
        """Return the targets of some rows as the network learns them; class indices stay as they are."""
        return self.y[rows] if self.scaling is None else self.scaling.apply(self.y, rows, dtype)


def _loaded(source: Source, base: Path, seed: int) -> Table:
    table = source.load(base, seed)
    if len(table) == 0:
        raise DataError("the data have no rows.")
    weight = table.weight
    if weight is not None:
        if weight.shape != (len(table),) or weight.dtype.kind not in "iufb":
            raise DataError(f"weights must be {len(table):,} numbers. Got shape {weight.shape} of type {weight.dtype}.")
        bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
        if len(bad):
            where = f"{counted(len(bad), 'row')} ({shown_rows(bad)})"
            raise DataError(f"weights are missing, negative or infinite in {where}. A weight is a number >= 0.")
    return table


def _without_side_columns(table: Table, split: SplitPlan) -> Table:
    """Return the table with the split's group and time columns in `side`, where they are no inputs."""
    if split.group is not None:
        groups, table = table.taken_out(split.group, "data.split.group")
        table = replace(table, side={**table.side, split.group: groups})
    if split.time is not None:
        times, table = table.taken_out(split.time, "data.split.time")
        table = replace(table, side={**table.side, split.time: in_time(times, split.time)})
    return table


def _large(y: Array) -> str | None:
    """Return one sentence on targets (N, outputs) that are large for a network, whose outputs start near 0, or None."""
    mean, spread = y.mean(0, dtype=np.float64), y.std(0, dtype=np.float64)
    size = np.maximum(np.abs(mean), spread)
    k = int(size.argmax())
    if size[k] <= LARGE_TARGET:
        return None
    return (
        f"the target has mean {mean[k]:,.1f} and spread {spread[k]:,.1f}: "
        f"data.target_scaling: standard helps a network learn it."
    )


def _positions(x: Array, table: Table, rows: Array) -> tuple[Array, Array]:
    """Return all positions of sequences x (N, T, D) as rows (N T, D), and which of them are there in some sequences."""
    steps = x.shape[1]
    places = rows[:, None] * steps + np.arange(steps)
    if table.lengths is not None:
        places = places[np.arange(steps) < table.lengths[rows][:, None]]
    return x.reshape(-1, x.shape[2]), places.ravel()


def _encoded(table: Table, train: Array) -> tuple[Array, ColumnEncoder | None, tuple[str, ...]]:
    """Return the inputs as one numeric array, the encoder that made it of a frame, and what a person should know."""
    x = table.x
    if math.prod(x.shape[1:]) == 0 or len(x.shape) < 2:
        raise DataError(f"the data have no input columns: x has shape {x.shape}, and (N, D) is needed.")
    if isinstance(x, np.ndarray | ImageFiles):
        refuse_unusable(x, table.features)
        return x, None, ()
    encoder = ColumnEncoder.fit(x, table.columns, train)
    notes = tuple(sentence for sentence in (encoder.filled(x), encoder.unseen(x)) if sentence)
    numbers = encoder.encode(x)
    refuse_unusable(numbers, encoder.features)
    return numbers, encoder, notes
