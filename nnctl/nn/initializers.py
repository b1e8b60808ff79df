"""How weights start: what keeps signals and gradients from vanishing or exploding through the layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import Component, Positive

__all__ = [
    "Auto",
    "Constant",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Orthogonal",
    "Uniform",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
]


class Initializer(Component, family="initializer"):
    """A distribution of starting values; drawn in float64, so that float32 and float64 networks start alike."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "glorot_normal": "xavier_normal",
        "glorot_uniform": "xavier_uniform",
        "kaiming_normal": "he_normal",
        "kaiming_uniform": "he_uniform",
        "he": "he_normal",
        "xavier": "xavier_normal",
        "glorot": "xavier_normal",
        "kaiming": "he_normal",
        "lecun": "lecun_normal",
        "zero": "zeros",
        "gaussian": "normal",
        "random_normal": "normal",
        "random_uniform": "uniform",
    }

    @abstractmethod
    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:
        """Return starting values of `shape` in float64.

        `fan_in` is the number of inputs of a unit, `fan_out` the number of units that an input feeds.
        """


class Auto(Initializer, name="auto"):
    """Take what suits the activation that follows the layer; biases start at zero.

    relu, leaky_relu, prelu, elu, gelu, softplus, swish -> he_normal; selu -> lecun_normal; sigmoid, tanh, softmax,
    linear or none -> xavier_normal.

    Source: the variance arguments of Glorot and Bengio (2010), He et al. (2015, arXiv:1502.01852) and Klambauer et al.
    (2017, arXiv:1706.02515).
    """

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:
        """Return what an activation-free layer gets; the network replaces `auto` before it draws."""
        return XavierNormal().sample(rng, shape, fan_in, fan_out)


class Zeros(Initializer, name="zeros"):
    """Start at zero: W = 0. Right for biases; with zero kernels all hidden units stay alike (no symmetry breaking)."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return zeros."""
        return np.zeros(shape)


class Constant(Initializer, name="constant"):
    """Start at one value: W = value."""

    value: float
    """The value; 0.01 is used for the biases of relu units by some."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return the constant."""
        return np.full(shape, self.value)


class Normal(Initializer, name="normal"):
    """Draw from a normal distribution of a given width, whatever the fans: W ~ N(0, std²)."""

    std: Positive = 0.01
    """Standard deviation; with small ones signals vanish through deep networks, with large ones they explode."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"stddev": "std", "sigma": "std", "scale": "std"}

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return normal values with variance std²."""
        return _normal(rng, self.std, shape)


class Uniform(Initializer, name="uniform"):
    """Draw evenly from an interval around zero, whatever the fans: W ~ U(-limit, limit), of variance limit² / 3."""

    limit: Positive = 0.05
    """Half of the interval's width."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"maxval": "limit", "high": "limit", "scale": "limit"}

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return uniform values within ±limit."""
        return rng.uniform(-self.limit, self.limit, shape)


class XavierNormal(Initializer, name="xavier_normal"):
    """Keep the variance forward and backward through linear and tanh layers: W ~ N(0, gain² 2 / (fan_in + fan_out)).

    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
    eq. 12.
    """

    gain: Positive = 1.0
    """Factor on the standard deviation."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:
        """Return normal values with variance gain² 2 / (fan_in + fan_out)."""
        return _normal(rng, self.gain * sqrt(2 / (fan_in + fan_out)), shape)


class XavierUniform(Initializer, name="xavier_uniform"):
    """As xavier_normal, but uniform: W ~ U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
    eq. 16.
    """

    gain: Positive = 1.0
    """Factor on the limit."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:
        """Return uniform values with variance gain² 2 / (fan_in + fan_out)."""
        return _uniform(rng, self.gain * sqrt(2 / (fan_in + fan_out)), shape)


class HeNormal(Initializer, name="he_normal"):
    """Keep the variance through relu layers: W ~ N(0, gain² 2 / fan_in).

    Source: He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers", eq. 10, arXiv:1502.01852.
    """

    gain: Positive = 1.0
    """Factor on the standard deviation."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return normal values with variance gain² 2 / fan_in."""
        return _normal(rng, self.gain * sqrt(2 / fan_in), shape)


class HeUniform(Initializer, name="he_uniform"):
    """As he_normal, but uniform: W ~ U(-a, a), a = gain sqrt(6 / fan_in).

    Source: He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers", eq. 10, arXiv:1502.01852, which fixes the
    variance; the uniform form is that of the frameworks.
    """

    gain: Positive = 1.0
    """Factor on the limit."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return uniform values with variance gain² 2 / fan_in."""
        return _uniform(rng, self.gain * sqrt(2 / fan_in), shape)


class LecunNormal(Initializer, name="lecun_normal"):
    """Keep the variance forward through linear and selu layers: W ~ N(0, gain² / fan_in).

    Source: LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", section 4.6, eq. 16.
    """

    gain: Positive = 1.0
    """Factor on the standard deviation."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return normal values with variance gain² / fan_in."""
        return _normal(rng, self.gain * sqrt(1 / fan_in), shape)


class LecunUniform(Initializer, name="lecun_uniform"):
    """As lecun_normal, but uniform: W ~ U(-a, a), a = gain sqrt(3 / fan_in).

    Source: LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", section 4.6, eq. 16.
    """

    gain: Positive = 1.0
    """Factor on the limit."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return uniform values with variance gain² / fan_in."""
        return _uniform(rng, self.gain * sqrt(1 / fan_in), shape)


class Orthogonal(Initializer, name="orthogonal"):
    """Start as a rotation, which keeps every length: W'W = gain² I where W is tall, W W' = gain² I where it is wide.

    Drawn evenly from all such matrices: the Q of a normal matrix's QR decomposition, each column with the sign that
    makes R's diagonal positive. Kernels of more axes are taken as matrices of all axes but the last by the last.

    Source: Saxe, McClelland and Ganguli (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", section 3, arXiv:1312.6120; the sign from Mezzadri (2007), "How to generate random matrices from
    the classical compact groups", section 5, arXiv:math-ph/0609050.
    """

    gain: Positive = 1.0
    """The factor by which W scales lengths; sqrt(2) is used before relu."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return gain times a random orthogonal matrix, or as many of its rows or columns as `shape` has."""
        columns = shape[-1]
        rows = int(np.prod(shape[:-1]))
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def _normal(rng: Generator, std: float, shape: Shape) -> Float:
    return rng.normal(0.0, std, shape)


def _uniform(rng: Generator, std: float, shape: Shape) -> Float:
    limit = sqrt(3) * std
    return rng.uniform(-limit, limit, shape)
