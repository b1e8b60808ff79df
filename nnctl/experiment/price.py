"""The price of a training: the memory it will hold, told before it is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from nnctl.data.batches import AHEAD, GATHERED_BYTES, is_positionwise
from nnctl.data.dataset import Split
from nnctl.nn.memory import Use, held_by_each
from nnctl.nn.team import replicas_for
from nnctl.train.flow import ROWS

if TYPE_CHECKING:
    from nnctl.experiment.assembly import Experiment

__all__ = ["SHARE", "Memory", "price", "price_by_layer", "size"]

SHARE = 0.8
"""The share of the free memory that a training may take."""

_JUDGED = 6
"""Arrays as large as the outputs while they are judged: themselves, their logarithms in float64, twice, and what they
predict."""

_WORD = 100
"""Bytes of a word as a string, in a list."""


@dataclass(frozen=True)
class Memory:
    """What a training holds, in bytes.

    Parameters
    ----------
    data : int
        Inputs and targets of all parts, as they are held from the start.
    copies : int
        Encoded targets, the inputs of an epoch or a batch, the rows on which units are looked at, and the outputs.
    parameters : int
        Weights, a gradient for each replica, the moments of the optimizer and the best weights so far.
    activations : int
        The buffers of all layers for a batch, forward and backward, in every replica.
    evaluation : int
        Those for a block of rows in inference, for every reader; and what judges the outputs.
    """

    data: int
    copies: int
    parameters: int
    activations: int
    evaluation: int

    @property
    def total(self) -> int:
        """The most that is held at a time: all of it, or what was read beside the parts that are made of it."""
        return self.data + max(self.data, self.to_come)

    @property
    def to_come(self) -> int:
        """What is not held yet when the data are there."""
        return self.copies + self.parameters + self.activations + self.evaluation

    def parts(self) -> str:
        """Return the breakdown in words."""
        return (
            f"data {size(self.data)}, copies of them and outputs {size(self.copies)}, parameters with gradients, "
            f"optimizer and best weights {size(self.parameters)}, activations of a batch {size(self.activations)}, "
            f"evaluation {size(self.evaluation)}"
        )


def price(experiment: Experiment) -> Memory:
    """Return what a training will hold."""
    spec, layout, data = experiment.spec, experiment.layout, experiment.data
    item, rows = np.dtype(spec.training.dtype).itemsize, experiment.batch_rows
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    padded, by_position = data.train.lengths is not None, is_positionwise(data.train.y)
    replicas, out = replicas_for(layout, rows), prod(layout.out_shape)
    longest = max(map(len, parts))
    block = min(layout.evaluation_rows, longest)
    readers = 1 if by_position else min(layout.readers, -(-longest // layout.evaluation_rows))

    vectors = 2 + replicas + len(spec.optimizer.moment_names()) + (spec.training.accumulate > 1)
    batch = replicas * layout.held(_use(experiment)) + rows * out
    inferred = readers * layout.held(Use(block, padded=padded))
    judged = _JUDGED * out * (max(rows, block) if by_position else longest)
    return Memory(
        data=sum(part.x.nbytes + part.y.nbytes + _strings(experiment, part) for part in parts),
        copies=_copies(experiment, by_position=by_position),
        parameters=(vectors * layout.size + 3 * layout.state_size) * item,
        activations=batch * item,
        evaluation=(inferred + judged) * item,
    )


def price_by_layer(experiment: Experiment) -> list[int]:
    """Return what each layer of `Layout.rows` will hold for a batch, in bytes: its own buffers, in every replica.

    The rest of `Memory.activations` is the scratch that layers share, and the outputs.
    """
    layout, item = experiment.layout, np.dtype(experiment.spec.training.dtype).itemsize
    replicas = replicas_for(layout, experiment.batch_rows)
    return [replicas * held * item for held in held_by_each(layout.root, layout.shape, _use(experiment))]


def _use(experiment: Experiment) -> Use:
    """Return how a replica is used in training."""
    rows = -(-experiment.batch_rows // replicas_for(experiment.layout, experiment.batch_rows))
    return Use(rows, training=True, dx=False, padded=experiment.data.train.lengths is not None)


def _strings(experiment: Experiment, part: Split) -> int:
    """Return what the words of labelled texts took while they were read, which Python keeps."""
    if experiment.data.preprocessing.tokens is None or part.lengths is None:
        return 0
    return _WORD * int(part.lengths.sum())


def _copies(experiment: Experiment, *, by_position: bool) -> int:
    spec, data, train = experiment.spec, experiment.data, experiment.data.train
    item = np.dtype(spec.training.dtype).itemsize
    rows = experiment.batch_rows * spec.training.accumulate
    sample = prod(data.input_shape) * train.x.dtype.itemsize
    inputs, looked_at = rows * sample, min(ROWS, len(train)) * sample
    if train.x.nbytes == 0:  # on the disk
        inputs *= AHEAD + 2
    elif train.x.nbytes <= GATHERED_BYTES and train.lengths is None and not spec.data.augment:
        inputs = train.x.nbytes
    inputs += looked_at
    if by_position:
        return inputs + 2 * train.y.nbytes + rows * prod(experiment.layout.out_shape) * item
    encoded = sum(len(part) for part in (train, data.validation, data.test) if part is not None)
    return inputs + (encoded + 2 * len(train)) * experiment.outputs * item


def size(bytes_: int) -> str:
    """Return a size as people read it."""
    if bytes_ >= 2**28:
        return f"{bytes_ / 2**30:,.2f} GiB"
    return f"{bytes_ / 2**20:,.1f} MiB" if bytes_ >= 2**20 else f"{bytes_ / 2**10:,.0f} KiB"
