"""Augmentation of images: what leaves the class of a picture as it is, and mixtures of two pictures.

All functions here take a batch of images x (B, H, W, C) and numbers for each image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float
from nnctl.core.component import PositiveInt
from nnctl.data.augment.augmentation import Augmentation, Chance, Inputs, Mixing, Pairs, Probability, beta

__all__ = ["ColorJitter", "CutMix", "Cutout", "Flip", "RandomCrop", "Rotation"]

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue contribute to the brightness that is seen (ITU-R BT.601)."""

Amount = Annotated[float, Field(ge=0, le=1)]


class _Image(Augmentation):
    """A change of single images."""

    moves: ClassVar[bool] = False
    """Whether pixels end in other places."""

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse what is no image, and scaling that tells pixels apart where pixels move."""
        if inputs.picture is None:
            return f"needs images, of shape (H, W, C). A row here has shape {inputs.shape}."
        if self.moves and not inputs.pixels_are_alike:
            return (
                "moves pixels, and data.scaling gives every pixel a center and a scale of its own, which are wrong "
                "for the pixel that comes there. Use 'scaling: channels' or 'scaling: pixels'."
            )
        return super().refusal(inputs)

    def apply(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return the images changed, in the shape of x."""
        assert inputs.picture is not None
        return self.change(x.reshape(len(x), *inputs.picture), chance, inputs).reshape(x.shape)

    @abstractmethod
    def change(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return the images x (B, H, W, C) changed; x may be overwritten."""


class RandomCrop(_Image, name="random_crop"):
    """A shift by up to `padding` pixels up or down and left or right, each as likely: where an object stands is chance.

    The image is padded with black (what 0 became by scaling) on all sides, and a window of its own size cut out.

    Source: He, Zhang, Ren and Sun (2016), "Deep residual learning", section 4.2, arXiv:1512.03385.
    """

    padding: PositiveInt
    """The most pixels by which the image is shifted; smaller than the image."""

    moves = True
    field_synonyms: ClassVar[Mapping[str, str]] = {"pad": "padding", "pixels": "padding", "size": "padding"}

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse a padding that can shift the whole image out of sight, too."""
        if inputs.picture is not None and self.padding >= min(inputs.picture[:2]):
            height, width, _ = inputs.picture
            return f"padding must be smaller than the image, which is {height} x {width}. Got {self.padding}."
        return super().refusal(inputs)

    def change(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return a window of each image."""
        top, left = (chance.uniform(2) * (2 * self.padding + 1)).astype(np.intp).T
        return cropped(x, top, left, self.padding, inputs.black)


class Flip(_Image, name="flip"):
    """A mirror image, for every second image: left and right mean nothing to most classes.

    Not for digits or letters, whose mirror images are other signs or none.

    Source: Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep convolutional neural networks",
    section 4.1.
    """

    direction: Literal["horizontal", "vertical", "both"] = "horizontal"
    """Swap left and right (horizontal), top and bottom (vertical), or either by a draw of its own (both)."""
    probability: Probability = 0.5
    """Of each swap."""

    moves = True
    field_synonyms: ClassVar[Mapping[str, str]] = {"p": "probability", "mode": "direction", "axis": "direction"}

    def change(self, x: Float, chance: Chance, inputs: Inputs) -> Float:  # noqa: ARG002 - mirrors need no scaling
        """Return the images, some of them mirrored."""
        mirrored, upturned = (chance.uniform(2) < self.probability).T
        if self.direction != "vertical":
            x[mirrored] = x[mirrored, :, ::-1]
        if self.direction != "horizontal":
            x[upturned] = x[upturned, ::-1]
        return x


class Rotation(_Image, name="rotation"):
    """A turn about the middle of the image by any angle up to `degrees` to either side, each as likely.

    Values between pixels are interpolated between the four around them (bilinear); what comes in from outside is black
    (what 0 became by scaling).

    Source: Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks applied to visual
    document analysis", section 2.
    """

    degrees: Annotated[float, Field(gt=0, le=180)]
    """The largest angle, in degrees."""

    moves = True
    field_synonyms: ClassVar[Mapping[str, str]] = {"angle": "degrees", "factor": "degrees"}

    def change(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return the images turned."""
        angle = np.deg2rad(self.degrees) * (2 * chance.uniform(1)[:, 0] - 1)
        return rotated(x, angle, inputs.black)


class ColorJitter(_Image, name="color_jitter"):
    """Other light and other colours: every image is made brighter or darker, harder or softer, stronger or paler.

    brightness:  v <- f v,               black is 0 in the values of the source
    contrast:    v <- m + f (v - m),     m is the image's mean grey
    saturation:  v <- g + f (v - g),     g is the pixel's grey; without effect on images that have not three channels

    Each factor f is drawn between 1 - a and 1 + a, with a as given. The order is always this one, and nothing is cut
    off at white.

    Source: Howard (2013), "Some improvements on deep convolutional neural network based image classification",
    section 2.2, arXiv:1312.5402.
    """

    brightness: Amount = 0.2
    """How much brighter or darker at most, 0 to 1."""
    contrast: Amount = 0.2
    """How much harder or softer at most, 0 to 1."""
    saturation: Amount = 0.2
    """How much stronger or paler at most, 0 to 1."""

    def change(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return the images in other light."""
        amounts = np.array([self.brightness, self.contrast, self.saturation])
        factors = 1 + amounts * (2 * chance.uniform(3) - 1)
        center, scale = (part.astype(x.dtype) for part in (inputs.of_pixels.center, inputs.of_pixels.scale))
        return (jittered(x * scale + center, factors.astype(x.dtype)) - center) / scale


class Cutout(_Image, name="cutout"):
    """A square is wiped out, so that no single part of an image is relied on.

    Its middle is any pixel, so that it may reach over the edge. What is wiped out is 0 for the network: the mean where
    the scaling has a center, such as `channels`; black where it has none, such as `pixels`.

    Source: DeVries and Taylor (2017), "Improved regularization of convolutional neural networks with cutout",
    arXiv:1708.04552.
    """

    size: PositiveInt
    """Side of the square in pixels."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"length": "size", "side": "size"}

    def change(self, x: Float, chance: Chance, inputs: Inputs) -> Float:  # noqa: ARG002 - 0 is 0 in any scaling
        """Return the images, each with a hole."""
        top, left = _places(chance.uniform(2), x.shape[1:3]) - self.size // 2
        x[inside((top, top + self.size, left, left + self.size), x.shape[1:3])] = 0
        return x


class CutMix(Mixing, name="cutmix"):
    """A rectangle of each image is cut out of another one; the target is mixed by area.

    lam ~ Beta(alpha, alpha); a box of the image's own proportions with the area 1 - lam, its middle any pixel, cut off
    at the edges;  x <- x outside, x_partner inside;  t <- s t + (1 - s) t_partner, with s the share that is outside

    The partner of a row is any row of the training part, where the paper permutes the batch, and each row has a box of
    its own, where in the paper a batch shares one. Weights of rows are mixed as the targets are.

    Source: Yun et al. (2019), "CutMix", section 3.1 and algorithm A1, arXiv:1905.04899.
    """

    alpha: Annotated[float, Field(gt=0)] = 1.0
    """The smaller, the closer to 0 or 1 the shares are; with 1 all are as likely."""
    probability: Probability = 1.0
    """Of a row to be mixed at all."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"beta": "alpha", "p": "probability"}

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse what is no image."""
        if inputs.picture is None:
            return f"needs images, of shape (H, W, C). A row here has shape {inputs.shape}."
        return super().refusal(inputs)

    def pairs(self, chance: Chance, inputs: Inputs, total: int) -> Pairs:
        """Return partners, boxes and the shares outside of them."""
        assert inputs.picture is not None
        height, width, _ = inputs.picture
        u = chance.uniform(5)
        lam = beta(self.alpha, u[:, 1])
        side = np.where(u[:, 2] < self.probability, np.sqrt(1 - lam), 0.0)
        row, column = _places(u[:, 3:], (height, width))
        down, across = (np.rint(n * side).astype(np.intp) for n in (height, width))
        top, left = row - down // 2, column - across // 2
        bottom, right = (top + down).clip(0, height), (left + across).clip(0, width)
        top, left = top.clip(0, height), left.clip(0, width)
        share = 1 - (bottom - top) * (right - left) / (height * width)
        return Pairs((u[:, 0] * total).astype(np.intp), share, np.stack([top, bottom, left, right]))

    def mix(self, x: Float, other: Float, pairs: Pairs, inputs: Inputs) -> Float:
        """Return the images, each with a box of another."""
        assert inputs.picture is not None
        assert pairs.box is not None
        images = x.reshape(len(x), *inputs.picture)
        box = inside(tuple(pairs.box), inputs.picture[:2])
        images[box] = other.reshape(images.shape)[box]
        return images.reshape(x.shape)


def cropped(x: Float, top: Array, left: Array, padding: int, outside: Float) -> Float:
    """Return a window (H, W) of each padded image, whose upper left corner is at (top, left), both (B,)."""
    images, height, width, channels = x.shape
    padded = np.empty((images, height + 2 * padding, width + 2 * padding, channels), x.dtype)
    padded[...] = outside
    padded[:, padding:-padding, padding:-padding] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    return windows.transpose(0, 1, 2, 4, 5, 3)[np.arange(images), top, left]


def rotated(x: Float, angle: Float, outside: Float) -> Float:
    """Return each image turned counterclockwise by an angle (B,) in radians, interpolated bilinearly."""
    images, height, width, channels = x.shape
    padded = np.empty((images, height + 2, width + 2, channels), x.dtype)
    padded[...] = outside
    padded[:, 1:-1, 1:-1] = x
    row, column = (np.arange(n, dtype=x.dtype) - (n - 1) / 2 for n in (height, width))
    cos, sin = (f(angle).astype(x.dtype)[:, None, None] for f in (np.cos, np.sin))
    # Where each pixel comes from, in the padded image; all that is further outside comes from its edge.
    y = (cos * row[:, None] + sin * column + (height + 1) / 2).clip(0, height + 1)
    z = (cos * column - sin * row[:, None] + (width + 1) / 2).clip(0, width + 1)
    top, left = np.minimum(y.astype(np.intp), height), np.minimum(z.astype(np.intp), width)
    y, z = (y - top)[..., None], (z - left)[..., None]
    pixels = padded.reshape(-1, channels)
    at = (np.arange(images)[:, None, None] * (height + 2) + top) * (width + 2) + left
    upper, lower = (_between(pixels, at + shift, z) for shift in (0, width + 2))
    lower -= upper
    lower *= y.astype(x.dtype, copy=False)
    lower += upper
    return lower


def _between(pixels: Float, at: Array, share: Float) -> Float:
    """Return values between the pixels (D, C) at some places and their right neighbours."""
    left, right = (np.take(pixels, place, 0, mode="clip") for place in (at, at + 1))  # clip: nothing to check
    right -= left
    right *= share.astype(pixels.dtype, copy=False)
    right += left
    return right


def jittered(x: Float, factors: Float) -> Float:
    """Return images with other brightness, contrast and saturation, by factors (B, 3)."""
    brightness, contrast, saturation = factors.T[:, :, None, None, None]
    x = x * brightness
    mean = grey(x).mean(axis=(1, 2), keepdims=True)
    x = mean + contrast * (x - mean)
    if x.shape[3] == len(LUMA):
        own = grey(x)
        x = own + saturation * (x - own)
    return x


def grey(x: Float) -> Float:
    """Return the grey values (B, H, W, 1)."""
    if x.shape[3] == len(LUMA):
        red, green, blue = (x[..., k : k + 1] * x.dtype.type(part) for k, part in enumerate(LUMA))
        return red + green + blue
    return np.asarray(x.mean(axis=3, keepdims=True))


def inside(box: tuple[Array, ...], sides: tuple[int, ...]) -> Array:
    """Return which pixels lie in the box of each image, bool (B, H, W); its ends are top, bottom, left and right."""
    top, bottom, left, right = (end[:, None] for end in box)
    row, column = (np.arange(n) for n in sides)
    in_rows, in_columns = (top <= row) & (row < bottom), (left <= column) & (column < right)
    return np.logical_and(in_rows[:, :, None], in_columns[:, None, :])


def _places(u: Float, sides: tuple[int, ...]) -> Array:
    """Return a pixel of each image, rows and columns (2, B), for two numbers (B, 2) between 0 and 1."""
    return np.transpose((u * sides).astype(np.intp))
