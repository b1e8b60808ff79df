"""Layers for a part of every sequence."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import PositiveInt
from nnctl.nn.compose import Sequential
from nnctl.nn.layer import Context, Part, ShapeError, Views
from nnctl.nn.memory import Use

__all__ = ["Segment"]


class Segment(Sequential, name="segment"):
    """Run layers on some of the positions of a sequence, and leave the others as they are, or out.

    forward:   x = [u; s; v], s the positions from `start` to before `stop`;  y = [u; F(s); v], or F(s) with `alone`
    backward:  dx = [du; J_F' ds; dv], or [0; J_F' dy; 0] with `alone`

    Shapes: x (B, T, ...), s (B, stop - start, ...); F must return the shape it takes, or any with `alone`.

    With it one input holds two sequences: the source, for an encoder, and the target, for the blocks of a decoder that
    have the source as their `memory`.

    Source: two segments in one input, after the sequence-to-sequence objective of Dong et al. (2019), "Unified language
    model pre-training for natural language understanding and generation", arXiv:1905.03197, there for one network.
    """

    start: Annotated[int, Field(ge=0)] = 0
    """The first position of the segment, counted from 0."""
    stop: PositiveInt | None = None
    """The first position behind it; by default it reaches to the end."""
    alone: bool = False
    """Whether only the segment goes on."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"end": "stop", "begin": "start", "from": "start", "to": "stop"}

    def chained(self, shape: Shape) -> tuple[tuple[Part, ...], Shape]:
        """Return the layers as parts, from the shape of the segment on, and the shape that leaves the whole."""
        stop = self.stop or (shape[0] if shape else 0)
        if len(shape) < 2 or not self.start < stop <= shape[0]:
            raise ShapeError(f"segment: no positions {self.start} to {stop} in an input of shape {shape}.")
        segment = (stop - self.start, *shape[1:])
        parts, inner = super().chained(segment)
        if self.alone:
            return parts, inner
        if inner != segment:
            raise ShapeError(
                f"segment puts its layers' output {inner} in the place of the positions {segment}: the two must be "
                f"alike. With 'alone: true' the other positions are left out."
            )
        return parts, shape

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of the segment, of y and of the segment's dy; or of dx, with `alone`."""
        segment = ((self.stop or shape[0]) - self.start) * prod(shape[1:])
        if self.alone:
            return use.rows * (segment + use.back * prod(shape))
        return use.rows * (segment * (1 + use.training) + prod(shape))

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return the sequence with the segment changed, or the changed segment."""
        here = slice(self.start, self.stop)
        ctx.saved = x.shape
        segment = ctx.out("segment", x[:, here].shape)
        np.copyto(segment, x[:, here])
        mask = ctx.mask
        ctx.mask = None if mask is None else mask[:, here]
        inner = super().forward(p, segment, ctx)
        if self.alone:
            return inner
        ctx.mask = mask
        y = ctx.out("y", x.shape)
        np.copyto(y, x)
        y[:, here] = inner
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Return dx; where others pass by the layers, in the memory of dy."""
        here = slice(self.start, self.stop)
        if self.alone:
            inner = super().backward(p, g, dy, ctx)
            if inner is None or not ctx.need_dx:
                return None
            dx = ctx.out("dx", ctx.saved)
            dx.fill(0)
            dx[:, here] = inner
            return dx
        slope = ctx.out("slope", dy[:, here].shape)
        np.copyto(slope, dy[:, here])
        inner = super().backward(p, g, slope, ctx)
        if inner is None or not ctx.need_dx:
            return None
        dy[:, here] = inner
        return dy
