"""Broken convolutions and pools."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Float
from nnctl.nn.conv import Conv1d, Conv2d, Conv2dTranspose
from nnctl.nn.global_pool import GlobalMaxPool
from nnctl.nn.layer import Context, Views
from nnctl.nn.pool import AvgPool, MaxPool, Pool
from seeded_bugs.planting import ADJOINT, seeded


@seeded(ADJOINT, shape=(5, 6, 2), channels=3)
class KernelNotTurned(Conv2d):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        return super().backward(Views(W=p.W[::-1, ::-1], b=p.b), g, dy, ctx)


@seeded(ADJOINT, shape=(5, 6, 2), channels=3, stride=2)
class StrideForgottenByTheGradient(Conv2d):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        spread = np.zeros((len(dy), *Conv2d(channels=3).out_shape(ctx.saved.shape[1:])), dy.dtype)
        spread[:, : dy.shape[1], : dy.shape[2]] = dy
        return Conv2d(channels=3).backward(p, g, spread, ctx)


@seeded(ADJOINT, shape=(5, 6, 2), channels=3, padding="same")
class ScratchNotClearedBetweenImages(Conv2d):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        y = super().forward(p, x, ctx)
        y[1:, 0] += y[:-1, -1]  # what the image before left in the margin
        return y


@seeded(ADJOINT, shape=(7, 4), channels=3)
class BiasGradientOfOnePosition(Conv1d):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        first = dy[:, 0].sum(0)
        dx = super().backward(p, g, dy, ctx)
        g.b[...] = first
        return dx


@seeded(ADJOINT, shape=(2, 3, 4), channels=3, stride=2)
class TransposeWithTheKernelOfTheInput(Conv2dTranspose):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        return super().backward(Views(W=p.W[:, ::-1], b=p.b), g, dy, ctx)


@seeded(ADJOINT, shape=(4, 6, 3))
class EveryTapTakesTheGradient(MaxPool):
    def _share(self, tap: int, d: Float, out: Float, images: slice, ctx: Context) -> None:
        np.copyto(out, d)


@seeded(ADJOINT, shape=(5, 6, 3), kernel=3, padding="same")
class MeanForgotten(AvgPool):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        return Pool.backward(self, p, g, dy, ctx)


@seeded(ADJOINT, shape=(7, 4))
class LastOfEqualsIsZeroed(GlobalMaxPool):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        dx = super().backward(p, g, dy, ctx)
        dx[:, -1] = 0
        return dx
