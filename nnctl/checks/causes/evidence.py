"""What is known about a network that did not learn its batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnctl.checks.capacity import is_straight
from nnctl.checks.goal import R2, Goal
from nnctl.checks.ladder import Rung
from nnctl.checks.symptoms import Symptoms
from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted
from nnctl.experiment.assembly import Experiment
from nnctl.nn.activations import Activation, Linear
from nnctl.nn.compose import Repeat, Sequential
from nnctl.nn.dropout import Dropout
from nnctl.nn.layer import Layer
from nnctl.nn.shape import Flatten

__all__ = ["VANISHING", "Evidence"]

VANISHING = 1e-7
"""A mean gradient below this is lost among the rounding errors of float32."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that was measured on the way.

    Parameters
    ----------
    experiment : Experiment
        As the spec says.
    goal : Goal
        The batch, and what was to be reached on it.
    start : Symptoms
        What the fresh network shows.
    rungs : tuple of Rung
        The ladder; the first one has the spec's learning rate.
    """

    experiment: Experiment
    goal: Goal
    start: Symptoms
    rungs: tuple[Rung, ...]

    @property
    def own(self) -> Rung:
        """What the spec's learning rate came to."""
        return self.rungs[0]

    @property
    def learned(self) -> Rung | None:
        """The rung that reached the goal, if one did."""
        return next((rung for rung in self.rungs if rung.outcome == "learned"), None)

    @property
    def by_heart(self) -> bool:
        """Whether the best rung has learned the batch by heart, and not only as well as a line can."""
        return self.goal.by_heart(self.best.training)

    @property
    def room(self) -> str:
        """Why no more can be asked of the network than of a line, in words."""
        frozen = self.goal.frozen
        if is_straight(frozen):
            return "the network is linear"
        return f"the network has {counted(frozen.experiment.layout.size, 'weight')} for {self.targets.size} numbers"

    @property
    def best(self) -> Rung:
        """The rung that reached the goal, else the one that came nearest."""
        return self.learned or min(self.rungs, key=lambda rung: rung.last)

    @property
    def healthy(self) -> bool:
        """Whether the batch is learned at the spec's rate, or all but learned there and learned near it.

        A tenth or ten times the rate counts as near where the spec's own went nine tenths of the way to the floor.
        """
        if self.learned is None or self.learned is self.own:
            return self.learned is self.own
        return 0.1 <= self.learned.factor <= 10 and self.own.covered >= 0.9

    @property
    def failed(self) -> bool:
        """Whether this is a failure and not a warning.

        It is one where no rate reached the goal, unless the best is well on its way, all that is left are outliers, or
        a regression has no room for more than a line and the rows are not near one; and where only a lower rate did
        and the spec's own went less than half of the way, with no warm-up to help it.
        """
        if self.learned is None:
            straight, is_regression = self.goal.straight, self.goal.frozen.experiment.loss.task == "regression"
            no_line = straight is not None and straight.says_little and is_regression
            return not (self.on_its_way or self.only_outliers_left.any() or no_line)
        is_lost = self.own.outcome != "learned" and self.own.covered < 0.5
        return is_lost and self.learned.factor < 1 and not self.experiment.spec.schedule.warmup

    @property
    def on_its_way(self) -> bool:
        """Whether the best rate was past half of the way and still falling, by 5 % or more in a tenth of the steps."""
        best, floor = self.best, self.goal.lowest
        return best.outcome == "short" and best.covered > 0.5 and best.last - floor < 0.95 * (best.before_last - floor)

    @cached_property
    def only_outliers_left(self) -> Array:
        """Which rows of a regression (B,) are not learned, where these are few and outliers and all others are learned.

        At most a fifth of the rows, each more than 3.5 robust standard deviations from the median of the batch.
        """
        t, z = self.targets.astype(np.float64), self.best.z.astype(np.float64)
        none = np.zeros(len(t), np.bool_)
        if self.goal.frozen.experiment.loss.task == "classification" or not np.isfinite(z).all():
            return none
        far = np.abs(t - np.median(t, axis=0))
        outlying = np.any(far > 3.5 * 1.4826 * np.median(far, axis=0), axis=1)
        rest = ~outlying
        if not 0 < outlying.sum() <= len(t) / 5:
            return none
        spread = ((t[rest] - t[rest].mean(axis=0)) ** 2).sum()
        return outlying if ((z[rest] - t[rest]) ** 2).sum() <= (1 - R2) * spread else none

    def blame(self, rule: Rule, message: str, **more: object) -> Finding:
        """Return a cause as a failure, or as a warning where there is no failure."""
        return rule.fail(message, **more) if self.failed else rule.warn(message, **more)  # type: ignore[arg-type]

    @property
    def targets(self) -> Array:
        """The encoded targets of the batch."""
        return self.goal.frozen.t

    @property
    def output_activation(self) -> Activation | None:
        """The activation that the outputs come from, as the loss sees them, if one bends them."""
        return _last_activation(self.goal.frozen.experiment.layout.layers)


def _last_activation(layers: tuple[Layer, ...]) -> Activation | None:
    for layer in reversed(layers):
        if type(layer) in {Sequential, Repeat}:
            return _last_activation(layer.layers)  # type: ignore[attr-defined]
        if not isinstance(layer, Dropout | Flatten | Linear):
            return layer if isinstance(layer, Activation) else None
    return None
