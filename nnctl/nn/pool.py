"""Pooling: one value for every window, or for the whole of an image or a sequence."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import PositiveInt
from nnctl.nn.layer import Context, Layer, ShapeError, Views
from nnctl.nn.windows import (
    Padding,
    Pair,
    PairOfPaddings,
    Windows,
    windows_of_images,
    windows_of_sequences,
)

__all__ = ["AvgPool", "GlobalAvgPool", "GlobalMaxPool", "MaxPool"]

BLOCK = 2**16
"""Numbers of the input in one block of images."""


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

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return y, and leave its mask."""
        windows = self.windows(x.shape[1:])
        mask = ctx.mask if x.ndim == 3 else None
        if mask is not None:
            x = _blanked(x, mask, self.outside, ctx.out("x", x.shape))
            ctx.mask = windows.shortened(mask)
        pixels = as_images(x)
        size = pixels.shape[1], pixels.shape[2]
        counts = windows.counts(size)
        y = ctx.out("y", (len(x), *counts, x.shape[-1]))
        ctx.saved = windows, pixels.shape, mask
        for images in _blocks(pixels):
            source = pixels[images]
            if windows.padded:
                source = ctx.out("padded", (len(source), *windows.extent(size), x.shape[-1]))
                source.fill(self.outside)
                np.copyto(windows.inner(source, size), pixels[images])
            self._reduce(list(windows.slices(source, counts)), y[images], images, ctx)
        if mask is None:
            return y if x.ndim == 4 else y[:, :, 0]
        return _blanked(y[:, :, 0], windows.shortened(mask), 0.0, y[:, :, 0])

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
        for images in _blocks(dx):
            d = delta[images]
            if alone:
                for tap, place in reversed(list(enumerate(windows.slices(dx[images], counts)))):
                    self._share(tap, d, place, images, ctx)
                continue
            padded = ctx.out("padded", (len(d), *windows.extent(size), shape[3]))
            padded.fill(0)
            share = ctx.out("share", d.shape)
            for tap, place in reversed(list(enumerate(windows.slices(padded, counts)))):
                self._share(tap, d, share, images, ctx)
                np.add(place, share, out=place)
            np.copyto(dx[images], windows.inner(padded, size))
        if dy.ndim == 4:
            return dx
        return dx[:, :, 0] if mask is None else _blanked(dx[:, :, 0], mask, 0.0, dx[:, :, 0])

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

    def kept(self, shape: Shape) -> int:
        """Return the bytes of the winners, counted as float32."""
        return (self.windows(shape).taps - 1) * prod(self.out_shape(shape)) // 4

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


class Global(Layer):
    """A layer that makes one value of every channel."""

    def out_shape(self, shape: Shape) -> Shape:
        """Return (C,)."""
        check_positions(self.name, shape)
        return shape[-1:]


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
        source = x if mask is None else _blanked(x, mask, -np.inf, ctx.out("x", x.shape))
        positions = source.reshape(len(x), -1, x.shape[-1])
        first = ctx.out("first", (len(x), x.shape[-1]), np.intp)
        y = np.max(positions, axis=1, out=ctx.out("y", first.shape))
        for images in _blocks(x, BLOCK // 4):  # argmax makes a copy of what it reads
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
        return dx if mask is None else _blanked(dx, mask, 0.0, dx)

    def branches(self, ctx: Context) -> Array:
        """Return where the maxima came from."""
        return ctx.saved[1]  # type: ignore[no-any-return]


def check_positions(layer: str, shape: Shape) -> None:
    """Raise the ShapeError of a layer that gets neither images nor sequences."""
    if len(shape) not in (2, 3):
        raise ShapeError(
            f"{layer} needs images (height, width, channels) or sequences (time, channels). "
            f"Got samples of shape {shape}."
        )


def as_images(x: Float) -> Float:
    """Return sequences (B, T, C) as images (B, T, 1, C); images stay what they are."""
    return x[:, :, None] if x.ndim == 3 else x


def _blocks(x: Array, most: int = BLOCK) -> Iterator[slice]:
    """Yield slices of whole samples, few enough to stay in the cache."""
    together = max(1, most // x[0].size)
    for start in range(0, len(x), together):
        yield slice(start, min(start + together, len(x)))


def _blanked(x: Float, mask: Array, value: float, out: Float) -> Float:
    """Return sequences with `value` where the mask says that nothing is there."""
    if out is not x:
        np.copyto(out, x)
    np.copyto(out, value, where=~mask[:, :, None])
    return out
