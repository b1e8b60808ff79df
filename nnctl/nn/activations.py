"""Activations: functions of each element, and softmax. The rectifiers have a file of their own."""

from __future__ import annotations

from math import prod
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Float, Shape, zeros
from nnctl.core.component import Positive
from nnctl.nn import loops
from nnctl.nn.layer import Context, Layer, ShapeError, Views
from nnctl.nn.memory import Use

__all__ = ["Activation", "Linear", "Sigmoid", "Softmax", "Softplus", "Swish", "Tanh"]


class Activation(Layer):
    """A layer without kernels that bends its input; its output has the shape of its input."""

    suits: ClassVar[str] = "xavier_normal"
    """The initializer that `auto` takes for the layer before it."""
    arrays: ClassVar[tuple[float, float]] = (1, 1)
    """How many arrays as large as its input forward makes, and how many more backward."""

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of those arrays."""
        forward, backward = self.arrays
        return int(use.rows * prod(shape) * (forward + use.training * backward))

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return shape


class Linear(Activation, name="linear"):
    """Change nothing.

    forward:   y = x
    backward:  dx = dy

    Shapes: x, y (B, ...). The output activation of regression.
    """

    arrays = (0, 0)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x."""
        return x

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy."""
        return dy


class Sigmoid(Activation, name="sigmoid"):
    """Squash to (0, 1), as a probability.

    forward:   y = 1 / (1 + exp(-x)), computed as (1 + tanh(x / 2)) / 2, which no x can overflow
    backward:  dx = dy y (1 - y)

    Shapes: x, y (B, ...). The slope is 1/4 at most, so gradients vanish through many such layers. y is right to the
    rounding of 1 (6e-8 in float32): far below zero it is 0 and so is its slope.

    Source: Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors", eq. 2.
    """

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the logistic function of x."""
        y = ctx.saved = logistic(x, ctx.out("y", x.shape))
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy y (1 - y), in the memory of dy."""
        y = ctx.saved
        if loops.ran(loops.through_sigmoid, dy, y, 1):
            return dy
        slope = np.subtract(1, y, out=ctx.out("slope", y.shape))
        np.multiply(slope, y, out=slope)
        np.multiply(dy, slope, out=dy)
        return dy


class Tanh(Activation, name="tanh"):
    """Squash to (-1, 1), centred at zero.

    forward:   y = tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))
    backward:  dx = dy (1 - y²)

    Shapes: x, y (B, ...).

    Source: LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", section 4.4, on why it beats
    the sigmoid in hidden layers.
    """

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return tanh(x)."""
        y = ctx.saved = np.tanh(x, out=ctx.out("y", x.shape))
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy (1 - y²), in the memory of dy."""
        y = ctx.saved
        if loops.ran(loops.through_tanh, dy, y, 1):
            return dy
        slope = np.multiply(y, y, out=ctx.out("slope", y.shape))
        np.subtract(1, slope, out=slope)
        np.multiply(dy, slope, out=dy)
        return dy


class Softplus(Activation, name="softplus"):
    """A smooth relu.

    forward:   y = log(1 + exp(x)), computed as max(0, x) + log(1 + exp(-|x|)), which no x can overflow
    backward:  dx = dy σ(x) = dy (1 - exp(-y))

    Shapes: x, y (B, ...).

    Source: Dugas, Bengio, Bélisle, Nadeau and Garcia (2001), "Incorporating second-order functional knowledge for
    better option pricing", eq. 4.
    """

    suits = "he_normal"
    arrays = (2, 1)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return log(1 + exp(x))."""
        y = ctx.saved = np.abs(x, out=ctx.out("y", x.shape))
        np.negative(y, out=y)
        np.exp(y, out=y)
        np.log1p(y, out=y)
        above = np.maximum(x, zeros(x.shape, x.dtype), out=ctx.out("above", x.shape))
        return np.add(y, above, out=y)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy (1 - exp(-y)), in the memory of dy."""
        slope = np.negative(ctx.saved, out=ctx.out("slope", dy.shape))
        np.expm1(slope, out=slope)
        np.negative(slope, out=slope)
        np.multiply(dy, slope, out=dy)
        return dy


class Swish(Activation, name="swish"):
    """Gate the input by its own sigmoid; with beta 1 also known as SiLU.

    forward:   y = x s,  s = σ(β x)
    backward:  dx = dy (s + β y (1 - s))

    Shapes: x, y (B, ...).

    Source: Ramachandran, Zoph and Le (2017), "Searching for activation functions", arXiv:1710.05941. Here β is
    given and not learned.
    """

    suits = "he_normal"
    arrays = (2, 1)

    beta: Positive = 1.0
    """How sharp the gate is: towards 0 the function becomes x/2, for a large value relu."""

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x σ(β x)."""
        y = np.multiply(x, self.beta, out=ctx.out("y", x.shape))
        s = logistic(y, ctx.out("s", x.shape))
        ctx.saved = y, s
        return np.multiply(x, s, out=y)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy (s + β y (1 - s)), in the memory of dy."""
        y, s = ctx.saved
        slope = np.subtract(1, s, out=ctx.out("slope", y.shape))
        np.multiply(slope, y, out=slope)
        np.multiply(slope, self.beta, out=slope)
        np.add(slope, s, out=slope)
        np.multiply(dy, slope, out=dy)
        return dy


class Softmax(Activation, name="softmax"):
    """Turn the last axis into probabilities that sum to 1.

    forward:   y_i = exp(x_i - m) / Σ_j exp(x_j - m),  m = max_j x_j, which changes nothing but keeps exp in range
    backward:  dx_i = y_i (dy_i - Σ_j dy_j y_j), the Jacobian diag(y) - y y' applied to dy

    Shapes: x, y (B, ..., K). At the end of a network that is trained with `cross_entropy` it is fused with the loss.

    Source: Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs, with
    relationships to statistical pattern recognition".
    """

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y and of a sum for each row."""
        return use.rows * (prod(shape) + prod(shape[:-1]))

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, if it has a last axis."""
        if not shape:
            raise ShapeError("softmax needs an axis of classes. Got a single number per sample.")
        return shape

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the probabilities."""
        y = ctx.saved = ctx.out("y", x.shape)
        row = ctx.out("row", (*x.shape[:-1], 1))
        np.subtract(x, np.max(x, axis=-1, keepdims=True, out=row), out=y)
        np.exp(y, out=y)
        return np.divide(y, np.sum(y, axis=-1, keepdims=True, out=row), out=y)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the Jacobian applied to dy, in the memory of dy."""
        y = ctx.saved
        row = ctx.out("row", (*y.shape[:-1], 1))
        np.vecdot(dy, y, out=row[..., 0])
        np.subtract(dy, row, out=dy)
        np.multiply(dy, y, out=dy)
        return dy


def logistic(x: Float, out: Float) -> Float:
    """Return σ(x) = (1 + tanh(x / 2)) / 2 in `out`: stable everywhere, and cheaper than an exp and a division."""
    np.multiply(x, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    return np.add(out, 0.5, out=out)
