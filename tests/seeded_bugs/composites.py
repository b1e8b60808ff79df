"""Broken composites."""

from __future__ import annotations

from nnctl.core.arrays import Float
from nnctl.nn.activations import Linear, Tanh
from nnctl.nn.compose import Residual, Sequential
from nnctl.nn.dense import Dense
from nnctl.nn.layer import Context, Views
from seeded_bugs.planting import ADJOINT, INPUT, seeded

DENSE_AND_TANH = (Dense(units=4), Tanh())


@seeded(ADJOINT, layers=DENSE_AND_TANH)
class SkipGradientForgotten(Residual):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        return Sequential.backward(self, p, g, dy, ctx)


@seeded(ADJOINT, layers=DENSE_AND_TANH)
class GradientHandedOutUncopied(Residual):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        through = Sequential.backward(self, p, g, dy, ctx)  # tanh changes dy, which the skip still needs
        return None if through is None else through + dy


@seeded(INPUT, layers=(Linear(),))
class SumWrittenIntoTheInput(Residual):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        x += Sequential.forward(self, p, x, ctx)
        return x


@seeded(ADJOINT, layers=(Dense(units=4), Tanh(), Dense(units=4)))
class PartsInForwardOrder(Sequential):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        for part in ctx.parts:
            dx = part.backward(dy)
            if dx is None:
                return None
            dy = dx
        return dy
