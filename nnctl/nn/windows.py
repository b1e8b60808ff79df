"""Where a kernel lies on an image, for convolution and pooling alike. A sequence is an image one pixel wide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided
from pydantic import Field, Strict

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import PositiveInt
from nnctl.nn.layer import Context, ShapeError

__all__ = [
    "Extent",
    "Padding",
    "Pair",
    "PairOfPaddings",
    "Windows",
    "as_images",
    "blanked",
    "blocks",
    "check_image",
    "check_positions",
    "mask_of",
    "pair",
    "windows_of_images",
    "windows_of_sequences",
]

Extent: TypeAlias = tuple[int, int]
Pair = Annotated[tuple[PositiveInt, PositiveInt], Strict(strict=False)]  # a YAML list, kept as a tuple
_Margin = Annotated[int, Field(ge=0)]
Padding = Literal["same", "valid"] | _Margin
PairOfPaddings = Annotated[tuple[_Margin, _Margin], Strict(strict=False)]


@dataclass(frozen=True)
class Windows:
    """Where a kernel lies on an image: at every stride, with its taps a dilation apart, over the edge by a margin.

    Tap (u, v) of the window (i, j) is the pixel (i stride + u dilation - before, ...).

    Parameters
    ----------
    kernel, stride, dilation : (int, int)
        Along height and width.
    before, after : (int, int)
        Margins of the image: above and left, below and right.
    """

    kernel: Extent
    stride: Extent = (1, 1)
    dilation: Extent = (1, 1)
    before: Extent = (0, 0)
    after: Extent = (0, 0)

    @classmethod
    def over(
        cls, kernel: Extent, stride: Extent, dilation: Extent, padding: Literal["same", "valid"] | Extent
    ) -> Windows:
        """Return the windows of a layer with this padding.

        ``valid`` has no margins. ``same`` has (reach - 1) // 2 before and the rest of reach - 1 after, so that
        ceil(size / stride) windows fit, wherever the image ends.
        """
        if padding == "valid":
            return cls(kernel, stride, dilation)
        if padding != "same":
            return cls(kernel, stride, dilation, padding, padding)
        reach = cls(kernel, stride, dilation).reach
        before = (reach[0] - 1) // 2, (reach[1] - 1) // 2
        return cls(kernel, stride, dilation, before, (reach[0] - 1 - before[0], reach[1] - 1 - before[1]))

    @property
    def reach(self) -> Extent:
        """From the first tap to the last, both included."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return (kh - 1) * dh + 1, (kw - 1) * dw + 1

    @property
    def taps(self) -> int:
        """How many pixels a window sees."""
        return prod(self.kernel)

    @property
    def padded(self) -> bool:
        """Whether there are margins."""
        return any(self.before) or any(self.after)

    @property
    def pointwise(self) -> bool:
        """Whether every window is one pixel, and every pixel one window."""
        return self.kernel == self.stride == (1, 1) and not self.padded

    def counts(self, size: Extent) -> Extent:
        """Return how many windows fit along height and width; what is left over at the end is not looked at."""
        found = (
            (n + before + after - reach) // stride + 1
            for n, before, after, reach, stride in zip(
                size, self.before, self.after, self.reach, self.stride, strict=True
            )
        )
        high, wide = found
        return high, wide

    def extent(self, size: Extent) -> Extent:
        """Return the size of an image with its margins."""
        (h, w), (top, left), (bottom, right) = size, self.before, self.after
        return h + top + bottom, w + left + right

    def inner(self, padded: Array, size: Extent) -> Array:
        """Return the part of padded images (B, H', W', ...) where the images (B, H, W, ...) lie."""
        (h, w), (top, left) = size, self.before
        return padded[:, top : top + h, left : left + w]

    def view(self, padded: Array, counts: Extent) -> Array:
        """Return every tap of every window of padded images (B, H', W', ...) as a view (B, i, j, u, v, ...)."""
        b, h, w, *channels = padded.strides
        (sh, sw), (dh, dw) = self.stride, self.dilation
        return as_strided(
            padded,
            (len(padded), *counts, *self.kernel, *padded.shape[3:]),
            (b, h * sh, w * sw, h * dh, w * dw, *channels),
        )

    def slices(self, padded: Array, counts: Extent) -> Iterator[Array]:
        """Yield, tap by tap, the pixels that it sees in all windows, as views (B, i, j, ...) of padded images."""
        (sh, sw), (dh, dw) = self.stride, self.dilation
        high, wide = (counts[0] - 1) * sh + 1, (counts[1] - 1) * sw + 1
        for u in range(0, self.kernel[0] * dh, dh):
            for v in range(0, self.kernel[1] * dw, dw):
                yield padded[:, u : u + high : sh, v : v + wide : sw]

    def adjoint(self) -> Windows | None:
        """Return the windows through which a gradient goes back, or None where that is no correlation.

        With stride 1, dx is the correlation of dy with the kernel turned by half a circle.
        """
        (rh, rw), (top, left), (bottom, right) = self.reach, self.before, self.after
        if self.stride != (1, 1) or max(top, bottom) >= rh or max(left, right) >= rw:
            return None
        before, after = (rh - 1 - top, rw - 1 - left), (rh - 1 - bottom, rw - 1 - right)
        return Windows(self.kernel, (1, 1), self.dilation, before, after)

    def transposed(self) -> Windows:
        """Return the windows on images whose height and width have changed places."""
        fields = (self.kernel, self.stride, self.dilation, self.before, self.after)
        return Windows(*((wide, high) for high, wide in fields))

    def checked(self, size: Extent) -> Extent:
        """Return `counts`, or raise the ShapeError that says why no window fits."""
        for n, available, reach in zip(size, self.extent(size), self.reach, strict=True):
            if available < reach:
                padding = f", with its padding {available}" if available != n else ""
                what = "kernel or its dilation" if self.dilation != (1, 1) else "kernel"
                raise ShapeError(
                    f"the kernel reaches over {reach} positions, and the input has {n}{padding}. "
                    f"Make the {what} smaller, or write padding: same."
                )
        return self.counts(size)

    def shortened(self, mask: Array) -> Array:
        """Return which windows along time a sequence has that ends where its mask (B, T) does: bool (B, T')."""
        last = self.reach[0] - 1 - self.before[0] - self.after[0]
        if self.stride[0] == 1 and last == 0:
            return mask
        count = self.counts((mask.shape[1], 1))[0]
        return mask[:, np.maximum(np.arange(count) * self.stride[0] + last, 0)]


