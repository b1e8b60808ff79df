"""Losses and metrics on whole splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np

from nnctl.core.arrays import Array, Float, as_rows
from nnctl.data.batches import Batch, is_positionwise, present
from nnctl.nn.loss import Classification, positions
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.train.metrics import Metric, Summed

__all__ = ["Examples", "Judge", "Tally"]

LEAST_SHARE = 1e-6
"""A smaller share of a class in a soft label is the rounding error of float32."""


@dataclass(frozen=True)
class Examples:
    """A split as the training sees it.

    Parameters
    ----------
    x : array (N, ...)
        Inputs.
    y : array (N,) or (N, K)
        True labels, or the shares of the classes in them; or true targets in their original units.
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
class Tally:
    """Sums over blocks of positions that loss and metrics are computed of; it can be taken up again.

    Parameters
    ----------
    sums : dict of str to array
        Those of the loss, and of each metric by its name.
    blocks : int
        How many are in it.
    """

    sums: dict[str, Float] = field(default_factory=dict)
    blocks: int = 0


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
        if is_positionwise(examples.t):
            return self._in_blocks(network, examples)
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging network is reported, not warned of
            return self.outputs(network.predict(examples.x, examples.mask), examples)

    def _in_blocks(self, network: Network, examples: Examples) -> dict[str, float]:
        """Return loss and metrics over all positions, of which there may be too many to hold the outputs of all."""
        size, tally = network.layout.evaluation_rows, Tally()
        for start in range(0, len(examples.x), size):
            block = examples[start : start + size]
            with np.errstate(over="ignore", invalid="ignore"):
                self.add(tally, network.predict(block.x, block.mask), block)
        return self.of_tally(tally)

    def add_batch(self, tally: Tally, z: Float, batch: Batch) -> None:
        """Add the outputs (B, T, K) of a batch with a target for every position."""
        lengths = None if batch.mask is None else batch.mask.sum(axis=1)
        y = self.units(batch.t) if self.loss.task == "regression" else batch.t
        # No class weight is in them where every position has a target, and their scale cancels in every metric.
        self.add(tally, z, Examples(batch.x, y, batch.t, batch.w, batch.w, lengths))

    def add(self, tally: Tally, z: Float, examples: Examples) -> None:
        """Add outputs (N, T, K) to the sums; metrics that are no sums are left out."""
        z, examples = examples.by_position(z)
        w = examples.w
        total = float(len(z)) if w is None else float(np.sum(w, dtype=np.float64))
        with np.errstate(over="ignore", invalid="ignore"):
            found = {"loss": np.array([self.loss.value(z, examples.t, w, 1.0), total])}
            prediction, labels = self._said(z) if self.metrics else (z, z)
            for metric in self._summed:
                found[metric.name] = metric.sums(examples.y, prediction, labels, examples.sample_weight)
        for metric in self._summed if tally.blocks else ():
            found[metric.name] = metric.joined(tally.sums[metric.name], found[metric.name])
        found["loss"] = found["loss"] + tally.sums["loss"] if tally.blocks else found["loss"]
        tally.sums, tally.blocks = found, tally.blocks + 1

    def of_tally(self, tally: Tally) -> dict[str, float]:
        """Return loss and metrics of all that is in the sums."""
        loss, total = tally.sums["loss"]
        return {"loss": float(loss / (total or 1.0))} | {
            metric.name: metric.of_sums(tally.sums[metric.name]) for metric in self._summed
        }

    @property
    def _summed(self) -> list[Summed]:
        return [metric for metric in self.metrics if isinstance(metric, Summed)]

    def outputs(self, z: Float, examples: Examples) -> dict[str, float]:
        """Return loss and metrics of given outputs, ``{"loss": ..., "accuracy": ...}``.

        Rows that all weigh nothing, as the first ones of an epoch may, have loss 0 and no metrics (nan). Outputs of
        every position (N, T, K) are judged position by position. Where the true labels are shares of the classes, each
        row counts for each of its classes with that share.
        """
        if z.ndim == 3:
            tally = Tally()
            self.add(tally, z, examples)
            return self.of_tally(tally)
        t, w = examples.t, examples.w
        total = len(z) if w is None else float(np.sum(w, dtype=np.float64)) or 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            found = {"loss": self.loss.value(z, t, w, total)}
            if self.metrics:
                prediction, labels = self._said(z)
                y, weight = examples.y, examples.sample_weight
                if self.loss.task == "classification" and y.ndim == 2:
                    rows, y, weight = _by_class(y, weight)
                    prediction, labels = prediction[rows], labels[rows]
                weightless = weight is not None and not weight.any()
                found |= {
                    metric.name: nan if weightless else metric.score(y, prediction, labels, weight)
                    for metric in self.metrics
                }
        return found

    def truth(self, t: Float) -> Array:
        """Return what targets say that are mixtures: the shares of the classes, or values in their units."""
        return self.loss.shares(t) if isinstance(self.loss, Classification) else self.units(t)

    def predictions(self, z: Float) -> Float:
        """Return what the network says: probabilities or scores, or values in the target's units."""
        prediction = self.loss.predict(z)
        return self.units(prediction) if self.loss.task == "regression" else prediction

    def _said(self, z: Float) -> tuple[Float, Array]:
        """Return what the network says, and the classes that it predicts."""
        prediction = self.predictions(z)
        return prediction, self.loss.labels(z) if self.loss.task == "classification" else prediction


def _by_class(shares: Float, weight: Float | None) -> tuple[Array, Array, Float]:
    """Return a row for every class that has a share in one of the rows (N, K): which row, which class, its weight."""
    rows, classes = np.nonzero(shares > LEAST_SHARE)
    w = shares[rows, classes]
    return rows, classes, w if weight is None else w * weight[rows]
