"""Capacity: what is to be asked of a network that has too few numbers to learn a batch by heart.

Sixteen rows of eleven numbers each cannot be learned by heart by a linear regression: it has eleven numbers to fit
sixteen. Nothing is wrong with it. What it can do is as well as the best linear map does on those rows,

    min_{A, b} 1/B sum_i l(A x_i + b, t_i)

which least squares gives for mse, and a search from there for the other losses, all of them convex in A and b. The same
is asked of a network that bends and has fewer weights than there are numbers to learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnctl.checks.floor import best_of
from nnctl.checks.frozen import FrozenBatch
from nnctl.core.arrays import Float
from nnctl.nn.activations import Linear
from nnctl.nn.compose import Repeat, Residual, Sequential
from nnctl.nn.dense import Dense
from nnctl.nn.dropout import Dropout
from nnctl.nn.losses import MSE, Hinge, Loss, Perceptron
from nnctl.nn.norm import BatchNorm
from nnctl.nn.shape import Flatten, Reshape

__all__ = ["GAINED", "Straight", "is_straight", "lacks_room", "straight_fit"]

GAINED = 0.95
"""The share that a small network is to reach of what the best linear map gains on one answer for all rows."""
LITTLE = 0.1
"""A linear map that takes off no more than this share of the loss of one answer says next to nothing of the rows."""
LINES = (Dense, Linear, Dropout, BatchNorm, Flatten, Reshape, Sequential, Repeat, Residual)
"""Layers that leave a map linear."""
MOST_STEPS = 500


@dataclass(frozen=True, eq=False)
class Straight:
    """The best linear map of a batch.

    Parameters
    ----------
    z : float array (B, K)
        Its answers.
    loss : float
        Its loss.
    constant : float
        The least loss of one answer for all rows.
    """

    z: Float
    loss: float
    constant: float

    @property
    def says_little(self) -> bool:
        """Whether it hardly does better than one answer for all."""
        return self.constant - self.loss <= LITTLE * self.constant


def is_straight(frozen: FrozenBatch) -> bool:
    """Return whether the network is one linear map of its inputs."""
    rows = frozen.experiment.layout.rows
    return frozen.experiment.data.preprocessing.tokens is None and all(isinstance(row.layer, LINES) for row in rows)


def lacks_room(frozen: FrozenBatch) -> bool:
    """Return whether a network is linear, or has fewer weights than its batch has numbers to learn: one label a row."""
    if frozen.there is not None or frozen.experiment.data.preprocessing.tokens is not None:
        return False
    numbers = frozen.t.size if frozen.experiment.loss.task == "regression" else len(frozen.t)
    return is_straight(frozen) or frozen.experiment.layout.size < numbers


def straight_fit(loss: Loss, x: Float, t: Float) -> Straight:
    """Return the best linear map of rows x (B, ...) to encoded targets t (B, K).

    The perceptron's loss is zero for answers of zero; hinge stands in for it, which asks for a margin besides.
    """
    if isinstance(loss, Perceptron):
        loss = Hinge()
    x = x.reshape(len(x), -1).astype(np.float64)
    x = np.column_stack([x / np.maximum(np.abs(x).max(axis=0), 1e-300), np.ones(len(x))])
    z = x @ np.linalg.lstsq(x, t)[0]
    if not isinstance(loss, MSE):
        z = _descended(loss, x, t, z)
    return Straight(z, float(loss.value(z, t, None, len(z))), best_of(loss, t)[0])


def _descended(loss: Loss, x: Float, t: Float, z: Float) -> Float:
    """Return the answers where a quasi-Newton search ends; in coordinates in which the columns of x are orthonormal."""
    from scipy.optimize import minimize  # noqa: PLC0415 - 0.2 s

    u, sizes, _ = np.linalg.svd(x, full_matrices=False)
    u = u[:, sizes > 1e-10 * sizes[0]] * np.sqrt(len(x))
    start = u.T @ z / len(x)

    def value_and_gradient(flat: Float) -> tuple[float, Float]:
        answers = u @ flat.reshape(start.shape)
        dz = np.empty_like(answers)
        loss.gradient(answers, t, None, len(t), dz)
        return loss.value(answers, t, None, len(t)), (u.T @ dz).ravel()

    found = minimize(value_and_gradient, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS})
    answers: Float = u @ found.x.reshape(start.shape)
    return answers
