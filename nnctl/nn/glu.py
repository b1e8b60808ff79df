"""Gated linear units: half of the columns open and close the other half."""

from __future__ import annotations

from math import prod

import numpy as np

from nnctl.core.arrays import Float, Shape
from nnctl.nn.activations import Activation, logistic
from nnctl.nn.layer import Context, ShapeError, Views
from nnctl.nn.memory import Use

__all__ = ["Swiglu"]


class Swiglu(Activation, name="swiglu"):
    """Multiply half of the columns by the swish of the other half.

    forward:   [a b] = x,  s = σ(a),  y = a s b
    backward:  da = dy b (s + a s (1 - s)),  db = dy a s,  dx = [da db]

    Shapes: x (B, ..., 2 F), y (B, ..., F). The layer before it makes twice the columns: after ``dense: 2F`` it is the
    source's Swish_1(x W + b) times (x V + c), with W and V side by side in one kernel.

    Source: Shazeer (2020), "GLU variants improve transformer", eq. 5 and 6, arXiv:2002.05202.
    """

    suits = "he_normal"

    def out_shape(self, shape: Shape) -> Shape:
        """Return (..., F)."""
        if not shape or shape[-1] % 2:
            raise ShapeError(f"swiglu gates one half of the columns by the other: give it an even number. Got {shape}.")
        return (*shape[:-1], shape[-1] // 2)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of the gate and y; and of swish and [da db]."""
        return use.rows * prod(shape[:-1]) * shape[-1] * (2 + 3 * use.training) // 2

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return a σ(a) b."""
        a, b = _halves(x)
        s = logistic(a, ctx.out("s", a.shape))
        ctx.saved = a, b, s
        y = np.multiply(a, s, out=ctx.out("y", a.shape))
        return np.multiply(y, b, out=y)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return [da db]."""
        a, b, s = ctx.saved
        dx = ctx.out("dx", (*dy.shape[:-1], 2 * dy.shape[-1]))
        da, db = _halves(dx)
        swish = np.multiply(a, s, out=ctx.out("swish", s.shape))
        np.multiply(dy, swish, out=db)
        # da = dy b s (1 + a (1 - s)) = dy b (s + swish - swish s)
        np.multiply(swish, s, out=da)
        np.subtract(swish, da, out=da)
        np.add(da, s, out=da)
        np.multiply(da, b, out=da)
        np.multiply(da, dy, out=da)
        return dx


def _halves(x: Float) -> tuple[Float, Float]:
    F = x.shape[-1] // 2
    return x[..., :F], x[..., F:]
