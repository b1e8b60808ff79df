"""The metrics of classification; those of regression are in `nnctl.train.value_metrics`.

All but `roc_auc`, for which scikit-learn is imported when it is measured, are NumPy and add nothing to a run's start.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.train.metric import Metric, Summed, check_task, ratio, weighing
from nnctl.train.value_metrics import MAE, MSE, R2, RMSE

__all__ = ["MAE", "MSE", "R2", "RMSE", "Metric", "Summed", "check_task"]

SMALLEST = np.finfo(np.float64).eps
"""What a probability is taken for that is smaller."""


class _Counted(Summed):
    """A metric of how many rows are of each class, are said to be, and are both; by their weights."""

    def sums(self, y: Array, prediction: Float, labels: Array, weight: Float | None) -> Float:
        """Return for each class the rows that are of it, that are said to be, and that are both, (3, K)."""
        K = max(2, prediction.shape[1])
        w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        hit = labels == y
        return np.stack([np.bincount(k, v, K) for k, v in ((y, w), (labels, w), (y[hit], w[hit]))])

    def of_sums(self, sums: Float) -> float:
        """Return the metric; nan where no row weighs anything."""
        return float(self._of_counts(*sums)) if sums[0].any() else float("nan")

    @abstractmethod
    def _of_counts(self, true: Float, said: Float, hit: Float) -> float:
        """Return the metric for the counts of each class (K,)."""


class Accuracy(_Counted, name="accuracy"):
    """Share of the rows whose class is predicted.

    formula:   sum_i w_i [label_i = y_i] / sum_i w_i,   in [0, 1]

    Source: scikit-learn's `accuracy_score`.
    """

    def _of_counts(self, true: Float, said: Float, hit: Float) -> float:  # noqa: ARG002
        return float(hit.sum() / true.sum())


class BalancedAccuracy(_Counted, name="balanced_accuracy"):
    """Mean over the classes of the share that is recognised, so that rare classes count as much as frequent ones.

    formula:   1/K sum_k recall_k over the classes that are in the split with a weight,   in [0, 1]

    Source: Brodersen et al. (2010), "The balanced accuracy and its posterior distribution"; scikit-learn's
    `balanced_accuracy_score`.
    """

    def _of_counts(self, true: Float, said: Float, hit: Float) -> float:  # noqa: ARG002
        there = true > 0
        return float((hit[there] / true[there]).mean())


class Averaged(_Counted):
    """A metric of one class against the rest, averaged over classes; 0 where nothing can be counted."""

    average: Literal["auto", "macro", "micro", "weighted"] = "auto"
    """``macro`` averages over the classes that are there or are predicted, ``weighted`` with their frequencies,
    ``micro`` counts all rows together; ``auto`` is that of class 1 where there are two classes, and ``macro`` where
    there are more."""

    def _of_counts(self, true: Float, said: Float, hit: Float) -> float:
        average = self.average if self.average != "auto" else "binary" if len(true) == 2 else "macro"
        if average == "micro":
            true, said, hit = (counts.sum(keepdims=True) for counts in (true, said, hit))
        each = self._of_class(true, said, hit)
        if average == "binary":
            return float(each[1])
        if average == "weighted":
            return float((each * true).sum() / true.sum())
        return float(each[(true > 0) | (said > 0)].mean())

    @abstractmethod
    def _of_class(self, true: Float, said: Float, hit: Float) -> Float:
        """Return the metric of each class against the rest (K,)."""


class Precision(Averaged, name="precision"):
    """Share of those predicted to be of a class that are.

    formula:   TP / (TP + FP),   in [0, 1]

    Source: scikit-learn's `precision_score`.
    """

    def _of_class(self, true: Float, said: Float, hit: Float) -> Float:  # noqa: ARG002
        return ratio(hit, said)


class Recall(Averaged, name="recall"):
    """Share of those of a class that are found.

    formula:   TP / (TP + FN),   in [0, 1]

    Source: scikit-learn's `recall_score`.
    """

    def _of_class(self, true: Float, said: Float, hit: Float) -> Float:  # noqa: ARG002
        return ratio(hit, true)


class F1(Averaged, name="f1"):
    """Harmonic mean of precision and recall.

    formula:   2 TP / (2 TP + FP + FN),   in [0, 1]

    Source: scikit-learn's `f1_score`.
    """

    def _of_class(self, true: Float, said: Float, hit: Float) -> Float:
        return ratio(2 * hit, true + said)


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
        shares = weighing(belongs, weight).mean(axis=0)
        if not np.isfinite(prediction).all() or (shares == 0).any() or (shares == 1).any():
            return float("nan")
        return float(roc_auc_score(belongs, columns, average="macro", sample_weight=weight))


class LogLoss(Summed, name="log_loss"):
    """Mean negative log probability of the true class: cross-entropy without smoothing and class weights.

    formula:   -sum_i w_i log p(y_i) / sum_i w_i,   in [0, inf), p no smaller than 2e-16

    It is nan where a probability is not finite.

    Source: scikit-learn's `log_loss`.
    """

    greater_is_better = False
    probabilities = True

    def sums(self, y: Array, prediction: Float, labels: Array, weight: Float | None) -> Float:  # noqa: ARG002
        """Return the weighted sum of the negative log probabilities, and that of the weights, (2,)."""
        p = prediction.astype(np.float64)
        # Rounded to float32 the probabilities of a row do not quite sum to one.
        of_true = p[np.arange(len(y)), y] / p.sum(axis=1) if p.shape[1] > 1 else np.where(y == 1, p[:, 0], 1 - p[:, 0])
        surprise = -np.log(np.maximum(of_true, SMALLEST))
        w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
        return np.array([w @ surprise, w.sum()])

    def of_sums(self, sums: Float) -> float:
        """Return the mean; nan where no row weighs anything."""
        return float(sums[0] / sums[1]) if sums[1] else float("nan")


class Perplexity(LogLoss, name="perplexity"):
    """Among how many equally probable classes, or tokens, the network might as well choose: 1 is certainty.

    formula:   exp(-sum_i w_i log p(y_i) / sum_i w_i),   in [1, inf), p no smaller than 2e-16

    Of a language model the rows are positions, and it is e to the power of the loss in nats per token, as long as the
    loss has no smoothing. Chance has the perplexity K. Compare it between models of the same tokens alone.

    Source: Jelinek, Mercer, Bahl and Baker (1977), "Perplexity - a measure of the difficulty of speech recognition
    tasks".
    """

    def of_sums(self, sums: Float) -> float:
        """Return e to the power of the mean."""
        return float(np.exp(super().of_sums(sums)))
