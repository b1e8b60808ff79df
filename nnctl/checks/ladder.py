"""The ladder: the same fresh network trained on one frozen batch, with learning rates around the spec's."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean
from typing import Any, Literal

import numpy as np

from nnctl.checks.goal import Goal, Score
from nnctl.checks.symptoms import Symptoms, symptoms
from nnctl.core.arrays import Array, Float
from nnctl.core.finding import Tell
from nnctl.data.batches import Batch
from nnctl.train.step import Learner, NotFinite, first_not_finite, room_for_outputs, train_step

__all__ = ["FACTORS", "Rung", "climb"]

FACTORS = (1.0, 10.0, 0.1, 100.0, 0.01, 1000.0, 0.001)
"""What the spec's learning rate is multiplied by, in the order in which it is tried."""
SETTLING = 1000
"""Passes in training mode, without a step, after which running statistics are those of the batch, unless the momentum
is below 0.005: (1 - 0.005)^1000 = 0.007."""
DRAWN = 250
"""At most this many points of a curve are kept for tables and pictures."""
TOLD_EVERY = 50
"""Steps from one word on the progress to the next."""


@dataclass(frozen=True, eq=False)
class Rung:
    """What training with one learning rate came to.

    Parameters
    ----------
    factor, lr : float
        The rate as a multiple of the spec's, and itself.
    outcome : {"learned", "short", "diverged"}
        Whether the goal was reached, or not within the steps, or numbers ceased to be finite.
    losses : tuple of float
        The loss before each step.
    floor : float
        The loss that is judged from: that which cannot be passed, or that of the best linear map.
    z, z_inference : array (A, K)
        The last answers in training and in inference mode.
    training, inference : Score
        What they are worth.
    moved : mapping of str to float
        For each kernel its largest change over its largest weight.
    after : Symptoms
        What the network shows at the end.
    culprit : str
        Where the first number stands that is not finite.
    """

    factor: float
    lr: float
    outcome: Literal["learned", "short", "diverged"]
    losses: tuple[float, ...]
    floor: float
    z: Float
    z_inference: Float
    training: Score
    inference: Score
    moved: dict[str, float]
    after: Symptoms
    culprit: str = ""

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.losses)

    @property
    def last(self) -> float:
        """The mean loss of the last tenth of the steps; infinite after a divergence."""
        return inf if self.outcome == "diverged" else fmean(self.losses[-max(1, self.steps // 10) :])

    @property
    def before_last(self) -> float:
        """The mean loss of the tenth before that."""
        tenth = max(1, self.steps // 10)
        return fmean(self.losses[-2 * tenth : -tenth] or self.losses[:1])

    @property
    def covered(self) -> float:
        """The share of the way from the first loss down to the floor; negative where it rose."""
        way = self.losses[0] - self.floor
        if not 0 < way < inf:
            return float(self.outcome == "learned")
        return (self.losses[0] - self.last) / way

    def plain(self) -> dict[str, Any]:
        """Return it as plain data, with a thinned curve."""
        steps = sorted({round(i) for i in np.linspace(0, self.steps - 1, min(self.steps, DRAWN))})
        return {
            "factor": self.factor,
            "lr": self.lr,
            "outcome": self.outcome,
            "steps": self.steps,
            "first_loss": self.losses[0],
            "training": self.training.plain(),
            "inference": self.inference.plain(),
            "curve": {"step": steps, "loss": [self.losses[i] for i in steps]},
            "moved": self.moved,
            "after": self.after.plain(),
            "not_finite": self.culprit,
        }


def climb(goal: Goal, steps: int, tell: Tell) -> tuple[Rung, ...]:
    """Try one rate after the other, each at most that many steps from the same start, until one reaches the goal."""
    rungs: list[Rung] = []
    for i in range(len(FACTORS)):
        rungs.append(_try(goal, i, steps, tell))
        if rungs[-1].outcome == "learned":
            break
    tell(1.0, "done")
    return tuple(rungs)


def _try(goal: Goal, i: int, steps: int, tell: Tell) -> Rung:
    experiment, batch = goal.frozen.experiment, goal.frozen.batch
    lr = experiment.spec.optimizer.lr * FACTORS[i]
    learner = experiment.learner()
    start = {name: W.copy() for name, W in _kernels(learner).items()}
    z = room_for_outputs(learner, batch)
    z.fill(0)
    losses: list[float] = []
    outcome: Literal["learned", "short", "diverged"] = "short"
    culprit = ""
    try:
        for step in range(steps):
            if step % TOLD_EVERY == 0:
                tell((i + step / steps) / len(FACTORS), f"learning rate {lr:.3g}")
            train_step(learner, batch, lr, z)
            score = goal.score(z)
            losses.append(score.loss)
            if goal.reached(score) and goal.reached(goal.score(_outputs(learner, batch, z))):
                outcome = "learned"
                break
            if not isfinite(score.loss):
                raise NotFinite("the loss is not finite", learner.step, batch)  # noqa: TRY301 - as train_step does
        else:
            if goal.reached(goal.score(_outputs(learner, batch, z))):  # by the last of the steps
                outcome = "learned"
    except NotFinite:
        outcome, culprit = "diverged", first_not_finite(learner, batch) or "the loss"
        losses.append(goal.score(z).loss)
    if outcome == "learned" and learner.network.state.size:
        for _ in range(SETTLING):  # the weights stand still and the running statistics come to those of the batch
            _outputs(learner, batch, z)
    with np.errstate(over="ignore", invalid="ignore"):
        z, z_inference = _outputs(learner, batch, z), learner.network.predict(batch.x, batch.mask)
    learner.team.close()
    return Rung(
        factor=FACTORS[i],
        lr=lr,
        outcome=outcome,
        losses=tuple(losses),
        floor=goal.lowest,
        z=goal.frozen.answers(z),
        z_inference=goal.frozen.answers(z_inference),
        training=goal.score(z),
        inference=goal.score(z_inference),
        moved={name: _moved(start[name], W) for name, W in _kernels(learner).items()},
        after=symptoms(learner.network, experiment.loss, batch),
        culprit=culprit,
    )


def _outputs(learner: Learner, batch: Batch, z: Float) -> Float:
    """Return the outputs in training mode, in the memory of z; no weight changes."""
    with np.errstate(over="ignore", invalid="ignore"):
        learner.gradient(batch, z)
    return z


def _kernels(learner: Learner) -> dict[str, Array]:
    tensors = learner.network.tensors()
    return {slot.name: tensors[slot.name] for slot in learner.network.layout.slots if slot.param.decayed}


def _moved(before: Array, after: Array) -> float:
    change, size = float(np.abs(after - before).max()), float(np.abs(before).max())
    return change / size if size else float(change > 0)
