"""The metrics of regression: how far predicted values are from true ones, in their own units."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.train.metric import Summed, weighing

__all__ = ["MAE", "MSE", "R2", "RMSE", "Values"]


class Values(Summed):
    """A metric of predicted values; several columns are measured one by one and averaged."""

    task = "regression"
    greater_is_better = False

    def sums(self, y: Array, prediction: Float, labels: Array, weight: Float | None) -> Float:  # noqa: ARG002
        """Return the sums over the rows for each column (S, D)."""
        truth, values = (np.asarray(a, np.float64).reshape(len(y), -1) for a in (y, prediction))
        w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        return self._sums(truth, values, w)

    def of_sums(self, sums: Float) -> float:
        """Return the mean over the columns; nan where no row weighs anything."""
        return float(self._columns(sums).mean()) if sums[0].any() else float("nan")

    @abstractmethod
    def _sums(self, y: Float, prediction: Float, w: Float) -> Float:
        """Return sums for each column of float64 matrices (N, D), the weight of the rows first, (S, D)."""

    @abstractmethod
    def _columns(self, sums: Float) -> Float:
        """Return the metric of each column (D,)."""


class _MeanOf(Values):
    """A mean over the rows of an error."""

    def _sums(self, y: Float, prediction: Float, w: Float) -> Float:
        return np.stack([np.full(y.shape[1], w.sum()), w @ self._error(prediction - y)])

    def _columns(self, sums: Float) -> Float:
        total, error = sums
        return np.asarray(error / total)

    @abstractmethod
    def _error(self, r: Float) -> Float:
        """Return the error of each residual."""


class MSE(_MeanOf, name="mse"):
    """Mean squared error, in the squared units of the target.

    formula:   sum_i w_i (p_i - y_i)^2 / sum_i w_i

    Source: scikit-learn's `mean_squared_error`.
    """

    def _error(self, r: Float) -> Float:
        return r * r


class RMSE(MSE, name="rmse"):
    """Root mean squared error, in the units of the target.

    formula:   sqrt(mse), of each column where there are several

    Source: scikit-learn's `root_mean_squared_error`.
    """

    def _columns(self, sums: Float) -> Float:
        return np.sqrt(super()._columns(sums))


class MAE(_MeanOf, name="mae"):
    """Mean absolute error, in the units of the target.

    formula:   sum_i w_i |p_i - y_i| / sum_i w_i

    Source: scikit-learn's `mean_absolute_error`.
    """

    def _error(self, r: Float) -> Float:
        return np.abs(r)


class R2(Values, name="r2"):
    """Coefficient of determination: the share of the target's variance that is explained.

    formula:   1 - sum_i w_i (p_i - y_i)^2 / sum_i w_i (y_i - mean y)^2,   at most 1; 0 is as good as the mean

    Where the target does not vary it is 1 for a perfect prediction and else 0; of fewer than two rows it is nan. Block
    by block, mean and variance are joined by the formula of Chan, Golub and LeVeque (1983).

    Source: scikit-learn's `r2_score`, which for targets such as 0.1, 0.1, 0.1 divides by the rounding error of their
    mean and finds -5e33.
    """

    greater_is_better = True

    def joined(self, sums: Float, more: Float) -> Float:
        """Return the sums of both, the variance about the mean of all."""
        if not sums[0].any() or not more[0].any():
            return more if more[0].any() else sums
        (w1, n1, e1, m1, v1, low1, high1), (w2, n2, e2, m2, v2, low2, high2) = sums, more
        w, apart = w1 + w2, m2 - m1
        mean, varies = m1 + apart * w2 / w, v1 + v2 + apart**2 * w1 * w2 / w
        return np.stack([w, n1 + n2, e1 + e2, mean, varies, np.minimum(low1, low2), np.maximum(high1, high2)])

    def _sums(self, y: Float, prediction: Float, w: Float) -> Float:
        """Return weight, rows, squared errors, mean, squared distances from it, lowest and highest of each column."""
        if not w.any():
            return np.zeros((7, y.shape[1]))
        there, ones = weighing(y, w), np.ones(y.shape[1])
        mean = np.average(y, axis=0, weights=w)
        unexplained, variance = w @ (prediction - y) ** 2, w @ (y - mean) ** 2
        return np.stack([w.sum() * ones, len(y) * ones, unexplained, mean, variance, there.min(0), there.max(0)])

    def _columns(self, sums: Float) -> Float:
        _, rows, unexplained, _, variance, low, high = sums
        varies = (variance > 0) & (high > low)
        constant = np.where(unexplained == 0, 1.0, 0.0)
        found = np.where(varies, 1.0 - unexplained / np.where(varies, variance, 1.0), constant)
        return np.where(rows < 2, np.nan, found)
