"""Targets: class names to indices and back, and the checks that a target can be learned at all."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnctl.core.arrays import Array, Float
from nnctl.core.component import did_you_mean
from nnctl.core.errors import DataError
from nnctl.data.finite import refuse_unusable
from nnctl.data.table import Table, counted, shown_rows

__all__ = ["Task", "class_indices", "class_names", "regression_values"]

Task: TypeAlias = Literal["classification", "regression"]

MANY_CLASSES = 20


def class_names(table: Table) -> tuple[str, ...]:
    """Return the names of the classes in the order of their indices: sorted, numbers by value.

    Raises
    ------
    DataError
        There are no targets, one class only, or so many values that the target is a quantity.
    """
    if table.classes is not None:
        return table.classes
    y = _labels(table)
    values = np.unique(y)
    if len(values) == 1:
        raise DataError(
            f"target '{table.target}' has one class only, '{_name(values[0])}'. There is nothing to tell apart."
        )
    if y.dtype.kind in "iuf" and _is_continuous(values, len(y)):
        raise DataError(
            f"target '{table.target}' looks continuous: {len(values):,} distinct values in {counted(len(y), 'row')}, "
            f"such as {', '.join(_name(v) for v in values[:3])}; and the loss is for classification. "
            f"Use a regression loss such as mse."
        )
    return tuple(_name(value) for value in values)


def class_indices(table: Table, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Return y as indices into `classes`, shape (N,); or (N, T), where every position has one.

    Raises
    ------
    DataError
        A label is none of the classes.
    """
    if table.classes == classes and table.y is not None and table.y.ndim == 2 and table.y.shape[1] > 1:
        return table.y.astype(np.int64)
    y = _labels(table)
    if table.classes == classes:
        return y.astype(np.int64)
    values, places = np.unique(y, return_inverse=True)
    names = [_name(v) for v in values] if table.classes is None else [table.classes[v] for v in values]
    index = {name: k for k, name in enumerate(classes)}
    for k, name in enumerate(names):
        if name not in index:
            raise DataError(
                f"target '{table.target}': '{name}' ({shown_rows(np.flatnonzero(places == k))}) is no known class."
                f"{did_you_mean(name, classes)} Classes: {', '.join(classes[:20])}."
            )
    return np.array([index[name] for name in names], np.int64)[places]


def regression_values(table: Table) -> Float:
    """Return y as numbers, shape (N, outputs), in float64 or its own float type.

    Targets (N, T, outputs) of sequences x (N, T, D) are left in their shape: every position has its own.

    Raises
    ------
    DataError
        The targets are texts or names, or some are not finite.
    """
    y = _given(table)
    if table.classes is not None or y.dtype.kind not in "iufb":
        example = table.classes[0] if table.classes else _name(y.flat[0])
        raise DataError(
            f"target '{table.target}' holds texts, such as '{example}'. Regression needs numbers, and the "
            f"loss is for regression. Use a classification loss such as cross_entropy."
        )
    is_positionwise = table.sequence and y.ndim == 3 and y.shape[:2] == table.x.shape[:2]
    y = y if is_positionwise else y.reshape(len(y), -1)
    if y.dtype.kind != "f":
        return y.astype(np.float64)
    refuse_unusable(y, (table.target,) * math.prod(y.shape[1:]), "target")
    return y


def _given(table: Table) -> Array:
    if table.y is None:
        raise DataError("the data have no targets. Name a target column, or give labels.")
    return table.y


def _labels(table: Table) -> Array:
    y = _given(table)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"target '{table.target}' has shape {y.shape}. Classification needs one label a row, shape ({len(y)},)."
        )
    if y.dtype.kind == "f":
        refuse_unusable(y[:, None], (table.target,), "target")
    return y


def _is_continuous(values: Array, n: int) -> bool:
    fractional = values.dtype.kind == "f" and bool(np.any(values != np.floor(values)))
    rows_a_class = 20 if values.dtype.kind == "f" else 5
    return fractional or (len(values) > MANY_CLASSES and n < rows_a_class * len(values))


def _name(value: object) -> str:
    """Return a label as text; 3.0 and 3 are the same class."""
    if isinstance(value, np.floating) and value == np.floor(value):
        return str(int(value))
    return str(value)
