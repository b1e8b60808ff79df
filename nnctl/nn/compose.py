"""Layers made of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import Items, PositiveInt
from nnctl.nn.layer import Context, Layer, Part, ShapeError, Views

__all__ = ["Chain", "Repeat", "Residual", "Sequential", "chain"]


def chain(layers: Sequence[Layer], shape: Shape) -> tuple[tuple[Part, ...], Shape]:
    """Return the layers as parts, each with the shape that reaches it, and the shape that leaves the last.

    Raises
    ------
    ShapeError
        From the first layer that cannot take what reaches it, with its place in `path`.
    """
    found = []
    for i, layer in enumerate(layers):
        found.append(Part(f"{i}.{layer.name}", layer, shape))
        try:
            shape = layer.out_shape(shape)
        except ShapeError as error:
            error.path = (i, layer.name, *error.path)
            raise
    return tuple(found), shape


class Chain(Layer):
    """Layers one after another, such as an input of some shape asks for."""

    @abstractmethod
    def chained(self, shape: Shape) -> tuple[tuple[Part, ...], Shape]:
        """Return the layers as parts, each with the shape that reaches it, and the shape that leaves the last."""

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Return the layers with the shapes that reach them."""
        return self.chained(shape)[0]

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape that leaves the last layer."""
        return self.chained(shape)[1]

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the output of the last layer."""
        for part in ctx.parts:
            x = part.forward(x)
        return x

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:  # noqa: ARG002
        """Return dx, or None once a layer says that nothing before it needs a gradient."""
        for part in reversed(ctx.parts):
            dx = part.backward(dy)
            if dx is None:
                return None
            dy = dx
        return dy


class Sequential(Chain, name="sequential"):
    """Run layers one after another.

    forward:   y = f_n(... f_2(f_1(x)))
    backward:  the chain rule from the last layer to the first, dx = J_1' ... J_n' dy

    Shapes: those of the parts.
    """

    layers: Annotated[Items[Layer], Field(min_length=1)]
    """The layers, in order."""

    def with_outputs(self, outputs: int) -> Self:
        """Return the composite with ``outputs`` settled in every part."""
        return self.model_copy(update={"layers": tuple(layer.with_outputs(outputs) for layer in self.layers)})

    def with_vocabulary(self, size: int) -> Self:
        """Return the composite with ``vocabulary`` settled in every part."""
        return self.model_copy(update={"layers": tuple(layer.with_vocabulary(size) for layer in self.layers)})

    def vocabulary(self) -> int | None:
        """Return how many tokens the first layer takes, where it takes tokens."""
        return self.layers[0].vocabulary()

    def chained(self, shape: Shape) -> tuple[tuple[Part, ...], Shape]:
        """Return the layers as parts; an error leads to the layer as it is written."""
        try:
            return chain(self._expanded(), shape)
        except ShapeError as error:
            index, *rest = error.path
            error.path = ("layers", int(index) % len(self.layers), *rest)
            raise

    def _expanded(self) -> tuple[Layer, ...]:
        return self.layers


class Repeat(Sequential, name="repeat"):
    """Run a group of layers several times, each time with parameters of its own.

    forward:   y = F_times(... F_1(x)), every F_i the group of layers
    backward:  the chain rule through all of them, dx = J_1' ... J_times' dy

    Shapes: the group must return what it takes where its layers depend on the shape.
    """

    layers: Annotated[Items[Layer], Field(min_length=1)]
    """The group, in order."""
    times: PositiveInt = 2
    """How often."""

    def _expanded(self) -> tuple[Layer, ...]:
        return self.layers * self.times


class Residual(Sequential, name="residual"):
    """Add the input to what the layers make of it, so that a gradient always finds a way past them.

    forward:   y = x + F(x)
    backward:  dx = dy + J_F' dy

    Shapes: x, y (B, ...); F must return the shape it takes.

    Source: He, Zhang, Ren and Sun (2016), "Deep residual learning for image recognition", eq. 1, arXiv:1512.03385.
    """

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, if the layers do."""
        inner = super().out_shape(shape)
        if inner != shape:
            raise ShapeError(f"residual adds its input {shape} to its layers' output {inner}: the two must be alike.")
        return shape

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return x + F(x)."""
        y = ctx.out("y", x.shape)
        return np.add(x, super().forward(p, x, ctx), out=y)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Return dy + J_F' dy; the layers get a copy of dy, since they may destroy it."""
        copy = ctx.out("dy", dy.shape)
        np.copyto(copy, dy)
        through = super().backward(p, g, copy, ctx)
        if not ctx.need_dx or through is None:
            return dy if ctx.need_dx else None
        return np.add(dy, through, out=dy)
