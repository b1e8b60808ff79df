"""Broken normalizations."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Float
from nnctl.nn.layer import Context, Views
from nnctl.nn.norm import BatchNorm, LayerNorm
from nnctl.nn.shape import Flatten
from seeded_bugs.planting import ADJOINT, BATCH_OF_ONE, DY_ALONE, INFERENCE, PADDING, seeded


@seeded(ADJOINT)
class BatchMeanForgottenInBackward(BatchNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        _, r, n, _ = ctx.saved
        mean = p.gamma * r * dy.sum(0) / max(n, 1)
        dx = super().backward(p, g, dy, ctx)
        return dx if dx is None or not n else np.add(dx, mean, out=dx)


@seeded(ADJOINT)
class BatchVarianceForgottenInBackward(BatchNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        centred, r, n, _ = ctx.saved
        dx = super().backward(p, g, dy, ctx)
        return dx if dx is None or not n else np.add(dx, p.gamma * centred * r * r * g.gamma / n, out=dx)


@seeded(ADJOINT)
class BatchTreatedAsConstants(BatchNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        centred, r, _, mask = ctx.saved
        ctx.saved = centred, r, 0, mask
        return super().backward(p, g, dy, ctx)


@seeded(ADJOINT)
class ScaleGradientOfTheRawInput(BatchNorm):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        y = super().forward(p, x, ctx)
        self_x = x.copy()
        _, *others = ctx.saved
        ctx.saved = self_x, *others
        return y


@seeded(INFERENCE)
class BatchStatisticsAtInference(BatchNorm):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.now.training = True
        return super().forward(p, x, ctx)


@seeded(DY_ALONE)
class SavedValuesDestroyedInBackward(BatchNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        ctx.saved[0][...] *= 2
        return dx


@seeded(PADDING, (3, 4))
class PaddingCountedIn(BatchNorm):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        mask, ctx.mask = ctx.mask, None
        y = super().forward(p, x, ctx)
        ctx.mask = mask
        return y


@seeded(PADDING, (3, 4))
class PaddingGetsItsShareOfTheMean(BatchNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        *others, _ = ctx.saved
        ctx.saved = *others, None
        return super().backward(p, g, dy, ctx)


@seeded(PADDING, (3, 4))
class PaddingLaidOut(Flatten):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.mask = None
        return super().forward(p, x, ctx)


@seeded(BATCH_OF_ONE)
class UnbiasedVarianceOfOne(BatchNorm):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        y = super().forward(p, x, ctx)
        with np.errstate(all="ignore"):
            others = np.float64(len(x) - 1)
            return y / others * others


@seeded(ADJOINT)
class FeatureMeanForgottenInBackward(LayerNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        _, r = ctx.saved
        mean = r * (dy * p.gamma).mean(-1, keepdims=True)
        dx = super().backward(p, g, dy, ctx)
        return None if dx is None else np.add(dx, mean, out=dx)


@seeded(ADJOINT)
class FeatureVarianceForgottenInBackward(LayerNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        normal, r = ctx.saved
        slant = r * normal * (dy * p.gamma * normal).mean(-1, keepdims=True)
        dx = super().backward(p, g, dy, ctx)
        return None if dx is None else np.add(dx, slant, out=dx)


@seeded(ADJOINT)
class ScaleGradientMissing(LayerNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.gamma.fill(0)
        return dx


@seeded(ADJOINT)
class ScaleForgottenOnTheWayDown(LayerNorm):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        return super().backward(Views(gamma=np.ones_like(p.gamma), beta=p.beta), g, dy, ctx)
