"""Layers as loops over the elements, for the compiler. See `nnctl.core.compiled`."""

from __future__ import annotations

from nnctl.core.arrays import Float
from nnctl.core.compiled import Loop

__all__ = ["add_to_rows", "ran", "through_relu", "through_sigmoid", "through_tanh"]


def ran(loop: Loop, changed: Float, read: Float, *numbers: float) -> bool:
    """Run a loop that changes one array and reads another, element by element; return False where NumPy has to."""
    compiled = loop.compiled.get(changed.dtype)
    if compiled is None or not (changed.flags.c_contiguous and read.flags.c_contiguous):
        return False
    compiled(changed.reshape(-1), read.reshape(-1), *numbers)
    return True


@Loop
def add_to_rows(y: Float, b: Float) -> None:
    """Do y ← y + b for every row of y, which is as long as b."""
    for start in range(0, y.size, b.size):
        for j in range(b.size):
            y[start + j] += b[j]


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
