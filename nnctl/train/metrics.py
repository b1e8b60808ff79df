"""Metrics: what is measured on a whole split beside the loss, in the terms of the task.

`accuracy`, `mse`, `rmse`, `mae` and `r2` are NumPy and add nothing to the start of a run; the others are
scikit-learn's, which is imported when the first of them is measured. A metric that a split does not define is nan.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.component import Component

__all__ = ["Metric", "check_task"]


class Metric(Component, family="metric"):
    """A number for how well predictions agree with the truth, over a whole split."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "acc": "accuracy",
        "categorical_accuracy": "accuracy",
        "sparse_categorical_accuracy": "accuracy",
        "binary_accuracy": "accuracy",
        "uar": "balanced_accuracy",
        "sensitivity": "recall",
        "f1_score": "f1",
        "f_score": "f1",
        "auc": "roc_auc",
        "auroc": "roc_auc",
        "logloss": "log_loss",
        "cross_entropy": "log_loss",
        "mean_squared_error": "mse",
        "root_mean_squared_error": "rmse",
        "mean_absolute_error": "mae",
        "r2_score": "r2",
        "r_squared": "r2",
    }

    task: ClassVar[Literal["classification", "regression"]] = "classification"
    """What it measures."""
    greater_is_better: ClassVar[bool] = True
    """Whether a higher value is a better one."""
    probabilities: ClassVar[bool] = False
    """Whether it reads probabilities, which not every loss gives."""

    @abstractmethod
    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:
        """Return the metric of a split.

        Parameters
        ----------
        y : array (N,) or (N, D)
            True class indices, or true values in their own units.
        prediction : array (N, K)
            What `Loss.predict` says: probabilities, of class 1 alone where there is one column; scores; or values in
            the units of `y`.
        labels : array (N,)
            The predicted class indices; not read where values are predicted.
        weight : array (N,) or None
            Weights of the rows.
        """


def check_task(metrics: Sequence[Metric], task: str, *, probabilities: bool = True) -> Iterator[tuple[int, str]]:
    """Yield the place of every metric that cannot be measured, and a sentence that says why.

    Parameters
    ----------
    metrics : sequence of Metric
    task : {"classification", "regression"}
        What the loss is for.
    probabilities : bool
        Whether the loss gives probabilities, that is, owns an output activation.
    """
    names = [metric.name for metric in metrics]
    for i, metric in enumerate(metrics):
        if metric.name in names[:i]:
            yield i, f"{metric.name} is there twice, and a run records each name once. Leave one out."
        elif metric.task != task:
            fitting = ", ".join(name for name, member in Metric.members().items() if member.task == task)
            yield i, f"{metric.name} is for {metric.task}, and the loss is for {task}. Use one of {fitting}."
        elif metric.probabilities and not probabilities:
            yield i, f"{metric.name} needs probabilities, and the loss gives scores. Use cross_entropy, or roc_auc."


class Accuracy(Metric, name="accuracy"):
    """Share of the rows whose class is predicted.

    formula:   sum_i w_i [label_i = y_i] / sum_i w_i,   in [0, 1]

    Source: scikit-learn's `accuracy_score`.
    """

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:  # noqa: ARG002
        """Return the share of right labels."""
        return float(np.average(labels == y, weights=weight))


class BalancedAccuracy(Metric, name="balanced_accuracy"):
    """Mean over the classes of the share that is recognised, so that rare classes count as much as frequent ones.

    formula:   1/K sum_k recall_k over the classes that are in the split with a weight,   in [0, 1]

    Source: Brodersen et al. (2010), "The balanced accuracy and its posterior distribution"; scikit-learn's
    `balanced_accuracy_score`.
    """

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:  # noqa: ARG002
        """Return the mean recall of the classes that are in `y`."""
        from sklearn.metrics import recall_score  # noqa: PLC0415 - a second, for those who use it

        # Not balanced_accuracy_score, which warns where a class is predicted that the split does not hold.
        classes = np.unique(_weighing(y, weight))
        return float(recall_score(y, labels, labels=classes, average="macro", sample_weight=weight))


class Averaged(Metric):
    """A metric of one class against the rest, averaged over classes by scikit-learn; 0 where nothing can be counted."""

    average: Literal["auto", "macro", "micro", "weighted"] = "auto"
    """``macro`` averages over the classes, ``weighted`` with their frequencies, ``micro`` counts all rows together;
    ``auto`` is that of class 1 where there are two classes, and ``macro`` where there are more."""

    def _average(self, prediction: Float) -> str:
        if self.average != "auto":
            return self.average
        return "binary" if prediction.shape[1] <= 2 else "macro"


class Precision(Averaged, name="precision"):
    """Share of those predicted to be of a class that are.

    formula:   TP / (TP + FP),   in [0, 1]

    Source: scikit-learn's `precision_score`.
    """

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:
        """Return the averaged precision."""
        from sklearn.metrics import precision_score  # noqa: PLC0415 - a second, for those who use it

        average = self._average(prediction)
        return float(precision_score(y, labels, average=average, sample_weight=weight, zero_division=0))


class Recall(Averaged, name="recall"):
    """Share of those of a class that are found.

    formula:   TP / (TP + FN),   in [0, 1]

    Source: scikit-learn's `recall_score`.
    """

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:
        """Return the averaged recall."""
        from sklearn.metrics import recall_score  # noqa: PLC0415 - a second, for those who use it

        average = self._average(prediction)
        return float(recall_score(y, labels, average=average, sample_weight=weight, zero_division=0))


