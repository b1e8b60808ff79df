"""Layers that only rearrange."""

from __future__ import annotations

from math import prod

from nnctl.core.arrays import Float, Shape
from nnctl.nn.layer import Context, Layer, Views

__all__ = ["Flatten"]


class Flatten(Layer, name="flatten"):
    """Lay the axes of each sample end to end, so that a dense layer can take an image or a sequence.

    forward:   y = x, read as one row per sample, the last axis running fastest
    backward:  dx = dy, read in the shape of x

    Shapes: x (B, ...), y (B, D) with D the product of the other axes.
    """

    def out_shape(self, shape: Shape) -> Shape:
        """Return (D,)."""
        return (prod(shape),)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x as (B, D)."""
        ctx.saved = x.shape
        return x.reshape(len(x), prod(x.shape[1:]))

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy in the shape of x."""
        return dy.reshape(ctx.saved)
