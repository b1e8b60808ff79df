"""Layers that only rearrange."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import Items
from nnctl.nn.layer import Context, Layer, ShapeError, Views
from nnctl.nn.memory import Use
from nnctl.nn.windows import blanked, mask_of

__all__ = ["Flatten", "Reshape"]


class Flatten(Layer, name="flatten"):
    """Lay the axes of each sample end to end, so that a dense layer can take an image or a sequence.

    forward:   y = x, read as one row per sample, the last axis running fastest
    backward:  dx = dy, read in the shape of x

    Shapes: x (B, ...), y (B, D) with D the product of the other axes.

    Padding of short sequences is zero, whatever stands there, and has no gradient.
    """

    any_length = False

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of x where it is padded; else it is only read in another way."""
        return use.rows * prod(shape) * use.padded

    def out_shape(self, shape: Shape) -> Shape:
        """Return (D,)."""
        return (prod(shape),)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x as (B, D)."""
        return _rearranged(x, (prod(x.shape[1:]),), self.name, ctx)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy in the shape of x."""
        return _arranged_back(dy, ctx)


def _one_left_open(shape: Shape) -> Shape:
    if shape.count(-1) > 1:
        raise ValueError("may leave one axis open with -1, not more")
    if any(n < -1 or n == 0 for n in shape):
        raise ValueError("must have positive lengths, or one -1")
    return shape


class Reshape(Layer, name="reshape"):
    """Read each sample in another shape, as a row of 64 pixels as an image of 8 x 8 with one channel.

    forward:   y = x, read in the new shape, the last axis running fastest
    backward:  dx = dy, read in the shape of x

    Shapes: x (B, ...), y (B, *shape), as many values in one as in the other. Nothing is moved: to swap axes takes more.

    Padding of short sequences is zero, whatever stands there, and has no gradient. Where the first axis stays, it is
    still time; else what is returned has no mask.
    """

    shape: Annotated[Items[int], Field(min_length=1), AfterValidator(_one_left_open)]
    """The new shape without the batch axis, such as [28, 28, 1]; one axis may be -1: whatever is left for it."""

    any_length = False
    field_synonyms: ClassVar[Mapping[str, str]] = {"target_shape": "shape", "size": "shape"}

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of x where it is padded; else it is only read in another way."""
        return use.rows * prod(shape) * use.padded

    def out_shape(self, shape: Shape) -> Shape:
        """Return the new shape, the open axis filled in."""
        size, known = prod(shape), prod(n for n in self.shape if n != -1)
        if size % known if -1 in self.shape else size != known:
            raise ShapeError(f"reshape: {size} values, of shape {shape}, cannot be read as {list(self.shape)}.")
        return tuple(size // known if n == -1 else n for n in self.shape)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x in the new shape."""
        return _rearranged(x, self.out_shape(x.shape[1:]), self.name, ctx)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy in the shape of x."""
        return _arranged_back(dy, ctx)


def _rearranged(x: Float, shape: Shape, layer: str, ctx: Context) -> Float:
    """Return x with samples of another shape, nothing in its padding, and leave the mask that this has."""
    mask = mask_of(x, layer, ctx)
    ctx.saved = x.shape, mask
    if mask is not None:
        x = blanked(x, mask, 0.0, ctx.out("x", x.shape))
        if shape[0] != x.shape[1]:
            ctx.mask = None
    return x.reshape(len(x), *shape)


def _arranged_back(dy: Float, ctx: Context) -> Float:
    shape, mask = ctx.saved
    dx = dy.reshape(shape)
    return dx if mask is None else blanked(dx, mask, 0.0, dx)
