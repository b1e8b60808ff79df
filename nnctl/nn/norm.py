"""Normalization: give a layer's input mean 0 and variance 1, over the batch or over the features."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float, Shape, as_rows, column_sums, ones
from nnctl.core.component import Positive
from nnctl.nn.initializers import Constant, Zeros
from nnctl.nn.layer import Context, Layer, Param, ShapeError, Views
from nnctl.nn.memory import Use
from nnctl.nn.windows import blanked, mask_of

__all__ = ["BatchNorm", "LayerNorm"]

_ONES = Constant(value=1.0)


class Normalization(Layer):
    """A layer that normalizes, then scales by gamma and shifts by beta, which it learns."""

    eps: Positive = 1e-5
    """Added to the variance, so that constant features do not divide by zero."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"epsilon": "eps"}

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return gamma (D), starting at one, and beta (D), starting at zero."""
        features = shape[-1:]
        return {"gamma": Param(features, "scale", _ONES), "beta": Param(features, "scale", Zeros())}

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, if it has a last axis."""
        if not shape:
            raise ShapeError(f"{self.name} needs an axis of features. Got a single number per sample.")
        return shape


class BatchNorm(Normalization, name="batch_norm"):
    """Normalize every feature over the batch; every channel over the batch and all positions.

    forward:   y = γ x̂ + β,  x̂ = (x - μ) r,  r = 1 / sqrt(σ² + eps);  in training μ, σ² are the mean and the (biased)
               variance of the n = B ... values of a feature in the whole batch, else the running statistics
    backward:  dβ = 1'dy,  dγ = 1'(dy x̂);  dx = γ r (dy - dβ / n - x̂ dγ / n) in training, else γ r dy

    Shapes: x, y (B, D) or (B, ..., C); γ, β, μ, σ² (C).

    In training the running statistics follow the batch's: running = (1 - momentum) running + momentum batch, the
    variance with n - 1 in place of n, so that it is unbiased. (This is PyTorch's momentum; Keras's is one minus it.)
    A batch with n = 1 has none: its output is β, and the running variance stays as it is. (PyTorch refuses it.)
    Replicas normalize with the statistics of the whole batch, not of their shards.

    Padding of short sequences counts for nothing: it is left out of n, μ and σ², its output is β, and it has no
    gradient.

    Memory: x - μ and y, and in training dy (x - μ): three arrays as large as x; dx takes that of dy.

    Source: Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", algorithms 1 and 2, arXiv:1502.03167.
    """

    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Weight of the newest batch in the running statistics."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"decay": "momentum"}

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return gamma, beta and the running statistics, all (C)."""
        running = shape[-1:]
        return {
            **super().params(shape),
            "running_mean": Param(running, "scale", Zeros(), trainable=False),
            "running_var": Param(running, "scale", _ONES, trainable=False),
        }

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of x - μ and y, of dy times x - μ, and of four sums for every channel."""
        return use.rows * prod(shape) * (2 + use.training) + 4 * shape[-1] * use.training

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return γ x̂ + β."""
        centred = ctx.out("centred", x.shape)
        y = ctx.out("y", x.shape)
        mean, var = p.running_mean, p.running_var
        mask = mask_of(x, self.name, ctx)
        n = 0
        if ctx.training:
            n = self._count(x, mask, ctx)
            # The mean first and the variance of what is centred: E[x²] - E[x]² in one pass loses all digits in float32
            # where the mean is large.
            mean = self._mean_over_batch(x if mask is None else blanked(x, mask, 0.0, y), n, "mean", ctx)
            self._centre(x, mean, mask, centred)
            var = self._mean_over_batch(np.multiply(centred, centred, out=y), n, "var", ctx)
            if ctx.team.rank == 0:
                self._follow(p, mean, var, n)
        else:
            self._centre(x, mean, mask, centred)
        r = 1 / np.sqrt(var + self.eps)
        ctx.saved = centred, r, n, mask
        np.multiply(centred, p.gamma * r, out=y)
        np.add(y, p.beta, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dγ and dβ; return dx, in the memory of dy."""
        centred, r, n, mask = ctx.saved
        if mask is not None:
            blanked(dy, mask, 0.0, dy)
        product = np.multiply(dy, centred, out=ctx.out("product", dy.shape))
        sums = ctx.out("sums", (2, len(r)))
        column_sums(as_rows(dy), out=sums[0])
        column_sums(as_rows(product), out=sums[1])
        g.beta[...] = sums[0]
        np.multiply(sums[1], r, out=g.gamma)
        if n:
            sums = ctx.team.sum(sums)
        if not ctx.need_dx:
            return None
        # dx = a dy + b centred + c, with one a, b and c per channel
        a = p.gamma * r
        np.multiply(dy, a, out=dy)
        if n:
            np.multiply(centred, -a * r * r * sums[1] / n, out=product)
            np.subtract(product, a * sums[0] / n, out=product)
            np.add(dy, product, out=dy)
        return dy if mask is None else blanked(dy, mask, 0.0, dy)

    def _count(self, x: Float, mask: Array | None, ctx: Context) -> int:
        """Return how many values a feature has in the whole batch."""
        if mask is None:
            return ctx.now.rows * prod(x.shape[1:-1])
        return max(1, int(ctx.team.sum(np.array([np.count_nonzero(mask)], np.float64))[0]))

    def _centre(self, x: Float, mean: Float, mask: Array | None, out: Float) -> None:
        """Write x - μ, and 0 where nothing is there."""
        np.subtract(x, mean, out=out)
        if mask is not None:
            blanked(out, mask, 0.0, out)

    def _mean_over_batch(self, values: Float, n: int, name: str, ctx: Context) -> Float:
        sums = column_sums(as_rows(values), out=ctx.out(name, values.shape[-1:]))
        return ctx.team.sum(sums) / n

    def _follow(self, p: Views, mean: Float, var: Float, n: int) -> None:
        p.running_mean += self.momentum * (mean - p.running_mean)
        if n > 1:
            p.running_var += self.momentum * (var * (n / (n - 1)) - p.running_var)


