"""From a time series to what a network is trained on: split by time, scale by what training has seen, cut windows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.dataset import Prepared, Split
from nnctl.data.finite import refuse_unusable
from nnctl.data.memory import refuse_too_large
from nnctl.data.preprocessing import Preprocessing, SeriesForm
from nnctl.data.scaling import Affine, Scaling
from nnctl.data.series import Series
from nnctl.data.splits import DEFAULT_SHARE, PARTS, SplitPlan
from nnctl.data.table import PartName, Table, counted
from nnctl.data.targets import Task

__all__ = ["prepare_series", "refuse_too_many_windows", "split_in_time"]


def prepare_series(
    table: Table, plan: SplitPlan, scaling: Scaling, target_scaling: Scaling, task: Task, dtype: DTypeLike
) -> Prepared:
    """Return the windows of a time series in parts, and the preprocessing that made them.

    A column has one center and one scale, learned from the rows that training windows hold, each counted once: all
    inputs of a column are scaled by them, wherever in a window they stand, and all targets, however far ahead.

    Raises
    ------
    DataError
        The loss is one for classes, the split leaves a part without a window, or the windows do not fit in memory.
    """
    series, x = table.series, table.x
    assert series is not None
    assert isinstance(x, np.ndarray)
    if task == "classification":
        raise DataError(
            f"'{table.target}' is a time series of numbers, and the loss is for classification. Use a regression loss "
            f"such as mse."
        )
    refuse_unusable(x, series.inputs)
    parts, notes = split_in_time(series, plan)
    refuse_too_many_windows(series, sum(map(len, parts.values())), dtype)
    affine = scaling.fit(x, series.input_rows(parts["train"]))
    own = target_scaling.fit(series.values, series.target_rows(parts["train"])).spread(series.values.shape[1:])
    scaled_x, scaled_y = affine.apply(x, dtype=dtype), own.apply(series.values, dtype=dtype)

    def part(origins: Array) -> Split:
        y = series.targets_of(scaled_y, origins).astype(dtype, copy=False)
        return Split(series.inputs_of(scaled_x, origins), y, None, origins)

    preprocessing = Preprocessing(
        task=task,
        inputs=(),
        input_shape=(series.form.lookback, x.shape[1]),
        encoder=None,
        scaling=affine,
        target=table.target,
        classes=None,
        target_scaling=_for_every_horizon(own, len(series.form.horizons)),
        series=SeriesForm(series.inputs, series.grid),
    )
    split = {name: part(origins) for name, origins in parts.items()}
    return Prepared(
        train=split["train"],
        validation=split.get("validation"),
        test=split.get("test"),
        preprocessing=preprocessing,
        notes=(*table.notes, *notes),
        series=series,
    )


def split_in_time(series: Series, plan: SplitPlan) -> tuple[dict[PartName, Array], tuple[str, ...]]:
    """Return the origins of the windows of every part, and what a person should know.

    The last times are the test part, those before them the validation part; sizes are shares of the distinct times,
    rounded up, or numbers of them. A window is in the part that holds all of its targets. Its inputs may reach back
    into the part before, as they will when the network is used.

    Raises
    ------
    DataError
        A part has no window, or the plan splits in another way than by time.
    """
    for key in ("group", "time", "stratify"):
        if getattr(plan, key):
            raise DataError(f"data.split: a time series is split by its own times. Leave '{key}' out.")
    times = np.unique(series.at)
    sizes = {name: _size(getattr(plan, name), len(times)) for name in PARTS if name != "train"}
    held_back = sum(sizes.values())
    if held_back >= len(times):
        raise DataError(
            f"data.split: validation and test take {held_back:,} times of {len(times):,} and leave none to train on."
        )
    origins = series.origins()
    first, last = series.spans(origins)
    borders = {"train": 0, "validation": len(times) - held_back, "test": len(times) - sizes["test"]}
    ends = {"train": borders["validation"], "validation": borders["test"], "test": len(times)}
    parts: dict[PartName, Array] = {}
    for name in PARTS:
        n = ends[name] - borders[name]
        if n == 0:
            continue
        start, stop = times[borders[name]], times[ends[name] - 1]
        parts[name] = origins[(first >= start) & (last <= stop)]
        if not len(parts[name]):
            _refuse_empty(series, name, n)
    left_out = len(origins) - sum(map(len, parts.values()))
    are = "is" if left_out == 1 else "are"
    said = f"{counted(left_out, 'window')} whose targets straddle a border between parts {are} left out"
    return parts, (said,) if left_out else ()


def refuse_too_many_windows(series: Series, n: int, dtype: DTypeLike) -> None:
    """Raise where so many windows with their targets do not fit into the memory, before any is cut.

    Raises
    ------
    DataError
        With the size.
    """
    form, D, K = series.form, len(series.inputs), series.values.shape[1]
    origins = form.lookback if form.everywhere else 1
    numbers = n * (form.lookback * D + 3 * origins * len(form.horizons) * K)  # targets come in their own units first
    what = f"{n:,} windows of {form.lookback:,} x {D:,} numbers"
    refuse_too_large(numbers * np.dtype(dtype).itemsize, what)


def _size(size: float | None, times: int) -> int:
    size = DEFAULT_SHARE if size is None else size
    return math.ceil(size * times) if isinstance(size, float) else size


def _refuse_empty(series: Series, name: str, n: int) -> None:
    form = series.form
    if name == "train":
        raise DataError(
            f"data.split: the training part has the first {counted(n, 'time')}, and a window of lookback "
            f"{form.lookback} with a target {counted(form.last, 'step')} behind it needs {form.rows}. Take a smaller "
            f"lookback or horizon, or a longer series."
        )
    span = form.rows - form.first if form.everywhere else form.last - form.first + 1
    raise DataError(
        f"data.split: no window has all of its targets in the {name} part of {counted(n, 'time')}; they span {span}. "
        f"Make the part larger, the horizon smaller, or leave the part out with {name}: 0."
    )


def _for_every_horizon(own: Affine, horizons: int) -> Affine:
    """Return the map of targets (H K) for that of K columns."""
    return Affine(np.tile(own.center, horizons), np.tile(own.scale, horizons))
