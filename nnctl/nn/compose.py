"""Layers made of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import Items, PositiveInt
from nnctl.nn.dense import Dense
from nnctl.nn.layer import Bound, Context, Layer, Part, ShapeError, Views
from nnctl.nn.memory import Use

__all__ = ["Chain", "Repeat", "Residual", "Sequential", "back_through", "chain", "through"]


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


def through(parts: Sequence[Bound], x: Float) -> Float:
    """Return what the last of the layers makes of `x`."""
    for part in parts:
        x = part.forward(x)
    return x


def back_through(parts: Sequence[Bound], dy: Float) -> Float | None:
    """Return dx, or None once a layer says that nothing before it needs a gradient."""
    for part in reversed(parts):
        dx = part.backward(dy)
        if dx is None:
            return None
        dy = dx
    return dy


class Chain(Layer):
    """Layers one after another, such as an input of some shape asks for."""

    @abstractmethod
    def chained(self, shape: Shape) -> tuple[tuple[Part, ...], Shape]:
        """Return the layers as parts, each with the shape that reaches it, and the shape that leaves the last."""

    def buffers(self, shape: Shape, use: Use) -> int:  # noqa: ARG002
        """Return 0: what there is belongs to the parts."""
        return 0

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Return the layers with the shapes that reach them."""
        return self.chained(shape)[0]

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape that leaves the last layer."""
        return self.chained(shape)[1]

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the output of the last layer."""
        return through(ctx.parts, x)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:  # noqa: ARG002
        """Return dx, or None once a layer says that nothing before it needs a gradient."""
        return back_through(ctx.parts, dy)


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

    forward:   y = x + F(x);  with a projection  y = S(x) W + F(x), where S takes every s-th position
    backward:  dx = dy + J_F' dy;  with a projection  dW = S(x)' dy,  dx = S'(dy W') + J_F' dy

    Shapes: x (B, ..., D), y as F returns it; W (D, D_out), without a bias. F must return the shape it takes, or with
    `projection` the same number of axes and ceil(n / s) of n positions, for some s along each axis.

    Source: He, Zhang, Ren and Sun (2016), "Deep residual learning for image recognition", eq. 1 and 2 and section 3.3,
    option B, arXiv:1512.03385.
    """

    projection: bool = False
    """Whether the input goes through a matrix of weights where its shape is not that of the layers' output: for images
    a convolution with a kernel of 1 and the stride that it takes."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"downsample": "projection", "shortcut": "projection"}

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Return the projection, where there is one, and the layers."""
        layers, inner = self.chained(shape)
        if inner == shape:
            return layers
        return (Part("projection", Dense(units=inner[-1], bias=False), (*inner[:-1], shape[-1])), *layers)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y, of the copy of dy, and of the positions that a projection takes."""
        inner = self.chained(shape)[1]
        taken = prod(inner[:-1]) * shape[-1] if inner[:-1] != shape[:-1] else 0
        return use.rows * (prod(inner) * (1 + use.training) + taken)

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape that leaves the layers, if the input can be added to it."""
        inner = super().out_shape(shape)
        if inner != shape and not self.projection:
            raise ShapeError(
                f"residual adds its input {shape} to its layers' output {inner}: the two must be alike. "
                f"With 'projection: true' the input is brought to the shape of the output."
            )
        if inner != shape and not (shape and len(inner) == len(shape) and _strides(shape, inner)):
            raise ShapeError(
                f"residual: no projection leads from its input {shape} to its layers' output {inner}: apart from the "
                f"last axis it can only take every second, third ... position."
            )
        return inner

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x + F(x)."""
        projection, layers = self._divided(ctx)
        inner = through(layers, x)
        shortcut = x
        if projection:
            taken = ctx.saved = _every(_strides(x.shape[1:], inner.shape[1:]))
            if inner.shape[:-1] != x.shape[:-1]:
                shortcut = ctx.out("taken", x[taken].shape)
                np.copyto(shortcut, x[taken])
            shortcut = through(projection, shortcut)
        return np.add(shortcut, inner, out=ctx.out("y", inner.shape))

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:  # noqa: ARG002
        """Return dy + J_F' dy; the layers get a copy of dy, since they may destroy it."""
        projection, layers = self._divided(ctx)
        copy = ctx.out("dy", dy.shape)
        np.copyto(copy, dy)
        dx = back_through(layers, copy)
        shortcut = back_through(projection, dy)
        if not ctx.need_dx or dx is None or shortcut is None:
            return None
        if not projection:
            return np.add(shortcut, dx, out=shortcut)
        taken = dx[ctx.saved]
        np.add(taken, shortcut, out=taken)
        return dx

    def _divided(self, ctx: Context) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
        """Return the projection, none or one, and the layers."""
        first = len(ctx.parts) - len(self.layers)
        return ctx.parts[:first], ctx.parts[first:]


def _strides(shape: Shape, inner: Shape) -> Shape:
    """Return how many steps apart the positions are that are taken along each axis; () if none fit."""
    strides = tuple(-(-n // max(m, 1)) for n, m in zip(shape[:-1], inner[:-1], strict=True))
    fits = all(-(-n // max(s, 1)) == m for n, m, s in zip(shape, inner, strides, strict=False))
    return (*strides, 1) if fits else ()


def _every(strides: Shape) -> tuple[slice, ...]:
    """Return the index of every s-th position, the batch axis in front."""
    return (slice(None), *(slice(None, None, s) for s in strides))
