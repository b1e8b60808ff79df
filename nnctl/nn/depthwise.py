"""Depthwise correlation: every channel with a kernel of its own, and its gradients.

As matrix products these would be as many as there are channels, each with a single column. They are sums of shifted
images times weights, for which np.einsum has a loop that multiplies and adds in one pass. It is fast along rows of
pixels that lie side by side in memory, (W', C) read as one axis of R numbers, with the weights laid out as often. A few
images are taken at a time, so that they stay in the cache.

Shapes: x (B, H, W, C), W (kh, kw, 1, C), y (B, H', W', C).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from nnctl.core.arrays import Float, Shape
from nnctl.nn.layer import Context
from nnctl.nn.memory import Use
from nnctl.nn.windows import Extent, Windows, blocks

__all__ = ["correlate_channels", "gradients_of_channels", "held_rows", "is_depthwise"]

BLOCK = 2**18
"""Numbers of the output in one block."""


def is_depthwise(x: Float, W: Float) -> bool:
    """Return whether every channel of x, of several, has a kernel of its own in W."""
    return bool(W.shape[2] == 1 < x.shape[3] == W.shape[3])


def correlate_channels(x: Float, W: Float, b: Float | None, windows: Windows, ctx: Context, name: str = "y") -> Float:
    """Return ``y[i, j] = b + Σ_uv x[i s + u d - m, j s + v d - m] W[u, v]`` in the buffer `name`."""
    y = ctx.out(name, (len(x), *windows.counts(x.shape[1:3]), x.shape[3]))
    _correlate(x, W, windows, y, ctx)
    if b is not None:
        rows = y.reshape(len(y), -1)
        np.add(rows, np.tile(b, rows.shape[1] // len(b)), out=rows)
    return y


def gradients_of_channels(x: Float, W: Float, dW: Float, dy: Float, windows: Windows, ctx: Context) -> Float | None:
    """Fill dW and return dx, or None where nobody reads it.

    dW[u, v] = Σ_ij x[i s + u d - m, j s + v d - m] dy[i, j]
    dx[k, l] = Σ dy[i, j] W[u, v] over all i, j, u, v that lead there: i s + u d - m = k, j s + v d - m = l
    """
    _back_to_kernel(x, dW, dy, windows, ctx)
    if not ctx.need_dx:
        return None
    dx = ctx.out("dx", x.shape)
    turned = windows.adjoint()
    if turned is None:
        _scatter(dy, W, windows, dx, ctx)
    else:
        _correlate(dy, W[::-1, ::-1], turned, dx, ctx)
    return dx


def _correlate(x: Float, W: Float, windows: Windows, y: Float, ctx: Context) -> None:
    """Write y, without a bias."""
    if _is_upright(x, y):
        x, W, windows, y = _lying(x), W.transpose(1, 0, 2, 3), windows.transposed(), _lying(y)
    weights = ctx.scratch("weights", (*W.shape[:2], *y.shape[2:]))
    np.copyto(weights, W)
    for images, rows, seen in _blocks(x, windows, ctx):
        out = y[images, rows]
        np.einsum("niuvr,uvr->nir", seen, weights.reshape(*W.shape[:2], -1), out=out.reshape(*out.shape[:2], -1))


def _back_to_kernel(x: Float, dW: Float, dy: Float, windows: Windows, ctx: Context) -> None:
    if _is_upright(x, dy):
        x, dW, windows, dy = _lying(x), dW.transpose(1, 0, 2, 3), windows.transposed(), _lying(dy)
    sums = ctx.scratch("sums", (*dW.shape[:2], *dy.shape[2:]))
    part = ctx.scratch("part", (*dW.shape[:2], dy.shape[2] * dy.shape[3]))
    sums.fill(0)
    for images, rows, seen in _blocks(x, windows, ctx):
        delta = dy[images, rows]
        np.einsum("niuvr,nir->uvr", seen, delta.reshape(*delta.shape[:2], -1), out=part)
        np.add(sums, part.reshape(sums.shape), out=sums)
    np.sum(sums, axis=2, out=dW[:, :, 0])


def _scatter(dy: Float, W: Float, windows: Windows, dx: Float, ctx: Context) -> None:
    """Write dx where it is no correlation: what every tap sends is added up where it came from."""
    size, counts = (dx.shape[1], dx.shape[2]), (dy.shape[1], dy.shape[2])
    for images, rows in blocks(len(dy), counts[0], counts[1] * dy.shape[3], BLOCK):
        delta = dy[images, rows]
        sent = ctx.scratch("sent", (len(delta), *windows.extent(size), dy.shape[3]))
        if rows.start == 0:
            sent.fill(0)
        product = ctx.scratch("product", delta.shape)
        for place, w in zip(windows.slices(sent, counts), W.reshape(-1, W.shape[3]), strict=True):
            np.multiply(delta, w, out=product)
            np.add(place[:, rows], product, out=place[:, rows])
        if rows.stop == counts[0]:
            np.copyto(dx[images], windows.inner(sent, size))


def _blocks(x: Float, windows: Windows, ctx: Context) -> Iterator[tuple[slice, slice, Float]]:
    """Yield (images, rows, seen): what every tap sees in some images, or in some rows of one, (n, i, u, v, R)."""
    size, channels = (x.shape[1], x.shape[2]), x.shape[3]
    high, wide = windows.counts(size)
    cut = list(blocks(len(x), high, wide * channels, BLOCK))
    padded = ctx.scratch("padded", (cut[0][0].stop, *windows.extent(size), channels))
    padded.fill(0)
    for images, rows in cut:
        if rows.start == 0:
            some = padded[: images.stop - images.start]
            np.copyto(windows.inner(some, size), x[images])
            seen = _seen(some, windows, (high, wide), ctx)
        yield images, rows, seen[:, rows]


def _seen(padded: Float, windows: Windows, counts: Extent, ctx: Context) -> Float:
    """Return what every tap sees in padded images as a view (n, i, u, v, R)."""
    n, H, _, C = padded.shape
    (high, wide), (down, right), (apart_down, apart) = counts, windows.stride, windows.dilation
    image, line, column, number = padded.strides
    tap = column * apart
    if right > 1:  # only a copy brings the pixels of a row side by side
        rows = ctx.scratch("rows", (n, H, windows.kernel[1], wide, C))
        for v in range(windows.kernel[1]):
            np.copyto(rows[:, :, v], padded[:, :, v * apart :: right][:, :, :wide])
        padded = rows
        image, line, tap, _, number = rows.strides
    shape = (n, high, *windows.kernel, wide * C)
    return as_strided(padded, shape, (image, line * down, line * apart_down, tap, number))


def held_rows(image: Shape, windows: Windows, use: Use) -> int:
    """Return the numbers of scratch for images (H, W, C): a few with their margins, and rows of weights."""
    if image[1] == 1:
        image, windows = (1, image[0], image[2]), windows.transposed()
    counts, channels = windows.counts((image[0], image[1])), image[2]
    high, wide = windows.extent((image[0], image[1]))
    together = min(use.rows, max(1, BLOCK // (prod(counts) * channels)))
    weights = windows.taps * counts[1] * channels
    margins = together * high * wide * channels
    strided = together * high * windows.kernel[1] * counts[1] * channels * (windows.stride[1] > 1)
    if not use.training:
        return margins + strided + weights
    scattered = margins + together * prod(counts) * channels if windows.adjoint() is None else 0
    return margins + strided + 3 * weights + scattered * use.dx + prod(counts) * channels


def _is_upright(x: Float, y: Float) -> bool:
    """Whether these are sequences (B, T, 1, C), whose rows would have a single pixel."""
    return bool(x.shape[2] == y.shape[2] == 1)


def _lying(sequences: Float) -> Float:
    """Return sequences (B, T, 1, C) as images of one row, (B, 1, T, C)."""
    return sequences.transpose(0, 2, 1, 3)
