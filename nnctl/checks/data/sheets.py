"""What the picture of a data set is drawn from: histograms of a table's columns by class, or sample images."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.arrays import Array, Float, Shape
from nnctl.data.augment.augmenter import TextAugmenter
from nnctl.experiment.assembly import Experiment

if TYPE_CHECKING:
    import polars as pl

__all__ = ["augmented", "augmented_rows", "augmented_texts", "groups_of", "histograms", "made_rows", "samples"]

COLUMNS = 24
GROUPS = 6
FEWEST_BINS, BINS = 10, 30
CATEGORIES = 16
LINES = 10
SAMPLES = 12
BEFORE_AND_AFTER = 6
ROWS_BEFORE_AND_AFTER, COLUMNS_BEFORE_AND_AFTER = 3, 6
LARGEST_SIDE = 64
TEXTS_BEFORE_AND_AFTER, TEXT_EPOCHS, LOOKED_THROUGH = 4, 3, 50


def histograms(view: View, noted: Collection[str]) -> dict[str, Any]:
    """Return histograms of the training part's columns by class, or by thirds of the target.

    Parameters
    ----------
    view : View
    noted : collection of str
        The columns that findings are about; they come first. The others follow by how much the groups differ in them.
    """
    frame = view.frame[view.parts["train"]]
    groups, names = groups_of(view)
    drawn = [_histogram(column, groups, len(names)) for column in frame if column.null_count() < len(column)]
    drawn.sort(key=lambda histogram: (histogram["name"] not in noted, -_difference(histogram["counts"])))
    return {"groups": names, "columns": drawn[:COLUMNS], "left_out": max(0, len(drawn) - COLUMNS)}


def _difference(counts: list[list[int]]) -> float:
    """Return how far the groups' shares are from those of all rows, half the sum of the differences, in the mean."""
    rows = np.array(counts, np.float64)
    shares = rows / np.maximum(1, rows.sum(1, keepdims=True))
    whole = rows.sum(0) / max(1, rows.sum())
    return float(np.abs(shares - whole).sum(1).mean() / 2)


def groups_of(view: View) -> tuple[Array, list[str]]:
    """Return which group each training row belongs to, and what the groups are called."""
    rows = view.parts["train"]
    if view.y is None:
        return np.zeros(len(rows), np.int64), [""]
    y = view.y[rows]
    if view.classes is None:
        cuts = np.quantile(y[:, 0], [1 / 3, 2 / 3])
        target = view.table.target
        names = [f"{target} up to {cuts[0]:,.4g}", f"{target} between", f"{target} from {cuts[1]:,.4g}"]
        return np.searchsorted(cuts, y[:, 0], "right"), names
    if len(view.classes) <= GROUPS:
        return y, list(view.classes)
    common = np.argsort(-np.bincount(y, minlength=len(view.classes)), kind="stable")[: GROUPS - 1]
    place = np.full(len(view.classes), GROUPS - 1)
    place[common] = np.arange(GROUPS - 1)
    return place[y], [*(view.classes[k] for k in common), "others"]


def _histogram(column: pl.Series, groups: Array, count: int) -> dict[str, Any]:
    """Return how many rows of each group fall into each bin, or have each of the most frequent values."""
    there = column.is_not_null().to_numpy()
    column, groups = column.drop_nulls(), groups[there]
    if column.dtype.is_numeric() and column.n_unique() > CATEGORIES:
        x = column.to_numpy().astype(np.float64)
        finite = np.isfinite(x)
        edges = _edges(x[finite])
        counts = [np.histogram(x[finite & (groups == k)], edges)[0].tolist() for k in range(count)]
        return {"name": column.name, "edges": edges.tolist(), "counts": counts}
    values = column.value_counts(sort=True)[column.name].head(CATEGORIES)
    values = values.sort() if column.dtype.is_numeric() else values
    texts = column.cast(str).to_numpy()
    labels = [str(value) for value in values.cast(str)]
    counts = [[int(((texts == label) & (groups == k)).sum()) for label in labels] for k in range(count)]
    if column.n_unique() > CATEGORIES:
        labels = [*labels, "others"]
        counts = [[*shown, int((groups == k).sum()) - sum(shown)] for k, shown in enumerate(counts)]
    return {"name": column.name, "labels": labels, "counts": counts}


def _edges(x: Float) -> Float:
    """Return the ends of the bins, over all values or the central 99 % if far narrower; whole numbers share bins."""
    low, high = x.min(), x.max()
    inner_low, inner_high = np.quantile(x, [0.005, 0.995])
    if inner_high > inner_low and high - low > 10 * (inner_high - inner_low):
        low, high = inner_low, inner_high
    bins = int(np.clip(np.sqrt(len(x)), FEWEST_BINS, BINS))
    if (x == np.floor(x)).all():
        width = np.ceil((high - low + 1) / bins)
        return np.asarray(np.arange(np.floor(low), high + width + 1, width) - 0.5)
    return np.linspace(low, high, bins + 1)


