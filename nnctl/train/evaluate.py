"""Losses and metrics on whole splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np

from nnctl.core.arrays import Array, Float, as_rows
from nnctl.data.batches import Batch, is_positionwise, present
from nnctl.nn.loss import positions
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.train.metrics import Metric

__all__ = ["Examples", "Judge", "Mean"]


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
    lengths : int array (N,) or None
        How many positions of every row are there, where rows are sequences of different lengths.
    """

    x: Array
    y: Array
    t: Float
    w: Float | None = None
    sample_weight: Float | None = None
    lengths: Array | None = None

    @property
    def mask(self) -> Array | None:
        """Which positions are there, bool (N, T), or None where all are."""
        return None if self.lengths is None else present(self.lengths, self.x.shape[1])

    def __getitem__(self, rows: slice | Array) -> Examples:
        """Return some of the rows."""
        arrays = (self.x, self.y, self.t, self.w, self.sample_weight, self.lengths)
        return Examples(*(None if array is None else array[rows] for array in arrays))  # type: ignore[arg-type]

    def by_position(self, z: Float) -> tuple[Float, Examples]:
        """Return outputs (N, T, K) and examples with a row for every position; padding weighs nothing."""
        mask = self.mask
        each = positions(z, self.t, self.w, mask)
        weight = positions(z, self.t, self.sample_weight, mask).w
        y = self.y.reshape(-1) if self.y.ndim == 2 else as_rows(self.y)
        return each.z, Examples(self.x, y, each.t, each.w, weight)


@dataclass
class Mean:
    """Figures of many blocks of positions, each weighted by its positions; it can be taken up again."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, figures: dict[str, float], count: int) -> None:
        """Add the figures of a block of that many positions."""
        self.count += count
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * count

    @property
    def value(self) -> dict[str, float]:
        """The means so far."""
        return {name: total / self.count for name, total in self.sums.items()}


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
        if is_positionwise(examples.t) and self.loss.task == "classification":
            return self._in_blocks(network, examples)
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging network is reported, not warned of
            return self.outputs(network.predict(examples.x, examples.mask), examples)

    def _in_blocks(self, network: Network, examples: Examples) -> dict[str, float]:
        """Return the means over all positions: there may be too many to hold the scores of all classes at each."""
        size, mean = network.layout.evaluation_rows, Mean()
        for start in range(0, len(examples.x), size):
            block = examples[start : start + size]
            with np.errstate(over="ignore", invalid="ignore"):
                found = self.outputs(network.predict(block.x, block.mask), block)
            mean.add(found, block.t.shape[0] * block.t.shape[1] if block.mask is None else int(block.mask.sum()))
        return mean.value

    def batch(self, z: Float, batch: Batch) -> dict[str, float]:
        """Return loss and metrics of outputs (B, T, K) on a batch with a target for every position."""
        lengths = None if batch.mask is None else batch.mask.sum(axis=1)
        y = self.units(batch.t) if self.loss.task == "regression" else batch.t
        return self.outputs(z, Examples(batch.x, y, batch.t, batch.w, lengths=lengths))

    def outputs(self, z: Float, examples: Examples) -> dict[str, float]:
        """Return loss and metrics of given outputs, ``{"loss": ..., "accuracy": ...}``.

        Rows that all weigh nothing, as the first ones of an epoch may, have loss 0 and no metrics (nan). Outputs of
        every position (N, T, K) are judged position by position.
        """
        if z.ndim == 3:
            z, examples = examples.by_position(z)
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

    def truth(self, t: Float) -> Array:
        """Return what targets say that are mixtures: the class with the largest share, or values in their units."""
        if self.loss.task == "regression":
            return self.units(t)
        return t.argmax(axis=1) if t.shape[1] > 1 else (t[:, 0] > 0.5).astype(np.intp)

    def predictions(self, z: Float) -> Float:
        """Return what the network says: probabilities or scores, or values in the target's units."""
        prediction = self.loss.predict(z)
        return self.units(prediction) if self.loss.task == "regression" else prediction