class F1(Averaged, name="f1"):
    """Harmonic mean of precision and recall.

    formula:   2 TP / (2 TP + FP + FN),   in [0, 1]

    Source: scikit-learn's `f1_score`.
    """

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:
        """Return the averaged F1."""
        from sklearn.metrics import f1_score  # noqa: PLC0415 - a second, for those who use it

        average = self._average(prediction)
        return float(f1_score(y, labels, average=average, sample_weight=weight, zero_division=0))


class RocAuc(Metric, name="roc_auc"):
    """Area under the ROC curve: how probable it is that a row of a class gets a higher score than one of another.

    formula:   P(score of a row of class k > score of a row of another),   in [0, 1], 0.5 is chance;
               for K > 2 classes the mean over k, each against the rest

    It is nan where a split lacks a class (or all others) among the rows with a weight, and where a score is not finite.

    Source: Fawcett (2006), "An introduction to ROC analysis"; scikit-learn's `roc_auc_score`.
    """

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:  # noqa: ARG002
        """Return the area, or its mean over the classes."""
        from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - a second, for those who use it

        columns = prediction[:, -1:] if prediction.shape[1] <= 2 else prediction
        classes = np.arange(columns.shape[1]) if columns.shape[1] > 1 else np.array([1])
        belongs = np.equal.outer(y, classes)
        shares = _weighing(belongs, weight).mean(axis=0)
        if not np.isfinite(prediction).all() or (shares == 0).any() or (shares == 1).any():
            return float("nan")
        return float(roc_auc_score(belongs, columns, average="macro", sample_weight=weight))


class LogLoss(Metric, name="log_loss"):
    """Mean negative log probability of the true class: cross-entropy without smoothing and class weights.

    formula:   -sum_i w_i log p(y_i) / sum_i w_i,   in [0, inf), p no smaller than 2e-16

    It is nan where a probability is not finite.

    Source: scikit-learn's `log_loss`.
    """

    greater_is_better = False
    probabilities = True

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:  # noqa: ARG002
        """Return the mean negative log probability of the true classes."""
        from sklearn.metrics import log_loss  # noqa: PLC0415 - a second, for those who use it

        if not np.isfinite(prediction).all():
            return float("nan")
        p = prediction.astype(np.float64)
        # In float64, and again summing to one: rounded to float32 the rows miss it by more than scikit-learn allows.
        p = p / p.sum(axis=1, keepdims=True) if p.shape[1] > 1 else np.hstack([1 - p, p])
        return float(log_loss(y, p, labels=np.arange(p.shape[1]), sample_weight=weight))


class Values(Metric):
    """A metric of predicted values; several columns are measured one by one and averaged."""

    task = "regression"
    greater_is_better = False

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:  # noqa: ARG002
        """Return the mean over the columns."""
        truth, values = (np.asarray(a, np.float64).reshape(len(y), -1) for a in (y, prediction))
        return float(self._columns(truth, values, weight).mean())

    @abstractmethod
    def _columns(self, y: Float, prediction: Float, weight: Float | None) -> Float:
        """Return the metric of each column (D,) of float64 matrices (N, D)."""


class MSE(Values, name="mse"):
    """Mean squared error, in the squared units of the target.

    formula:   sum_i w_i (p_i - y_i)^2 / sum_i w_i

    Source: scikit-learn's `mean_squared_error`.
    """

    def _columns(self, y: Float, prediction: Float, weight: Float | None) -> Float:
        return np.asarray(np.average((prediction - y) ** 2, axis=0, weights=weight))


class RMSE(Values, name="rmse"):
    """Root mean squared error, in the units of the target.

    formula:   sqrt(mse), of each column where there are several

    Source: scikit-learn's `root_mean_squared_error`.
    """

    def _columns(self, y: Float, prediction: Float, weight: Float | None) -> Float:
        return np.asarray(np.sqrt(np.average((prediction - y) ** 2, axis=0, weights=weight)))


class MAE(Values, name="mae"):
    """Mean absolute error, in the units of the target.

    formula:   sum_i w_i |p_i - y_i| / sum_i w_i

    Source: scikit-learn's `mean_absolute_error`.
    """

    def _columns(self, y: Float, prediction: Float, weight: Float | None) -> Float:
        return np.asarray(np.average(np.abs(prediction - y), axis=0, weights=weight))


class R2(Values, name="r2"):
    """Coefficient of determination: the share of the target's variance that is explained.

    formula:   1 - sum_i w_i (p_i - y_i)^2 / sum_i w_i (y_i - mean y)^2,   at most 1; 0 is as good as the mean

    Where the target does not vary it is 1 for a perfect prediction and else 0; of fewer than two rows it is nan.

    Source: scikit-learn's `r2_score`, which for targets such as 0.1, 0.1, 0.1 divides by the rounding error of their
    mean and finds -5e33.
    """

    greater_is_better = True

    def _columns(self, y: Float, prediction: Float, weight: Float | None) -> Float:
        if len(y) < 2:
            return np.full(y.shape[1], np.nan)
        unexplained = np.average((prediction - y) ** 2, axis=0, weights=weight)
        variance = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
        varies = (variance > 0) & np.ptp(_weighing(y, weight), axis=0).astype(bool)
        constant = np.where(unexplained == 0, 1.0, 0.0)
        return np.where(varies, 1.0 - unexplained / np.where(varies, variance, 1.0), constant)


def _weighing(rows: Array, weight: Float | None) -> Array:
    """Return the rows that weigh anything."""
    return rows if weight is None else rows[np.asarray(weight) > 0]
