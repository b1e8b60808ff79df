"""Broken dense layers."""

from __future__ import annotations

import contract
import numpy as np

from nnctl.core.arrays import Float, column_sums
from nnctl.nn.dense import Dense
from nnctl.nn.layer import Context, Views
from seeded_bugs.planting import ADJOINT, BUFFERS, DY_ALONE, FLOAT32, NO_DX, OUT_SHAPE, OVERWRITES, TEMPORARIES, seeded


@seeded(ADJOINT, units=3)
class BiasGradientMissing(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.b.fill(0)
        return dx


@seeded(ADJOINT, units=3)
class BiasGradientAveraged(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.b /= len(dy)
        return dx


@seeded(OVERWRITES, units=3)
class BiasGradientLeftAsItWas(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        before = g.b.copy()
        dx = super().backward(p, g, dy, ctx)
        g.b[...] = before
        return dx


@seeded(OVERWRITES, units=3)
class GradientAccumulated(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        before = np.nan_to_num(g.W)
        dx = super().backward(p, g, dy, ctx)
        g.W += before
        return dx


@seeded(ADJOINT, units=4)
class KernelNotTransposedInBackward(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        return super().backward(Views(W=p.W.T, b=p.b), g, dy, ctx)


@seeded(ADJOINT, units=4)
class KernelGradientTransposed(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.W[...] = g.W.T.copy()
        return dx


@seeded(ADJOINT, units=3)
class KernelGradientDoubled(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.W *= 2
        return dx


@seeded(ADJOINT, units=3)
class InputGradientWithTheWrongSign(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        return None if dx is None else np.negative(dx, out=dx)


@seeded(ADJOINT, shape=(3, 4), units=2)
class KernelGradientOfTheLastTimeStepAlone(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        x = ctx.saved.reshape(*dy.shape[:-1], -1)
        dx = super().backward(p, g, dy, ctx)
        np.dot(x[:, -1].T, dy[:, -1], out=g.W)
        return dx


@seeded(BUFFERS, units=3)
class BufferOfTheFirstBatchKept(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        stale = ctx.out("stale", (contract.BATCH, dy.shape[-1]))
        stale[: len(dy)] = dy
        dx = super().backward(p, g, dy, ctx)
        column_sums(stale, out=g.b)  # the rows that the smaller batch did not write are still there
        return dx


@seeded(TEMPORARIES, units=3)
class OutputAllocatedAnew(Dense):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.saved = x
        return x @ p.W + p.b


@seeded(BUFFERS, units=3)
class BufferWithANewNameEachStep(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        ctx.out(f"copy {len(ctx._backing)}", dy.shape)
        return super().backward(p, g, dy, ctx)


@seeded(FLOAT32, units=3)
class OutputInFloat64(Dense):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        return super().forward(p, x, ctx).astype(np.float64)


@seeded(OUT_SHAPE, units=3)
class ShapeToldWrong(Dense):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        return super().forward(p, x, ctx)[:, :-1]


@seeded(NO_DX, units=3)
class GradientSkippedWithDx(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        if not ctx.need_dx:
            g.W.fill(0)
            g.b.fill(0)
            return None
        return super().backward(p, g, dy, ctx)


@seeded(DY_ALONE, units=3)
class KernelSteppedInBackward(Dense):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        p.W -= 0.1 * g.W
        return dx
