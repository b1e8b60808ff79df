"""How weights start."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from nnctl.core.arrays import Float, Shape
from nnctl.core.component import Component, Positive

__all__ = ["Auto", "Constant", "HeNormal", "Initializer", "XavierNormal", "Zeros"]


class Initializer(Component, family="initializer"):
    """A distribution of starting values; drawn in float64, so that float32 and float64 networks start alike."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "glorot_normal": "xavier_normal",
        "glorot_uniform": "xavier_uniform",
        "kaiming_normal": "he_normal",
        "kaiming_uniform": "he_uniform",
        "he": "he_normal",
        "xavier": "xavier_normal",
        "zero": "zeros",
        "random_normal": "normal",
        "random_uniform": "uniform",
    }

    @abstractmethod
    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:
        """Return starting values of `shape` in float64."""


class Auto(Initializer, name="auto"):
    """Take what suits the activation that follows the layer.

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


class HeNormal(Initializer, name="he_normal"):
    """Keep the variance through relu layers: W ~ N(0, gain² 2 / fan_in).

    Source: He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers", eq. 10, arXiv:1502.01852.
    """

    gain: Positive = 1.0
    """Factor on the standard deviation."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return normal values with variance gain² 2 / fan_in."""
        return rng.normal(0.0, self.gain * sqrt(2 / fan_in), shape)


class XavierNormal(Initializer, name="xavier_normal"):
    """Keep the variance forward and backward through linear and tanh layers: W ~ N(0, gain² 2 / (fan_in + fan_out)).

    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks", eq. 12.
    """

    gain: Positive = 1.0
    """Factor on the standard deviation."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:
        """Return normal values with variance gain² 2 / (fan_in + fan_out)."""
        return rng.normal(0.0, self.gain * sqrt(2 / (fan_in + fan_out)), shape)
