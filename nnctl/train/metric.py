"""Metric: what is measured on a whole split beside the loss, in the terms of the task.

A metric that a split does not define is nan. Rows may have soft labels, such as 0.7 of one class and 0.3 of another:
such a row then counts as a row of each of its classes, with its share as weight.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.component import Component

__all__ = ["Metric", "Summed", "check_task", "ratio", "weighing"]


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
        "ppl": "perplexity",
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


class Summed(Metric):
    """A metric of sums over the rows, so that a split can be measured block by block, exactly."""

    def score(self, y: Array, prediction: Float, labels: Array, weight: Float | None = None) -> float:
        """Return the metric of a split."""
        return self.of_sums(self.sums(y, prediction, labels, weight))

    @abstractmethod
    def sums(self, y: Array, prediction: Float, labels: Array, weight: Float | None) -> Float:
        """Return the sums over some rows, float64; the parameters are those of `score`."""

    @abstractmethod
    def of_sums(self, sums: Float) -> float:
        """Return the metric of all rows that are in the sums."""

    def joined(self, sums: Float, more: Float) -> Float:
        """Return the sums over the rows of both."""
        return sums + more


def ratio(part: Float, whole: Float) -> Float:
    """Return part / whole, and 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def weighing(rows: Array, weight: Float | None) -> Array:
    """Return the rows that weigh anything."""
    return rows if weight is None else rows[np.asarray(weight) > 0]
