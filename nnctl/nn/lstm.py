"""Long short-term memory."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.random import Generator

from nnctl.core.arrays import Float, Shape
from nnctl.nn.direction import Direction, Walk
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Param
from nnctl.nn.recurrent import Recurrent

__all__ = ["Lstm"]


class Lstm(Recurrent, name="lstm"):
    """Remember over many steps: a cell that gates write to, keep, and read from.

    forward:   [i f o] = σ(x_t W + h_(t-1) U + b)  and  g = tanh(the same), each with its own block of W, U and b
               c_t = f c_(t-1) + i g;  h_t = o tanh(c_t);  h_0 = c_0 = 0
    backward:  for t = T ... 1, with δ_t the whole gradient of h_t, δ_T = dy_T, and ε_t that of c_t, ε_T beginning at 0:
               ε_t += δ_t o (1 - tanh²(c_t))
               da_i = ε_t g i (1 - i);  da_f = ε_t c_(t-1) f (1 - f);  da_o = δ_t tanh(c_t) o (1 - o);
               da_g = ε_t i (1 - g²);  da_t = [da_i da_f da_o da_g]
               ε_(t-1) = ε_t f;  δ_(t-1) = dy_(t-1) + da_t U';  dx_t = da_t W'
               dW = Σ x_t' da_t,  dU = Σ h_(t-1)' da_t,  db = Σ 1' da_t

    Where f is near 1, ε passes from step to step unchanged: that is why it remembers.

    Shapes: x (B, T, D), W (D, 4 H), U (H, 4 H), b (4 H), the gates side by side in the order i, f, o, g (PyTorch and
    Keras: i, f, g, o); y (B, H), or (B, T, H) with `returns: sequence`; H = units, and 2 H where both directions are
    concatenated. Every layer and direction has tensors of its own: ``0.lstm/1.backward.U`` is U of the second layer
    (counted from 0) on the way from the end.

    Memory: of a batch, 7 H + D + 1 numbers a step, sequence, layer and direction are kept for the way back.

    Source: Hochreiter and Schmidhuber (1997), "Long short-term memory"; the forget gate from Gers, Schmidhuber and
    Cummins (2000), "Learning to forget", its bias from Jozefowicz, Zaremba and Sutskever (2015), "An empirical
    exploration of recurrent network architectures". Without peepholes, and with the whole gradient where the source of
    1997 cuts it off. One bias where PyTorch has two that are added.
    """

    forget_bias: float = 1.0
    """Initial bias of the forget gate; at 1 it lets most of the cell through from the start. The other biases start at
    0, whatever the `bias_init` of the spec."""

    def direction(self, *, backwards: bool) -> Direction:
        """Return one layer of one direction."""
        return LstmDirection(backwards=backwards, forget_bias=self.forget_bias, **self.shared())


class ForgetBias(Initializer):
    """Start the biases of an LSTM: `forget` for the forget gate, 0 for the others."""

    forget: float
    """The one value."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:  # noqa: ARG002
        """Return 0 for i, the value for f, 0 for o and g."""
        return np.repeat([0.0, self.forget, 0.0, 0.0], shape[0] // 4)


ForgetBias.name = "forget_bias"  # a component needs a name; no spec may say this one


class LstmDirection(Direction):
    """One layer of LSTM units in one direction; its states are h and c, and it keeps tanh(c)."""

    forget_bias: float
    """Initial bias of the forget gate."""

    gates: ClassVar[int] = 4
    sigmoids: ClassVar[int] = 3
    states: ClassVar[int] = 2
    keeps: ClassVar[bool] = True

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W, U and b, which starts at the forget gate's bias."""
        return super().params(shape) | {"b": Param((4 * self.units,), "bias", ForgetBias(forget=self.forget_bias))}

    def step(self, walk: Walk, t: int) -> None:
        """Write c and h."""
        H, a = self.units, walk.a[t]
        np.matmul(walk.U, walk.h[t], out=walk.z)
        np.add(a, walk.z, out=a)
        np.tanh(a, out=a)
        sigmoids = a[: 3 * H]
        np.multiply(sigmoids, 0.5, out=sigmoids)
        np.add(sigmoids, 0.5, out=sigmoids)
        i, f, o, g = a.reshape(4, H, -1)
        _, c = walk.states
        tanh_c = walk.kept[t]
        np.multiply(f, c[t], out=c[t + 1])
        np.multiply(i, g, out=tanh_c)
        np.add(c[t + 1], tanh_c, out=c[t + 1])
        np.tanh(c[t + 1], out=tanh_c)
        np.multiply(o, tanh_c, out=walk.h[t + 1])

    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        """Write da, and dh and dc of the step before."""
        H = self.units
        dh, dc = dstates
        i, f, o, g = walk.a[t].reshape(4, H, -1)
        da_i, da_f, da_o, da_g = da.reshape(4, H, -1)
        before, tanh_c = walk.states[1][t], walk.kept[t]
        slopes, scratch = walk.z[: 3 * H], walk.z[3 * H :]
        np.multiply(tanh_c, tanh_c, out=scratch)
        np.subtract(1, scratch, out=scratch)
        np.multiply(scratch, o, out=scratch)
        np.multiply(scratch, dh, out=scratch)
        np.add(dc, scratch, out=dc)
        np.multiply(dc, g, out=da_i)
        np.multiply(dc, before, out=da_f)
        np.multiply(dh, tanh_c, out=da_o)
        sigmoids, da_sigmoids = walk.a[t, : 3 * H], da[: 3 * H]
        np.subtract(1, sigmoids, out=slopes)
        np.multiply(slopes, sigmoids, out=slopes)
        np.multiply(da_sigmoids, slopes, out=da_sigmoids)
        np.multiply(g, g, out=scratch)
        np.subtract(1, scratch, out=scratch)
        np.multiply(scratch, i, out=scratch)
        np.multiply(scratch, dc, out=da_g)
        np.multiply(dc, f, out=dc)
        np.matmul(walk.p.U, da, out=dh)


LstmDirection.name = Lstm.name
