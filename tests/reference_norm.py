"""Textbook versions of the norms that look at one sample: value by value over what is normalized together.

Each forward returns y, each backward dx and the gradients of the parameters; see reference.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float

Arrays = dict[str, Float]
Backward = tuple[Float, Arrays]


def groups(layer: Any, x: Float, mask: Array | None = None) -> Iterator[list[tuple[int, ...]]]:
    """Yield the indices of the values that are normalized together, padding left out."""
    count = x.shape[-1] if layer.name == "instance_norm" else layer.groups
    size = x.shape[-1] // count
    for b in range(x.shape[0]):
        for k in range(count):
            yield [
                (b, *position, c)
                for position in np.ndindex(x.shape[1:-1])
                for c in range(k * size, (k + 1) * size)
                if mask is None or mask[b, position[0]]
            ]


def group_norm(layer: Any, p: Arrays, x: Float, mask: Array | None = None) -> Float:
    y = np.zeros_like(x)
    for places in groups(layer, x, mask):
        values = [x[i] for i in places]
        mean = sum(values) / len(values)
        var = sum((value - mean) ** 2 for value in values) / len(values)
        for i in places:
            y[i] = p["gamma"][i[-1]] * (x[i] - mean) / sqrt(var + layer.eps) + p["beta"][i[-1]]
    return y


def group_norm_backward(layer: Any, p: Arrays, x: Float, dy: Float, mask: Array | None = None) -> Backward:
    """Apply, group by group, the whole Jacobian of the normalization."""
    dx, dgamma, dbeta = np.zeros_like(x), np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    for places in groups(layer, x, mask):
        values, n = np.array([x[i] for i in places]), len(places)
        deviation = sqrt(values.var() + layer.eps)
        normal = (values - values.mean()) / deviation
        jacobian = (np.eye(n) - 1 / n - np.outer(normal, normal) / n) / deviation
        for i, d in zip(places, jacobian.T @ [p["gamma"][i[-1]] * dy[i] for i in places], strict=True):
            dx[i] = d
        for i, value in zip(places, normal, strict=True):
            dgamma[i[-1]] += dy[i] * value
            dbeta[i[-1]] += dy[i]
    return dx, {"gamma": dgamma, "beta": dbeta}


def rms_norm(layer: Any, p: Arrays, x: Float) -> Float:
    rows = [p["gamma"] * row / sqrt(sum(row**2) / len(row) + layer.eps) for row in x.reshape(-1, x.shape[-1])]
    return np.array(rows).reshape(x.shape)


def rms_norm_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dx, dgamma = [], np.zeros(x.shape[-1])
    for row, delta in zip(x.reshape(-1, x.shape[-1]), dy.reshape(-1, x.shape[-1]), strict=True):
        root, D = sqrt(sum(row**2) / len(row) + layer.eps), len(row)
        jacobian = np.eye(D) / root - np.outer(row, row) / (D * root**3)
        dx.append(jacobian.T @ (p["gamma"] * delta))
        dgamma += delta * row / root
    return np.array(dx).reshape(x.shape), {"gamma": dgamma}


LAYERS: dict[str, tuple[Callable[..., Float], Callable[..., Backward]]] = {
    "group_norm": (group_norm, group_norm_backward),
    "instance_norm": (group_norm, group_norm_backward),
    "rms_norm": (rms_norm, rms_norm_backward),
}
