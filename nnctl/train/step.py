"""train_step: the one implementation of training, shared by every command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

import numpy as np

from nnctl.core.arrays import Float, as_rows
from nnctl.data.batches import Batch
from nnctl.nn.layer import Bound
from nnctl.nn.loss import positions
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team
from nnctl.optim.gradients import Clip, Regularizer, global_norm
from nnctl.optim.optimizers import Optimizer

__all__ = ["Learner", "NotFinite", "first_not_finite", "room_for_outputs", "train_step"]


class NotFinite(ArithmeticError):  # noqa: N818 - a state of the numbers, not a mistake of the caller
    """A value of the training that is not finite, with the step, counted from 1, and the batch that showed it."""

    def __init__(self, message: str, step: int, batch: Batch) -> None:
        super().__init__(message)
        self.step = step
        self.batch = batch


class Learner:
    """A network and all that changes it: loss, penalties, clipping, optimizer and the optimizer's memory.

    Parameters
    ----------
    network : Network
    loss : Loss
    optimizer : Optimizer
    regularizers : sequence of Regularizer
    clip : Clip or None
    team : Team or None
        The replicas that compute the gradient; by default one.
    micro_rows : int or None
        Gradient accumulation: a batch is walked in micro-batches of this many rows, whose gradients are summed before
        the one update.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        *,
        regularizers: Sequence[Regularizer] = (),
        clip: Clip | None = None,
        team: Team | None = None,
        micro_rows: int | None = None,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.regularizers = tuple(regularizers)
        self.clip = clip
        self.team = team or Team(network)
        self.micro_rows = micro_rows
        # Where there are replicas BLAS has one thread. Where it has more, they still spin when the optimizer begins.
        self.slots = optimizer.start(network.theta.size, network.dtype, self.team.size)
        self.step = 0
        self.decayed = network.layout.decayed
        self.kernels = network.kernels()
        self.constrained = tuple(r for r in self.regularizers if r.acts_after)
        self.state_before = network.state.copy()
        self._accumulated = np.empty_like(network.theta) if micro_rows else None

    def gradient(self, batch: Batch, outputs: Float | None = None) -> Float:
        """Return the gradient of the loss on a batch, penalties not included; fill `outputs` with the network's."""
        rows, divisor = batch.stop - batch.start, batch.targets
        if self._accumulated is None:
            return self.team.gradient(
                self.loss,
                batch.x,
                batch.t,
                batch.w,
                divisor=divisor,
                step=self.step,
                outputs=outputs,
                mask=batch.mask,
            )
        assert self.micro_rows is not None
        for i, start in enumerate(range(0, rows, self.micro_rows)):
            rows_of = slice(start, min(start + self.micro_rows, rows))
            grad = self.team.gradient(
                self.loss,
                batch.x[rows_of],
                batch.t[rows_of],
                None if batch.w is None else batch.w[rows_of],
                divisor=divisor,
                step=(self.step << 32) + i,  # a position of its own, however many pieces the other steps had
                outputs=None if outputs is None else outputs[rows_of],
                mask=None if batch.mask is None else batch.mask[rows_of],
            )
            np.copyto(self._accumulated, grad) if i == 0 else np.add(self._accumulated, grad, out=self._accumulated)
        return self._accumulated

    def penalty(self) -> float:
        """Return the penalties at the current weights."""
        return sum(r.penalty(self.network.theta, self.decayed) for r in self.regularizers)


def train_step(
    learner: Learner,
    batch: Batch,
    lr: float,
    outputs: Float | None = None,
    look: Callable[[Float], None] | None = None,
) -> float:
    """Take one step of training and return the norm of the gradient before clipping.

    gradient of the loss -> plus penalties -> norm -> clip -> optimizer -> constraints

    Parameters
    ----------
    learner : Learner
    batch : Batch
    lr : float
        Learning rate of this step.
    outputs : array (B, K) or None
        Receives the network's outputs on the batch, in training mode, before the step.
    look : callable or None
        Shown the gradient of the loss before penalties and clipping; it must leave it as it is.

    Raises
    ------
    NotFinite
        If the norm is not finite; weights and statistics are left as they were.
    """
    theta, slots, decayed = learner.network.theta, learner.slots, learner.decayed
    if learner.state_before.size:
        np.copyto(learner.state_before, learner.network.state)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found by the norm, and told once
        grad = learner.gradient(batch, outputs)
        if look is not None:
            look(grad)
        for regularizer in learner.regularizers:
            regularizer.add_gradient(theta, grad, decayed, slots.scratch)
        norm = global_norm(grad)
        if not isfinite(norm):
            np.copyto(learner.network.state, learner.state_before)
            raise NotFinite("the gradient is not finite", learner.step + 1, batch)
        if learner.clip is not None:
            learner.clip.apply(grad, norm)
        learner.optimizer.step(theta, grad, lr, slots, decayed)
        if learner.constrained:
            step_size = learner.optimizer.step_size(lr, slots)
            for regularizer in learner.constrained:
                regularizer.after_update(theta, learner.kernels, step_size, decayed)
    learner.step += 1
    return norm


def room_for_outputs(learner: Learner, batch: Batch) -> Float:
    """Return an array for what the network says of a batch; sequences are as long there as in the batch."""
    out_shape = learner.network.layout.out_shape
    if len(out_shape) == 2:
        out_shape = (batch.t.shape[1], *out_shape[1:])
    return np.empty((len(batch.x), *out_shape), learner.network.dtype)


def first_not_finite(learner: Learner, batch: Batch) -> str:
    """Return where, on this batch, the first value that is not finite appears; "" if all are finite.

    The batch is run once more, forward and then backward, and every layer's result is looked at.
    """
    found: list[str] = []

    def watch(bound: Bound, direction: str, values: Float | None) -> None:
        if found or bound.ctx.parts:
            return
        if values is not None and not np.isfinite(values).all():
            what = "output" if direction == "forward" else "gradient of the input"
            found.append(f"the {what} of layer {bound.ctx.path}")
        elif direction == "backward" and not all(np.isfinite(g).all() for g in vars(bound.g).values()):
            found.append(f"the gradient of the weights of layer {bound.ctx.path}")

    for name, tensor in learner.network.tensors().items():
        if not np.isfinite(tensor).all():
            return f"the weights {name}"
    if batch.x.dtype.kind == "f" and not np.isfinite(batch.x).all():
        return "the inputs of the batch"
    outputs = room_for_outputs(learner, batch)
    state = learner.network.state.copy()
    for replica in learner.team.replicas:
        replica.now.watch = watch
    try:
        with np.errstate(all="ignore"):
            learner.gradient(batch, outputs)
            dz = np.empty_like(outputs)
            each = positions(outputs, batch.t, batch.w, batch.mask)
            learner.loss.gradient(each.z, each.t, each.w, batch.targets, as_rows(dz))
    finally:
        np.copyto(learner.network.state, state)
        for replica in learner.team.replicas:
            replica.now.watch = None
    if np.isfinite(outputs).all() and not np.isfinite(dz).all():
        return "the gradient of the loss, from targets or weights of rows that are not finite"
    return found[0] if found else ""
