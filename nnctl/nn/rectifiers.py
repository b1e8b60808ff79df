"""Rectifiers: activations that let the positive through and bend the negative."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Array, Float, Shape, column_sums, zeros
from nnctl.core.component import Positive, Share
from nnctl.nn import loops
from nnctl.nn.activations import Activation
from nnctl.nn.initializers import Constant, Initializer
from nnctl.nn.layer import Context, Param, ShapeError, Views
from nnctl.nn.memory import BOOL

__all__ = ["SELU_FLOOR", "Elu", "LeakyRelu", "Prelu", "Relu", "Selu"]


class Relu(Activation, name="relu"):
    """Rectified linear unit: let the positive through.

    forward:   y = max(0, x)
    backward:  dx = dy where x > 0, else 0 (the derivative at 0 is taken as 0)

    Shapes: x, y (B, ...).

    Source: Nair and Hinton (2010), "Rectified linear units improve restricted Boltzmann machines".
    """

    suits = "he_normal"
    arrays = (1, BOOL)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return max(0, x)."""
        y = ctx.saved = np.maximum(x, zeros(x.shape, x.dtype), out=ctx.out("y", x.shape))
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy where y > 0, else 0, in the memory of dy."""
        if loops.ran(loops.through_relu, dy, ctx.saved):
            return dy
        passed = np.greater(ctx.saved, 0, out=ctx.out("passed", dy.shape, np.bool_))
        np.multiply(dy, passed, out=dy)
        return dy

    def branches(self, ctx: Context) -> Array:
        """Return where y > 0."""
        return ctx.saved > 0  # type: ignore[no-any-return]


class LeakyRelu(Activation, name="leaky_relu"):
    """A relu that lets a little of the negative through, so that no unit stays dead.

    forward:   y = max(x, α x)
    backward:  dx = dy where x > 0, else α dy

    Shapes: x, y (B, ...).

    Source: Maas, Hannun and Ng (2013), "Rectifier nonlinearities improve neural network acoustic models", section 2.
    """

    suits = "he_normal"

    alpha: Share = 0.01
    """Slope below zero, 0 <= α < 1."""

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return max(x, α x)."""
        ctx.saved = x
        y = np.multiply(x, self.alpha, out=ctx.out("y", x.shape))
        return np.maximum(x, y, out=y)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy, scaled by α where x <= 0, in its memory."""
        return scale_below_zero(dy, ctx.saved, self.alpha, ctx)

    def branches(self, ctx: Context) -> Array:
        """Return where x > 0."""
        return ctx.saved > 0  # type: ignore[no-any-return]


class Prelu(Activation, name="prelu"):
    """A leaky relu that learns its slope.

    forward:   y = max(0, x) + α min(0, x)
    backward:  dx = dy where x > 0, else α dy;   dα = the sum of dy min(0, x) over all axes that share an α

    Shapes: x, y (B, ..., D), α (D), or (1) if shared.

    Source: He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers", eq. 1 to 3, arXiv:1502.01852. As there, α
    has no weight decay.
    """

    suits = "he_normal"
    arrays = (3, 2)

    shared: bool = False
    """One slope for all features instead of one for each."""
    init: Initializer = Constant(value=0.25)
    """Slopes to start from."""

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return alpha: (D), or (1) if shared."""
        return {"alpha": Param((1,) if self.shared else shape[-1:], "scale", self.init)}

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, if it has a last axis."""
        if not shape:
            raise ShapeError("prelu needs an axis of features. Got a single number per sample.")
        return shape

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return max(0, x) + α min(0, x)."""
        zero = zeros(x.shape, x.dtype)
        below = np.minimum(x, zero, out=ctx.out("below", x.shape))
        ctx.saved = x, below
        bent = np.multiply(below, p.alpha, out=ctx.out("bent", x.shape))
        y = np.maximum(x, zero, out=ctx.out("y", x.shape))
        np.add(y, bent, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dα; return dy, scaled by α where x <= 0, in its memory."""
        x, below = ctx.saved
        dalpha = np.multiply(dy, below, out=ctx.out("dalpha", x.shape))
        column_sums(dalpha.reshape(-1, g.alpha.size), out=g.alpha)
        return scale_below_zero(dy, x, p.alpha, ctx) if ctx.need_dx else None

    def branches(self, ctx: Context) -> Array:
        """Return where x > 0."""
        return ctx.saved[0] > 0  # type: ignore[no-any-return]


class Elu(Activation, name="elu"):
    """Exponential linear unit: bend the negative smoothly towards -α.

    forward:   y = x where x > 0, else α (exp(x) - 1)
    backward:  dx = dy where x > 0, else dy α exp(x)

    Shapes: x, y (B, ...).

    Source: Clevert, Unterthiner and Hochreiter (2016), "Fast and accurate deep network learning by exponential linear
    units (ELUs)", eq. 15, arXiv:1511.07289.
    """

    suits = "he_normal"
    arrays = (3, 1)

    alpha: Positive = 1.0
    """The value that large negative inputs approach is -α; with 1 the slope is continuous at zero."""

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x above zero and α (exp(x) - 1) below."""
        return exponential_below(x, self.alpha, ctx)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy times the slope, in its memory."""
        return through_exponential(dy, self.alpha, ctx)

    def branches(self, ctx: Context) -> Array:
        """Return where x > 0."""
        return ctx.saved[0] > 0  # type: ignore[no-any-return]


class Selu(Activation, name="selu"):
    """Self-normalizing elu: λ and α are such that mean 0 and variance 1 are a fixed point from layer to layer.

    forward:   y = λ x where x > 0, else λ α (exp(x) - 1);  λ = 1.0507009873554805, α = 1.6732632423543772
    backward:  dx = λ dy where x > 0, else λ α exp(x) dy

    Shapes: x, y (B, ...). It wants `lecun_normal` kernels and zero biases, which `auto` gives.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter (2017), "Self-normalizing neural networks", eq. 2 and 14,
    arXiv:1706.02515.
    """

    suits = "lecun_normal"
    arrays = (3, 1)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return λ times the elu of x."""
        y = exponential_below(x, _SELU_ALPHA, ctx)
        np.multiply(y, _SELU_LAMBDA, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy times the slope, in its memory."""
        np.multiply(dy, _SELU_LAMBDA, out=dy)
        return through_exponential(dy, _SELU_ALPHA, ctx)

    def branches(self, ctx: Context) -> Array:
        """Return where x > 0."""
        return ctx.saved[0] > 0  # type: ignore[no-any-return]


_SELU_LAMBDA = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717
SELU_FLOOR = -_SELU_LAMBDA * _SELU_ALPHA
"""What selu approaches for large negative inputs."""


def exponential_below(x: Float, alpha: float, ctx: Context) -> Float:
    """Return x above zero and α (exp(x) - 1) below; saves x and exp(min(0, x)) - 1 for `through_exponential`."""
    zero = zeros(x.shape, x.dtype)
    bend = np.minimum(x, zero, out=ctx.out("bend", x.shape))
    np.expm1(bend, out=bend)
    ctx.saved = x, bend
    above = np.maximum(x, zero, out=ctx.out("above", x.shape))
    y = np.multiply(bend, alpha, out=ctx.out("y", x.shape))
    return np.add(y, above, out=y)


def through_exponential(dy: Float, alpha: float, ctx: Context) -> Float:
    """Return dy where x > 0, else dy α exp(x), in the memory of dy."""
    x, bend = ctx.saved
    slope = np.add(bend, 1, out=ctx.out("slope", x.shape))  # exp(x) below zero, 1 above
    np.multiply(dy, slope, out=dy)
    return dy if alpha == 1 else scale_below_zero(dy, x, alpha, ctx)


def scale_below_zero(dy: Float, x: Float, alpha: float | Float, ctx: Context) -> Float:
    """Return dy where x > 0, else α dy, in the memory of dy."""
    # The part above zero is taken out and put back: 17 us where a multiplication with `where=` takes 200.
    above = np.greater(x, 0, out=ctx.out("above", x.shape))
    np.multiply(dy, above, out=above)
    np.subtract(dy, above, out=dy)
    np.multiply(dy, alpha, out=dy)
    return np.add(dy, above, out=dy)
