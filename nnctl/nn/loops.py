"""Layers as loops over the elements, for the compiler. See `nnctl.core.compiled`."""

from __future__ import annotations

from nnctl.core.arrays import Float
from nnctl.core.compiled import Loop

__all__ = ["ran", "through_relu", "through_sigmoid", "through_tanh"]


def ran(loop: Loop, dy: Float, y: Float, *numbers: float) -> bool:
    """Run a loop over all elements of two arrays of one shape; return False where that is left to NumPy."""
    compiled = loop.compiled.get(dy.dtype)
    if compiled is None or not (dy.flags.c_contiguous and y.flags.c_contiguous):
        return False
    compiled(dy.reshape(-1), y.reshape(-1), *numbers)
    return True


@Loop
def through_relu(dy: Float, y: Float) -> None:
    """Keep dy where y > 0, and set it to 0 elsewhere."""
    for i in range(dy.size):
        dy[i] *= y[i] > 0


@Loop
def through_tanh(dy: Float, y: Float, one: float) -> None:
    """Do dy ← dy (1 - y²); `one` has the dtype of the vectors, where a literal would make it float64."""
    for i in range(dy.size):
        dy[i] *= one - y[i] * y[i]


@Loop
def through_sigmoid(dy: Float, y: Float, one: float) -> None:
    """Do dy ← dy y (1 - y)."""
    for i in range(dy.size):
        dy[i] *= (one - y[i]) * y[i]
