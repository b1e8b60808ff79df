"""fit: the training loop, a generator of immutable records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter

import numpy as np

from nnctl.core.arrays import Float
from nnctl.data.batches import Batch, Batches, is_positionwise
from nnctl.nn.network import Network
from nnctl.optim.clock import Clock
from nnctl.optim.schedules import Constant, Schedule
from nnctl.train.evaluate import Examples, Judge, Tally
from nnctl.train.finite import first_in_inference, refuse_not_finite
from nnctl.train.flow import Probe, Sample, next_look
from nnctl.train.step import Learner, NotFinite, train_step
from nnctl.train.stopping import Patience

__all__ = ["Epoch", "Pause", "Plan", "Progress", "Snapshot", "Training", "fit"]

_MEDIAN_STRIDE = 0.01


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training came to.

    Parameters
    ----------
    epoch, step : int
        Epochs and steps finished, counted from 1.
    metrics : dict
        ``train_loss``, ``val_loss``, ``train_accuracy``, ... The training figures are taken on the way, from the
        outputs of each batch before its step, in training mode; the validation figures in inference mode at the end of
        the epoch, and only in epochs that evaluate.
    lr : float
        Learning rate of the last step.
    grad_norm, grad_norm_max : float
        Mean and largest norm of the gradient over the steps, before clipping.
    penalty : float
        L1 and L2 penalties at the end of the epoch; not part of ``train_loss``.
    seconds : float
        Time since the start of the training, over all sittings.
    samples_per_second : float
    best : bool
        Whether the monitored value is the best so far.
    not_finite : str
        Where the first value that is not finite appears, if the validation loss is none; "" if it is.
    """

    epoch: int
    step: int
    metrics: dict[str, float]
    lr: float
    grad_norm: float
    grad_norm_max: float
    penalty: float
    seconds: float
    samples_per_second: float
    best: bool
    not_finite: str = ""

    def record(self) -> dict[str, float | int | bool | str]:
        """Return the epoch as one flat record."""
        left_out = {"metrics"} if self.not_finite else {"metrics", "not_finite"}
        fields = {name: value for name, value in vars(self).items() if name not in left_out}
        return {"epoch": fields.pop("epoch"), "step": fields.pop("step"), **self.metrics, **fields}


@dataclass(frozen=True)
class Pause:
    """The loop stands between two steps, and everything may be saved; going on changes nothing."""


@dataclass
class Snapshot:
    """The weights of the best epoch."""

    epoch: int
    theta: Float
    state: Float

    def restore(self, network: Network) -> None:
        """Copy the weights back into the network."""
        np.copyto(network.theta, self.theta)
        np.copyto(network.state, self.state)


@dataclass(frozen=True)
class Plan:
    """How long and by what rules to train.

    Parameters
    ----------
    steps : int
        Steps in all; the last epoch may be a partial one.
    schedule : Schedule
    monitor : str
        The recorded figure that early stopping, the best weights and reduce_on_plateau go by.
    evaluate_every : int
        Epochs between evaluations of the validation part; the last epoch is always evaluated.
    """

    steps: int
    schedule: Schedule = field(default_factory=Constant)
    monitor: str = "val_loss"
    evaluate_every: int = 1


