"""Trainings of a few steps from one start: sweeps over all learning rates, and short runs at one.

Every start is a seed of its own on the same rows, with its own initial weights and its own order of batches; runs that
differ in the learning rate alone share all of it, so that their losses can be compared step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, repeat
from math import ceil, inf, isfinite

import numpy as np

from nnctl.checks.learning_rate.curve import has_diverged, still_steps
from nnctl.core.arrays import Float
from nnctl.data.batches import Batch, Batches
from nnctl.experiment.assembly import Experiment
from nnctl.nn.loss import positions
from nnctl.train.evaluate import Examples
from nnctl.train.step import Learner, NotFinite, room_for_outputs, train_step

__all__ = ["Start", "Trial", "climb", "starts", "sweep"]

END = 0.2
"""The last share of a short run's steps, whose mean loss is its result."""
QUARTERS = (-4, -2, 0, 2, 4)
"""Where the first short runs stand around the guess, in quarters of a decade."""


@dataclass(frozen=True)
class Start:
    """One seed of an experiment: fresh learners that all start alike, and the batches they all see."""

    experiment: Experiment
    batches: Batches

    def losses(self, rates: Iterable[float]) -> Generator[float]:
        """Train a fresh learner, one step a learning rate, and yield each batch's loss before its step.

        It ends at the first gradient that is not finite. Schedule and early stopping have no say; penalties, clipping
        and dropout do.
        """
        learner = self.experiment.learner()
        try:
            for lr, batch in zip(rates, _endless(self.batches), strict=False):
                z = room_for_outputs(learner, batch)
                train_step(learner, batch, lr, z)
                yield _loss(learner, z, batch)
        except NotFinite:
            return
        finally:
            learner.team.close()

    def end_loss(self, lr: float, steps: int) -> float:
        """Return the mean loss over the last fifth of a short run at one learning rate; inf where it is not finite."""
        losses = list(self.losses(repeat(lr, steps)))
        if len(losses) < steps:
            return inf
        mean = float(np.mean(losses[-ceil(END * steps) :]))
        return mean if isfinite(mean) else inf


def starts(experiment: Experiment, number: int) -> list[Start]:
    """Return that many starts: the experiment's own seed and those that follow."""
    train: Examples = experiment.examples(experiment.data.train)
    seeds = [(experiment.spec.seed + i) % 2**63 for i in range(number)]
    variants = [experiment.variant(seed=seed) for seed in seeds]
    return [Start(variant, variant.batches(train)) for variant in variants]


def sweep(start: Start, rates: Float) -> list[float]:
    """Return the losses of a training whose learning rate grows along `rates`, up to where it diverged."""
    losses: list[float] = []
    with closing(start.losses(map(float, rates))) as trained:
        for loss in trained:
            losses.append(loss)
            if has_diverged(losses, still_steps(len(rates))):
                return losses[:-1]
    return losses


@dataclass(frozen=True)
class Trial:
    """Short runs at one learning rate, one from each start.

    Parameters
    ----------
    lr : float
    losses : tuple of float
        What each came to; inf for one that diverged, after which no more were made.
    """

    lr: float
    losses: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean over the starts."""
        return float(np.mean(self.losses))

    @classmethod
    def run(cls, starts: Sequence[Start], lr: float, steps: int) -> Trial:
        """Make the short runs."""
        losses: list[float] = []
        for start in starts:
            losses.append(start.end_loss(lr, steps))
            if not isfinite(losses[-1]):
                break
        return cls(lr, tuple(losses))


def climb(guess: float, lowest: float, highest: float, run: Callable[[float], Trial]) -> dict[float, Trial]:
    """Return trials around a guess, by learning rate: a ladder of half decades, then quarters beside the best.

    The ladder reaches a decade to either side; while its best rung is the outermost, another is added there.

    Parameters
    ----------
    guess : float
        Where to begin.
    lowest, highest : float
        The learning rates that may be tried.
    run : callable
        Makes the trial at a learning rate.
    """
    trials: dict[float, Trial] = {}

    def best_after(quarters: Iterable[int]) -> int:
        for quarter in quarters:
            lr = min(max(_rounded(guess * 10 ** (quarter / 4)), lowest), highest)
            rungs[quarter] = trials[lr] = trials.get(lr) or run(lr)
        return min(rungs, key=lambda quarter: (rungs[quarter].loss, quarter))

    rungs: dict[int, Trial] = {}
    best = best_after(QUARTERS)
    while best in (min(rungs), max(rungs)) and lowest < rungs[best].lr < highest:
        best = best_after([best - 2 if best == min(rungs) else best + 2])
    best_after([best - 1, best + 1])
    return trials


def _rounded(lr: float) -> float:
    """Return a learning rate in two digits, as a person would write it."""
    return float(f"{lr:.1e}")


def _endless(batches: Batches) -> Iterator[Batch]:
    for epoch in count():
        yield from batches.epoch(epoch)


def _loss(learner: Learner, z: Float, batch: Batch) -> float:
    with np.errstate(over="ignore", invalid="ignore"):  # a sweep goes on until the numbers end
        each = positions(z, batch.t, batch.w, batch.mask)
        return learner.loss.value(each.z, each.t, each.w, batch.targets)
