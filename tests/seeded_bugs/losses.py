"""Broken losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnctl.core.arrays import Float
from nnctl.nn.losses import Loss


def softmax(z: Float) -> Float:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def column(w: Float | None) -> Float | float:
    return 1.0 if w is None else w[:, None]


_WRONG_LOSSES: dict[str, tuple[Any, Callable[..., Float]]] = {
    "the mean over rows forgotten": ("mse", lambda z, t, w, _: 2 * (z - t) * column(w) / z.shape[1]),
    "the mean over outputs forgotten": ("mse", lambda z, t, w, n: 2 * (z - t) * column(w) / n),
    "the factor two forgotten": ("mse", lambda z, t, w, n: (z - t) * column(w) / n / z.shape[1]),
    "the sign turned": ("mae", lambda z, t, w, n: np.sign(t - z) * column(w) / n / z.shape[1]),
    "the residual not clipped": ({"huber": 0.5}, lambda z, t, w, n: (z - t) * column(w) / n / z.shape[1]),
    "rows counted instead of total": ("cross_entropy", lambda z, t, w, _: (softmax(z) - t) * column(w) / len(z)),
    "weights forgotten": ("cross_entropy", lambda z, t, _, n: (softmax(z) - t) / n),
    "weights squared": ("cross_entropy", lambda z, t, w, n: (softmax(z) - t) * column(w) ** 2 / n),
    "smoothing ignored in the gradient": (
        {"cross_entropy": {"label_smoothing": 0.2}},
        lambda z, t, w, n: (softmax(z) - (t == t.max(axis=1, keepdims=True))) * column(w) / n,
    ),
    "the softmax taken over the batch": ("cross_entropy", lambda z, t, w, n: (softmax(z.T).T - t) * column(w) / n),
    "softmax differentiated twice": (
        "cross_entropy",
        lambda z, t, w, n: softmax(z) * (1 - softmax(z)) * (softmax(z) - t) * column(w) / n,
    ),
    "sigmoid differentiated twice": (
        "binary_cross_entropy",
        lambda z, t, w, n: (1 / (1 + np.exp(-z)) - t) * np.exp(-z) / (1 + np.exp(-z)) ** 2 * column(w) / n,
    ),
    "the margin ignored": ("hinge", lambda z, t, w, n: np.where(t * z <= 0, -t, 0) * column(w) / n),
    "the right side punished": ("perceptron", lambda z, t, w, n: np.where(t * z > 0, -t, 0) * column(w) / n),
}


def _broken_loss(spelling: Any, wrong: Callable[..., Float]) -> Loss:
    whole = Loss.parse(spelling)

    class Broken(type(whole)):
        def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
            out[...] = wrong(z, t, w, total)

    Broken.name = whole.name
    return Broken(**{name: getattr(whole, name) for name in type(whole).model_fields})


LOSS_BUGS = {name: _broken_loss(*bug) for name, bug in _WRONG_LOSSES.items()}
