"""Broken activations."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Float
from nnctl.nn.activations import Sigmoid, Softmax, Softplus, Swish, Tanh
from nnctl.nn.gelu import Gelu
from nnctl.nn.layer import Context, Views
from nnctl.nn.rectifiers import Elu, LeakyRelu, Prelu, Relu, Selu
from seeded_bugs.planting import ADJOINT, INFERENCE, INPUT, seeded


@seeded(ADJOINT)
class MaskInverted(Relu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return np.multiply(dy, ctx.saved <= 0, out=dy)


@seeded(ADJOINT)
class MaskForgotten(Relu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return dy


@seeded(INPUT)
class InputOverwritten(Relu):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        ctx.saved = np.maximum(x, 0, out=x)
        return x


@seeded(ADJOINT)
class SlopeOfTheWrongSide(LeakyRelu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        ctx.saved = -ctx.saved
        return super().backward(p, g, dy, ctx)


@seeded(ADJOINT)
class SlopeBelowZeroForgotten(LeakyRelu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return np.multiply(dy, ctx.saved > 0, out=dy)


@seeded(ADJOINT, alpha=0.5)
class EluSlopeWithoutAlpha(Elu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        _, bend = ctx.saved
        return np.multiply(dy, bend + 1, out=dy)


@seeded(ADJOINT)
class EluSlopeWithoutTheOne(Elu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        x, bend = ctx.saved
        return np.multiply(dy, np.where(x > 0, 1, bend), out=dy)


@seeded(ADJOINT)
class SeluSlopeWithoutLambda(Selu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return super().backward(p, g, dy / 1.0507009873554805, ctx)


@seeded(ADJOINT, shape=(3, 4))
class SlopeGradientOfTheFirstStepAlone(Prelu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        _, below = ctx.saved
        first = (dy * below)[:, 0].sum(0)
        dx = super().backward(p, g, dy, ctx)
        g.alpha[...] = first
        return dx


@seeded(ADJOINT)
class SlopeGradientOfOneForAll(Prelu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.alpha.fill(g.alpha.sum())
        return dx


@seeded(ADJOINT)
class SigmoidSlopeOfTheInput(Sigmoid):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        y = super().forward(p, x, ctx)
        ctx.saved = x
        return y


@seeded(ADJOINT)
class TanhNotSquared(Tanh):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return np.multiply(dy, 1 - ctx.saved, out=dy)


@seeded(ADJOINT)
class SoftmaxDiagonalAlone(Softmax):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        y = ctx.saved
        return np.multiply(dy, y * (1 - y), out=dy)


@seeded(INFERENCE, shape=(2, 3))
class SoftmaxOverTheBatch(Softmax):
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        y = super().forward(p, x, ctx)
        y /= y.sum(0)
        return y


@seeded(ADJOINT)
class SoftplusSlopeForgotten(Softplus):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return dy


@seeded(ADJOINT, beta=2.0)
class SwishSlopeWithoutBeta(Swish):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        y, s = ctx.saved
        return np.multiply(dy, s + y * (1 - s), out=dy)


@seeded(ADJOINT)
class GeluSlopeWithoutTheInnerDerivative(Gelu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        _, t = ctx.saved
        return np.multiply(dy, (1 + t) / 2, out=dy)


@seeded(ADJOINT, form="erf")
class GeluSlopeWithoutTheDensity(Gelu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        x, _, tail = ctx.saved
        return np.multiply(dy, np.where(x > 0, 1 - tail, tail), out=dy)
