"""When a batch counts as learned: every row right that can be right, and the loss at its floor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite, isnan, nan
from typing import Any

import numpy as np

from nnctl.checks.capacity import GAINED, Straight, lacks_room, straight_fit
from nnctl.checks.floor import Floor, floor_of
from nnctl.checks.frozen import FrozenBatch
from nnctl.core.arrays import Float
from nnctl.nn.losses import Perceptron

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
        return floor_of(self.frozen.experiment.loss, self.frozen.seen, self._t)

    @cached_property
    def straight(self) -> Straight | None:
        """The best linear map of the batch, where the network has no room to learn it by heart and this has not."""
        frozen = self.frozen
        if not lacks_room(frozen):
            return None
        found = straight_fit(frozen.experiment.loss, frozen.batch.x, self._t.astype(np.float64))
        return None if self.by_heart(self._score(found.z)) else found

    @cached_property
    def _t(self) -> Float:
        frozen = self.frozen
        if frozen.t.ndim > 1:
            return frozen.t
        return frozen.experiment.loss.encode(frozen.y, frozen.experiment.outputs, np.float64)

    @cached_property
    def can_be_right(self) -> int:
        """How many rows of a classification can be right."""
        return self.floor.right(self.frozen.y)

    @cached_property
    def asked(self) -> Score | None:
        """What the best linear map is worth, where that is all that can be asked of the network."""
        straight = self.straight
        return None if straight is None or straight.says_little else self._score(straight.z)

    @property
    def lowest(self) -> float:
        """The loss that is judged from: the floor, or that of the best linear map."""
        return self.floor.loss if self.asked is None or self._counts_rows else self.asked.loss

    @property
    def above(self) -> float:
        """How far above the lowest loss the goal is."""
        straight = None if self.asked is None or self._counts_rows else self.straight
        return ABOVE_FLOOR if straight is None else (1 - GAINED) * (straight.constant - straight.loss)

    @property
    def _counts_rows(self) -> bool:
        """Whether rows that are right say more than the loss: the perceptron's is zero for answers of zero too."""
        return isinstance(self.frozen.experiment.loss, Perceptron)

    def score(self, z: Float) -> Score:
        """Return how well the network's outputs fit."""
        return self._score(self.frozen.answers(z))

    def _score(self, z: Float) -> Score:
        loss, t = self.frozen.experiment.loss, self.frozen.t
        with np.errstate(over="ignore", invalid="ignore"):
            value = loss.value(z, t, None, len(z))
            if loss.task == "regression":
                return Score(value, None, self.floor.r2(z))
            return Score(value, int(np.count_nonzero(loss.labels(z) == self.frozen.y)), nan)

    def reached(self, score: Score) -> bool:
        """Whether a score is as good as can be asked: by heart, or nearly what the best linear map gains."""
        return self.by_heart(score) or (self.asked is not None and self._is_straight_enough(score, self.asked))

    def by_heart(self, score: Score) -> bool:
        """Whether a score is as good as the batch allows."""
        at_floor = isfinite(score.loss) and score.loss <= self.floor.loss + ABOVE_FLOOR
        if score.right is not None:
            return at_floor and score.right == self.can_be_right
        return at_floor if isnan(score.r2) else score.r2 >= R2

    def _is_straight_enough(self, score: Score, asked: Score) -> bool:
        if self._counts_rows:
            assert score.right is not None
            assert asked.right is not None
            return score.right >= asked.right
        return isfinite(score.loss) and score.loss <= self.lowest + self.above