@dataclass
class Progress:
    """How far a training has come: all that `fit` needs to go on, beside the learner.

    `batch` counts the batches done in the epoch that is under way; `outputs` holds what the network said to them.
    Where every position has a target there is no room for all of it: `outputs` then holds one batch, and `said` the
    sums of its figures so far.
    `norm_median` is a running median of the gradient's norm: step t moves it by a factor 1 + 1/t, at least 1.01,
    towards its norm (after Ma, Muthukrishnan and Sandler, 2013, arXiv:1407.1121). `norm_jump` is the largest norm since
    the last `Sample`, in multiples of it.
    """

    patience: Patience
    outputs: Float
    epoch: int = 0
    batch: int = 0
    norm_sum: float = 0.0
    norm_max: float = 0.0
    norm_median: float = 0.0
    norm_jump: float = 0.0
    seconds: float = 0.0
    lr: float = 0.0
    history: list[float] = field(default_factory=list)
    best: Snapshot | None = None
    reason: str = ""
    said: Tally = field(default_factory=Tally)

    def count(self, norm: float, step: int) -> None:
        """Note that step number `step`, counted from 1, is done, and the norm of its gradient."""
        self.batch += 1
        self.norm_sum += norm
        self.norm_max = max(self.norm_max, norm)
        median = self.norm_median
        if median > 0:
            self.norm_jump = max(self.norm_jump, norm / median)
            stride = 1 + max(1 / step, _MEDIAN_STRIDE)
            self.norm_median = median * stride if norm > median else median / stride
        else:
            self.norm_median = norm

    def room(self, batch: Batch) -> Float:
        """Return where the outputs for a batch go."""
        if is_positionwise(batch.t):
            whole = self.outputs[: batch.t.shape[0]]
            return whole if whole.shape[1] == batch.t.shape[1] else np.ascontiguousarray(whole[:, : batch.t.shape[1]])
        return self.outputs[batch.start : batch.stop]

    def take_jump(self) -> float:
        """Return `norm_jump` and begin anew."""
        jump, self.norm_jump = self.norm_jump, 0.0
        return jump

    def keep(self, network: Network) -> None:
        """Note the network's weights as the best so far."""
        if self.best is None:
            self.best = Snapshot(self.epoch + 1, network.theta.copy(), network.state.copy())
            return
        self.best.epoch = self.epoch + 1
        np.copyto(self.best.theta, network.theta)
        np.copyto(self.best.state, network.state)


@dataclass(frozen=True)
class Training:
    """A training under way: who learns from what, by which plan, how it is judged, and how far it has come.

    Parameters
    ----------
    learner : Learner
    batches : Batches
        The training part in minibatches.
    judge : Judge
    train, validation : Examples
        The training part in its own order, and what is measured after each epoch, or None.
    plan : Plan
    progress : Progress
        Fresh, or as it was saved.
    probe : Probe or None
        Measures a step now and then, and changes no bit.
    """

    learner: Learner
    batches: Batches
    judge: Judge
    train: Examples
    validation: Examples | None
    plan: Plan
    progress: Progress
    probe: Probe | None = None


def fit(training: Training, pause_due: Callable[[], bool] = lambda: False) -> Iterator[Epoch | Pause | Sample]:
    """Train and yield an `Epoch` after each, and a `Pause` between two steps whenever `pause_due` says so.

    With a probe, a `Sample` is yielded after every step that is measured.

    At a `Pause` the caller may save the learner and the progress, and go on or close the generator; a training that is
    taken up from what was saved ends with the same bits. ``progress.reason`` says at the end why it stopped.

    Parameters
    ----------
    training : Training
        Its learner and its progress are changed.
    pause_due : callable
        Asked before every step, so it must be cheap.

    Raises
    ------
    NotFinite
        At the first learning rate, gradient, training loss, weight or moment that is not finite.
    """
    learner, batches, plan, progress = training.learner, training.batches, training.plan, training.progress
    probe, measured = training.probe, next_look(learner.step, plan.steps)
    clock = Clock(total_steps=plan.steps, steps_per_epoch=len(batches))
    lr_at, base = plan.schedule.lr_at, learner.optimizer.lr
    while learner.step < plan.steps and not progress.patience.exhausted:
        sitting = _Sitting(first_row=batches.bounds[progress.batch][0])
        for batch in batches.epoch(progress.epoch, progress.batch):
            if pause_due():
                refuse_not_finite(learner, batch)
                progress.seconds += sitting.lap()
                yield Pause()
                sitting.lap()
            progress.lr = lr_at(learner.step, base, clock, progress.history)
            if not isfinite(progress.lr):
                raise NotFinite(f"the learning rate {progress.lr} is not finite", learner.step + 1, batch)
            look = probe.look if probe is not None and learner.step + 1 == measured else None
            outputs = progress.room(batch)
            norm = train_step(learner, batch, progress.lr, outputs, look)
            progress.count(norm, learner.step)
            if outputs.ndim == 3:
                training.judge.add_batch(progress.said, outputs, batch)
            if probe is not None and look is not None:
                jump, measured = progress.take_jump(), next_look(learner.step, plan.steps)
                yield probe.sample(epoch=progress.epoch + 1, lr=progress.lr, grad_norm=norm, jump=jump)
            if learner.step == plan.steps:
                break
        speed = sitting.rows_per_second(batch.stop)
        refuse_not_finite(learner, batch)
        metrics = _measure(training)
        if not isfinite(metrics["train_loss"]):
            raise NotFinite(f"the training loss of epoch {progress.epoch + 1} is not finite", learner.step, batch)
        progress.seconds += sitting.lap()
        yield _close_epoch(training, metrics, speed)
    progress.reason = "early stopping" if progress.patience.exhausted else "all steps done"


