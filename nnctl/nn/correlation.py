"""Correlation of images with a kernel, and its gradients: what "convolution" means in neural networks.

All three are matrix products with *columns*: the windows of an image laid out as the rows of a matrix (im2col). The
columns of a whole batch would be larger than the batch by the size of the kernel, and so are never stored: they are
made and used up block by block, small enough to stay in the cache.

Shapes: x (B, H, W, C), W (kh, kw, C / groups, O), y (B, H', W', O). A kernel of several groups sees the channels in
so many parts; it becomes a stack of matrices (groups, kh kw C / groups, O / groups). A kernel for each channel is
no matrix at all: see `nnctl.nn.depthwise`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from nnctl.core.arrays import Float, Shape, column_sums
from nnctl.nn.depthwise import correlate_channels, gradients_of_channels, held_rows, is_depthwise
from nnctl.nn.layer import Context
from nnctl.nn.memory import Use
from nnctl.nn.windows import Extent, Windows, blocks

__all__ = ["back_to_input", "back_to_kernel", "correlate", "gradients", "held_spread", "held_windows", "pixel_sums"]

BLOCK = 2**19
"""Numbers in the columns of one block."""

_SHORT = 16
"""Runs of fewer neighbours than this are copied faster tap by tap."""


def correlate(x: Float, W: Float, b: Float | None, windows: Windows, ctx: Context, name: str = "y") -> Float:
    """Return ``y[i, j] = b + Σ_uv x[i s + u d - m, j s + v d - m] W[u, v]`` in the buffer `name`."""
    if is_depthwise(x, W):
        return correlate_channels(x, W, b, windows, ctx, name)
    groups = x.shape[3] // W.shape[2]
    kernel = _stack(_parted(W, groups), "kernel", ctx)
    size = windows.counts(x.shape[1:3])
    y = ctx.out(name, (len(x), *size, W.shape[3]))
    bias = None if b is None else np.tile(b, size[1])  # to rows of pixels, which are long enough to be added fast
    for images, rows, columns in _columns(x, windows, groups, ctx):
        block = y[images, rows]
        _into_pixels(columns, kernel, block, ctx)
        if bias is not None:
            wide = block.reshape(-1, len(bias))
            np.add(wide, bias, out=wide)
    return y


def gradients(x: Float, W: Float, dW: Float, dy: Float, windows: Windows, ctx: Context) -> Float | None:
    """Fill dW and return dx, or None where nobody reads it.

    dW[u, v] = Σ_ij x[i s + u d - m, j s + v d - m]' dy[i, j]
    dx[k, l] = Σ dy[i, j] W[u, v]' over all i, j, u, v that lead there: i s + u d - m = k, j s + v d - m = l
    """
    if is_depthwise(x, W):
        return gradients_of_channels(x, W, dW, dy, windows, ctx)
    turned = windows.adjoint() if ctx.need_dx else None
    if turned is None:
        back_to_kernel(x, dW, dy, windows, ctx)
        return back_to_input(W, dy, windows, x.shape, ctx) if ctx.need_dx else None
    # One set of columns, those of dy, serves both: times the kernel turned by half a circle they are dx, and their
    # transpose times x is dW, turned.
    groups = x.shape[3] // W.shape[2]
    kernel = _stack(_parted(W, groups)[::-1, ::-1].transpose(0, 1, 4, 3, 2), "turned", ctx)
    total = ctx.scratch("total", (groups, kernel.shape[1], W.shape[2]))
    part = ctx.scratch("part", total.shape)
    dx = ctx.out("dx", x.shape)
    total.fill(0)
    for images, rows, columns in _columns(dy, turned, groups, ctx):
        _into_pixels(columns, kernel, dx[images, rows], ctx)
        seen = _grouped(x[images, rows], groups, "grouped", ctx)
        np.add(total, np.matmul(columns.transpose(0, 2, 1), seen, out=part), out=total)
    turned_back = total.reshape(groups, *W.shape[:2], -1, W.shape[2])[:, ::-1, ::-1]
    np.copyto(_parted(dW, groups), turned_back.transpose(1, 2, 4, 0, 3))
    return dx


def back_to_kernel(x: Float, dW: Float, dy: Float, windows: Windows, ctx: Context) -> None:
    """Fill dW alone: the columns of x times dy."""
    groups = x.shape[3] // dW.shape[2]
    total = ctx.scratch("total", (groups, dW.size // dW.shape[3], dW.shape[3] // groups))
    part = ctx.scratch("part", total.shape)
    total.fill(0)
    for images, rows, columns in _columns(x, windows, groups, ctx):
        delta = _grouped(dy[images, rows], groups, "grouped", ctx)
        np.add(total, np.matmul(columns.transpose(0, 2, 1), delta, out=part), out=total)
    np.copyto(dW.reshape(-1, groups, total.shape[2]), total.transpose(1, 0, 2))


def back_to_input(W: Float, dy: Float, windows: Windows, shape: Shape, ctx: Context, name: str = "dx") -> Float:
    """Return dx of `shape` in the buffer `name`: what every tap sends is added up where it came from (col2im)."""
    groups, size = shape[3] // W.shape[2], (shape[1], shape[2])
    kernel = _stack(_parted(W, groups), "kernel", ctx).transpose(0, 2, 1)
    dx = ctx.out(name, shape)
    counts = windows.counts(size)
    for images, rows in blocks(len(dy), counts[0], counts[1] * W.size // W.shape[3] * groups, BLOCK):
        n = images.stop - images.start
        delta = _grouped(dy[images, rows], groups, "grouped", ctx)
        columns = np.matmul(delta, kernel, out=ctx.scratch("columns", (groups, delta.shape[1], kernel.shape[2])))
        sent = columns.reshape(groups, n, -1, counts[1], windows.taps, W.shape[2]).transpose(4, 1, 2, 3, 0, 5)
        padded = ctx.scratch("scattered", (n, *windows.extent(size), groups, W.shape[2]))
        if rows.start == 0:
            padded.fill(0)
        for place, values in zip(windows.slices(padded, counts), sent, strict=True):
            np.add(place[:, rows], values, out=place[:, rows])
        if rows.stop == counts[0]:
            np.copyto(dx[images].reshape(n, *size, groups, -1), windows.inner(padded, size))
    return dx


def pixel_sums(dy: Float, out: Float, ctx: Context) -> None:
    """Fill `out` with the sum of dy over all pixels of all images: the gradient of a bias."""
    image = column_sums(dy.reshape(len(dy), -1), out=ctx.scratch("image", (prod(dy.shape[1:]),)))
    column_sums(image.reshape(-1, len(out)), out=out)


def held_windows(image: Shape, outputs: int, groups: int, windows: Windows, use: Use) -> int:
    """Return the numbers of scratch for correlating images (H, W, C) with `outputs` kernels, and for its gradients."""
    size, channels = (image[0], image[1]), image[2]
    counts = windows.counts(size)
    kernel = windows.taps * channels * outputs // groups
    if groups == channels == outputs > 1:
        return held_rows(image, windows, use)
    forward = _held_columns(size, channels, windows, groups, use.rows) + kernel * (groups > 1)
    some = _together(counts, channels, windows, use.rows)
    if groups > 1:
        forward += some * prod(counts) * outputs
    if not use.training:
        return forward
    # A sum of images for the bias; the kernel turned, dW and a part of it; images with their channels in groups.
    back = prod(counts) * outputs + 3 * kernel + some * prod(image) * (groups > 1)
    turned = windows.adjoint()
    if not use.dx:
        back += forward
    elif turned is not None:
        back += _held_columns(counts, outputs, turned, groups, use.rows)
    else:
        back += forward + some * prod(windows.extent(size)) * channels
    return max(forward, back)


def held_spread(image: Shape, inputs: int, windows: Windows, use: Use) -> int:
    """Return the numbers of scratch for the transpose, which makes images (H, W, C), and for its gradients."""
    size, channels = (image[0], image[1]), image[2]
    counts = windows.counts(size)
    forward = _held_columns(size, channels, windows, 1, use.rows)
    if not use.training:
        return forward
    margins = _together(counts, channels, windows, use.rows) * prod(windows.extent(size)) * channels
    return forward + margins + 2 * windows.taps * channels * inputs + prod(image)


def _held_columns(size: Extent, channels: int, windows: Windows, groups: int, images: int) -> int:
    """Return the numbers of a block of columns and of the images with their margins."""
    counts = windows.counts(size)
    together = _together(counts, channels, windows, images)
    if windows.pointwise:
        return together * prod(counts) * channels * (groups > 1)
    row = counts[1] * windows.taps * channels
    return min(together * counts[0] * row, max(BLOCK, row)) + together * prod(windows.extent(size)) * channels


def _together(counts: Extent, channels: int, windows: Windows, images: int) -> int:
    """Return how many images a block has, or part of one."""
    return min(images, max(1, BLOCK // (prod(counts) * windows.taps * channels)))


def _columns(x: Float, windows: Windows, groups: int, ctx: Context) -> Iterator[tuple[slice, slice, Float]]:
    """Yield (images, rows, columns): the windows of a block as a stack (groups, windows, taps and channels)."""
    size = x.shape[1], x.shape[2]
    counts, each = windows.counts(size), x.shape[3] // groups
    cut = list(blocks(len(x), counts[0], counts[1] * windows.taps * x.shape[3], BLOCK))
    if windows.pointwise:
        for images, rows in cut:
            yield images, rows, _grouped(x[images, rows], groups, "columns", ctx)
        return
    padded = ctx.scratch("padded", (cut[0][0].stop, *windows.extent(size), groups, each))
    padded.fill(0)
    view = windows.view(padded, counts)
    # Window by window the runs of neighbours are as long as a row of the kernel; where that is short, tap by tap they
    # are as long as a row of the image: 7 us instead of 172 for 4 images of 28 x 28 and a kernel of 3 x 3.
    by_tap = windows.kernel[1] * each < _SHORT
    for images, rows in cut:
        n = images.stop - images.start
        if rows.start == 0:
            np.copyto(windows.inner(padded[:n], size), x[images].reshape(n, *size, groups, each))
        block = view[:n, rows].transpose((5, 3, 4, 6, 0, 1, 2) if by_tap else (5, 0, 1, 2, 3, 4, 6))
        columns = ctx.scratch("columns", block.shape)
        np.copyto(columns, block)
        if by_tap:
            yield images, rows, columns.reshape(groups, windows.taps * each, -1).transpose(0, 2, 1)
        else:
            yield images, rows, columns.reshape(groups, -1, windows.taps * each)


def _parted(W: Float, groups: int) -> Float:
    """Return a kernel (kh, kw, C / groups, O) as a view (kh, kw, C / groups, groups, O / groups)."""
    return W.reshape(*W.shape[:3], groups, -1)


def _stack(parted: Float, name: str, ctx: Context) -> Float:
    """Return a parted kernel as a stack (groups, taps and channels, outputs); a view where its memory allows."""
    stack = parted.transpose(3, 0, 1, 2, 4)
    if not stack.flags.c_contiguous:
        copy = ctx.scratch(name, stack.shape)
        np.copyto(copy, stack)
        stack = copy
    return stack.reshape(len(stack), -1, stack.shape[-1])


def _grouped(pixels: Float, groups: int, name: str, ctx: Context) -> Float:
    """Return pixels (B, H, W, C) as a stack (groups, pixels, C / groups); a view for one group."""
    stack = pixels.reshape(-1, groups, pixels.shape[3] // groups).transpose(1, 0, 2)
    if groups == 1:
        return stack
    copy = ctx.scratch(name, stack.shape)
    np.copyto(copy, stack)
    return copy


def _into_pixels(columns: Float, kernel: Float, y: Float, ctx: Context) -> None:
    """Write the products of two stacks to the pixels y (B, H, W, O)."""
    if len(kernel) == 1:
        np.matmul(columns[0], kernel[0], out=y.reshape(-1, y.shape[3]))
        return
    stack = np.matmul(columns, kernel, out=ctx.scratch("product", (*columns.shape[:2], kernel.shape[2])))
    np.copyto(y.reshape(-1, len(kernel), kernel.shape[2]), stack.transpose(1, 0, 2))
