"""Convolution over sequences and images, and its transpose."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import ClassVar, Literal, Self

import numpy as np

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import PositiveInt
from nnctl.nn.correlation import (
    back_to_input,
    back_to_kernel,
    correlate,
    gradients,
    held_spread,
    held_windows,
    pixel_sums,
)
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Context, Layer, Param, ShapeError, Views
from nnctl.nn.memory import Use
from nnctl.nn.windows import (
    Padding,
    Pair,
    PairOfPaddings,
    Windows,
    blanked,
    check_image,
    mask_of,
    pair,
    windows_of_images,
    windows_of_sequences,
)

__all__ = ["Conv1d", "Conv2d", "Conv2dTranspose"]


class Kernel(Layer):
    """A layer that moves a kernel over its input."""

    channels: PositiveInt | Literal["outputs"]
    """Channels of the output, one for every filter; ``outputs`` means as many as the data and the loss ask for."""
    kernel: PositiveInt | Pair = 3
    """Size of the kernel; for images also [height, width]."""
    stride: PositiveInt | Pair = 1
    """Step from one window to the next; for images also [down, right]."""
    padding: Padding | PairOfPaddings = "valid"
    """``valid``: none. ``same``: as many zeros as keep the size (divided by the stride). Or so many on every side."""
    dilation: PositiveInt | Pair = 1
    """Distance between the taps of the kernel; more than 1 leaves holes and reaches further."""
    init: Initializer | None = None
    """Initial weights; by default the `init` of the spec."""
    bias: bool = True
    """Whether b is there."""
    bias_init: Initializer | None = None
    """Initial biases; by default the `bias_init` of the spec."""

    sharded: ClassVar[bool] = True
    advice: ClassVar[Mapping[str, str]] = {
        "activation": "An activation is a layer of its own: write it as the next entry, '- relu'.",
        "in_channels": "The channels of the input come from what is before the layer: leave it out.",
    }
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "filters": "channels",
        "out_channels": "channels",
        "units": "channels",
        "kernel_size": "kernel",
        "filter_size": "kernel",
        "size": "kernel",
        "strides": "stride",
        "dilation_rate": "dilation",
        "pad": "padding",
        "use_bias": "bias",
        "kernel_initializer": "init",
        "weight_init": "init",
        "bias_initializer": "bias_init",
    }

    def with_outputs(self, outputs: int) -> Self:
        """Return the layer with its channels settled."""
        return self.model_copy(update={"channels": outputs}) if self.channels == "outputs" else self

    @cached_property
    @abstractmethod
    def windows(self) -> Windows:
        """Where the kernel lies."""

    def _width(self) -> int:
        if isinstance(self.channels, str):
            raise ShapeError("'outputs' has no width yet: it comes from the data and the loss.")
        return self.channels


class Convolution(Kernel):
    """A convolution in groups."""

    groups: PositiveInt = 1
    """Parts that the channels are cut into, each part of the output seeing one part of the input. As many as the input
    has channels: a depthwise convolution."""

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W (kernel..., C / groups, channels) and, unless left out, b (channels)."""
        width, each, taps = self._width(), shape[-1] // self.groups, self.windows.taps
        fans = taps * each, taps * width // self.groups
        found = {"W": Param((*self._axes(), each, width), "kernel", self.init, fans)}
        if self.bias:
            found["b"] = Param((width,), "bias", self.bias_init)
        return found

    def flop(self, shape: Shape) -> int:
        """Return two for every weight of the kernel at every window."""
        weights = self.windows.taps * (shape[-1] // self.groups) * self._width()
        return 2 * prod(self.out_shape(shape)[:-1]) * weights

    def scratch(self, shape: Shape, use: Use) -> int:
        """Return the numbers of the windows of a few images, of these with their margins, and of some kernels."""
        image = shape if len(shape) == 3 else (shape[0], 1, shape[1])
        return held_windows(image, self._width(), self.groups, self.windows, use)

    def _axes(self) -> Shape:
        return self.windows.kernel

    def _check_groups(self, channels: int) -> None:
        width = self._width()
        if channels % self.groups or width % self.groups:
            raise ShapeError(
                f"{self.groups} groups must divide the channels of the input and of the output. "
                f"Got {channels} and {width}."
            )


class Conv2d(Convolution, name="conv2d"):
    """Look for the same small patterns everywhere in an image: a kernel moves over it, and its products are summed.

    forward:   y[i, j] = b + Σ_uv x[i s + u d - m, j s + v d - m] W[u, v], x being zero outside; stride s,
               dilation d, margin m
    backward:  dW[u, v] = Σ_ij x[i s + u d - m, j s + v d - m]' dy[i, j],  db = Σ_ij dy[i, j],
               dx[k, l] = Σ dy[i, j] W[u, v]' over all windows and taps that see the pixel (k, l)

    Shapes: x (B, H, W, C), W (kh, kw, C / groups, channels), b (channels), y (B, H', W', channels) with
    H' = floor((H + margins - d (kh - 1) - 1) / s) + 1, margins above and below together. ``same`` has
    floor(r / 2) zeros before and the rest of r = d (kh - 1) after, so that H' = ceil(H / s): PyTorch's ``same``, and
    with an odd kernel its padding of (kh - 1) / 2; Keras and TensorFlow lay the windows of strides above 1 elsewhere.
    The kernel is not flipped: strictly, this is a cross-correlation, as in every framework. PyTorch stores W as
    (channels, C / groups, kh, kw), x as (B, C, H, W).

    Memory: y and dx, B H' W' channels and B H W C numbers. The windows are laid out for a few images at a time, or for
    rows of one: 524,288 numbers at most, or those of one row of windows; beside them these images with their margins.

    Source: LeCun, Boser, Denker et al. (1989), "Backpropagation applied to handwritten zip code recognition"; as
    arithmetic Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning", arXiv:1603.07285;
    dilation Yu and Koltun (2016), arXiv:1511.07122; columns and one matrix product Chellapilla, Puri and Simard (2006).
    """

    @cached_property
    def windows(self) -> Windows:
        """Where the kernel lies."""
        return windows_of_images(self.kernel, self.stride, self.dilation, self.padding)

    def out_shape(self, shape: Shape) -> Shape:
        """Return (H', W', channels)."""
        check_image(self.name, shape)
        self._check_groups(shape[2])
        return (*self.windows.checked((shape[0], shape[1])), self._width())

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return y."""
        ctx.saved = x
        return correlate(x, p.W, p.b if self.bias else None, self.windows, ctx)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dW and db; return dx."""
        if self.bias:
            pixel_sums(dy, g.b, ctx)
        return gradients(ctx.saved, p.W, g.W, dy, self.windows, ctx)


class Conv1d(Convolution, name="conv1d"):
    """Look for the same short patterns everywhere in a sequence: conv2d along one axis.

    forward:   y[i] = b + Σ_u x[i s + u d - m] W[u], what lies outside the sequence being zero; stride s, dilation d,
               margin m
    backward:  dW[u] = Σ_i x[i s + u d - m]' dy[i],  db = Σ_i dy[i],  dx[k] = Σ dy[i] W[u]' where i s + u d - m = k

    Shapes: x (B, T, C), W (kernel, C / groups, channels), b (channels), y (B, T', channels) with
    T' = floor((T + margins - d (kernel - 1) - 1) / s) + 1. ``same`` as in conv2d.

    Padding of short sequences counts as outside: it is zero whatever stands there, has no gradient, and what is
    returned has the mask that is left: that of the windows which each sequence would have if it were alone.

    Memory: as conv2d, and a copy of x where there is a mask.

    Source: Waibel, Hanazawa, Hinton, Shikano and Lang (1989), "Phoneme recognition using time-delay neural networks".
    """

    kernel: PositiveInt = 3
    stride: PositiveInt = 1
    padding: Padding = "valid"
    dilation: PositiveInt = 1

    @cached_property
    def windows(self) -> Windows:
        """Where the kernel lies, on an image one pixel wide."""
        return windows_of_sequences(self.kernel, self.stride, self.dilation, self.padding)

    def out_shape(self, shape: Shape) -> Shape:
        """Return (T', channels)."""
        if len(shape) != 2:
            raise ShapeError(f"{self.name} needs sequences (time, channels). Got samples of shape {shape}.")
        self._check_groups(shape[1])
        return (self.windows.checked((shape[0], 1))[0], self._width())

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return y, and leave its mask."""
        mask = mask_of(x, self.name, ctx)
        if mask is not None:
            x = blanked(x, mask, 0.0, ctx.out("x", x.shape))
            ctx.mask = self.windows.shortened(mask)
        ctx.saved = x, mask
        y = correlate(x[:, :, None], p.W[:, None], p.b if self.bias else None, self.windows, ctx)
        return y[:, :, 0]

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dW and db; return dx."""
        x, mask = ctx.saved
        if self.bias:
            pixel_sums(dy, g.b, ctx)
        dx = gradients(x[:, :, None], p.W[:, None], g.W[:, None], dy[:, :, None], self.windows, ctx)
        if dx is None:
            return None
        dx = dx[:, :, 0]
        return dx if mask is None else blanked(dx, mask, 0.0, dx)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y and dx, and of x where it is padded."""
        return super().buffers(shape, use) + use.rows * prod(shape) * use.padded

    def _axes(self) -> Shape:
        return (self.kernel,)


class Conv2dTranspose(Kernel, name="conv2d_transpose"):
    """Spread an image out: the transpose of conv2d as a linear map, which turns H' x W' pixels into H x W.

    forward:   y[k, l] = b + Σ x[i, j] W[u, v]' over all i, j, u, v with i s + u d - m = k, j s + v d - m = l
    backward:  dx[i, j] = Σ_uv dy[i s + u d - m, j s + v d - m] W[u, v]: conv2d of dy;
               dW[u, v] = Σ_ij dy[i s + u d - m, j s + v d - m]' x[i, j],  db = Σ_kl dy[k, l]

    Shapes: x (B, H, W, C), W (kh, kw, channels, C), y (B, H', W', channels) with
    H' = (H - 1) s + d (kh - 1) + 1 - 2 m: that of PyTorch (without output_padding), and with ``valid``, m = 0, that of
    Keras too where the kernel is not smaller than the stride. With ``same`` H' = H s, as in Keras; there the first
    floor((d (kh - 1) + 1 - s) / 2) rows are cut off, and a kernel smaller than the stride leaves gaps with b alone.
    A kernel that the stride does not divide gives some pixels more terms than others, seen as a checkerboard.

    Memory: y and dx, and scratch for a few images at a time.

    Source: Zeiler, Krishnan, Taylor and Fergus (2010), "Deconvolutional networks"; Dumoulin and Visin (2016),
    arXiv:1603.07285, chapter 4; the checkerboard Odena, Dumoulin and Olah (2016), doi:10.23915/distill.00003.
    """

    @cached_property
    def windows(self) -> Windows:
        """The windows of the convolution that this is the transpose of: on y, one for every pixel of x."""
        kernel, stride, dilation = pair(self.kernel), pair(self.stride), pair(self.dilation)
        if self.padding != "same":
            return windows_of_images(kernel, stride, dilation, self.padding)
        high, wide = (max(r - s, 0) for r, s in zip(Windows(kernel, stride, dilation).reach, stride, strict=True))
        before = high // 2, wide // 2
        return Windows(kernel, stride, dilation, before, (high - before[0], wide - before[1]))

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W (kh, kw, channels, C) and, unless left out, b (channels).

        A unit has the kernel's inputs over the square of the stride.
        """
        width, windows = self._width(), self.windows
        fans = max(1, windows.taps * shape[2] // prod(windows.stride)), windows.taps * width
        found = {"W": Param((*windows.kernel, width, shape[2]), "kernel", self.init, fans)}
        if self.bias:
            found["b"] = Param((width,), "bias", self.bias_init)
        return found

    def out_shape(self, shape: Shape) -> Shape:
        """Return (H', W', channels)."""
        check_image(self.name, shape)
        windows = self.windows
        if self.padding == "same":
            high, wide = (n * s for n, s in zip(shape[:2], windows.stride, strict=True))
        else:
            steps = zip(shape[:2], windows.stride, windows.reach, windows.before, strict=True)
            high, wide = ((n - 1) * s + reach - 2 * margin for n, s, reach, margin in steps)
        if min(high, wide) < 1:
            raise ShapeError(
                f"padding {self.padding} cuts off more than there is. Of {shape[0]} x {shape[1]} pixels "
                f"{high} x {wide} would be left."
            )
        return high, wide, self._width()

    def scratch(self, shape: Shape, use: Use) -> int:
        """Return the numbers of the windows of a few images, and of these with their margins."""
        return held_spread(self.out_shape(shape), shape[2], self.windows, use)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return y."""
        ctx.saved = x
        y = back_to_input(p.W, x, self.windows, (len(x), *self.out_shape(x.shape[1:])), ctx, name="y")
        return np.add(y, p.b, out=y) if self.bias else y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dW and db; return dx."""
        if self.bias:
            pixel_sums(dy, g.b, ctx)
        back_to_kernel(dy, g.W, ctx.saved, self.windows, ctx)
        return correlate(dy, p.W, None, self.windows, ctx, name="dx") if ctx.need_dx else None