class LayerNorm(Normalization, name="layer_norm"):
    """Normalize every sample over its features, the same in training and inference, whatever the batch.

    forward:   y = γ x̂ + β,  x̂ = (x - μ) r,  r = 1 / sqrt(σ² + eps);  μ and σ² the mean and the (biased) variance of
               the last axis
    backward:  dβ = 1'dy,  dγ = 1'(dy x̂);  with dx̂ = γ dy:  dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)), means over the
               last axis

    Shapes: x, y (B, ..., D); γ, β (D).

    Memory: x̂ and y, and in training dy x̂: three arrays as large as x, and some figures a row; dx takes that of dy.

    Source: Ba, Kiros and Hinton (2016), "Layer normalization", eq. 3 and 4, arXiv:1607.06450; eps as in the frameworks.
    """

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of x̂ and y, of dy times x̂, and of two or three figures for every row."""
        return use.rows * (prod(shape) * (2 + use.training) + prod(shape[:-1]) * (2 + use.back))

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return γ x̂ + β."""
        mean = ctx.out("mean", (*x.shape[:-1], 1))
        r = ctx.out("r", mean.shape)
        normal = ctx.out("normal", x.shape)
        np.subtract(x, _mean_over_features(x, mean), out=normal)
        np.vecdot(normal, normal, out=r[..., 0])
        np.divide(r, x.shape[-1], out=r)
        np.add(r, self.eps, out=r)
        np.sqrt(r, out=r)
        np.divide(1, r, out=r)
        np.multiply(normal, r, out=normal)
        ctx.saved = normal, r
        y = ctx.out("y", x.shape)
        np.multiply(normal, p.gamma, out=y)
        np.add(y, p.beta, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dγ and dβ; return dx, in the memory of dy."""
        normal, r = ctx.saved
        product = np.multiply(dy, normal, out=ctx.out("product", dy.shape))
        column_sums(as_rows(product), out=g.gamma)
        column_sums(as_rows(dy), out=g.beta)
        if not ctx.need_dx:
            return None
        mean = ctx.out("mean", r.shape)
        slant = ctx.out("slant", r.shape)  # mean(dx̂ x̂)
        np.multiply(dy, p.gamma, out=dy)
        np.vecdot(dy, normal, out=slant[..., 0])
        np.divide(slant, dy.shape[-1], out=slant)
        np.subtract(dy, _mean_over_features(dy, mean), out=dy)
        np.subtract(dy, np.multiply(normal, slant, out=product), out=dy)
        np.multiply(dy, r, out=dy)
        return dy


def _mean_over_features(a: Float, out: Float) -> Float:
    # As a product with ones: a third of the time of a.mean(-1), and less for narrow rows.
    np.vecdot(a, ones(a.shape[-1], a.dtype), out=out[..., 0])
    np.divide(out, a.shape[-1], out=out)
    return out
