"""Losses of a margin: what counts is on which side of it a score lies, and not how probable a class is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.errors import DataError
from nnctl.nn.loss import Classification, scale

__all__ = ["Hinge", "Margin", "Perceptron"]


class Margin(Classification):
    """A loss of the signed margin s_k: how far the score of the true class k is on the right side.

    Two classes have one score z (N, 1), and t from -1 to +1: s = z for class 1 and -z for class 0. K > 2 classes have
    z (N, K), and t with rows that sum to one: s_k = z_k - max of the others. With m for `margin`, and p_k the share of
    class k in a target, which is 1 for the true class unless targets are mixed,

    forward:   l = sum_k p_k max(0, m - s_k);   L = 1/N sum w l
    backward:  where s_k <= m, -1/N w p_k for class k and, of K > 2 classes, +1/N w p_k for its best rival
    """

    after = ("tanh",)
    advice: ClassVar[Mapping[str, str]] = {
        "label_smoothing": "It is for losses of probabilities: cross_entropy and binary_cross_entropy. Here a row "
        "costs nothing beyond the margin, so that there is nothing to smooth.",
    }
    margin: ClassVar[float]
    """The margin from which on a row costs nothing."""

    def shares(self, t: Float) -> Float:
        """Return the share of every class in the targets, (N, K)."""
        return np.hstack([1.0 - t, 1.0 + t]) / 2 if t.shape[1] == 1 else t

    def _scores(self, classes: int) -> int:
        return 1 if classes == 2 else classes

    def _two_classes(self, y: Float) -> Float:
        return 2.0 * y - 1.0

    def _checked(self, t: Float) -> Float:
        if t.shape[1] > 1:
            return super()._checked(t)
        wrong = ~(np.abs(t) <= 1).all(axis=1)
        if wrong.any():
            raise DataError(f"{self.name}: soft labels must be from -1 to 1. Row {wrong.argmax()} is not.")
        return t

    def per_sample(self, z: Float, t: Float) -> Float:
        """Return sum_k p_k max(0, m - s_k) for each row."""
        z, m = z.astype(np.float64), self.margin
        if z.shape[1] == 1:
            falls_short, exceeds = np.maximum(m - z, 0.0), np.maximum(m + z, 0.0)
            return (0.5 * ((1.0 + t) * falls_short + (1.0 - t) * exceeds))[:, 0]  # type: ignore[no-any-return]
        rows, (best, second) = np.arange(len(z)), _two_best(z)
        of_best = t[rows, best]
        lag = z[rows, best, None] - z
        lead = z[rows, best] - z[rows, second]
        behind = (t * (m + lag)).sum(axis=1) - m * of_best
        return behind + of_best * np.maximum(m - lead, 0.0)  # type: ignore[no-any-return]

    def branches(self, z: Float, t: Float) -> Array:
        """Return for each row which of its classes cost something, and against which rivals."""
        if z.shape[1] == 1:
            return np.asarray(((t > -1) & (z <= self.margin)) + 2 * ((t < 1) & (-z <= self.margin)))
        rows, (best, second) = np.arange(len(z)), _two_best(z)
        short = (t[rows, best] > 0) & (z[rows, best] - z[rows, second] <= self.margin)
        return np.asarray(best * (z.shape[1] + 1) + np.where(short, second + 1, 0))

    def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
        """Write -w p_k ds_k/dz / total, summed over the classes k with s_k <= m."""
        if z.shape[1] == 1:
            np.greater_equal(z, -self.margin, out=out)
            np.multiply(out, 0.5 * (1 - t), out=out)
            np.subtract(out, 0.5 * (1 + t) * (z <= self.margin), out=out)
        else:
            rows, (best, second) = np.arange(len(z)), _two_best(z, out)
            of_best = t[rows, best]
            counts = of_best * (z[rows, best] - z[rows, second] <= self.margin)
            np.negative(t, out=out)
            out[rows, best] = t.sum(axis=1) - of_best - counts
            out[rows, second] += counts
        # Of a score that is no number the comparisons say that it costs nothing; 0 times it is no number either.
        out += (z @ np.zeros(z.shape[1], z.dtype))[:, None]
        scale(out, w, total)

    def predict(self, z: Float) -> Float:
        """Return z: scores, not probabilities; one score is positive for class 1, of K scores the highest wins."""
        return z


class Hinge(Margin, name="hinge"):
    """Hinge loss: be right by a margin of one; the loss of the support vector machine.

    forward:   l = max(0, 1 - t z) for two classes, max(0, 1 + max_{k != y} z_k - z_y) for more;   L = 1/N sum w l
    backward:  dz = -1/N w t where t z <= 1; for more classes -1/N w at y and +1/N w at its best rival, where l counts

    Shapes: z, t (N, 1) with t = -1 or +1 for two classes; z, one-hot t (N, K) for K > 2. A soft label costs the mean of
    what its classes cost, by their shares; with two classes it is then a t between -1 and +1.

    Source: Cortes and Vapnik (1995), "Support-vector networks"; several classes: Crammer and Singer (2001), "On the
    algorithmic implementation of multiclass kernel-based vector machines", eq. 3.
    """

    margin = 1.0


class Perceptron(Margin, name="perceptron"):
    """Rosenblatt's criterion: only mistakes count; with `sgd`, batch size 1 and one dense layer, his learning rule.

    forward:   l = max(0, -t z) for two classes, max(0, max_{k != y} z_k - z_y) for more;   L = 1/N sum w l
    backward:  dz = -1/N w t where t z <= 0; for more classes -1/N w at y and +1/N w at its best rival, where it wins

    Shapes: z, t (N, 1) with t = -1 or +1 for two classes; z, one-hot t (N, K) for K > 2. A row with z = 0 is a mistake,
    as the classical rule needs that starts from zero weights: w += lr t x where t w'x <= 0. A soft label costs the mean
    of what its classes cost, by their shares; with two classes it is then a t between -1 and +1.

    Source: Rosenblatt (1958), "The perceptron: a probabilistic model for information storage and organization in the
    brain"; the criterion: Bishop (2006), eq. 4.54 and 4.55.
    """

    margin = 0.0


def _two_best(z: Float, scratch: Float | None = None) -> tuple[Array, Array]:
    """Return the classes with the highest and the second highest score of each row (N, K), both (N,)."""
    others = np.empty_like(z) if scratch is None else scratch
    np.copyto(others, z)
    best = others.argmax(axis=1)
    others[np.arange(len(z)), best] = -np.inf
    return best, others.argmax(axis=1)
