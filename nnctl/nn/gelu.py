"""The Gaussian error linear unit, and the tail of the normal distribution in NumPy."""

from __future__ import annotations

from math import pi, prod, sqrt
from typing import Literal

import numpy as np

from nnctl.core.arrays import Float, Shape, zeros
from nnctl.nn.activations import Activation
from nnctl.nn.layer import Context, Views
from nnctl.nn.memory import Use

__all__ = ["Gelu"]


class Gelu(Activation, name="gelu"):
    """Gaussian error linear unit: weigh the input by how likely a standard normal variable lies below it.

    forward:   y = x Φ(x), with Φ(x) = (1 + erf(x / sqrt(2))) / 2
    backward:  dx = dy (Φ(x) + x φ(x)), with φ(x) = exp(-x² / 2) / sqrt(2 π)

    and with `form: tanh`, where t = tanh(c (x + a x³)), c = sqrt(2 / π), a = 0.044715,

    forward:   y = x (1 + t) / 2
    backward:  dx = dy ((1 + t) / 2 + x (1 - t²) c (1 + 3 a x²) / 2)

    Shapes: x, y (B, ...).

    Source: Hendrycks and Gimpel (2016), "Gaussian error linear units (GELUs)", section 2, arXiv:1606.08415.
    """

    suits = "he_normal"

    form: Literal["tanh", "erf"] = "tanh"
    """`tanh`, the approximation that GPT-2 uses, within 5e-4 of `erf`, the exact function, which takes longer."""

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of what the formulas are made of; see `Activation.arrays`."""
        return use.rows * prod(shape) * (6 + 2 * use.training if self.form == "erf" else 2 + 2 * use.training)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x Φ(x)."""
        return _exact(x, ctx) if self.form == "erf" else _approximate(x, ctx)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return dy times the slope, in the memory of dy."""
        slope = _exact_slope(ctx) if self.form == "erf" else _approximate_slope(ctx)
        return np.multiply(dy, slope, out=dy)


_C = sqrt(2 / pi)
_CUBIC = 0.044715


def _approximate(x: Float, ctx: Context) -> Float:
    t = np.multiply(x, x, out=ctx.out("t", x.shape))
    np.multiply(t, _C * _CUBIC, out=t)
    np.add(t, _C, out=t)
    np.multiply(t, x, out=t)
    np.tanh(t, out=t)
    ctx.saved = x, t
    y = np.add(t, 1, out=ctx.out("y", x.shape))
    np.multiply(y, x, out=y)
    return np.multiply(y, 0.5, out=y)


def _approximate_slope(ctx: Context) -> Float:
    x, t = ctx.saved
    inner = np.multiply(x, x, out=ctx.out("inner", x.shape))  # x times the derivative of tanh's argument
    np.multiply(inner, 3 * _C * _CUBIC, out=inner)
    np.add(inner, _C, out=inner)
    np.multiply(inner, x, out=inner)
    slope = ctx.out("slope", x.shape)
    np.multiply(t, t, out=slope)
    np.subtract(1, slope, out=slope)
    np.multiply(slope, inner, out=slope)
    np.add(slope, t, out=slope)
    np.add(slope, 1, out=slope)
    return np.multiply(slope, 0.5, out=slope)


def _exact(x: Float, ctx: Context) -> Float:
    bell = np.multiply(x, x, out=ctx.out("bell", x.shape))  # exp(-x² / 2)
    np.multiply(bell, -0.5, out=bell)
    np.exp(bell, out=bell)
    distance = np.abs(x, out=ctx.out("distance", x.shape))
    tail = normal_tail(distance, bell, ctx)
    ctx.saved = x, bell, tail
    # y = x (1 - tail) above zero and x tail below: max(0, x) - |x| tail
    np.multiply(distance, tail, out=distance)
    y = np.maximum(x, zeros(x.shape, x.dtype), out=ctx.out("y", x.shape))
    return np.subtract(y, distance, out=y)


def _exact_slope(ctx: Context) -> Float:
    x, bell, tail = ctx.saved
    above = np.greater(x, 0, out=ctx.out("above", x.shape))
    slope = ctx.out("slope", x.shape)  # Φ(x): tail below zero, tail + (1 - 2 tail) above
    np.multiply(tail, -2, out=slope)
    np.add(slope, 1, out=slope)
    np.multiply(slope, above, out=slope)
    np.add(slope, tail, out=slope)
    np.multiply(x, bell, out=above)  # now x φ(x)
    np.multiply(above, 1 / sqrt(2 * pi), out=above)
    np.add(slope, above, out=slope)
    return slope


# With s = 1 / (1 + d / sqrt(8)), the tail is exp(-d² / 2) s Q(2 s - 1) / 2, and Q is smooth for all d >= 0. These are
# the coefficients of its Chebyshev interpolation, computed with 50 digits, as a polynomial from the constant upwards;
# the error of the tail is below 1e-15 and 4e-8.
_Q_DOUBLE = (
    0.5107913526210117,
    0.3435803422069429,
    0.13973604627794914,
    0.0182211157501113,
    -0.01075533094090888,
    -0.0032395924467530143,
    0.001545305955718534,
    0.0004186469777764045,
    -0.0003315360137133007,
    -1.7178632239557146e-05,
    7.223098558288685e-05,
    -1.7103607462978952e-05,
    -1.0831436157718554e-05,
    8.137641349216724e-06,
    -6.050557767081135e-07,
    -1.9559959185761846e-06,
    1.0739744897995012e-06,
    1.5086348984840918e-07,
    -3.7163648550855294e-07,
    5.487719593353061e-08,
    6.610183825491798e-08,
    -1.352143204471787e-08,
    -4.946608982202287e-09,
)
_Q_SINGLE = (
    0.5107914392620335,
    0.34358031871096484,
    0.13973161621751543,
    0.01822166942838786,
    -0.01071868775127491,
    -0.003243451918099709,
    0.0014369295418965931,
    0.0004306704884358609,
    -0.00019397971908059457,
    -3.660187694379558e-05,
)


def normal_tail(distance: Float, bell: Float, ctx: Context) -> Float:
    """Return the probability that a standard normal variable exceeds d >= 0, given exp(-d² / 2).

    To 1e-15 in float64 and to rounding in float32. NumPy has no erf, and a loop over math.erf takes ten times
    as long.
    """
    coefficients = _Q_SINGLE if distance.dtype.itemsize == 4 else _Q_DOUBLE
    s = np.multiply(distance, 1 / sqrt(8), out=ctx.out("s", distance.shape))
    np.add(s, 1, out=s)
    np.divide(1, s, out=s)
    u = np.multiply(s, 2, out=ctx.out("u", s.shape))
    np.subtract(u, 1, out=u)
    tail = np.multiply(u, coefficients[-1], out=ctx.out("tail", s.shape))
    for coefficient in coefficients[-2:0:-1]:
        np.add(tail, coefficient, out=tail)
        np.multiply(tail, u, out=tail)
    np.add(tail, coefficients[0], out=tail)
    np.multiply(tail, s, out=tail)
    np.multiply(tail, bell, out=tail)
    return np.multiply(tail, 0.5, out=tail)
