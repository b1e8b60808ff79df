"""Broken penalties."""

from __future__ import annotations

from typing import Any

from nnctl.core.arrays import Float
from nnctl.optim.gradients import L1, L2, Regularizer


class PullWithoutRate(L2):
    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        grad[:decayed] += theta[:decayed]


class PullDoubled(L2):
    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        grad[:decayed] += 2 * self.rate * theta[:decayed]


class PullOnBiasesToo(L2):
    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        grad += self.rate * theta


class PushedAway(L2):
    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        grad[:decayed] -= self.rate * theta[:decayed]


class GradientOverwrittenByThePull(L2):
    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        grad[:decayed] = self.rate * theta[:decayed]


class OnlyTheFirstBlockPulled(L2):
    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        n = min(decayed, len(scratch))
        grad[:n] += self.rate * theta[:n]


class ThresholdDoubled(L1):
    def after_update(self, theta: Float, kernels: Any, step_size: Any, decayed: int) -> None:
        super().after_update(theta, kernels, 2 * step_size, decayed)


class ShrunkInProportion(L1):
    def after_update(self, theta: Float, kernels: Any, step_size: Any, decayed: int) -> None:
        theta[:decayed] *= 1 - self.rate * step_size


PENALTY_BUGS: list[Regularizer] = []
for _bug in (
    PullWithoutRate,
    PullDoubled,
    PullOnBiasesToo,
    PushedAway,
    GradientOverwrittenByThePull,
    OnlyTheFirstBlockPulled,
    ThresholdDoubled,
    ShrunkInProportion,
):
    _bug.name = _bug.__name__.lower()
    PENALTY_BUGS.append(_bug(rate=0.1))
