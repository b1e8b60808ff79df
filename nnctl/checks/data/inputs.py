"""What the network receives, after every transformation: how large it is, how spread, and what sticks out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Rule
from nnctl.data.scaling import Standard
from nnctl.data.table import counted

__all__ = ["judge_inputs", "measure_inputs"]

LARGEST_MEAN = 1.0
SPREAD = (0.1, 10.0)
HUGE = 100.0
RAW_PIXELS = 50.0
FAR = 20.0
BLOWN_UP = 50.0

FEW_ROWS = Rule(
    "few-rows",
    about="There are fewer training rows than inputs.",
    why="With more inputs than rows even a linear model can learn any labels by heart, chance ones too, so that a "
    "perfect score on the training part says nothing.",
    threshold="Warns where a table has fewer training rows than the network has inputs.",
    fix="Drop columns that say little, encode categories with fewer columns (encoding: ordinal), or get more rows; "
    "else regularize strongly and trust the validation part alone.",
)

RAW = Rule(
    "raw-pixels",
    about="Pixels reach the network as grey values 0 to 255.",
    why="Initial weights are made for inputs around 1. Inputs a hundred times as large make activations, loss and "
    "gradients as much larger: units saturate or die in the first steps, and the learning rates that are usual do not "
    "work.",
    threshold="Fails where a picture has no negative values and its largest is above 50.",
    fix="Set data.scaling=pixels, which divides by 255; `scaling: {pixels: 16}` where 16 is white.",
    source="LeCun, Bottou, Orr and Mueller (1998), Efficient backprop, section 4.3",
)

SCALE = Rule(
    "input-scale",
    about="Inputs are far from mean 0 and spread 1.",
    why="All weights share one learning rate. An input that is a thousand times as large as another has gradients as "
    "much larger: the rate that suits the one is too small for the other, and the loss becomes a narrow valley. A mean "
    "far from 0 pushes all weights of a unit into the same direction.",
    threshold="Of each column in the training part, categories and 0/1 columns apart (of a picture: of all pixels "
    "together): warns where |mean| is above 1 or the standard deviation outside 0.1 to 10; fails where either is above "
    "100.",
    fix="Set data.scaling=standard, which every column needs that is no picture.",
    source="LeCun, Bottou, Orr and Mueller (1998), Efficient backprop, section 4.3",
)

OUTLIER = Rule(
    "outliers",
    about="Some values lie far beyond all others.",
    why="One value a thousand times as large as the rest (a slipped comma, a mixed-up unit) decides mean and "
    "spread, so that after scaling all others look alike; and each time it comes up it makes a step that undoes many. "
    "A column that is nearly always the same is blown up by scaling, so that its rare values become huge.",
    threshold="Warns where the largest (or smallest) value of a column lies beyond the central 98 % of the column by "
    "more than 20 times their width, or where a network input is above 50 in size though the columns are scaled.",
    fix="Look at these rows. Mend or remove them if they are mistakes; else take the logarithm of the column, or "
    "data.scaling=robust (pixels for pictures).",
)


def measure_inputs(view: View) -> dict[str, Any]:
    """Return mean, spread and extremes of what the network receives of the training part, column by column.

    Columns of categories, of 0 and 1, and of one value only are left out; a picture or sequence counts as one column.
    """
    x = view.inputs["train"]
    low, high = x.min(0), x.max(0)
    largest = {name: np.maximum(part.max(0), -part.min(0)) for name, part in view.inputs.items()}
    worst = max(largest, key=lambda name: float(largest[name].max()))
    k = int(largest[worst].argmax())
    changes = low != high
    chosen = [] if view.is_grid else [j for j in np.flatnonzero(changes) if not _is_binary(x[:, j])]
    moments = Standard().fit(x)
    mean, std = moments.center, np.where(changes, moments.scale, 0.0)
    columns = [{"name": view.names[j], "mean": float(mean[j]), "std": float(std[j])} for j in chosen]
    if view.is_grid:
        spread = np.sqrt(np.square(std).mean() + mean.var())
        columns = [{"name": "all values together", "mean": float(mean.mean()), "std": float(spread)}]
    return {
        "rows": len(x),
        "width": x.shape[1],
        "dtype": str(x.dtype),
        "min": float(low.min()),
        "max": float(high.max()),
        "columns": columns,
        "beyond": {view.names[j]: _beyond(x[:, j]) for j in chosen},
        "largest": {"input": view.names[k], "part": worst, "size": float(largest[worst][k])},
    }


def _is_binary(column: Array) -> bool:
    return bool(((column == 0) | (column == 1)).all())


def _beyond(column: Array) -> float:
    """Return by how many widths of its central 98 % the extremes of a column lie beyond them; 0 where it has none."""
    ordered = np.sort(column).astype(np.float64)
    k = max(1, len(ordered) // 100)
    if len(ordered) < 10 or ordered[k] == ordered[-1 - k]:
        return 0.0
    low, high = ordered[k], ordered[-1 - k]
    return float(max(ordered[-1] - high, low - ordered[0]) / (high - low))


def judge_inputs(view: View, found: dict[str, Any]) -> Iterator[Finding]:
    """Judge the size and the shape of what the network receives."""
    yield _judged_shape(view, found)
    raw = view.image_shape is not None and found["min"] >= 0 and found["max"] > RAW_PIXELS
    if raw:
        yield RAW.fail(
            f"pixels run from {found['min']:g} to {found['max']:g}.",
            where="data.scaling",
            value=found["max"],
            threshold=RAW_PIXELS,
        )
    else:
        yield from _judged_scale(view, found)
    yield from _judged_outliers(found, is_scaled=not raw)


def _judged_shape(view: View, found: dict[str, Any]) -> Finding:
    assert view.data is not None
    shape = " x ".join(map(str, view.data.input_shape))
    said = (
        f"{found['rows']:,} training rows of {shape} inputs, {found['dtype']}, "
        f"from {found['min']:.3g} to {found['max']:.3g}"
    )
    few = found["rows"] < found["width"] and not view.is_grid
    judge = FEW_ROWS.warn if few else FEW_ROWS.passed
    return judge(f"{said}.", value=found["rows"], threshold=found["width"])


def _judged_scale(view: View, found: dict[str, Any]) -> Iterator[Finding]:
    columns = found["columns"]
    bad = [c for c in columns if abs(c["mean"]) > LARGEST_MEAN or not SPREAD[0] <= c["std"] <= SPREAD[1]]
    if not bad:
        if columns:
            mean = max((c["mean"] for c in columns), key=abs)
            low, high = min(c["std"] for c in columns), max(c["std"] for c in columns)
            spread = f"{low:.2g}" if f"{low:.2g}" == f"{high:.2g}" else f"{low:.2g} to {high:.2g}"
            yield SCALE.passed(
                f"means are within {abs(mean):.2g} of 0, standard deviations are {spread}.",
                value=abs(mean),
                threshold=LARGEST_MEAN,
            )
        return
    worst = max(bad, key=lambda c: max(abs(c["mean"]), c["std"], 1 / max(c["std"], 1e-30)))
    size = max(abs(worst["mean"]), worst["std"])
    of = "" if view.is_grid else f"{counted(len(bad), 'input')} of {found['width']}, the worst is {worst['name']}: "
    judge = SCALE.fail if size > HUGE else SCALE.warn
    yield judge(
        f"{of}mean {worst['mean']:.3g}, standard deviation {worst['std']:.3g}.",
        where="data.scaling",
        value=size,
        threshold=HUGE if size > HUGE else LARGEST_MEAN if abs(worst["mean"]) > LARGEST_MEAN else SPREAD[1],
        fix="Set data.scaling=pixels (or standard)." if view.image_shape else None,
    )


def _judged_outliers(found: dict[str, Any], *, is_scaled: bool) -> Iterator[Finding]:
    far = {name: beyond for name, beyond in found["beyond"].items() if beyond > FAR}
    for name, beyond in sorted(far.items(), key=lambda item: -item[1])[:5]:
        said = f"a value lies {beyond:,.0f} times as far out as the central 98 % of the column are wide."
        yield OUTLIER.warn(said, where=name, value=beyond, threshold=FAR)
    largest = found["largest"]
    spread = max((c["std"] for c in found["columns"]), default=1.0)
    if not far and is_scaled and largest["size"] > BLOWN_UP and spread <= SPREAD[1]:
        yield OUTLIER.warn(
            f"the network receives a {largest['size']:,.0f} in the {largest['part']} part.",
            where=largest["input"],
            value=largest["size"],
            threshold=BLOWN_UP,
        )
    elif not far and is_scaled:
        yield OUTLIER.passed(f"no input is larger than {largest['size']:.3g}.", value=largest["size"])
