"""Pooling over the whole of an image or a sequence."""

from __future__ import annotations

from math import prod

import numpy as np

from nnctl.core.arrays import Array, Float, Shape
from nnctl.nn.layer import Context, Layer, Views
from nnctl.nn.memory import INT, Use
from nnctl.nn.windows import blanked, blocks, check_positions

__all__ = ["GlobalAvgPool", "GlobalMaxPool"]

BLOCK = 2**14
"""Numbers of the input of which the places of the maxima are looked up at a time."""


class Global(Layer):
    """A layer that makes one value of every channel."""

    def out_shape(self, shape: Shape) -> Shape:
        """Return (C,)."""
        check_positions(self.name, shape)
        return shape[-1:]

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y and dx."""
        return use.rows * (shape[-1] + use.training * prod(shape))


class GlobalAvgPool(Global, name="global_avg_pool"):
    """Take the mean of every channel over the whole image or sequence, whatever its size.

    forward:   y = Σ x / n over all n positions that are there
    backward:  dx = dy / n at each of them, 0 at the padding of a sequence

    Shapes: x (B, H, W, C) or (B, T, C), y (B, C). The mean of no position at all is 0.

    Memory: y and dx.

    Source: Lin, Chen and Yan (2014), "Network in network", section 3.2, arXiv:1312.4400.
    """

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the means."""
        positions = x.reshape(len(x), -1, x.shape[-1])
        mask = ctx.mask if x.ndim == 3 else None
        ctx.saved = x.shape, self._weight(positions.shape[1], mask, ctx)
        y = ctx.out("y", (len(x), x.shape[-1]))
        np.matmul(ctx.saved[1], positions, out=y[:, None])
        if mask is not None:
            ctx.mask = None  # no sequence is left
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dx."""
        shape, weight = ctx.saved
        dx = ctx.out("dx", shape)
        positions = dx.reshape(len(dx), -1, shape[-1])
        np.multiply(weight.transpose(0, 2, 1), dy[:, None], out=positions)
        return dx

    def _weight(self, positions: int, mask: Array | None, ctx: Context) -> Float:
        """Return 1 / n at the positions that are there and 0 at the others: (1, 1, N), or (B, 1, N) with a mask."""
        if mask is None:
            return np.full((1, 1, positions), 1 / positions, ctx.dtype)
        n = np.maximum(mask.sum(1, keepdims=True), 1)
        weight: Float = (mask / n).astype(ctx.dtype)[:, None]
        return weight


class GlobalMaxPool(Global, name="global_max_pool"):
    """Keep the largest value of every channel over the whole image or sequence, whatever its size.

    forward:   y = max x over all positions that are there
    backward:  dx = dy where the maximum came from, else 0; the first of equal values has it

    Shapes: x (B, H, W, C) or (B, T, C), y (B, C). The maximum of no position at all is 0.

    Memory: y, dx, the place of every maximum, and a copy of x where there is a mask.

    Source: Collobert, Weston, Bottou, Karlen, Kavukcuoglu and Kuksa (2011), "Natural language processing (almost) from
    scratch", section 3.2.2: the max over time.
    """

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the maxima."""
        mask = ctx.mask if x.ndim == 3 else None
        source = x if mask is None else blanked(x, mask, -np.inf, ctx.out("x", x.shape))
        positions = source.reshape(len(x), -1, x.shape[-1])
        first = ctx.out("first", (len(x), x.shape[-1]), np.intp)
        y = np.max(positions, axis=1, out=ctx.out("y", first.shape))
        for images, _ in blocks(len(x), 1, x[0].size, BLOCK):  # argmax makes a copy of what it reads
            np.argmax(positions[images], axis=1, out=first[images])
        ctx.saved = x.shape, first, mask
        if mask is not None:
            ctx.mask = None  # no sequence is left
            y[~mask.any(1)] = 0
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dx."""
        shape, first, mask = ctx.saved
        dx = ctx.out("dx", shape)
        dx.fill(0)
        np.put_along_axis(dx.reshape(len(dx), -1, shape[-1]), first[:, None], dy[:, None], axis=1)
        return dx if mask is None else blanked(dx, mask, 0.0, dx)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y, dx and the places, and of x where it is padded."""
        copy = prod(shape) if use.padded and len(shape) == 2 else 0
        return super().buffers(shape, use) + use.rows * (INT * shape[-1] + copy)

    def branches(self, ctx: Context) -> Array:
        """Return where the maxima came from."""
        return ctx.saved[1]  # type: ignore[no-any-return]
