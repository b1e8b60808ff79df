"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np

from nnctl.core.arrays import Float, Shape, as_rows, column_sums
from nnctl.core.component import PositiveInt
from nnctl.nn import loops
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Context, Layer, Param, ShapeError, Views

__all__ = ["Dense"]


class Dense(Layer, name="dense"):
    """Connect every input with every unit: an affine map of the last axis.

    forward:   y = x W + b
    backward:  dW = x' dy,   db = 1' dy,   dx = dy W'

    Shapes: x (B, ..., D_in), W (D_in, units), b (units), y (B, ..., units). The textbook's column form
    ``z = W a + b`` with W (n_out, n_in) is the transpose of this one, and its ``dW = δ a'`` that of ``x' dy``.

    Source: Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors", eq. 1 and 6.
    """

    units: PositiveInt | Literal["outputs"]
    """Width of the output; ``outputs`` means as many as the data and the loss ask for."""
    init: Initializer | None = None
    """Initial weights; by default the `init` of the spec."""
    bias: bool = True
    """Whether b is there."""
    bias_init: Initializer | None = None
    """Initial biases; by default the `bias_init` of the spec."""

    advice: ClassVar[Mapping[str, str]] = {
        "activation": "An activation is a layer of its own: write it as the next entry, '- relu'."
    }
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "n_units": "units",
        "out_features": "units",
        "size": "units",
        "width": "units",
        "use_bias": "bias",
        "kernel_initializer": "init",
        "weight_init": "init",
        "bias_initializer": "bias_init",
    }

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W (D_in, units) and, unless left out, b (units)."""
        width = self._width()
        found = {"W": Param((shape[-1], width), "kernel", self.init)}
        if self.bias:
            found["b"] = Param((width,), "bias", self.bias_init)
        return found

    def with_outputs(self, outputs: int) -> Self:
        """Return the layer with its width settled."""
        return self.model_copy(update={"units": outputs}) if self.units == "outputs" else self

    def out_shape(self, shape: Shape) -> Shape:
        """Return (..., units)."""
        if not shape:
            raise ShapeError("dense needs an input with features. Got a single number per sample.")
        return (*shape[:-1], self._width())

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return y = x W + b."""
        W = p.W
        y = ctx.out("y", (*x.shape[:-1], W.shape[1]))
        ctx.saved = x = as_rows(x)
        rows = as_rows(y)
        np.dot(x, W, out=rows)
        if self.bias and not loops.added(p.b, rows):
            np.add(rows, p.b, out=rows)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dW and db; return dx = dy W'."""
        x = ctx.saved
        rows = as_rows(dy)
        np.dot(x.T, rows, out=g.W)
        if self.bias:
            column_sums(rows, out=g.b)
        if not ctx.need_dx:
            return None
        dx = np.dot(rows, p.W.T, out=ctx.out("dx", x.shape))
        return dx if dy.ndim == 2 else dx.reshape(*dy.shape[:-1], -1)

    def _width(self) -> int:
        if isinstance(self.units, str):
            raise ShapeError("'outputs' has no width yet: it comes from the data and the loss.")
        return self.units
