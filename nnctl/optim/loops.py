"""The rules of the optimizers as loops over the parameters, for the compiler. See `nnctl.core.compiled`.

They repeat the passes of `nnctl.optim.optimizers` operation by operation, so that the bits are the same. Adam on 17
thousand parameters takes 17 us in passes and 3 us as a loop.
"""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Float
from nnctl.core.compiled import Loop

__all__ = ["adam", "amsgrad", "momentum", "nesterov", "rmsprop", "sgd"]


@Loop
def sgd(theta: Float, grad: Float, rate: float) -> None:
    """Do θ ← θ - rate g."""
    for i in range(theta.size):
        theta[i] -= grad[i] * rate


@Loop
def momentum(theta: Float, grad: Float, v: Float, beta: float, rate: float) -> None:
    """Do v ← β v + g,  θ ← θ - rate v."""
    for i in range(theta.size):
        v[i] = v[i] * beta + grad[i]
        theta[i] -= v[i] * rate


@Loop
def nesterov(theta: Float, grad: Float, v: Float, beta: float, rate: float) -> None:
    """Do v ← β v + g,  θ ← θ - rate (β v + g)."""
    for i in range(theta.size):
        v[i] = v[i] * beta + grad[i]
        theta[i] -= (v[i] * beta + grad[i]) * rate


@Loop
def rmsprop(theta: Float, grad: Float, v: Float, beta: float, eps: float, rate: float) -> None:
    """Do v ← β v + g²,  θ ← θ - rate g / (√v + ε)."""
    for i in range(theta.size):
        v[i] = v[i] * beta + grad[i] * grad[i]
        theta[i] -= grad[i] / (np.sqrt(v[i]) + eps) * rate


@Loop
def adam(theta: Float, grad: Float, m: Float, v: Float, beta1: float, beta2: float, eps: float, rate: float) -> None:
    """Do m ← β₁ m + g,  v ← β₂ v + g²,  θ ← θ - rate m / (√v + ε)."""
    for i in range(theta.size):
        m[i] = m[i] * beta1 + grad[i]
        v[i] = v[i] * beta2 + grad[i] * grad[i]
        theta[i] -= m[i] / (np.sqrt(v[i]) + eps) * rate


@Loop
def amsgrad(
    theta: Float, grad: Float, m: Float, v: Float, v_max: Float, beta1: float, beta2: float, eps: float, rate: float
) -> None:
    """Do what `adam` does, with the largest v so far in the place of v."""
    for i in range(theta.size):
        m[i] = m[i] * beta1 + grad[i]
        v[i] = v[i] * beta2 + grad[i] * grad[i]
        v_max[i] = np.maximum(v_max[i], v[i])
        theta[i] -= m[i] / (np.sqrt(v_max[i]) + eps) * rate
