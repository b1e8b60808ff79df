"""One recurrent layer in one direction: the walk over time, and back through it.

Inside, time comes first and the batch last, (T, D, B): every step is a contiguous matrix, and every gate a contiguous
block of its rows. One product brings in the inputs of all steps, one more a step the state. A sigmoid is a tanh of half
its argument, σ(a) = (1 + tanh(a / 2)) / 2; the half is put into the weights, so that one tanh serves all gates.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import PositiveInt
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Context, Layer, Param, Views
from nnctl.nn.memory import BOOL, Use

__all__ = ["Direction", "PerGate", "Walk", "add_product", "side_by_side"]

STEPS = 10
"""Steps whose gradients are collected for one product with their inputs."""


class PerGate(Initializer):
    """Draw the block of every gate by itself, so that each is as wide as the initializer thinks."""

    inner: Initializer
    """What draws a block."""
    gates: PositiveInt
    """How many blocks lie side by side along the last axis."""

    def sample(self, rng: Generator, shape: Shape, fan_in: int, fan_out: int) -> Float:
        """Return the blocks, drawn one after another."""
        block = (*shape[:-1], shape[-1] // self.gates)
        return np.concatenate([self.inner.sample(rng, block, fan_in, fan_out) for _ in range(self.gates)], axis=-1)


PerGate.name = "per_gate"  # a component needs a name; no spec may say this one


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk over time keeps for the way back.

    Parameters
    ----------
    p : Views
        The parameters.
    U : array (G H, H)
        The recurrent kernel transposed, the rows of sigmoid gates halved.
    x : array (T, D + 1, B)
        The inputs and a row of ones, whose weights are the biases.
    a : array (T, G H, B)
        What goes into the gates; each step turns its own into what comes out of them.
    states : tuple of array (T + 1, H, B)
        What is handed from step to step, each starting with zeros; the first is the output h.
    kept : array (T, H, B)
        One thing more of every step, or of none.
    z, spare : array (G H, B), (H, B)
        Scratch within a step.
    padding : bool array (T, 1, B) or None
        Where the sequences are padded, in the order of the walk.
    """

    p: Views
    U: Float
    x: Float
    a: Float
    states: tuple[Float, ...]
    kept: Float
    z: Float
    spare: Float
    padding: Array | None

    @property
    def h(self) -> Float:
        """The output with the zeros before it, (T + 1, H, B)."""
        return self.states[0]