def pair(value: int | Extent) -> Extent:
    """Return a number for height and width as two."""
    return value if isinstance(value, tuple) else (value, value)


def windows_of_images(
    kernel: int | Extent, stride: int | Extent, dilation: int | Extent, padding: Literal["same", "valid"] | int | Extent
) -> Windows:
    """Return the windows of a layer on images."""
    margin = padding if isinstance(padding, str) else pair(padding)
    return Windows.over(pair(kernel), pair(stride), pair(dilation), margin)


def windows_of_sequences(kernel: int, stride: int, dilation: int, padding: Literal["same", "valid"] | int) -> Windows:
    """Return the windows of a layer on sequences, taken as images (T, 1)."""
    margin = padding if isinstance(padding, str) else (padding, 0)
    return Windows.over((kernel, 1), (stride, 1), (dilation, 1), margin)


def check_image(layer: str, shape: Shape) -> None:
    """Raise the ShapeError of a layer that gets no images."""
    if len(shape) != 3:
        wanted = f"[{shape[0]}, {shape[1]}, 1]" if len(shape) == 2 else "[height, width, channels]"
        raise ShapeError(
            f"{layer} needs images (height, width, channels). Got samples of shape {shape}. "
            f"Put '- reshape: {wanted}' before it."
        )


def blocks(images: int, height: int, row: int, most: int) -> Iterator[tuple[slice, slice]]:
    """Yield (images, rows): as many whole images as hold `most` numbers, else bands of an image, `row` numbers a row.

    What one block writes is still in the cache when it is read again.
    """
    together = most // (height * row)
    if together:
        for start in range(0, images, together):
            yield slice(start, min(start + together, images)), slice(0, height)
        return
    band = max(1, most // row)
    for image in range(images):
        for start in range(0, height, band):
            yield slice(image, image + 1), slice(start, min(start + band, height))


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


def mask_of(x: Float, layer: str, ctx: Context) -> Array | None:
    """Return which positions of sequences x (B, T, C) are there, or None where all are, and for what is no sequence.

    Raises
    ------
    ShapeError
        Where the mask is for sequences of another length.
    """
    if ctx.mask is None or x.ndim != 3:
        return None
    if ctx.mask.shape != x.shape[:2]:
        raise ShapeError(f"{layer} reads {x.shape[:2]} positions, and the mask has {ctx.mask.shape}.")
    return ctx.mask


def blanked(x: Float, mask: Array, value: float, out: Float) -> Float:
    """Return sequences with `value` where the mask says that nothing is there."""
    if out is not x:
        np.copyto(out, x)
    np.copyto(out, value, where=~mask[:, :, None])
    return out
