"""Gated recurrent units."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from nnctl.core.arrays import Float, Shape, ones
from nnctl.nn.direction import Direction, Walk, add_product, side_by_side
from nnctl.nn.layer import Context, Param, Views
from nnctl.nn.recurrent import Recurrent

__all__ = ["Gru"]


class Gru(Recurrent, name="gru"):
    """Remember over many steps with less than an LSTM: one state, a gate that resets it and one that keeps it.

    forward:   [r z] = σ(x_t W + h_(t-1) U + b)  with the blocks of r and z;  with those of n, U_n and W_n:
               n = tanh(x_t W_n + b_n + r (h_(t-1) U_n + c))   with `reset: after`
               n = tanh(x_t W_n + b_n + (r h_(t-1)) U_n)       with `reset: before`
               h_t = (1 - z) n + z h_(t-1);  h_0 = 0
    backward:  for t = T ... 1, with δ_t the whole gradient of h_t and δ_T = dy_T:
               da_n = δ_t (1 - z) (1 - n²);  da_z = δ_t (h_(t-1) - n) z (1 - z)
               after:   dq = da_n r;  da_r = da_n (h_(t-1) U_n + c) r (1 - r);
                        δ_(t-1) = dy_(t-1) + δ_t z + [da_r da_z dq] U';  dU = Σ h_(t-1)' [da_r da_z dq];  dc = Σ 1' dq
               before:  dv = da_n U_n';  da_r = dv h_(t-1) r (1 - r);
                        δ_(t-1) = dy_(t-1) + δ_t z + dv r + [da_r da_z] [U_r U_z]';
                        dU = Σ [h_(t-1)' da_r  h_(t-1)' da_z  (r h_(t-1))' da_n]
               dx_t = da_t W',  dW = Σ x_t' da_t,  db = Σ 1' da_t,  with da_t = [da_r da_z da_n]

    Shapes: x (B, T, D), W (D, 3 H), U (H, 3 H), b (3 H), c (H), the gates side by side in the order r, z, n, as in
    PyTorch; y (B, H), or (B, T, H) with `returns: sequence`; H = units, and 2 H where both directions are concatenated.
    Every layer and direction has tensors of its own: ``0.gru/1.backward.U`` is U of the second layer (counted from 0)
    on the way from the end.

    Memory: of a batch, 5 H + D + 1 numbers a step, sequence, layer and direction are kept for the way back, with
    `reset: before` 4 H + D + 1.

    Source: Cho, van Merriënboer, Gulcehre and others (2014), "Learning phrase representations using RNN
    encoder-decoder", arXiv:1406.1078: there the reset comes before the product, without biases. After the product, with
    the bias c, it is the form of cuDNN, PyTorch and Keras (`reset_after`). z keeps the state as in the source and the
    frameworks; in Chung, Gulcehre, Cho and Bengio (2014), arXiv:1412.3555, z and 1 - z change places.
    """

    reset: Literal["after", "before"] = "after"
    """Whether r resets what U_n makes of the state, or the state before the product."""

    def direction(self, *, backwards: bool) -> Direction:
        """Return one layer of one direction."""
        kind = GruAfter if self.reset == "after" else GruBefore
        return kind(backwards=backwards, **self.shared())


class GruDirection(Direction):
    """One layer of GRU units in one direction; what both forms share."""

    gates: ClassVar[int] = 3
    resets: ClassVar[bool] = True
    sigmoids: ClassVar[int] = 2

    def finish(self, walk: Walk, t: int) -> None:
        """Bend n, and write h = n + z (h - n)."""
        _, z, n = walk.a[t].reshape(3, self.units, -1)
        h, new = walk.h[t], walk.h[t + 1]
        np.tanh(n, out=n)
        np.subtract(h, n, out=new)
        np.multiply(new, z, out=new)
        np.add(new, n, out=new)

    def begin_back(self, walk: Walk, t: int, dh: Float, da: Float) -> None:
        """Write da_n and da_z, and r (1 - r) where da_r will be; leave of dh what z lets through."""
        H = self.units
        _, z, n = walk.a[t].reshape(3, H, -1)
        _, da_z, da_n = da.reshape(3, H, -1)
        sigmoids, slopes, scratch = walk.a[t, : 2 * H], da[: 2 * H], walk.z[2 * H :]
        np.subtract(1, sigmoids, out=slopes)
        np.multiply(slopes, sigmoids, out=slopes)
        np.subtract(walk.h[t], n, out=scratch)
        np.multiply(scratch, dh, out=scratch)
        np.multiply(da_z, scratch, out=da_z)
        np.multiply(n, n, out=da_n)
        np.subtract(1, da_n, out=da_n)
        np.subtract(1, z, out=scratch)
        np.multiply(scratch, dh, out=scratch)
        np.multiply(da_n, scratch, out=da_n)
        np.multiply(dh, z, out=dh)


def _sigmoid_of_half(a: Float) -> None:
    """Turn a / 2 into σ(a)."""
    np.tanh(a, out=a)
    np.multiply(a, 0.5, out=a)
    np.add(a, 0.5, out=a)


class GruAfter(GruDirection):
    """The reset comes after the product; it keeps q = h U_n + c."""

    keeps: ClassVar[bool] = True

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W, U, b, and c (H)."""
        return super().params(shape) | {"c": Param((self.units,), "bias")}

    def step(self, walk: Walk, t: int) -> None:
        """Write h."""
        H, a, u, q = self.units, walk.a[t], walk.z, walk.kept[t]
        np.matmul(walk.U, walk.h[t], out=u)
        r_and_z, r, n = a[: 2 * H], a[:H], a[2 * H :]
        np.add(r_and_z, u[: 2 * H], out=r_and_z)
        _sigmoid_of_half(r_and_z)
        np.add(u[2 * H :], walk.p.c[:, None], out=q)
        np.multiply(r, q, out=u[2 * H :])
        np.add(n, u[2 * H :], out=n)
        self.finish(walk, t)

    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        """Write da, and dh of the step before."""
        H, r, q, (dh,) = self.units, walk.a[t, : self.units], walk.kept[t], dstates
        da_r, da_n = da[:H], da[2 * H :]
        self.begin_back(walk, t, dh, da)
        dq, through = walk.z[2 * H :], walk.z[:H]
        np.multiply(da_n, q, out=through)
        np.multiply(da_r, through, out=da_r)
        np.multiply(da_n, r, out=dq)
        np.copyto(walk.z[: 2 * H], da[: 2 * H])
        np.add(dh, np.matmul(walk.p.U, walk.z, out=walk.spare), out=dh)

    def add_recurrent(self, dU: Float, g: Views, walk: Walk, steps: slice, da: Float, ctx: Context) -> None:
        """Add to dU and dc."""
        H = self.units
        dq = da[2 * H :]
        np.multiply(dq, side_by_side(walk.a[steps, :H], "r beside", ctx), out=dq)
        g.c += dq @ ones(dq.shape[1], dq.dtype)
        super().add_recurrent(dU, g, walk, steps, da, ctx)


class GruBefore(GruDirection):
    """The reset comes before the product."""

    def step(self, walk: Walk, t: int) -> None:
        """Write h."""
        H, a, u, h = self.units, walk.a[t], walk.z, walk.h[t]
        r_and_z, r, n = a[: 2 * H], a[:H], a[2 * H :]
        np.matmul(walk.U[: 2 * H], h, out=u[: 2 * H])
        np.add(r_and_z, u[: 2 * H], out=r_and_z)
        _sigmoid_of_half(r_and_z)
        np.multiply(r, h, out=u[:H])
        np.matmul(walk.U[2 * H :], u[:H], out=u[2 * H :])
        np.add(n, u[2 * H :], out=n)
        self.finish(walk, t)

    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        """Write da, and dh of the step before."""
        H, r, h, (dh,) = self.units, walk.a[t, : self.units], walk.h[t], dstates
        da_r, da_n = da[:H], da[2 * H :]
        self.begin_back(walk, t, dh, da)
        dv, scratch = walk.z[:H], walk.z[H : 2 * H]
        np.matmul(walk.p.U[:, 2 * H :], da_n, out=dv)
        np.multiply(dv, h, out=scratch)
        np.multiply(da_r, scratch, out=da_r)
        np.multiply(dv, r, out=dv)
        np.add(dh, dv, out=dh)
        np.matmul(walk.p.U[:, : 2 * H], da[: 2 * H], out=scratch)
        np.add(dh, scratch, out=dh)

    def add_recurrent(self, dU: Float, g: Views, walk: Walk, steps: slice, da: Float, ctx: Context) -> None:  # noqa: ARG002
        """Add to dU."""
        H = self.units
        h = side_by_side(walk.h[steps], "h beside", ctx)
        add_product(da[: 2 * H], h, dU[: 2 * H], ctx)
        np.multiply(h, side_by_side(walk.a[steps, :H], "r beside", ctx), out=h)
        add_product(da[2 * H :], h, dU[2 * H :], ctx)


GruAfter.name = GruBefore.name = Gru.name
