"""The floor: the loss that no network can pass on some rows, because equal inputs ask for different answers.

A network is a function: rows with the same input get the same output z. Where their targets differ, the best that it
can do is the one z that is least wrong for all of them,

    floor = 1/B sum over groups of equal inputs of  min_z sum_i l(z, t_i)

and that minimum has a closed form for every loss. Label smoothing is in the targets, and so in the floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from math import nan

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.nn.losses import (
    MAE,
    MSE,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    Perceptron,
)

__all__ = ["Floor", "best_of", "floor_of"]


@dataclass(frozen=True)
class Floor:
    """What the best network makes of some rows.

    Parameters
    ----------
    loss : float
        The least mean loss.
    groups : int array (B,)
        Which rows have equal inputs: the same number.
    mixed : bool array (B,)
        Rows whose target differs from that of a row with the same input.
    low, high : float array (B, K)
        Between them lie the answers of the least loss in a regression; nan in a classification, where they may lie at
        infinity.
    """

    loss: float
    groups: Array
    mixed: Array
    low: Float
    high: Float

    def right(self, y: Array) -> int:
        """Return how many of the class indices y (B,) a network can get right: of equal inputs, the largest class."""
        return sum(int(np.bincount(y[self.groups == g]).max()) for g in np.unique(self.groups))

    def r2(self, z: Float) -> float:
        """Return how much of what can be explained the outputs z (B, K) explain, nan where nothing varies.

        R2 = 1 - sum (z - z*)^2 / sum (z* - mean z*)^2 with z* the best answer, of several the nearest; without rows of
        equal inputs z* = t, and this is the usual R2, pooled over the outputs.
        """
        z = z.astype(np.float64)
        best = np.clip(z, self.low, self.high)
        middle = (self.low + self.high) / 2
        spread = float(((middle - middle.mean(axis=0)) ** 2).sum())
        return 1 - float(((z - best) ** 2).sum()) / spread if spread else nan


def floor_of(loss: Loss, x: Array, t: Float) -> Floor:
    """Return the floor of a loss on rows with inputs x (B, ...), compared bit for bit, and encoded targets t (B, K)."""
    groups = np.unique(x.reshape(len(x), -1), axis=0, return_inverse=True)[1].reshape(-1)
    t = t.astype(np.float64)
    total, mixed = 0.0, np.zeros(len(x), np.bool_)
    low, high = np.empty_like(t), np.empty_like(t)
    for group in np.unique(groups):
        rows = groups == group
        least, low[rows], high[rows] = best_of(loss, t[rows])
        total += least * np.count_nonzero(rows)
        mixed[rows] = (t[rows] != t[rows][0]).any()
    return Floor(total / len(x), groups, mixed, low, high)


@singledispatch
def best_of(loss: Loss, t: Float) -> tuple[float, Float, Float]:
    """Return the least mean loss that one output z (K,) has for all targets t (n, K), and where it lies: from, to."""
    raise NotImplementedError(f"the floor of {loss.name} is not known.")  # a test asks for that of every loss


@best_of.register
def _(_loss: CrossEntropy, t: Float) -> tuple[float, Float, Float]:
    """The entropy of the mean target, H = -sum_k m_k log m_k (Cover and Thomas, 2006, theorem 2.6.3)."""
    return _entropy(t.mean(axis=0)), _nowhere(t), _nowhere(t)


@best_of.register
def _(_loss: BinaryCrossEntropy, t: Float) -> tuple[float, Float, Float]:
    """The entropy of the mean target and its complement."""
    m = float(t.mean())
    return _entropy(np.array([m, 1 - m])), _nowhere(t), _nowhere(t)


@best_of.register
def _(_loss: Hinge, t: Float) -> tuple[float, Float, Float]:
    """2 (1 - m) with m the share of the largest class, or 1 if that is less.

    A majority is answered with its class and a margin of one, which costs the others 2 each; without a majority all
    scores alike cost 1 each.
    """
    classes = t.argmax(axis=1) if t.shape[1] > 1 else (t[:, 0] > 0).astype(int)
    share = np.bincount(classes).max() / len(t)
    return min(1.0, 2 * (1 - share)), _nowhere(t), _nowhere(t)


@best_of.register
def _(_loss: Perceptron, t: Float) -> tuple[float, Float, Float]:
    """Zero: without a margin, all scores alike cost nothing."""
    return 0.0, _nowhere(t), _nowhere(t)


@best_of.register
def _(_loss: MSE, t: Float) -> tuple[float, Float, Float]:
    """The variance, at the mean."""
    mean = t.mean(axis=0)
    return float(t.var(axis=0).mean()), mean, mean


@best_of.register
def _(_loss: MAE, t: Float) -> tuple[float, Float, Float]:
    """The mean distance from the median; of an even number, anything between the two in the middle."""
    ordered = np.sort(t, axis=0)
    low, high = ordered[(len(t) - 1) // 2], ordered[len(t) // 2]
    return float(np.abs(t - low).mean()), low, high


@best_of.register
def _(loss: Huber, t: Float) -> tuple[float, Float, Float]:
    """Where the slope, sum_i clip(z - t_i, -delta, delta), crosses zero; it rises in straight pieces."""
    low, high = np.empty(t.shape[1]), np.empty(t.shape[1])
    for k in range(t.shape[1]):
        corners = np.unique(np.concatenate([t[:, k] - loss.delta, t[:, k], t[:, k] + loss.delta]))
        slope = np.clip(corners[:, None] - t[:, k], -loss.delta, loss.delta).sum(axis=1)
        low[k] = _crossing(corners, slope, np.searchsorted(slope, 0.0, side="left"))
        high[k] = _crossing(corners, slope, np.searchsorted(slope, 0.0, side="right"))
    return float(loss.per_sample(np.broadcast_to(low, t.shape), t).mean()), low, high


def _crossing(corners: Float, slope: Float, i: np.intp) -> float:
    """Return where the line through corners i - 1 and i is zero, for a slope that rises."""
    before, after = slope[i - 1], slope[i]
    return float(corners[i - 1] + (corners[i] - corners[i - 1]) * (0 - before) / (after - before))


def _entropy(m: Float) -> float:
    m = m[m > 0]
    return float(-(m * np.log(m)).sum())


def _nowhere(t: Float) -> Float:
    return np.full(t.shape[1], nan)
