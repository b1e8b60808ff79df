"""Textbook versions of every layer: slow, short, one sample or one number at a time, and nothing like the fast ones.

Each takes its layer (for the settings), the parameters by name, and a batch. A forward returns y. A backward returns dx
and the gradients of the parameters by name; it is given dy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cosh, erf, exp, log, log1p, pi, sqrt, tanh
from typing import Any

import numpy as np

from nnctl.core.arrays import Float

Arrays = dict[str, Float]
Backward = tuple[Float, Arrays]


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def gelu_argument(x: float) -> float:
    return sqrt(2 / pi) * (x + 0.044715 * x**3)


def gelu(x: float, form: str) -> float:
    return x * 0.5 * (1 + (erf(x / sqrt(2)) if form == "erf" else tanh(gelu_argument(x))))


def gelu_slope(x: float, form: str) -> float:
    if form == "erf":
        return 0.5 * (1 + erf(x / sqrt(2))) + x * exp(-(x**2) / 2) / sqrt(2 * pi)
    t = tanh(gelu_argument(x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2)


def swish_slope(x: float, beta: float) -> float:
    s = sigmoid(beta * x)
    return s + beta * x * s * (1 - s)


LAMBDA, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

ELEMENTWISE: dict[str, tuple[Callable[[Any, float], float], Callable[[Any, float], float]]] = {
    "linear": (lambda _, x: x, lambda *_: 1.0),
    "sigmoid": (lambda _, x: sigmoid(x), lambda _, x: sigmoid(x) * (1 - sigmoid(x))),
    "tanh": (lambda _, x: tanh(x), lambda _, x: 1 / cosh(x) ** 2),
    "relu": (lambda _, x: x if x > 0 else 0.0, lambda _, x: 1.0 if x > 0 else 0.0),
    "leaky_relu": (lambda l, x: x if x > 0 else l.alpha * x, lambda l, x: 1.0 if x > 0 else l.alpha),
    "elu": (
        lambda l, x: x if x > 0 else l.alpha * (exp(x) - 1),
        lambda l, x: 1.0 if x > 0 else l.alpha * exp(x),
    ),
    "selu": (
        lambda _, x: LAMBDA * (x if x > 0 else ALPHA * (exp(x) - 1)),
        lambda _, x: LAMBDA * (1.0 if x > 0 else ALPHA * exp(x)),
    ),
    "softplus": (lambda _, x: log1p(exp(x)) if x < 30 else x + log(1 + exp(-x)), lambda _, x: sigmoid(x)),
    "swish": (lambda l, x: x * sigmoid(l.beta * x), lambda l, x: swish_slope(x, l.beta)),
    "gelu": (lambda l, x: gelu(x, l.form), lambda l, x: gelu_slope(x, l.form)),
}
"""The function and its derivative, of one number."""


def elementwise(f: Any, df: Any) -> tuple[Callable[..., Float], Callable[..., Backward]]:
    def forward(layer: Any, p: Arrays, x: Float) -> Float:
        return apply(f, layer, x)

    def backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
        return dy * apply(df, layer, x), {}

    return forward, backward


def apply(function: Callable[[Any, float], float], layer: Any, x: Float) -> Float:
    return np.array([function(layer, float(value)) for value in x.flat]).reshape(x.shape)


def dense(layer: Any, p: Arrays, x: Float) -> Float:
    b = p.get("b", np.zeros(p["W"].shape[1]))
    rows = [[sum(x_i * w for x_i, w in zip(row, column, strict=True)) for column in p["W"].T] for row in matrix(x)]
    return np.array(rows).reshape(*x.shape[:-1], -1) + b


def dense_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dW, db = np.zeros_like(p["W"]), np.zeros(p["W"].shape[1])
    dx = np.array(
        [[sum(w * d for w, d in zip(row_of_W, row, strict=True)) for row_of_W in p["W"]] for row in matrix(dy)]
    )
    for sample, delta in zip(matrix(x), matrix(dy), strict=True):
        dW += np.outer(sample, delta)
        db += delta
    return dx.reshape(x.shape), {"W": dW, "b": db} if "b" in p else {"W": dW}


def softmax(layer: Any, p: Arrays, x: Float) -> Float:
    return np.array([np.exp(row) / np.exp(row).sum() for row in matrix(x)]).reshape(x.shape)


def softmax_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    jacobians = [np.diag(y) - np.outer(y, y) for y in matrix(softmax(layer, p, x))]
    return np.array([J.T @ d for J, d in zip(jacobians, matrix(dy), strict=True)]).reshape(x.shape), {}


def prelu(layer: Any, p: Arrays, x: Float) -> Float:
    return np.where(x > 0, x, p["alpha"] * x)


def prelu_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dalpha = np.zeros_like(p["alpha"])
    for row, delta in zip(matrix(x), matrix(dy), strict=True):
        for i, (x_i, d) in enumerate(zip(row, delta, strict=True)):
            dalpha[i % dalpha.size] += d * min(0.0, x_i)
    return np.where(x > 0, 1.0, p["alpha"]) * dy, {"alpha": dalpha}


def batch_norm(layer: Any, p: Arrays, x: Float) -> Float:
    mean, var = matrix(x).mean(0), matrix(x).var(0)
    return p["gamma"] * (x - mean) / np.sqrt(var + layer.eps) + p["beta"]


def batch_norm_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    """Follow the chain rule of Ioffe and Szegedy (2015), section 3, line by line."""
    rows, deltas, m = matrix(x), matrix(dy), len(matrix(x))
    centred, spread = rows - rows.mean(0), rows.var(0) + layer.eps
    dxhat = deltas * p["gamma"]
    dvar = (dxhat * centred).sum(0) * -0.5 * spread**-1.5
    dmean = (-dxhat / np.sqrt(spread)).sum(0) + dvar * (-2 * centred).sum(0) / m
    dx = dxhat / np.sqrt(spread) + dvar * 2 * centred / m + dmean / m
    gradients = {"gamma": (deltas * centred / np.sqrt(spread)).sum(0), "beta": deltas.sum(0)}
    return dx.reshape(x.shape), gradients


def layer_norm(layer: Any, p: Arrays, x: Float) -> Float:
    rows = [p["gamma"] * (row - row.mean()) / sqrt(row.var() + layer.eps) + p["beta"] for row in matrix(x)]
    return np.array(rows).reshape(x.shape)


def layer_norm_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    """Apply, sample by sample, the whole Jacobian of the normalization."""
    dx, dgamma, dbeta = [], np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    for row, delta in zip(matrix(x), matrix(dy), strict=True):
        deviation, D = sqrt(row.var() + layer.eps), len(row)
        normal = (row - row.mean()) / deviation
        jacobian = (np.eye(D) - 1 / D - np.outer(normal, normal) / D) / deviation
        dx.append(jacobian.T @ (p["gamma"] * delta))
        dgamma += delta * normal
        dbeta += delta
    return np.array(dx).reshape(x.shape), {"gamma": dgamma, "beta": dbeta}


def flatten(layer: Any, p: Arrays, x: Float) -> Float:
    return np.array([list(sample.flat) for sample in x])


def flatten_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    return np.array([row.reshape(x.shape[1:]) for row in dy]), {}


def matrix(a: Float) -> Float:
    return a.reshape(-1, a.shape[-1])


LAYERS: dict[str, tuple[Callable[..., Float], Callable[..., Backward]]] = {
    "dense": (dense, dense_backward),
    "softmax": (softmax, softmax_backward),
    "prelu": (prelu, prelu_backward),
    "batch_norm": (batch_norm, batch_norm_backward),
    "layer_norm": (layer_norm, layer_norm_backward),
    "flatten": (flatten, flatten_backward),
    **{name: elementwise(f, df) for name, (f, df) in ELEMENTWISE.items()},
}
"""Forward and backward of every layer that is a formula. Dropout is one only once its mask is drawn, and composites are
their parts: both have tests of their own."""
