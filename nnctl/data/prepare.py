"""From a source to what a network is trained on: load, check, split, fit on the training part, transform every part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.errors import DataError
from nnctl.data.columns import ColumnEncoder
from nnctl.data.dataset import Prepared, Split
from nnctl.data.finite import refuse_unusable
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.scaling import NoScaling, Scaling
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan, split_rows
from nnctl.data.table import PartName, Table
from nnctl.data.targets import Task, class_indices, class_names, regression_values

__all__ = ["prepare"]


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

    Raises
    ------
    DataError
        The data cannot be read, or cannot be learned from.
    """
    table = source.load(base or Path.cwd(), seed)
    if len(table) == 0:
        raise DataError("the data have no rows.")
    table = _without_side_columns(table, split)
    classes = class_names(table) if task == "classification" else None
    y = class_indices(table, classes) if classes is not None else regression_values(table)
    rows = split_rows(table, split, y if classes is not None else None, classes or (), seed)

    inputs = table.features
    encoder = None
    unseen: tuple[str, ...] = ()
    if not isinstance(table.x, np.ndarray):
        encoder = ColumnEncoder.fit(table.x, table.columns, rows["train"])
        sentence = encoder.unseen(table.x)
        unseen = (sentence,) if sentence else ()
        table = replace(table, x=encoder.encode(table.x), features=encoder.features)
    x = np.asarray(table.x)
    refuse_unusable(x, table.features)
    if x.ndim < 2 or x[0].size == 0:
        raise DataError(f"the data have no input columns: x has shape {x.shape}, and (N, D) is needed.")

    affine = scaling.fit(x, rows["train"])
    if encoder is not None:
        affine = affine.except_where(encoder.is_onehot)
    y_affine = None if classes is not None else (target_scaling or NoScaling()).fit(y, rows["train"])
    preprocessing = Preprocessing(task, inputs, x.shape[1:], encoder, affine, table.target, classes, y_affine)

    def part(name: PartName) -> Split | None:
        chosen = rows.get(name)
        if chosen is None:
            return None
        targets = y[chosen] if y_affine is None else y_affine.apply(y, chosen, dtype)
        weight = None if table.weight is None else table.weight[chosen].astype(dtype)
        return Split(affine.apply(x, chosen, dtype), targets, weight, chosen)

    train = part("train")
    assert train is not None
    return Prepared(train, part("validation"), part("test"), preprocessing, unseen)


def _without_side_columns(table: Table, split: SplitPlan) -> Table:
    """Return the table with the split's group and time columns in `side`, where they are no inputs."""
    for name in (split.group, split.time):
        if name is not None:
            column, table = table.taken_out(name)
            table = replace(table, side={**table.side, name: column})
    return table