def _measure(training: Training) -> dict[str, float]:
    """Return the figures of the epoch under way, at its end."""
    plan, progress = training.plan, training.progress
    found = training.judge.of_tally(progress.said) if progress.said.blocks else _of_rows(training)
    metrics = {f"train_{name}": value for name, value in found.items()}
    last = training.learner.step == plan.steps
    if training.validation is not None and (last or (progress.epoch + 1) % plan.evaluate_every == 0):
        found = training.judge.network(training.learner.network, training.validation)
        metrics |= {f"val_{name}": value for name, value in found.items()}
    return metrics


def _of_rows(training: Training) -> dict[str, float]:
    """Return the figures of what was said to each row of the epoch."""
    batches, train, progress = training.batches, training.train, training.progress
    rows = batches.bounds[progress.batch - 1][1]
    t, w = batches.targets()
    order = batches.order(progress.epoch)[:rows]
    seen = Examples(
        train.x,
        training.judge.truth(t[:rows]) if batches.mixes else train.y[order],
        t[:rows],
        None if w is None else w[:rows],
        None if train.sample_weight is None else train.sample_weight[order],
    )
    return training.judge.outputs(progress.outputs[:rows], seen)


def _close_epoch(training: Training, metrics: dict[str, float], speed: float) -> Epoch:
    learner, plan, progress = training.learner, training.plan, training.progress
    best, not_finite = False, ""
    if training.validation is not None and not isfinite(metrics.get("val_loss", 0.0)):
        not_finite = first_in_inference(learner, training.validation) or "the loss of finite outputs"
    if plan.monitor in metrics:
        progress.history.append(metrics[plan.monitor])
        progress.patience = progress.patience.after(metrics[plan.monitor])
        best = progress.patience.improved
        if best:
            progress.keep(learner.network)
    record = Epoch(
        epoch=progress.epoch + 1,
        step=learner.step,
        metrics=metrics,
        lr=progress.lr,
        grad_norm=progress.norm_sum / progress.batch,
        grad_norm_max=progress.norm_max,
        penalty=learner.penalty(),
        seconds=progress.seconds,
        samples_per_second=speed,
        best=best,
        not_finite=not_finite,
    )
    progress.epoch += 1
    progress.batch, progress.norm_sum, progress.norm_max, progress.said = 0, 0.0, 0.0, Tally()
    return record


class _Sitting:
    """The clock of one sitting at an epoch."""

    def __init__(self, first_row: int) -> None:
        self.first_row = first_row
        self.started = self.lapped = perf_counter()

    def lap(self) -> float:
        now = perf_counter()
        seconds, self.lapped = now - self.lapped, now
        return seconds

    def rows_per_second(self, last_row: int) -> float:
        return (last_row - self.first_row) / (perf_counter() - self.started)
