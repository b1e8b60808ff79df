"""A short training: what a spec comes to with as many steps as are affordable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt
from typing import Any, Self

import numpy as np

from nnctl.core.arrays import Float
from nnctl.data.batches import is_positionwise
from nnctl.experiment.assembly import Experiment
from nnctl.nn.loss import positions
from nnctl.nn.network import Network
from nnctl.train.evaluate import Examples
from nnctl.train.loop import Epoch, Training, fit
from nnctl.train.metrics import Metric
from nnctl.train.step import NotFinite

__all__ = ["ShortRun", "score_of"]

WORK, MOST_WORK = 1e10, 5e10
"""Floating point operations of a short training, and at most; fixed sums and not times, so that every machine finds
the same. For the first, six are counted for each weight and row; for the second, all that layers really do."""
MOST_STEPS, LEAST_STEPS = 4000, 200
ANSWERS = 20_000
"""Positions at most on which a network with an answer at every position is judged."""


@dataclass(frozen=True, eq=False)
class ShortRun:
    """What a short training came to.

    Parameters
    ----------
    steps, planned : int
        Steps that were made, and those of the spec.
    first, loss : float
        Of the training part before and after it, in inference mode; nan where the training diverged.
    losses : array (N,)
        The losses at the end, row by row or position by position, times their weights.
    validation_loss : float
        The lowest on the validation part; nan where there is none.
    train, validation : float
        The best accuracy or r2 on each part; nan where there is none.
    """

    steps: int
    planned: int
    first: float
    loss: float
    losses: Float
    validation_loss: float
    train: float
    validation: float

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        """Train as the spec says, with as many steps as the work allows and the schedule fitted to them."""
        planned = experiment.plan(experiment.batches(experiment.examples(experiment.data.train))).steps
        short = _shortened(experiment, planned)
        learner = short.learner()
        train, held_out = short.examples(short.data.train), short.data.validation
        seen, batches = _bounded(train), short.batches(train)
        validation = None if held_out is None else _bounded(short.examples(held_out))
        plan, progress = short.plan(batches), short.progress(batches)
        training = Training(learner, batches, short.judge, train, validation, plan, progress)
        epochs: list[dict[str, float]] = []
        first = short.judge.network(learner.network, seen)["loss"]
        loss = nan
        losses: Float = np.empty(0)
        try:
            epochs.extend(record.metrics for record in fit(training) if isinstance(record, Epoch))
            loss = short.judge.network(learner.network, seen)["loss"]
            losses = _row_losses(short, learner.network, seen)
        except NotFinite:
            pass
        finally:
            learner.team.close()
        score = score_of(short).name
        return cls(
            plan.steps,
            planned,
            first,
            loss,
            losses,
            -_best(-epoch.get("val_loss", inf) for epoch in epochs),
            _best(epoch[f"train_{score}"] for epoch in epochs),
            _best(epoch.get(f"val_{score}", -inf) for epoch in epochs),
        )

    def standard_errors_below(self, other: ShortRun) -> float:
        """Return by how many standard errors its mean loss is below another's on the same rows."""
        below = other.losses - self.losses
        error = float(below.std()) / sqrt(len(below))
        return float(below.mean()) / error if error else 0.0

    def plain(self) -> dict[str, Any]:
        """Return it as plain data, without the losses of the rows."""
        return {name: value for name, value in vars(self).items() if name != "losses"}


def score_of(experiment: Experiment) -> Metric:
    """Return what the network is judged by besides its loss."""
    return Metric.parse("accuracy" if experiment.loss.task == "classification" else "r2")


def _shortened(experiment: Experiment, planned: int) -> Experiment:
    spec = experiment.spec
    rows = experiment.batch_rows * spec.training.accumulate
    affordable = int(WORK / (6 * rows * max(1, experiment.layout.size)))
    steps = min(planned, max(LEAST_STEPS, min(MOST_STEPS, affordable)))
    steps = max(1, min(steps, int(MOST_WORK / (3 * max(1, experiment.layout.flop(rows))))))
    measured = {each.name: each for each in (*experiment.metrics, score_of(experiment))}
    training = spec.training.model_copy(update={"epochs": None, "steps": steps})
    return experiment.variant(training=training, metrics=tuple(measured.values()))


def _bounded(examples: Examples) -> Examples:
    """Return so many rows that there are no more than 20,000 answers, where every position has one."""
    if not is_positionwise(examples.t):
        return examples
    rows = max(1, ANSWERS // examples.t.shape[1])
    return examples[np.linspace(0, len(examples.x) - 1, min(rows, len(examples.x))).round().astype(np.intp)]


def _row_losses(experiment: Experiment, network: Network, examples: Examples) -> Float:
    with np.errstate(over="ignore", invalid="ignore"):
        z = network.predict(examples.x, examples.mask)
        each = positions(z, examples.t, examples.w, examples.mask)
        losses = experiment.loss.per_sample(each.z, each.t)
    return losses if each.w is None else losses * each.w


def _best(values: Iterable[float]) -> float:
    return max((value for value in values if isfinite(value)), default=nan)
