"""Dropout."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import Share
from nnctl.nn.layer import Context, Layer, ShapeError, Views
from nnctl.nn.memory import BOOL, Use

__all__ = ["Dropout", "SpatialDropout", "dropout_mask", "drops", "share_kept"]

_WORDS = 2**16


class Dropout(Layer, name="dropout"):
    """Set a random share of the values to zero in training, so that units cannot rely on each other.

    forward:   y = x m / (1 - rate), every m being 0 with probability `rate`, else 1;  without training y = x
    backward:  dx = dy m / (1 - rate)

    Shapes: x, y (B, ...). As the first layer it drops inputs. The division keeps the expected value, so that nothing is
    rescaled at inference ("inverted" dropout; the source scales the weights at test time instead).

    One 16-bit random word decides each value, so the rate is rounded to a multiple of 1/65536 (and is at most
    65535/65536); the division uses the rounded rate. The mask depends on seed, layer, step and replica alone.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to prevent neural
    networks from overfitting".
    """

    rate: Share = 0.5
    """Share of the values to drop, 0 <= rate < 1; commonly 0.2 for inputs and 0.5 for hidden units."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"p": "rate", "drop_rate": "rate", "probability": "rate"}

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return shape

    def decided(self, shape: Shape) -> Shape:
        """Return the shape of the decisions for x of `shape`, batch axis included: one for each value."""
        return shape

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y and of the decisions, made in training alone."""
        decisions = prod(self.decided((use.rows, *shape)))
        return int(use.rows * prod(shape) + (1 + BOOL) * decisions) if use.training and _dropped(self.rate) else 0

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x with a share of its values dropped, or x itself where nothing is dropped."""
        if not drops(self.rate, ctx):
            ctx.saved = None
            return x
        mask = ctx.saved = dropout_mask(self.rate, self.decided(x.shape), ctx.bits(), ctx)
        return np.multiply(x, mask, out=ctx.out("y", x.shape))

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy through the same mask, in its memory."""
        return dy if ctx.saved is None else np.multiply(dy, ctx.saved, out=dy)


class SpatialDropout(Dropout, name="spatial_dropout"):
    """Set whole channels to zero in training, each with all of its positions.

    forward:   y = x m / (1 - rate), every channel of every sample having one m, 0 with probability `rate`, else 1;
               without training y = x
    backward:  dx = dy m / (1 - rate)

    Shapes: x, y (B, H, W, C) or (B, T, C). Neighbouring pixels are so alike that dropping single ones hides little;
    a channel that is gone is gone. The rest is as in dropout.

    Source: Tompson, Goroshin, Jain, LeCun and Bregler (2015), "Efficient object localization using convolutional
    networks", section 3.2, arXiv:1411.4280.
    """

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, if there are positions."""
        if len(shape) < 2:
            raise ShapeError(
                f"spatial_dropout needs images (height, width, channels) or sequences (time, channels). "
                f"Got samples of shape {shape}. Write dropout."
            )
        return shape

    def decided(self, shape: Shape) -> Shape:
        """Return the shape of the decisions: one for each channel of each sample."""
        return (shape[0], *(1,) * (len(shape) - 2), shape[-1])


def drops(rate: float, ctx: Context) -> bool:
    """Return whether anything is dropped in this pass."""
    return ctx.training and _dropped(rate) > 0


def dropout_mask(rate: float, shape: Shape, bits: np.random.Philox, ctx: Context) -> Float:
    """Return factors in the buffer `mask`: 0 with probability `rate`, else 1 / (1 - rate), as the next bits decide."""
    size, dropped = prod(shape), _dropped(rate)
    # Raw words cut into 16 bits: a third of the time of drawing floats.
    words = bits.random_raw(-(-size // 4)).view(np.uint16)[:size].reshape(shape)
    keep = np.greater_equal(words, dropped, out=ctx.out("keep", shape, bool))
    mask = ctx.out("mask", shape)
    np.copyto(mask, keep)
    return np.multiply(mask, 1 / share_kept(rate), out=mask)


def share_kept(rate: float) -> float:
    """Return the probability to be kept that a mask of this rate has, a multiple of 1/65536."""
    return 1 - _dropped(rate) / _WORDS


def _dropped(rate: float) -> int:
    return min(round(rate * _WORDS), _WORDS - 1)
