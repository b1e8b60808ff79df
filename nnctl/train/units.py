"""How the units of an activation answer to some rows: which are dead, and how many answers are where it is flat."""

from __future__ import annotations

from math import sqrt

import numpy as np

from nnctl.core.arrays import Array, Float, as_rows
from nnctl.nn.activations import Sigmoid, Softmax, Tanh
from nnctl.nn.layer import Layer
from nnctl.nn.rectifiers import Relu

__all__ = ["FLAT", "dead", "fired", "saturated"]

FLAT = 0.05
"""A squashing unit is saturated where its slope is below this share of its steepest: |tanh x| > 0.975."""

_STEEP = sqrt(1 - FLAT)  # the slope of tanh is 1 - y², that of the sigmoid is (1 - (2y - 1)²) / 4


def dead(layer: Layer, y: Float) -> float | None:
    """Return the share of a layer's units that are zero for every row of its outputs; None where it is no relu."""
    woken = fired(layer, y)
    return None if woken is None else 1.0 - float(woken.mean())


def fired(layer: Layer, y: Float) -> Array | None:
    """Return which units of a layer are not zero for some row of its outputs; None where it is no relu."""
    return np.asarray(as_rows(y).any(axis=0)) if isinstance(layer, Relu) else None


def saturated(layer: Layer, y: Float) -> float | None:
    """Return the share of a layer's outputs where its slope is under 5 % of the steepest; None where it never is.

    A softmax counts where the largest of its outputs has left the others so little.
    """
    if isinstance(layer, Tanh):
        return float((np.abs(y) > _STEEP).mean())
    if isinstance(layer, Sigmoid):
        return float((np.abs(2 * y - 1) > _STEEP).mean())
    if isinstance(layer, Softmax):
        return float((np.maximum.reduce(as_rows(y), axis=-1) > 1 - FLAT).mean())
    return None
