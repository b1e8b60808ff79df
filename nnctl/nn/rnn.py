"""The plain recurrent layer."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.nn.direction import Direction, Walk
from nnctl.nn.layer import Context
from nnctl.nn.recurrent import Recurrent

__all__ = ["Rnn"]


class Rnn(Recurrent, name="rnn"):
    """Carry a state from step to step: the plain recurrent layer, whose memory is short.

    forward:   h_t = f(x_t W + h_(t-1) U + b),  f = tanh or relu,  h_0 = 0
    backward:  for t = T ... 1, with δ_t the whole gradient of h_t and δ_T = dy_T:
               da_t = δ_t f'(a_t);  δ_(t-1) = dy_(t-1) + da_t U';  dx_t = da_t W'
               dW = Σ x_t' da_t,  dU = Σ h_(t-1)' da_t,  db = Σ 1' da_t

    f' is 1 - h² for tanh, and 0 or 1 for relu. A gradient passes through U' f' once a step, and over many steps it
    fades or explodes: use clip.norm, and lstm or gru where things have to be remembered for more than some ten steps.

    Shapes: x (B, T, D), W (D, H), U (H, H), b (H); y (B, H), or (B, T, H) with `returns: sequence`; H = units, and 2 H
    where both directions are concatenated. Every layer and direction has tensors of its own: ``0.rnn/1.backward.U`` is
    U of the second layer (counted from 0) on the way from the end.

    Memory: of a batch, 2 H + D + 1 numbers a step, sequence, layer and direction are kept for the way back.

    Source: Elman (1990), "Finding structure in time"; backpropagation through time from Werbos (1990),
    "Backpropagation through time: what it does and how to do it". One bias where PyTorch has two that are added.
    """

    activation: Literal["tanh", "relu"] = "tanh"
    """The function f."""

    def direction(self, *, backwards: bool) -> Direction:
        """Return one layer of one direction."""
        return RnnDirection(backwards=backwards, activation=self.activation, **self.shared())


class RnnDirection(Direction):
    """One layer of plain recurrent units in one direction."""

    activation: Literal["tanh", "relu"]
    """The function f."""

    def step(self, walk: Walk, t: int) -> None:
        """Write h."""
        h = walk.h[t + 1]
        np.matmul(walk.U, walk.h[t], out=walk.z)
        np.add(walk.a[t], walk.z, out=h)
        np.tanh(h, out=h) if self.activation == "tanh" else np.maximum(h, 0, out=h)

    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        """Write da = dh f'(a), and dh of the step before."""
        (dh,), h = dstates, walk.h[t + 1]
        if self.activation == "tanh":
            np.multiply(h, h, out=da)
            np.subtract(1, da, out=da)
        else:
            np.greater(h, 0, out=da)
        np.multiply(dh, da, out=da)
        np.matmul(walk.p.U, da, out=dh)

    def branches(self, ctx: Context) -> Array | None:
        """Return where a relu lets through."""
        walk: Walk = ctx.saved
        return None if self.activation == "tanh" else walk.h[1:] > 0


RnnDirection.name = Rnn.name
