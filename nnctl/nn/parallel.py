"""Layers side by side."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import Items
from nnctl.nn.layer import Context, Layer, Part, ShapeError, Views
from nnctl.nn.memory import Use

__all__ = ["Parallel"]


class Parallel(Layer, name="parallel"):
    """Give the same input to several layers, and lay what they return side by side, or add it up.

    forward:   `concat`:  y = [f_1(x) ... f_n(x)] along the last axis;  `sum`:  y = Σ f_i(x)
    backward:  dx = Σ J_i' dy_i, with dy_i the columns of dy that f_i has made, or all of dy

    Shapes: x as every layer takes it; with `concat` what they return is alike but for the last axis, and y
    (B, ..., ΣD); with `sum` it is alike. A branch of several layers is a sequential.

    Source: Szegedy et al. (2015), "Going deeper with convolutions", figure 2, arXiv:1409.4842, for concat; Xie et al.
    (2017), "Aggregated residual transformations for deep neural networks", eq. 2, arXiv:1611.05431, for sum.
    """

    layers: Annotated[Items[Layer], Field(min_length=1)]
    """The layers, each of which gets the input."""
    merge: Literal["concat", "sum"] = "concat"
    """``concat``: side by side along the last axis, the channels of images. ``sum``: added up."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"branches": "layers", "paths": "layers", "mode": "merge"}

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Return the branches, each with the shape of the input."""
        return tuple(Part(f"{i}.{branch.name}", branch, shape) for i, branch in enumerate(self.layers))

    def with_outputs(self, outputs: int) -> Self:
        """Return the layer with ``outputs`` settled in every branch."""
        return self.model_copy(update={"layers": tuple(branch.with_outputs(outputs) for branch in self.layers)})

    def with_vocabulary(self, size: int) -> Self:
        """Return the layer with ``vocabulary`` settled in every branch."""
        return self.model_copy(update={"layers": tuple(branch.with_vocabulary(size) for branch in self.layers)})

    def vocabulary(self) -> int | None:
        """Return how many tokens the first branch takes, where it takes tokens."""
        return self.layers[0].vocabulary()

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape that the branches' outputs have together."""
        shapes = [self._shape_of(i, shape) for i in range(len(self.layers))]
        if self.merge == "sum":
            if len(set(shapes)) > 1:
                raise ShapeError(f"parallel adds what its branches return: they must be alike. Got {_listed(shapes)}.")
            return shapes[0]
        if len({each[:-1] for each in shapes}) > 1 or () in shapes:
            raise ShapeError(
                f"parallel lays what its branches return side by side along the last axis: all other axes must be "
                f"alike. Got {_listed(shapes)}."
            )
        return (*shapes[0][:-1], sum(each[-1] for each in shapes))

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y, of the largest copy of dy, and of dx."""
        outputs = [prod(branch.out_shape(shape)) for branch in self.layers]
        y = sum(outputs) if self.merge == "concat" else outputs[0]
        return use.rows * (y + use.training * max(outputs) + use.back * prod(shape))

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return what the branches return, merged."""
        mask = ctx.mask
        outputs = []
        for part in ctx.parts:
            ctx.mask = mask  # one branch may leave another than the next one should see
            outputs.append(part.forward(x))
        ctx.saved = [output.shape for output in outputs]
        if self.merge == "concat":
            width = sum(output.shape[-1] for output in outputs)
            return np.concatenate(outputs, axis=-1, out=ctx.out("y", (*outputs[0].shape[:-1], width)))
        y = ctx.out("y", outputs[0].shape)
        np.copyto(y, outputs[0])
        for output in outputs[1:]:
            np.add(y, output, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:  # noqa: ARG002
        """Return the sum of the branches' dx; each gets a copy of its dy, since it may destroy it."""
        dx = None
        start = 0
        for part, shape in zip(ctx.parts, ctx.saved, strict=True):
            copy = ctx.out("dy", shape)
            np.copyto(copy, dy[..., start : start + shape[-1]] if self.merge == "concat" else dy)
            start += shape[-1]
            through = part.backward(copy)
            if not ctx.need_dx or through is None:
                continue
            if dx is None:
                dx = ctx.out("dx", through.shape)
                np.copyto(dx, through)
            else:
                np.add(dx, through, out=dx)
        return dx

    def _shape_of(self, i: int, shape: Shape) -> Shape:
        branch = self.layers[i]
        try:
            return branch.out_shape(shape)
        except ShapeError as error:
            error.path = ("layers", i, branch.name, *error.path)
            raise


def _listed(shapes: list[Shape]) -> str:
    return ", ".join(map(str, shapes))
