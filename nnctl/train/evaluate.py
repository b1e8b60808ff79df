"""Losses and metrics on whole splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.train.metrics import Metric

__all__ = ["Examples", "Judge"]


@dataclass(frozen=True)
class Examples:
    """A split as the training sees it.

    Parameters
    ----------
    x : array (N, ...)
        Inputs.
    y : array (N,) or (N, K)
        True labels, or true targets in their original units.
    t : array (N, K)
        Targets as the loss wants them.
    w : array (N,) or None
        Weights in the loss: those of the rows times those of their classes.
    sample_weight : array (N,) or None
        Weights of the rows alone, for the metrics: a class weight is a means of training and not of judging.
    """

    x: Array
    y: Array
    t: Float
    w: Float | None = None
    sample_weight: Float | None = None


def _unchanged(values: Float) -> Float:
    return values


@dataclass(frozen=True)
class Judge:
    """What is measured on a split: the loss, and metrics of the predictions in the target's own units.

    Parameters
    ----------
    loss : Loss
    metrics : sequence of Metric
    units : callable
        Brings outputs of a regression back to the units of the target.
    """

    loss: Loss
    metrics: Sequence[Metric] = ()
    units: Callable[[Float], Float] = _unchanged

    def network(self, network: Network, examples: Examples) -> dict[str, float]:
        """Return loss and metrics of the network in inference mode."""
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging network is reported, not warned of
            return self.outputs(network.predict(examples.x), examples)

    def outputs(self, z: Float, examples: Examples) -> dict[str, float]:
        """Return loss and metrics of given outputs, ``{"loss": ..., "accuracy": ...}``.

        Rows that all weigh nothing, as the first ones of an epoch may, have loss 0 and no metrics (nan).
        """
        t, w = examples.t, examples.w
        total = len(z) if w is None else float(np.sum(w, dtype=np.float64)) or 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            found = {"loss": self.loss.value(z, t, w, total)}
            if self.metrics:
                prediction = self.predictions(z)
                labels = self.loss.labels(z) if self.loss.task == "classification" else prediction
                y, weight = examples.y, examples.sample_weight
                weightless = weight is not None and not weight.any()
                found |= {
                    metric.name: nan if weightless else metric.score(y, prediction, labels, weight)
                    for metric in self.metrics
                }
        return found

    def predictions(self, z: Float) -> Float:
        """Return what the network says: probabilities or scores, or values in the target's units."""
        prediction = self.loss.predict(z)
        return self.units(prediction) if self.loss.task == "regression" else prediction
