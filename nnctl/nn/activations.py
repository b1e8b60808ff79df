"""Activations: functions of each element, and softmax."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Array, Float, Shape
from nnctl.nn.layer import Context, Layer, Views

__all__ = ["Activation", "Linear", "Relu"]


class Activation(Layer):
    """A layer without kernels that bends its input; its output has the shape of its input."""

    suits: ClassVar[str] = "xavier_normal"
    """The initializer that `auto` takes for the layer before it."""

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return shape


class Linear(Activation, name="linear"):
    """Change nothing.

    forward:   y = x
    backward:  dx = dy

    Shapes: x, y (B, ...). The output activation of regression.
    """

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x."""
        return x

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy."""
        return dy


class Relu(Activation, name="relu"):
    """Rectified linear unit: let the positive through.

    forward:   y = max(0, x)
    backward:  dx = dy where x > 0, else 0 (the derivative at 0 is taken as 0)

    Shapes: x, y (B, ...).

    Source: Nair and Hinton (2010), "Rectified linear units improve restricted Boltzmann machines".
    """

    suits = "he_normal"

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return max(0, x)."""
        y = ctx.out("y", x.shape)
        # An array of zeros, not the scalar 0: np.maximum is vectorised only between arrays (7 us against 20 us).
        # As the second operand, so that max(-0., 0.) is +0., as backward's mask needs.
        np.maximum(x, zeros(x.shape, x.dtype), out=y)
        ctx.saved = y
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy where y > 0, else 0, in the memory of dy."""
        # y >= 0 read as an integer is positive exactly where y > 0, so the sign bit of -y spread over the word is the
        # mask; three integer operations take half the time of dy * (y > 0).
        word = np.int32 if dy.dtype.itemsize == 4 else np.int64
        mask = ctx.out("mask", dy.shape, word)
        np.negative(ctx.saved.view(word), out=mask)
        np.right_shift(mask, 8 * dy.dtype.itemsize - 1, out=mask)
        np.bitwise_and(dy.view(word), mask, out=dy.view(word))
        return dy


_zeros: dict[tuple[Shape, np.dtype[np.generic]], Array] = {}


def zeros(shape: Shape, dtype: np.dtype[np.generic]) -> Array:
    """Return a shared array of zeros that nobody may write to."""
    found = _zeros.get((shape, dtype))
    if found is None:
        found = _zeros[shape, dtype] = np.zeros(shape, dtype)
        found.flags.writeable = False
    return found
