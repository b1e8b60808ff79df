"""Positions: tell attention, which sees a set, where in the sequence everything stands."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, ClassVar, Literal

import numpy as np

from nnctl.core.arrays import Float, Shape
from nnctl.nn.initializers import Normal
from nnctl.nn.layer import Context, Layer, Param, ShapeError, Views
from nnctl.nn.memory import Use

__all__ = ["Position"]


class Position(Layer, name="position"):
    """Add a vector to every position of a sequence that tells where it is.

    forward:   y_t = x_t + P_t;  `sinusoidal`:  P_t,2m = sin(t / 10000^(2m/D)),  P_t,2m+1 = cos(t / 10000^(2m/D));
               `learned`: P is a parameter
    backward:  dx = dy,  dP_t = Σ_b dy_bt

    Shapes: x, y (B, T, D); P (T, D). Rotary positions belong to the attention: see its `rotary`.

    A learned P starts at N(0, 0.02²) as in BERT and GPT-2, and has no weight decay.

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.5, arXiv:1706.03762; learned positions from
    Gehring et al. (2017), "Convolutional sequence to sequence learning", section 3.1, arXiv:1705.03122.
    """

    kind: Literal["sinusoidal", "learned"] = "sinusoidal"
    """`sinusoidal`, waves of growing length, or `learned`, a free vector for every position of the training data."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"type": "kind", "mode": "kind", "encoding": "kind"}
    advice: ClassVar[Mapping[str, str]] = {"rotary": "Write 'rotary: true' in the attention or the transformer_block."}

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return P (T, D) where it is learned."""
        return {"P": Param(shape, "scale", Normal(std=0.02))} if self.kind == "learned" else {}

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, (T, D)."""
        if len(shape) != 2:
            raise ShapeError(f"position needs a sequence (T, D). Got {shape}.")
        return shape

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y."""
        return use.rows * prod(shape)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return x + P."""
        P = p.P[: x.shape[1]] if self.kind == "learned" else _waves(*x.shape[1:], x.dtype)
        return np.add(x, P, out=ctx.out("y", x.shape))

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Fill dP; return dy."""
        if self.kind == "learned":
            T = dy.shape[1]
            np.sum(dy, axis=0, out=g.P[:T])
            g.P[T:] = 0  # a batch of shorter sequences
        return dy


@lru_cache(maxsize=8)
def _waves(T: int, D: int, dtype: np.dtype[Any]) -> Float:
    columns = np.arange(D)
    angles = np.arange(T)[:, None] * 10000.0 ** (-(columns - columns % 2) / D)
    waves = np.where(columns % 2, np.cos(angles), np.sin(angles)).astype(dtype)
    waves.flags.writeable = False
    return waves
