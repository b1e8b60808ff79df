"""A few targets that lie so far out that they alone rule a squared error."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Rule

__all__ = ["judge_outlying", "outlying_share"]

FEW, MOST, FEWEST = 0.01, 0.5, 20

OUTLYING = Rule(
    "outlying-targets",
    "A few targets lie so far from all others that they alone rule the loss.",
    "The squared error of one target that is a thousand times too large outweighs that of all other rows together, and "
    "where targets are scaled it presses all others onto one point. Most often it is a slip in the data: another unit, "
    "a decimal point, a missing value written as a large number.",
    f"The share of the targets' sum of squared deviations that the {FEW:.0%} farthest rows have: warns beyond "
    f"{MOST:.0%}, where there are {FEWEST} rows or more; a normal distribution has 8 % there.",
    "Look at those rows and mend or drop them. If they are true, use huber or mae, or predict the logarithm.",
    "Huber (1964), Robust estimation of a location parameter",
)


def outlying_share(y: Array) -> float | None:
    """Return the share of the sum of squared deviations that the farthest rows have; of several targets the largest.

    None for fewer than 20 rows, of which one may well have half of the sum.
    """
    if len(y) < FEWEST:
        return None
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    squares = np.sort(np.square(y - np.median(y, axis=0)), axis=0)
    few = max(1, round(FEW * len(y)))
    return float(np.max(squares[-few:].sum(0) / np.maximum(squares.sum(0), 1e-300)))


def judge_outlying(figures: dict[str, Any]) -> Finding:
    """Judge whether a few targets rule the loss."""
    share = figures["outlying_share"]
    if share is None:
        return OUTLYING.passed(f"with fewer than {FEWEST} rows one cannot tell whether some targets lie far out.")
    said = f"{share:.0%} of the targets' squared deviations come from the {FEW:.0%} of the rows that lie farthest out."
    judged = OUTLYING.passed if share <= MOST else OUTLYING.warn
    return judged(said, value=share, threshold=MOST)
