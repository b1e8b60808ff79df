"""Layers as loops over the elements, for the compiler. See `nnctl.core.compiled`."""

from __future__ import annotations

from nnctl.core.arrays import Float
from nnctl.core.compiled import Loop

__all__ = ["where_positive"]


@Loop
def where_positive(dy: Float, y: Float) -> None:
    """Keep dy where y > 0, and set it to 0 elsewhere: the backward pass of relu."""
    for i in range(dy.size):
        dy[i] *= y[i] > 0
