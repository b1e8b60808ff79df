"""When a batch counts as learned: every row right that can be right, and the loss at its floor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite, isnan, nan
from typing import Any

import numpy as np

from nnctl.checks.floor import Floor, floor_of
from nnctl.checks.frozen import FrozenBatch
from nnctl.core.arrays import Float

__all__ = ["ABOVE_FLOOR", "R2", "Goal", "Score"]

ABOVE_FLOOR = 0.01
"""A loss this close to its floor has got there."""
R2 = 0.99
"""A regression that explains this much has learned its rows."""


@dataclass(frozen=True)
class Score:
    """How well some outputs fit a batch.

    Parameters
    ----------
    loss : float
    right : int or None
        Rows whose class is right; None in a regression.
    r2 : float
        Of what the floor allows; nan in a classification, and where no target varies.
    """

    loss: float
    right: int | None
    r2: float

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"loss": self.loss, "right": self.right, "r2": None if isnan(self.r2) else self.r2}


@dataclass(frozen=True)
class Goal:
    """What a network is to reach on a frozen batch."""

    frozen: FrozenBatch

    @cached_property
    def floor(self) -> Floor:
        """The loss that no network can pass."""
        frozen, loss = self.frozen, self.frozen.experiment.loss
        t = frozen.t if frozen.t.ndim > 1 else loss.encode(frozen.y, frozen.experiment.outputs, np.float64)
        return floor_of(loss, frozen.seen, t)

    @cached_property
    def can_be_right(self) -> int:
        """How many rows of a classification can be right."""
        return self.floor.right(self.frozen.y)

    def score(self, z: Float) -> Score:
        """Return how well the network's outputs fit."""
        loss, t, z = self.frozen.experiment.loss, self.frozen.t, self.frozen.answers(z)
        with np.errstate(over="ignore", invalid="ignore"):
            value = loss.value(z, t, None, len(z))
            if loss.task == "regression":
                return Score(value, None, self.floor.r2(z))
            return Score(value, int(np.count_nonzero(loss.labels(z) == self.frozen.y)), nan)

    def reached(self, score: Score) -> bool:
        """Whether a score is as good as the batch allows."""
        at_floor = isfinite(score.loss) and score.loss <= self.floor.loss + ABOVE_FLOOR
        if score.right is not None:
            return at_floor and score.right == self.can_be_right
        return at_floor if isnan(score.r2) else score.r2 >= R2
