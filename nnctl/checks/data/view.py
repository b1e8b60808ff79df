"""What the checks of the data look at: the raw rows of a source, and what the network receives of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnctl.core.arrays import Array, Shape
from nnctl.core.errors import DataError
from nnctl.data.batches import is_positionwise
from nnctl.data.dataset import Prepared
from nnctl.data.pictures import picture_shape
from nnctl.data.sources import Source
from nnctl.data.sources.card import FromCard
from nnctl.data.sources.frames import FrameSource
from nnctl.data.splits import SplitPlan
from nnctl.data.table import Table
from nnctl.data.targets import Task, class_indices, class_names, regression_values
from nnctl.data.tokens import Wording
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import LoadedSpec

if TYPE_CHECKING:
    import polars as pl

__all__ = ["View", "targets", "undropped", "view_of", "view_of_unusable"]

CHANNELS = (1, 3, 4)


@dataclass(frozen=True, eq=False)
class View:
    """A data set as the checks look at it.

    Parameters
    ----------
    table : Table
        The raw inputs and targets of every row; columns that are no inputs are taken out.
    whole : Table
        The same rows with all columns that the source has, those that are dropped as well.
    parts : mapping of str to int array
        The row numbers of each part: train, validation, test; all rows are "train" where nothing is split.
    y : int64 array (N,), float array (N, outputs) or None
        Class indices or targets of every row in their own units; None where there are none that can be used.
    classes : tuple of str or None
        Class names by index; None for a regression.
    experiment : Experiment or None
        None where there is only a file, or where nothing can be prepared for a network.
    """

    table: Table
    whole: Table
    parts: Mapping[str, Array]
    y: Array | None
    classes: tuple[str, ...] | None
    experiment: Experiment | None = None

    @property
    def data(self) -> Prepared | None:
        """What the network receives of the source, if there is a network; rows that were made are left out."""
        return None if self.experiment is None else self.experiment.data.of_source

    @property
    def pool(self) -> Array:
        """The rows that are no test rows: what is learned from and chosen by."""
        return np.concatenate([rows for name, rows in self.parts.items() if name != "test"])

    @property
    def pool_name(self) -> str:
        """What the rows of the pool are called in messages."""
        if self.data is None:
            return "rows"
        return "training and validation rows" if "validation" in self.parts else "training rows"

    @cached_property
    def image_shape(self) -> Shape | None:
        """The shape (H, W, C) of a row that is a picture, or None."""
        return _image_shape(self.table)

    @property
    def is_grid(self) -> bool:
        """Whether a row is a picture or a sequence, whose single places mean little by themselves."""
        return self.image_shape is not None or len(self.table.x.shape) > 2 or self.table.tokens is not None

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The raw inputs as named columns; a missing number is null.

        Only for rows that are no pictures and no sequences.
        """
        import polars as pl  # noqa: PLC0415 - 150 ms

        x = self.table.x
        frame = pl.DataFrame(x, schema=list(self.table.features)) if isinstance(x, np.ndarray) else x
        return frame.with_columns(pl.selectors.float().fill_nan(None))

    @cached_property
    def inputs(self) -> dict[str, Array]:
        """What the network receives of every part, as matrices (N, D)."""
        assert self.data is not None
        splits = {"train": self.data.train, "validation": self.data.validation, "test": self.data.test}
        return {name: _as_matrix(split.x) for name, split in splits.items() if split is not None}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the places of a row that the network receives are called."""
        assert self.data is not None
        places = np.ndindex(*self.data.input_shape)
        if self.data.series is not None:
            return tuple(f"{self.data.series.inputs[d]} at step {t + 1} of a window" for t, d in places)
        return self.data.features or tuple(f"({', '.join(map(str, place))})" for place in places)

    @cached_property
    def is_onehot(self) -> Array:
        """Which inputs of the network are 0 or 1 because they stand for a category, bool (D,)."""
        assert self.data is not None
        encoder = self.data.preprocessing.encoder
        return np.zeros(len(self.names), bool) if encoder is None else encoder.is_onehot


def view_of(experiment: Experiment) -> View:
    """Return the view on an experiment: its raw rows are read again, its prepared ones are at hand."""
    loaded = experiment.loaded
    whole, table = _raw(loaded)
    data = experiment.data.of_source
    table = data.preprocessing.tokenized(table) if isinstance(table.text, Wording) else table
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    parts = {name: split.rows for name, split in splits.items() if split is not None}
    y, classes = (None, None) if is_positionwise(data.train.y) else targets(table, data.task)
    return View(table, whole, parts, y, classes, experiment)


def view_of_unusable(loaded: LoadedSpec) -> View:
    """Return the view on data that can be read, and from which no network can be fed.

    Raises
    ------
    DataError
        They cannot even be read.
    """
    whole, table = _raw(loaded)
    y, classes = None, None
    with suppress(DataError):  # what is wrong with the targets is what made the data unusable, and is told as that
        y, classes = targets(table, loaded.spec.loss.task)
    return View(table, whole, {"train": np.arange(len(table))}, y, classes)


def targets(table: Table, task: Task) -> tuple[Array, tuple[str, ...] | None]:
    """Return class indices (N,) with the names of the classes, or the values (N, outputs) of a regression.

    Raises
    ------
    DataError
        They are not what the task needs.
    """
    if task == "regression":
        return regression_values(table), None
    classes = class_names(table)
    return class_indices(table, classes), classes


def undropped(source: Source) -> Source:
    """Return the source with the columns that it drops, which are read as texts."""
    reads = source.source() if isinstance(source, FromCard) else source
    if not isinstance(reads, FrameSource) or not reads.drop:
        return source
    change = {"drop": (), "categorical": (*reads.categorical, *reads.drop)}
    if isinstance(source, FromCard):
        return source.model_copy(update={"change": {**source.change, **{k: list(v) for k, v in change.items()}}})
    return source.model_copy(update=change)


def without(table: Table, dropped: tuple[str, ...], split: SplitPlan | None = None) -> Table:
    """Return the table without the columns that are dropped, or that only say how it is split."""
    if dropped:
        assert not isinstance(table.x, np.ndarray)
        x = table.x.drop(dropped)
        table = replace(table, x=x, features=tuple(x.columns))
    if split is not None and split.group is not None:
        _, table = table.taken_out(split.group, "data.split.group")
    if split is not None and split.time is not None:
        _, table = table.taken_out(split.time, "data.split.time")
    return table


def _raw(loaded: LoadedSpec) -> tuple[Table, Table]:
    """Return all columns of the source, and those that are inputs."""
    data = loaded.spec.data
    reads = data.source.source() if isinstance(data.source, FromCard) else data.source
    whole = undropped(data.source).load(loaded.base, loaded.spec.seed)
    dropped = reads.drop if isinstance(reads, FrameSource) else ()
    return whole, without(whole, dropped, data.split)


def _image_shape(table: Table) -> Shape | None:
    shape = table.x.shape[1:]
    is_bytes = isinstance(table.x, np.ndarray) and table.x.dtype == np.uint8
    if (len(shape) == 3 and shape[2] not in CHANNELS) or (len(shape) == 2 and not is_bytes):
        return None
    return picture_shape(tuple(shape), table.features)


def _as_matrix(x: Array) -> Array:
    """Return rows of any shape as a matrix (N, D); images on disk are read."""
    return np.asarray(x).reshape(len(x), -1)