def samples(view: View) -> dict[str, Any]:
    """Return the first pictures of each class as the network receives them, grey values or colours 0 to 255."""
    assert view.image_shape is not None
    x = np.asarray(view.table.x) if view.data is None else view.data.train.x
    y = None if view.y is None else view.y[view.parts["train"]]
    if y is None or view.classes is None:
        lines = [("", np.arange(i, min(i + SAMPLES, len(x)))) for i in range(0, min(len(x), LINES * SAMPLES), SAMPLES)]
    else:
        lines = [(name, np.flatnonzero(y == k)[:SAMPLES]) for k, name in enumerate(view.classes[:LINES])]
    shown = x[np.concatenate([rows for _, rows in lines])].reshape(-1, *view.image_shape)
    left_out = max(0, len(view.classes or ()) - LINES)
    return {"left_out": left_out, **_sheet(shown, [(name, len(rows)) for name, rows in lines])}


def augmented(experiment: Experiment, image_shape: Shape) -> dict[str, Any]:
    """Return training images as they are, each followed by what becomes of it in the first epochs."""
    train = experiment.examples(experiment.data.train)
    batches, classes = experiment.batches(train), experiment.data.classes
    rows = batches.order(0)[:BEFORE_AND_AFTER]
    epochs = [batches.rows_of(rows, epoch)[0] for epoch in range(SAMPLES - 1)]
    shown = np.stack([train.x[rows], *epochs], axis=1).reshape(-1, *image_shape)
    labels = [classes[train.y[row]] if classes else f"{train.y[row][0]:.4g}" for row in rows]
    return _sheet(shown, [(label, SAMPLES) for label in labels])


def augmented_rows(experiment: Experiment) -> dict[str, Any]:
    """Return training rows of a table as they are and in the first epoch, in the units of the source."""
    train, data = experiment.examples(experiment.data.train), experiment.data
    batches = experiment.batches(train)
    order = batches.order(0)
    chosen = order[order < len(data.train.of_source)][:ROWS_BEFORE_AND_AFTER]
    before, after = (data.preprocessing.scaling.invert(x) for x in (train.x[chosen], batches.rows_of(chosen, 0)[0]))
    return {
        "columns": list(data.features[:COLUMNS_BEFORE_AND_AFTER]),
        "left_out": max(0, len(data.features) - COLUMNS_BEFORE_AND_AFTER),
        "rows": [
            {"row": int(row) + 1, "before": x.tolist(), "after": y.tolist()}
            for row, x, y in zip(
                data.train.rows[chosen],
                before[:, :COLUMNS_BEFORE_AND_AFTER],
                after[:, :COLUMNS_BEFORE_AND_AFTER],
                strict=True,
            )
        ],
    }


def made_rows(experiment: Experiment) -> dict[str, Any]:
    """Return how many rows each class has before and after some were made, and some of those, in the source's units."""
    data, names = experiment.data, experiment.data.classes or ()
    train, n = data.train, len(data.train) - data.train.made
    _, first = np.unique(train.y[n:], return_index=True)
    chosen = n + np.concatenate([first + k for k in range(ROWS_BEFORE_AND_AFTER)])
    chosen = np.sort(chosen[chosen < len(train)])[:ROWS_BEFORE_AND_AFTER]
    x = data.preprocessing.scaling.invert(train.x[chosen])[:, :COLUMNS_BEFORE_AND_AFTER]
    return {
        "classes": list(names),
        "before": np.bincount(train.y[:n], minlength=len(names)).tolist(),
        "after": np.bincount(train.y, minlength=len(names)).tolist(),
        "columns": list(data.features[:COLUMNS_BEFORE_AND_AFTER]),
        "left_out": max(0, len(data.features) - COLUMNS_BEFORE_AND_AFTER),
        "rows": [{"class": names[k], "values": row.tolist()} for k, row in zip(train.y[chosen], x, strict=True)],
    }


def augmented_texts(experiment: Experiment) -> dict[str, Any]:
    """Return some training texts as they are and in the first epochs, those first that change."""
    data = experiment.data
    batches = experiment.batches(experiment.examples(data.train))
    augmenter = batches.augmenter
    assert isinstance(augmenter, TextAugmenter)
    order = batches.order(0)[:LOOKED_THROUGH]
    epochs = [augmenter.texts_of(order, epoch) for epoch in range(TEXT_EPOCHS)]
    whole = augmenter.texts.texts
    texts = [
        {
            "row": int(data.train.rows[row]) + 1,
            "label": data.classes[data.train.y[row]] if data.classes else "",
            "before": whole[row],
            "after": list(after),
        }
        for row, *after in zip(order, *epochs, strict=True)
    ]
    texts.sort(key=lambda text: -sum(after != text["before"] for after in text["after"]))
    return {"texts": texts[:TEXTS_BEFORE_AND_AFTER]}


def _sheet(shown: Array, lines: list[tuple[str, int]]) -> dict[str, Any]:
    """Return images (N, H, W, C) as lines of a label and so many of them, in grey values or colours 0 to 255."""
    stride = max(1, max(shown.shape[1:3]) // LARGEST_SIDE)
    shown = shown[:, ::stride, ::stride].astype(np.float64)
    low, high = np.quantile(shown, [0.001, 0.999])
    grey = (255 * ((shown - low) / (high - low or 1)).clip(0, 1)).round().astype(np.uint8)
    pixels = iter(grey)
    return {
        "shape": list(grey.shape[1:]),
        "range": [float(low), float(high)],
        "lines": [
            {"label": name, "pixels": [b64encode(next(pixels).tobytes()).decode() for _ in range(count)]}
            for name, count in lines
        ],
    }
