"""Broken layers, losses and penalties, each with one classic bug: whatever claims to check them must catch every one.

Each is a subclass of what it breaks, which shows that the bug and nothing else makes the difference. For a layer,
`caught_by` names a check of the contract that must fail on it; those of `BACKWARD` gradcheck must find as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import contract
import numpy as np

from nnctl.core.arrays import Float, Shape, as_rows, column_sums
from nnctl.nn.activations import Linear, Sigmoid, Softmax, Softplus, Swish, Tanh
from nnctl.nn.attention import Attention
from nnctl.nn.compose import Residual, Sequential
from nnctl.nn.conv import Conv1d, Conv2d, Conv2dTranspose
from nnctl.nn.dense import Dense
from nnctl.nn.dropout import Dropout
from nnctl.nn.embedding import Embedding, TiedEmbedding
from nnctl.nn.gelu import Gelu
from nnctl.nn.global_pool import GlobalMaxPool
from nnctl.nn.glu import Swiglu
from nnctl.nn.layer import Context, Layer, Views
from nnctl.nn.losses import Loss
from nnctl.nn.norm import BatchNorm, LayerNorm
from nnctl.nn.pool import AvgPool, MaxPool, Pool
from nnctl.nn.position import Position
from nnctl.nn.rectifiers import Elu, LeakyRelu, Prelu, Relu, Selu
from nnctl.nn.shape import Flatten
from nnctl.optim.gradients import L1, L2, Regularizer


@dataclass(frozen=True)
class Bug:
    layer: Layer
    shape: Shape
    caught_by: contract.Check


BUGS: dict[str, Bug] = {}


def seeded(caught_by: contract.Check, shape: Shape = (4,), **fields: Any) -> Callable[[type[Layer]], type[Layer]]:
    def plant(broken: type[Layer]) -> type[Layer]:
        broken.name = broken.__name__.lower()  # a part must have a name; the registry does not learn it
        BUGS[broken.__name__] = Bug(broken(**fields), shape, caught_by)
        return broken

    return plant


ADJOINT = contract.gradients_are_the_adjoint
OVERWRITES = contract.backward_overwrites_every_gradient
PADDING = contract.padding_changes_nothing
DY_ALONE = contract.backward_destroys_dy_and_nothing_else
INPUT = contract.forward_leaves_its_input_alone
BUFFERS = contract.buffers_are_reused
TEMPORARIES = contract.no_large_temporary_is_allocated
INFERENCE = contract.inference_is_deterministic
FLOAT32 = contract.float32_stays_float32
OUT_SHAPE = contract.out_shape_is_true
REPEATS = contract.training_repeats_at_the_same_step
NO_DX = contract.gradients_do_not_need_dx
BATCH_OF_ONE = contract.batch_of_one_works


# Dense


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


# Convolution and pooling


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


# Activations


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


# Dropout


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


# Normalization


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


# Attention and embedding


SEQUENCE = (3, 4)


@seeded(ADJOINT, SEQUENCE, heads=2)
class SoftmaxTermDropped(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        x, c, seen = ctx.saved
        ctx.saved = x, c, replace(seen, c=np.zeros_like(seen.c))  # da without the mean that softmax takes off
        dx = super().backward(p, g, dy, ctx)
        ctx.saved = x, c, seen
        return dx


@seeded(ADJOINT, SEQUENCE, heads=2, causal=True)
class CausalInForwardAlone(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        x, c, seen = ctx.saved
        ctx.saved = x, c, replace(seen, causal=False)
        dx = super().backward(p, g, dy, ctx)
        ctx.saved = x, c, seen
        return dx


@seeded(ADJOINT, SEQUENCE, heads=2, dropout=0.5)
class WeightsDroppedInForwardAlone(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        x, c, seen = ctx.saved
        ctx.saved = x, c, replace(seen, dropout=0.0)
        dx = super().backward(p, g, dy, ctx)
        ctx.saved = x, c, seen
        return dx


@seeded(ADJOINT, SEQUENCE, heads=2)
class QueriesAndKeysSwapped(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        dq, dk, _ = np.split(g.W_qkv, 3, axis=1)
        g.W_qkv[:, :8] = np.concatenate([dk, dq], axis=1)
        return dx


@seeded(ADJOINT, (5,), width=2, size=3)
class LastTokenWins(Embedding):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.W[ctx.saved] = dy
        return dx


@seeded(OVERWRITES, SEQUENCE, kind="learned")
class PlacesAddedUp(Position):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        g.P += dy.sum(0)
        return dy


@seeded(ADJOINT, (5,), width=4, size=3, layers=(Tanh(),))
class OutputAloneTied(TiedEmbedding):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dW = as_rows(dy).T @ as_rows(ctx.saved[1])
        dx = super().backward(p, g, dy, ctx)
        g.W[...] = dW
        return dx


@seeded(ADJOINT, (4,))
class GateWithoutItsSlope(Swiglu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        _, b, s = ctx.saved
        dx = super().backward(p, g, dy, ctx)
        dx[..., : dx.shape[-1] // 2] = dy * b * s
        return dx


# Composites


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


BACKWARD = {
    name: bug
    for name, bug in BUGS.items()
    if bug.caught_by in {ADJOINT, OVERWRITES, NO_DX} or isinstance(bug.layer, KernelSteppedInBackward)
}
"""Those whose backward is wrong."""


# Losses


def softmax(z: Float) -> Float:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def column(w: Float | None) -> Float | float:
    return 1.0 if w is None else w[:, None]


_WRONG_LOSSES: dict[str, tuple[Any, Callable[..., Float]]] = {
    "the mean over rows forgotten": ("mse", lambda z, t, w, _: 2 * (z - t) * column(w) / z.shape[1]),
    "the mean over outputs forgotten": ("mse", lambda z, t, w, n: 2 * (z - t) * column(w) / n),
    "the factor two forgotten": ("mse", lambda z, t, w, n: (z - t) * column(w) / n / z.shape[1]),
    "the sign turned": ("mae", lambda z, t, w, n: np.sign(t - z) * column(w) / n / z.shape[1]),
    "the residual not clipped": ({"huber": 0.5}, lambda z, t, w, n: (z - t) * column(w) / n / z.shape[1]),
    "rows counted instead of total": ("cross_entropy", lambda z, t, w, _: (softmax(z) - t) * column(w) / len(z)),
    "weights forgotten": ("cross_entropy", lambda z, t, _, n: (softmax(z) - t) / n),
    "weights squared": ("cross_entropy", lambda z, t, w, n: (softmax(z) - t) * column(w) ** 2 / n),
    "smoothing ignored in the gradient": (
        {"cross_entropy": {"label_smoothing": 0.2}},
        lambda z, t, w, n: (softmax(z) - (t == t.max(axis=1, keepdims=True))) * column(w) / n,
    ),
    "the softmax taken over the batch": ("cross_entropy", lambda z, t, w, n: (softmax(z.T).T - t) * column(w) / n),
    "softmax differentiated twice": (
        "cross_entropy",
        lambda z, t, w, n: softmax(z) * (1 - softmax(z)) * (softmax(z) - t) * column(w) / n,
    ),
    "sigmoid differentiated twice": (
        "binary_cross_entropy",
        lambda z, t, w, n: (1 / (1 + np.exp(-z)) - t) * np.exp(-z) / (1 + np.exp(-z)) ** 2 * column(w) / n,
    ),
    "the margin ignored": ("hinge", lambda z, t, w, n: np.where(t * z <= 0, -t, 0) * column(w) / n),
    "the right side punished": ("perceptron", lambda z, t, w, n: np.where(t * z > 0, -t, 0) * column(w) / n),
}


def _broken_loss(spelling: Any, wrong: Callable[..., Float]) -> Loss:
    whole = Loss.parse(spelling)

    class Broken(type(whole)):
        def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
            out[...] = wrong(z, t, w, total)

    Broken.name = whole.name
    return Broken(**{name: getattr(whole, name) for name in type(whole).model_fields})


LOSS_BUGS = {name: _broken_loss(*bug) for name, bug in _WRONG_LOSSES.items()}


# Penalties


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
