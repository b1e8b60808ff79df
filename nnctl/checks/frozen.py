"""A frozen batch: a few training rows, and the experiment with all that would keep it from learning them by heart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.random import stream
from nnctl.data.batches import Batch, is_positionwise
from nnctl.data.dataset import Split
from nnctl.experiment.assembly import Experiment
from nnctl.nn.dropout import Dropout
from nnctl.nn.layer import Layer
from nnctl.nn.loss import Classification
from nnctl.optim.schedules import Constant

__all__ = ["FrozenBatch", "bare", "choose"]


@dataclass(frozen=True, eq=False)
class FrozenBatch:
    """One batch that is trained on again and again.

    Parameters
    ----------
    experiment : Experiment
        Without dropout, penalties and the like.
    batch : Batch
        As it goes into the network. A answers are asked for: one a row, or one for every position that is there.
    y : array (A,) or (A, K)
        Class indices, or targets in their own units.
    rows : int array (A,)
        Where the rows stand in the source, counted from 0.
    switched_off : tuple of str
        What the spec has and this experiment has not.
    there : bool array (B, T) or None
        Which positions have an answer; None where rows have one.
    """

    experiment: Experiment
    batch: Batch
    y: Array
    rows: Array
    switched_off: tuple[str, ...]
    there: Array | None = None

    @classmethod
    def of(cls, experiment: Experiment, size: int) -> FrozenBatch:
        """Choose at most `size` training rows of an experiment."""
        train = experiment.data.train.of_source
        chosen = choose(train.y, size, experiment.spec.seed)
        bared, switched_off = bare(experiment, len(chosen))
        lengths = None if train.lengths is None else train.lengths[chosen]
        examples = bared.examples(Split(train.x[chosen], train.y[chosen], None, train.rows[chosen], lengths))
        batch = Batch(examples.x, examples.t, None, 0, len(chosen), examples.mask)
        if not is_positionwise(examples.t):
            return cls(bared, batch, examples.y, train.rows[chosen], switched_off)
        there = np.ones(examples.t.shape[:2], np.bool_) if batch.mask is None else batch.mask
        rows = np.repeat(train.rows[chosen], there.sum(axis=1))
        return cls(bared, batch, examples.y[there], rows, switched_off, there)

    def answers(self, z: Float) -> Float:
        """Return of the network's outputs those that are asked for, (A, K)."""
        return z if self.there is None else z[self.there]

    @property
    def word(self) -> str:
        """What has an answer, in messages."""
        return "row" if self.there is None else "position"

    @property
    def t(self) -> Array:
        """The encoded targets (A,) or (A, K)."""
        return self.batch.t if self.there is None else self.batch.t[self.there]

    @property
    def seen(self) -> Array:
        """What the network may go by in each answer, (A, ...): its row; or what stands up to its position.

        A row with more positions than answers has the answers to the last ones, as behind the source of a decoder.
        """
        x = self.batch.x
        if self.there is None:
            return x
        B, T = self.there.shape
        ahead = max(0, x.shape[1] - T)
        before = np.tri(T, x.shape[1], ahead, np.bool_).reshape(1, T, x.shape[1], *(1,) * (x.ndim - 2))
        prefixes = np.where(before, x[:, None], 0).reshape(B, T, -1)
        count = np.broadcast_to(np.arange(T)[None, :, None], (B, T, 1))
        return np.concatenate([count, prefixes], axis=2)[self.there]


def choose(y: Array, size: int, seed: int) -> Array:
    """Return the places of `size` rows, in rising order: by chance, and so that the targets are covered.

    Class indices (N,) are taken in turn, one of each class, then a second one; targets (N, K) are cut into `size` parts
    of equal count by their first column, with one row from each. Where every position has a target, there are as many
    rows as have `size` of them together, and one at least.
    """
    chance = stream(seed, "overfit-batch")
    order = chance.permutation(len(y))
    if is_positionwise(y):
        return np.sort(order[: max(1, size // y.shape[1])])
    size = min(size, len(y))
    if y.dtype.kind == "i":
        turn = np.empty(len(y), np.int64)
        for k in np.unique(y):
            of_class = y[order] == k
            turn[of_class] = np.arange(np.count_nonzero(of_class))
        return np.sort(order[np.argsort(turn, kind="stable")[:size]])
    rising = order[np.argsort(y[order, 0], kind="stable")]
    return np.sort([chance.choice(part) for part in np.array_split(rising, size)])


def bare(experiment: Experiment, size: int) -> tuple[Experiment, tuple[str, ...]]:
    """Return an experiment for one batch of `size` rows that nothing keeps from overfitting, and what was taken away.

    Dropout stays in its place with rate 0, because the names of the other layers, and with them their initial weights,
    depend on what stands before. Clipping stays, and so does label smoothing, which is in the targets and the floor.
    """
    spec = experiment.spec
    off: list[str] = []
    changes: dict[str, Any] = {"training": spec.training.model_copy(update={"batch_size": size, "accumulate": 1})}

    if any(isinstance(row.layer, Dropout) and row.layer.rate for row in experiment.layout.rows):
        changes["architecture"] = tuple(map(_without_dropout, spec.architecture))
        off.append("dropout")
    if spec.data.augment:
        off.append("augmentation")
        changes["data"] = spec.data.model_copy(update={"augment": ()})
    if spec.regularizers:
        off += [regularizer.name for regularizer in spec.regularizers]
        changes["regularizers"] = ()
    if getattr(spec.optimizer, "weight_decay", 0):
        off.append("weight decay")
        changes["optimizer"] = spec.optimizer.model_copy(update={"weight_decay": 0.0})
    if spec.early_stopping is not None:
        off.append("early stopping")
        changes["early_stopping"] = None
    if spec.schedule != Constant():
        off.append(f"the schedule {spec.schedule.name}")
        changes["schedule"] = Constant()
    if isinstance(spec.loss, Classification) and spec.loss.class_weight is not None:
        off.append("class weights")
        changes["loss"] = spec.loss.model_copy(update={"class_weight": None})
    if experiment.data.train.weight is not None:
        off.append("the weights of rows")
    if spec.training.accumulate > 1:
        off.append("accumulation of gradients")
    return experiment.variant(**changes), tuple(off)


def _without_dropout(layer: Layer) -> Layer:
    """Return a layer whose dropout, or that of any layer within it, has rate 0."""
    if isinstance(layer, Dropout):
        return layer.model_copy(update={"rate": 0.0})
    within = {
        name: tuple(map(_without_dropout, value))
        for name, value in layer
        if isinstance(value, tuple) and all(isinstance(part, Layer) for part in value)
    }
    return layer.model_copy(update=within) if within else layer
