"""Broken dropout."""

from __future__ import annotations

import contract
import numpy as np

from nnctl.core.arrays import Float
from nnctl.nn.dropout import Dropout
from nnctl.nn.layer import Context, Views
from seeded_bugs.planting import ADJOINT, INFERENCE, REPEATS, seeded


@seeded(ADJOINT)
class AnotherMaskInBackward(Dropout):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return np.multiply(dy, np.roll(ctx.saved, 1), out=dy) if ctx.training else dy


@seeded(ADJOINT)
class NotRescaledInBackward(Dropout):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return np.multiply(dy, ctx.saved > 0, out=dy) if ctx.training else dy


@seeded(INFERENCE)
class DropsAtInference(Dropout):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.now.training = True
        return super().forward(p, x, ctx)


@seeded(REPEATS)
class AnotherMaskEachTime(Dropout):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.saved = (np.random.default_rng().random(x.shape) > self.rate) * 2.0 if ctx.training else None
        return x if ctx.saved is None else x * ctx.saved


@seeded(contract.dropout_drops_and_keeps_the_mean)
class NotRescaled(Dropout):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        y = super().forward(p, x, ctx)
        return y * (1 - self.rate) if ctx.training else y


@seeded(contract.dropout_drops_and_keeps_the_mean)
class DropsNothing(Dropout):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.saved = None
        return x


@seeded(contract.dropout_drops_and_keeps_the_mean, rate=0.2)
class KeepsTheShareToDrop(Dropout):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        return Dropout(rate=1 - self.rate).forward(p, x, ctx)


@seeded(contract.dropout_drops_and_keeps_the_mean)
class TheSameMaskEveryStep(Dropout):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.now.step = 0
        return super().forward(p, x, ctx)


@seeded(contract.dropout_drops_and_keeps_the_mean)
class WholeSamplesDropped(Dropout):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        super().forward(p, x, ctx)
        if ctx.training:
            ctx.saved[...] = ctx.saved[:, :1]
            return x * ctx.saved
        return x
