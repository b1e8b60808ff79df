"""What a range test says: the curve of loss over learning rate, and the rules by which people read it.

In a range test the learning rate grows exponentially from step to step while a network trains, and the loss of each
batch is noted (Smith, 2017, arXiv:1506.01186). Where the curve begins to fall, the network begins to learn; where it
rises, the steps are too long. All functions here are pure: learning rates and losses in, a learning rate or None out.
Slopes are per decade of the learning rate, never per unit of it: the test walks in decades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from nnctl.core.arrays import Float

__all__ = [
    "CLASSICAL",
    "Curve",
    "has_diverged",
    "last_before_divergence",
    "median_curve",
    "minimum_tenth",
    "most_of_the_drop",
    "steepest",
    "still_steps",
    "valley",
]

RISE = 3.0
"""A sweep has diverged when the loss stands this many times the drop seen so far above its lowest value."""
TINY = 1e-3
"""A loss that moves by no more than this share of the first one stands still, however little it moved before."""
WIDTH = 0.2
"""Standard deviation of the smoothing, in decades of the learning rate."""
MOST = 0.9
"""The share of the drop at which the range test's own suggestion stands."""


def still_steps(steps: int) -> int:
    """Return how many steps at the start of a sweep are taken for noise: the rate is still too small to move much."""
    return max(10, steps // 10)


def has_diverged(losses: Sequence[float], still: int) -> bool:
    """Return whether the last loss of a sweep says that it should end.

    L_t not finite, or L_t - min L > 3 max(L_0 - min L, noise, |L_0| / 1000)

    with L_0 the median and noise the range of the first `still` losses. A network that no gradient reaches keeps its
    loss in all digits but the last ones, and only for these there is the last term. The rise is held against the drop,
    and not the loss against its minimum: a ratio fails where losses are negative, and never sees a NaN.
    """
    last = losses[-1]
    if not isfinite(last):
        return True
    if len(losses) <= still:
        return False
    first, low = losses[:still], min(losses)
    begun, noise = float(np.median(first)), max(first) - min(first)
    return last - low > RISE * max(begun - low, noise, TINY * abs(begun))


@dataclass(frozen=True)
class Curve:
    """The smoothed loss over the learning rate, up to where it diverged.

    Parameters
    ----------
    rates, losses : array (n,)
        Rising learning rates, and the loss at each.
    start : float
        The loss before the network moved.
    noise : float
        The standard error of a point of the curve.
    whole : bool
        Whether it reaches the highest rate of the test without having diverged.
    """

    rates: Float
    losses: Float
    start: float
    noise: float
    whole: bool

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "lr": self.rates.tolist(),
            "loss": self.losses.tolist(),
            "start": self.start,
            "noise": self.noise,
        }

    @property
    def drop(self) -> float:
        """How far the loss fell."""
        return self.start - float(self.losses.min())


def median_curve(rates: Float, sweeps: Sequence[Sequence[float]]) -> Curve | None:
    """Return the median of several sweeps, smoothed in log(lr); None where not one point is left.

    m(x) = sum_i k(x - x_i) L_i / sum_i k(x - x_i),    k(d) = exp(-d² / 2 WIDTH²),    x = log10 lr

    A sweep that has ended counts as infinite, so the curve ends where half of the sweeps have. Its noise is that of the
    residuals r_i = L_i - m(x_i), the median of whose size stands for their deviation, divided by the root of how many
    of them a point is the mean of: 1.4826 median|r| sqrt(sum k²) / sum k.

    Parameters
    ----------
    rates : array (n,)
        The learning rates of the steps.
    sweeps : sequence of sequences of float
        The losses of each sweep, at most n.

    References
    ----------
    Nadaraya (1964) and Watson (1964) for the weighted mean.
    """
    padded = np.full((len(sweeps), len(rates)), inf)
    for row, losses in zip(padded, sweeps, strict=True):
        row[: len(losses)] = losses
    middle = np.median(padded, axis=0)
    n = int(np.isfinite(middle).argmin()) if not np.isfinite(middle).all() else len(rates)
    if n == 0:
        return None
    x = np.log10(rates[:n])
    weights = np.exp(-0.5 * ((x[:, None] - x) / WIDTH) ** 2)
    smooth = (weights @ middle[:n]) / weights.sum(axis=1)
    middle_weights = weights[n // 2]
    spread = 1.4826 * float(np.median(np.abs(middle[:n] - smooth)))
    noise = spread * float(np.sqrt((middle_weights**2).sum()) / middle_weights.sum())
    start = float(np.median(smooth[: still_steps(len(rates))]))
    return Curve(rates[:n], smooth, start, noise, whole=n == len(rates))


def most_of_the_drop(curve: Curve) -> float:
    """Return the first learning rate at which the loss has fallen by nine tenths of what it falls in all."""
    return float(curve.rates[np.argmax(curve.losses <= curve.start - MOST * curve.drop)])


def steepest(curve: Curve) -> float | None:
    """Return the learning rate of the steepest slope dL / d log10(lr) before the minimum."""
    end = int(curve.losses.argmin()) + 1
    if end < 2:
        return None
    slope = np.gradient(curve.losses[:end], np.log10(curve.rates[:end]))
    return float(curve.rates[slope.argmin()])


def minimum_tenth(curve: Curve) -> float | None:
    """Return a tenth of the learning rate with the lowest loss (Howard and Gugger, 2020, fastai)."""
    return float(curve.rates[curve.losses.argmin()]) / 10


def valley(curve: Curve) -> float | None:
    """Return the middle of the longest valley, the longest falling subsequence of the losses.

    Of a subsequence that ends at i and has l members, the rate at i - l / 2 is taken: after fastai's `valley` (Howard
    and Gugger, 2020), which counts as if the members stood side by side.
    """
    losses = curve.losses
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        lengths[i] += max(lengths[:i][losses[:i] > losses[i]], default=0)
    end = int(lengths.argmax())
    return float(curve.rates[end - int(lengths[end]) // 2]) if lengths[end] > 1 else None


def last_before_divergence(curve: Curve) -> float | None:
    """Return the last learning rate before the loss ran away; None where it never did."""
    return None if curve.whole else float(curve.rates[-1])


CLASSICAL: Mapping[str, Callable[[Curve], float | None]] = {
    "steepest slope": steepest,
    "minimum / 10": minimum_tenth,
    "valley": valley,
    "last before divergence": last_before_divergence,
}
"""The classical rules by name."""