class Direction(Layer):
    """One layer of recurrent units that walks over time in one direction, (T, D, B) -> (T, H, B).

    It is a part of the recurrent layers and no layer of a spec. Where a sequence is padded the states stay as they are
    and the output is 0, so that a walk from the end begins where the sequence ends.
    """

    units: PositiveInt
    """Width H of the state."""
    backwards: bool = False
    """Whether it begins at the end."""
    init: Initializer | None = None
    """Initial W; by default the `init` of the spec."""
    recurrent_init: Initializer
    """Initial U, gate by gate."""

    sharded: ClassVar[bool] = True

    gates: ClassVar[int] = 1
    """Blocks of W, U and b, one a gate."""
    sigmoids: ClassVar[int] = 0
    """How many of them, from the first on, are sigmoids."""
    states: ClassVar[int] = 1
    """What is handed from step to step: h, or h and c."""
    keeps: ClassVar[bool] = False
    """Whether a step keeps one thing more than its gates and states."""
    resets: ClassVar[bool] = False
    """Whether a gate resets the state, so that some steps of it lie side by side for the way back."""

    @property
    def paired(self) -> bool:
        """Whether it is the second of two."""
        return self.backwards

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W (D, G H), U (H, G H) and b (G H)."""
        D, H, G = shape[-1], self.units, self.gates
        return {
            "W": Param((D, G * H), "kernel", self.init, (D, H)),
            "U": Param((H, G * H), "kernel", PerGate(inner=self.recurrent_init, gates=G), (H, H)),
            "b": Param((G * H,), "bias"),
        }

    def out_shape(self, shape: Shape) -> Shape:
        """Return (T, H)."""
        return (shape[0], self.units)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of the inputs, gates and states of every step, and of what some steps need backward."""
        (T, D), H, GH = shape, self.units, self.gates * self.units
        kernels = GH * (D + 1 + H)
        walk: float = T * (D + 1 + GH) + (T + 1) * self.states * H + T * H * self.keeps + GH + H
        if use.padded:
            walk += T * H + T * BOOL
        if not use.training:
            return kernels + int(use.rows * walk)
        some = min(T, STEPS)
        back = H * self.states * (1 + use.padded) + some * (2 * GH + D + 1 + H * (1 + self.resets)) + T * D * use.back
        return 2 * kernels + GH * max(D + 1, H) + int(use.rows * (walk + back))

    @abstractmethod
    def step(self, walk: Walk, t: int) -> None:
        """Take step t: turn a[t] into what comes out of the gates, and write the states of t + 1."""

    @abstractmethod
    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        """Write the gradient of a[t] into `da`, and turn the gradients of the states of t + 1 into those of t."""

    def add_recurrent(self, dU: Float, g: Views, walk: Walk, steps: slice, da: Float, ctx: Context) -> None:  # noqa: ARG002
        """Add what these steps give to dU, which is transposed as `Walk.U`; may destroy `da`, (G H, steps B)."""
        add_product(da, side_by_side(walk.h[steps], "h beside", ctx), dU, ctx)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return the output h of all steps, 0 where a sequence is padded."""
        ctx.saved = walk = self._begin(p, x[::-1] if self.backwards else x, ctx)
        y = walk.h[1:]
        if walk.padding is None:
            for t in range(len(x)):
                self.step(walk, t)
        else:
            for t in range(len(x)):
                self.step(walk, t)
                for state in walk.states:
                    np.copyto(state[t + 1], state[t], where=walk.padding[t])
            y = ctx.out("y", y.shape)
            np.copyto(y, walk.h[1:])
            np.copyto(y, 0, where=walk.padding)
        return y[::-1] if self.backwards else y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill the gradients by backpropagation through time; return dx."""
        walk: Walk = ctx.saved
        T, D, B = walk.x.shape[0], walk.x.shape[1] - 1, walk.x.shape[2]
        dy = dy[::-1] if self.backwards else dy
        if walk.padding is not None:
            np.copyto(dy, 0, where=walk.padding)
        dstates = tuple(ctx.out(f"dstate {i}", (self.units, B)) for i in range(self.states))
        dWb, dU = ctx.out("dWb", (p.W.shape[1], D + 1)), ctx.out("dU", walk.U.shape)
        dx = ctx.out("dx", (T, D, B)) if ctx.need_dx else None
        for gradient in (*dstates, dWb, dU, *vars(g).values()):
            gradient.fill(0)
        for stop in range(T, 0, -STEPS):
            steps = slice(max(0, stop - STEPS), stop)
            da = ctx.out("da", (stop - steps.start, p.W.shape[1], B))
            for t in reversed(range(steps.start, stop)):
                np.add(dstates[0], dy[t], out=dstates[0])
                self._back(walk, t, dstates, da[t - steps.start], ctx)
            if dx is not None:
                np.matmul(p.W, da, out=dx[steps])
            beside = side_by_side(da, "da beside", ctx)
            add_product(beside, side_by_side(walk.x[steps], "x beside", ctx), dWb, ctx)
            self.add_recurrent(dU, g, walk, steps, beside, ctx)
        np.copyto(g.W, dWb[:, :D].T)
        np.copyto(g.b, dWb[:, D])
        np.copyto(g.U, dU.T)
        return dx if dx is None or not self.backwards else dx[::-1]

    def _back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float, ctx: Context) -> None:
        """Take step t back; where a sequence is padded, the gradients of its states go by."""
        if walk.padding is None:
            self.step_back(walk, t, dstates, da)
            return
        passing = [ctx.out(f"passing {i}", dstate.shape) for i, dstate in enumerate(dstates)]
        for copy, dstate in zip(passing, dstates, strict=True):
            np.copyto(copy, dstate)
        self.step_back(walk, t, dstates, da)
        np.copyto(da, 0, where=walk.padding[t])
        for copy, dstate in zip(passing, dstates, strict=True):
            np.copyto(dstate, copy, where=walk.padding[t])

    def _begin(self, p: Views, x: Float, ctx: Context) -> Walk:
        """Return the walk before its first step: what the inputs of all steps bring to the gates."""
        T, D, B = x.shape
        H, GH = self.units, p.W.shape[1]
        padding = self._padding(ctx)
        inputs = ctx.out("x", (T, D + 1, B))
        np.copyto(inputs[:, :D], x)
        inputs[:, D] = 1
        if padding is not None:
            np.copyto(inputs[:, :D], 0, where=padding)  # not even nan may reach a product
        Wb, U = ctx.out("Wb", (GH, D + 1)), ctx.out("U", (GH, H))
        np.copyto(Wb[:, :D], p.W.T)
        np.copyto(Wb[:, D], p.b)
        np.copyto(U, p.U.T)  # a transposed view would make the product of a step a sixth slower
        for weights in (Wb, U):
            np.multiply(weights[: self.sigmoids * H], 0.5, out=weights[: self.sigmoids * H])
        states = tuple(ctx.out(f"state {i}", (T + 1, H, B)) for i in range(self.states))
        for state in states:
            state[0] = 0
        a = np.matmul(Wb, inputs, out=ctx.out("a", (T, GH, B)))
        kept = ctx.out("kept", (T if self.keeps else 0, H, B))
        z, spare = ctx.out("z", (GH, B)), ctx.out("spare", (H, B))
        return Walk(p, U, inputs, a, states, kept, z, spare, padding)

    def _padding(self, ctx: Context) -> Array | None:
        if ctx.mask is None:
            return None
        padding: Array = np.logical_not(ctx.mask.T, out=ctx.out("padding", ctx.mask.T.shape, bool))[:, None]
        return padding[::-1] if self.backwards else padding


def side_by_side(a: Float, name: str, ctx: Context) -> Float:
    """Return the matrices of some steps as one, (n, F, B) -> (F, n B)."""
    n, F, B = a.shape
    beside = ctx.out(name, (F, n, B))
    np.copyto(beside, a.transpose(1, 0, 2))
    return beside.reshape(F, n * B)


def add_product(da: Float, x: Float, total: Float, ctx: Context) -> None:
    """Add ``da x'`` to a transposed gradient: the sum over steps and sequences of the outer products of their columns.

    Transposed, since this product is a quarter faster than ``x da'`` (512 x 128 over 320 columns).
    """
    np.add(total, np.matmul(da, x.T, out=ctx.out("product", total.shape)), out=total)
