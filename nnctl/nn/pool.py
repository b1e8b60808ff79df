"""Pooling: one value for every window."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import PositiveInt
from nnctl.nn.layer import Context, Layer, ShapeError, Views
from nnctl.nn.memory import BOOL, Use
from nnctl.nn.windows import (
    Padding,
    Pair,
    PairOfPaddings,
    Windows,
    as_images,
    blanked,
    blocks,
    check_positions,
    windows_of_images,
    windows_of_sequences,
)

__all__ = ["AvgPool", "MaxPool", "Pool"]

BLOCK = 2**20
"""Numbers of the input in one block of images. Replicas hand Python's lock to each other at every call, so that few
long calls are faster than many that stay in the cache: 32 images of 28 x 28 x 64, forward and backward in two threads,
take 2.1 ms in blocks of this size and 5.1 ms in blocks of 2**16."""


class Pool(Layer):
    """A layer that makes one value of every window and channel."""

    kernel: PositiveInt | Pair = 2
    """Size of the windows; for images also [height, width]."""
    stride: PositiveInt | Pair | None = None
    """Step from one window to the next; by default the size of the windows, so that they lie side by side."""
    padding: Padding | PairOfPaddings = "valid"
    """``valid``: none; what does not fill a window at the end is left out. ``same``: as much as keeps the size (divided
    by the stride). Or so many positions on every side. They never count: not in a maximum, not in a mean."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "pool_size": "kernel",
        "kernel_size": "kernel",
        "size": "kernel",
        "strides": "stride",
    }

    outside: ClassVar[float]
    """What stands in the margins, and where a sequence has ended."""

    @cached_property
    def _on_images(self) -> Windows:
        return windows_of_images(self.kernel, self.stride or self.kernel, 1, self.padding)

    @cached_property
    def _on_sequences(self) -> Windows:
        kernel, stride, padding = self.kernel, self.stride or self.kernel, self.padding
        if isinstance(kernel, tuple) or isinstance(stride, tuple) or isinstance(padding, tuple):
            raise ShapeError(f"{self.name} on sequences takes one number for time. A pair is for images.")
        return windows_of_sequences(kernel, stride, 1, padding)

    def windows(self, shape: Shape) -> Windows:
        """Return where the windows lie on samples of `shape`."""
        return self._on_images if len(shape) == 3 else self._on_sequences

    def out_shape(self, shape: Shape) -> Shape:
        """Return the number of windows along every axis, and the channels."""
        check_positions(self.name, shape)
        windows = self.windows(shape)
        for margin, kernel in zip(windows.before, windows.kernel, strict=True):
            if 2 * margin > kernel:
                raise ShapeError(
                    f"padding {margin} is more than half of the window of {kernel}, so that windows could "
                    f"lie outside altogether."
                )
        high, wide = windows.checked((shape[0], shape[1] if len(shape) == 3 else 1))
        return (high, wide, shape[2]) if len(shape) == 3 else (high, shape[1])

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y and dx, and of x where it is padded."""
        copy = prod(shape) if use.padded and len(shape) == 2 else 0
        return super().buffers(shape, use) + use.rows * copy

    def scratch(self, shape: Shape, use: Use) -> int:
        """Return the numbers of some images with their margins, and of as many outputs."""
        windows, size = self.windows(shape), (shape[0], shape[1] if len(shape) == 3 else 1)
        apart = windows.stride[0] >= windows.kernel[0] and windows.stride[1] >= windows.kernel[1]
        if not windows.padded and (apart or not use.back):
            return 0
        images = min(use.rows, max(1, BLOCK // prod(shape)))
        share = prod(self.out_shape(shape)) if use.back else 0
        return images * (prod(windows.extent(size)) * shape[-1] + share)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return y, and leave its mask."""
        windows = self.windows(x.shape[1:])
        mask = ctx.mask if x.ndim == 3 else None
        if mask is not None:
            x = blanked(x, mask, self.outside, ctx.out("x", x.shape))
            ctx.mask = windows.shortened(mask)
        pixels = as_images(x)
        size = pixels.shape[1], pixels.shape[2]
        counts = windows.counts(size)
        y = ctx.out("y", (len(x), *counts, x.shape[-1]))
        ctx.saved = windows, pixels.shape, mask
        for images, _ in blocks(len(pixels), 1, pixels[0].size, BLOCK):
            source = pixels[images]
            if windows.padded:
                source = ctx.scratch("padded", (len(source), *windows.extent(size), x.shape[-1]))
                source.fill(self.outside)
                np.copyto(windows.inner(source, size), pixels[images])
            self._reduce(list(windows.slices(source, counts)), y[images], images, ctx)
        if mask is None:
            return y if x.ndim == 4 else y[:, :, 0]
        return blanked(y[:, :, 0], windows.shortened(mask), 0.0, y[:, :, 0])

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:  # noqa: ARG002
        """Return dx; destroys dy."""
        if not ctx.need_dx:
            return None
        windows, shape, mask = ctx.saved
        size = shape[1], shape[2]
        counts = windows.counts(size)
        dx, delta = ctx.out("dx", shape), as_images(dy)
        alone = not windows.padded and windows.stride[0] >= windows.kernel[0] and windows.stride[1] >= windows.kernel[1]
        if alone and prod(counts) * windows.taps < prod(size):
            dx.fill(0)  # pixels that no window sees
        for images, _ in blocks(len(dx), 1, dx[0].size, BLOCK):
            d = delta[images]
            if alone:
                for tap, place in reversed(list(enumerate(windows.slices(dx[images], counts)))):
                    self._share(tap, d, place, images, ctx)
                continue
            padded = ctx.scratch("padded", (len(d), *windows.extent(size), shape[3]))
            padded.fill(0)
            share = ctx.scratch("share", d.shape)
            for tap, place in reversed(list(enumerate(windows.slices(padded, counts)))):
                self._share(tap, d, share, images, ctx)
                np.add(place, share, out=place)
            np.copyto(dx[images], windows.inner(padded, size))
        if dy.ndim == 4:
            return dx
        return dx[:, :, 0] if mask is None else blanked(dx[:, :, 0], mask, 0.0, dx[:, :, 0])

    @abstractmethod
    def _reduce(self, taps: list[Float], y: Float, images: slice, ctx: Context) -> None:
        """Write to y what the windows of some images come to, from what each of their taps sees."""

    @abstractmethod
    def _share(self, tap: int, d: Float, out: Float, images: slice, ctx: Context) -> None:
        """Write to `out` what a tap gets of the gradients d of its windows; called from the last tap to the first."""


