"""Targets that lie so far out that they alone rule a squared error: a few, or a group apart from all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.finding import Finding, Rule
from nnctl.nn.losses import MAE, Huber, Loss

__all__ = ["judge_outlying", "measure_outlying"]

FEW, MOST, FEWEST = 0.01, 0.5, 20
GROUP, GAP, USUAL = 0.2, 1.0, 3.0
"""The largest share of rows that a group apart can be; the gap before it and the reach of all others, in deviations."""

OUTLYING = Rule(
    "outlying-targets",
    "Some targets lie so far from all others that they alone rule the loss.",
    "The squared error of one target that is a thousand times too large outweighs that of all other rows together, and "
    "where targets are scaled it presses all others onto one point. Every tenth target that is ten times too large "
    "draws up what the network says of its neighbours. Most often it is a slip in the data: another unit, a decimal "
    "point, a missing value written as a large number.",
    f"The share of the targets' sum of squared deviations from the median that the {FEW:.0%} farthest rows have: warns "
    f"beyond {MOST:.0%}, where there are {FEWEST} rows or more; a normal distribution has 8 % there. Warns too where a "
    f"group of at most {GROUP:.0%} of the rows has that much: one that begins more than {GAP:g} robust standard "
    f"deviation (1.4826 median absolute deviations) beyond the last of the others, which all lie within {USUAL:g} of "
    f"the median. Such a group passes with huber and mae, which bear it.",
    "Look at those rows and mend or drop them. If they are true, use huber or mae, or predict the logarithm.",
    "Huber (1964), Robust estimation of a location parameter",
)


def measure_outlying(y: Array, loss: Loss | None) -> dict[str, Any]:
    """Return how far out some targets lie, and whether the loss bears them.

    Parameters
    ----------
    y : float array (N,) or (N, outputs)
    loss : Loss or None
        None where there is no network.

    Returns
    -------
    dict
        ``outlying_share`` of the sum of squared deviations that the farthest rows have, of several targets the largest,
        None for fewer than 20 rows, of which one may well have half of the sum; ``group_rows`` and ``group_share``, the
        share of the rows that lie apart, and theirs of the sum, 0 where none do; ``bears_outliers``.
    """
    bears = isinstance(loss, MAE | Huber)
    if len(y) < FEWEST:
        return {"outlying_share": None, "group_rows": 0.0, "group_share": 0.0, "bears_outliers": bears}
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    far = np.sort(np.abs(y - np.median(y, axis=0)), axis=0)
    few = max(1, round(FEW * len(y)))
    groups = [_group(column) for column in far.T]
    rows, share = max(groups, key=lambda group: group[1])
    return {
        "outlying_share": max(_share(column, few) for column in far.T),
        "group_rows": rows,
        "group_share": share,
        "bears_outliers": bears,
    }


def _share(far: Float, rows: int) -> float:
    """Return the share of the sum of squared deviations, in rising order, that the last rows have."""
    squares = np.square(far)
    return float(squares[-rows:].sum() / max(squares.sum(), 1e-300))


def _group(far: Float) -> tuple[float, float]:
    """Return the share of the rows that lie apart from all others, and theirs of the sum of squared deviations."""
    deviation = 1.4826 * float(np.median(far))
    first = len(far) - int(GROUP * len(far))
    gaps = far[first:] - far[first - 1 : -1]
    start = first + int(gaps.argmax())
    if deviation == 0 or gaps.max() <= GAP * deviation or far[start - 1] > USUAL * deviation:
        return 0.0, 0.0  # where most targets are equal, as in counts that are mostly 0, the others are no slip
    return 1 - start / len(far), _share(far, len(far) - start)


def judge_outlying(figures: dict[str, Any]) -> Finding:
    """Judge whether some targets rule the loss."""
    share, rows, group = figures["outlying_share"], figures["group_rows"], figures["group_share"]
    if share is None:
        return OUTLYING.passed(f"with fewer than {FEWEST} rows one cannot tell whether some targets lie far out.")
    said = f"{share:.0%} of the targets' squared deviations come from the {FEW:.0%} of the rows that lie farthest out."
    if share <= MOST < group:
        said = f"{group:.0%} of the targets' squared deviations come from {rows:.0%} of the rows, which lie apart."
        judged = OUTLYING.passed if figures["bears_outliers"] else OUTLYING.warn
        return judged(said, value=group, threshold=MOST)
    judged = OUTLYING.passed if share <= MOST else OUTLYING.warn
    return judged(said, value=share, threshold=MOST)