class MaxPool(Pool, name="max_pool"):
    """Keep the largest value of every window, channel by channel: that a pattern is there matters, less so where.

    forward:   y[i, j] = max_uv x[i s + u, j s + v]
    backward:  dx = dy where the maximum came from, else 0; the first of equal values has it, in reading order

    Shapes: images x (B, H, W, C), y (B, H', W', C), or sequences (B, T, C), (B, T', C);
    H' = floor((H + margins - kernel) / s) + 1. Positions that are padding of a sequence are never the maximum.

    Memory: y, dx, and for every value of y a byte for each position of a window but one.

    Source: Zhou and Chellappa (1988), "Computation of optical flow using a neural network"; Scherer, Müller and Behnke
    (2010), "Evaluation of pooling operations in convolutional architectures for object recognition".
    """

    outside = -np.inf

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return what every pool holds, and a truth value for every value of y and position of a window but one."""
        winners = (self.windows(shape).taps - 1) * prod(self.out_shape(shape))
        return super().buffers(shape, use) + int(use.rows * winners * BOOL)

    def branches(self, ctx: Context) -> Array:
        """Return which position of every window has the maximum; which of the others is larger does not matter."""
        beaten = self._winners(ctx)
        place = np.zeros(beaten.shape[1:], np.intp)
        for tap, winner in enumerate(beaten, 1):
            place[winner] = tap
        return place

    def _reduce(self, taps: list[Float], y: Float, images: slice, ctx: Context) -> None:
        best = taps[0]
        if len(taps) == 1:
            np.copyto(y, best)
        for winner, tap in zip(self._winners(ctx), taps[1:], strict=True):
            np.greater(tap, best, out=winner[images])
            best = np.maximum(tap, best, out=y)

    def _share(self, tap: int, d: Float, out: Float, images: slice, ctx: Context) -> None:
        if tap == 0:
            np.copyto(out, d)
            return
        np.multiply(d, self._winners(ctx)[tap - 1, images], out=out)
        np.subtract(d, out, out=d)

    def _winners(self, ctx: Context) -> Array:
        """Return for every tap but the first where it beat those before it."""
        windows, shape, _ = ctx.saved
        counts = windows.counts((shape[1], shape[2]))
        return ctx.out("winners", (windows.taps - 1, shape[0], *counts, shape[3]), np.bool_)


class AvgPool(Pool, name="avg_pool"):
    """Take the mean of every window, channel by channel.

    forward:   y[i, j] = Σ_uv x[i s + u, j s + v] / n, n being the positions of the window that are there
    backward:  dx = Σ dy / n over the windows that see the position

    Shapes: as max_pool. Neither margins nor the padding of sequences count in n: Keras's rule, and PyTorch's with
    ``count_include_pad=False`` (its default counts margins).

    Memory: y and dx.

    Source: LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to document recognition",
    section II, without its trained coefficient and bias.
    """

    outside = 0.0

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return y, and leave its mask."""
        y = super().forward(p, x, ctx)
        pixels = as_images(y)
        np.multiply(pixels, self._weight(ctx), out=pixels)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Return dx; destroys dy."""
        pixels = as_images(dy)
        np.multiply(pixels, self._weight(ctx), out=pixels)
        return super().backward(p, g, dy, ctx)

    def _reduce(self, taps: list[Float], y: Float, images: slice, ctx: Context) -> None:  # noqa: ARG002
        np.copyto(y, taps[0])
        for tap in taps[1:]:
            np.add(y, tap, out=y)

    def _share(self, tap: int, d: Float, out: Float, images: slice, ctx: Context) -> None:  # noqa: ARG002
        np.copyto(out, d)

    def _weight(self, ctx: Context) -> Float | float:
        """Return 1 / n: one number, or one for every window (1, H', W', 1), or for those of every sequence."""
        windows, shape, mask = ctx.saved
        if mask is None and not windows.padded:
            return 1.0 / float(windows.taps)
        size = shape[1], shape[2]
        there = np.zeros((1 if mask is None else len(mask), *windows.extent(size), 1), ctx.dtype)
        windows.inner(there, size)[...] = 1 if mask is None else mask[:, :, None, None]
        n = np.sum(list(windows.slices(there, windows.counts(size))), axis=0)
        weight: Float = 1 / np.maximum(n, 1)
        return weight
