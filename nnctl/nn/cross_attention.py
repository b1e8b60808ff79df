"""Cross-attention: the positions of one sequence look at those of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Float, Shape, as_rows, column_sums
from nnctl.core.component import PositiveInt
from nnctl.nn.attention import MultiHead, heads_of
from nnctl.nn.dot_product import attend, attend_backward, held_scores, scores_together
from nnctl.nn.layer import Context, Param, ShapeError, Views
from nnctl.nn.memory import BOOL, Use

__all__ = ["CrossAttention"]


class CrossAttention(MultiHead, name="cross_attention"):
    """Multi-head attention of the later positions to the first ones, which are a memory: what an encoder made.

    forward:   x = [m; t], the first `memory` positions and the others;  q = t W_q + b_q,  [k v] = m W_kv + b_kv;
               c as in `attention`, from q, k and v;  y = [0; c W_o + b_o]
    backward:  db_o = 1' dy_t,  dW_o = c' dy_t,  dc = dy_t W_o';  dq, dk, dv as in `attention`;
               dW_q = t' dq,  dW_kv = m' [dk dv],  db_q = 1' dq,  db_kv = 1' [dk dv],  dx = [[dk dv] W_kv'; dq W_q']

    Shapes: x, y (B, S + T, D) with S = memory; W_q, W_o (D, D), W_kv (D, 2 D), b_q, b_o (D), b_kv (2 D).

    One input carries both sequences, the memory in front; y is zero there, so that a residual around this layer leaves
    the memory as it is. Padding of the memory has no weight. Scores are made anew for the backward pass.

    Memory: of a batch B D (7 T + 6 S) + heads B T numbers, y among them; in inference B D (4 T + 4 S) + heads B T. And
    scores, held as in `attention`; dx takes the memory of dy.

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.2.3, arXiv:1706.03762.
    """

    memory: PositiveInt
    """S, how many positions in front are the memory."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"source": "memory", "memory_length": "memory"}

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W_q (D, D), W_kv (D, 2 D), W_o (D, D) and, unless left out, b_q, b_kv and b_o."""
        D = shape[-1]
        found = {
            "W_q": Param((D, D), "kernel", self.init),
            "W_kv": Param((D, 2 * D), "kernel", self.init, fans=(D, D)),
            "W_o": Param((D, D), "kernel", self.init),
        }
        if self.bias:
            found |= {"b_q": Param((D,), "bias"), "b_kv": Param((2 * D,), "bias"), "b_o": Param((D,), "bias")}
        return found

    def flop(self, shape: Shape) -> int:
        """Return the operations of t W_q, m W_kv, q k', a v and c W_o."""
        (N, D), S = shape, self.memory
        return 2 * (N - S) * D * (2 * D + 2 * S) + 2 * S * D * 2 * D

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of t, q, c, m, k, v and y, of their gradients, and of a sum for every row of scores."""
        (N, D), S = shape, self.memory
        T = N - S
        held = D * (3 * T + 3 * S + N + use.training * (3 * T + 2 * S)) + self.heads * T
        decisions = scores_together(use.rows * self.heads, T, S) if self.dropout and use.training else 0
        return use.rows * held + int((1 + BOOL) * decisions)

    def scratch(self, shape: Shape, use: Use) -> int:
        """Return the numbers of the scores and, backward, of their slopes."""
        return held_scores(use.rows * self.heads, shape[0] - self.memory, self.memory, use)

    def out_shape(self, shape: Shape) -> Shape:
        """Return (S + T, D), if there is more than the memory and the heads divide the width."""
        if super().out_shape(shape)[0] <= self.memory:
            raise ShapeError(
                f"cross_attention: the first {self.memory} positions are the memory, so {shape[0]} leave none to look "
                f"at it."
            )
        return shape

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return what the later positions gather from the memory, and zeros for the memory."""
        (B, N, D), S = x.shape, self.memory
        m, t = ctx.out("m", (B, S, D)), ctx.out("t", (B, N - S, D))
        np.copyto(m, x[:, :S])
        np.copyto(t, x[:, S:])
        q, kv = ctx.out("q", t.shape), ctx.out("kv", (B, S, 2, self.heads, D // self.heads))
        np.dot(as_rows(t), p.W_q, out=as_rows(q))
        np.dot(as_rows(m), p.W_kv, out=kv.reshape(B * S, 2 * D))
        if self.bias:
            np.add(q, p.b_q, out=q)
            np.add(kv.reshape(B * S, 2 * D), p.b_kv, out=kv.reshape(B * S, 2 * D))
        k, v = heads_of(kv)
        c = ctx.out("c", t.shape)
        mask = self.shown(x, ctx)
        shown = None if mask is None else mask[:, :S]
        seen = attend(self.by_head(q), k, v, self.by_head(c), ctx, shown=shown, causal=False, dropout=self.dropout)
        ctx.saved = m, t, c, seen
        y = ctx.out("y", x.shape)
        y[:, :S] = 0
        np.matmul(c, p.W_o, out=y[:, S:])
        if self.bias:
            np.add(y[:, S:], p.b_o, out=y[:, S:])
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill the gradients; return dx, in the memory of dy."""
        m, t, c, seen = ctx.saved
        B, S, D = m.shape
        dt = ctx.out("dt", t.shape)
        np.copyto(dt, dy[:, S:])
        np.dot(as_rows(c).T, as_rows(dt), out=g.W_o)
        dc = ctx.out("dc", c.shape)
        np.dot(as_rows(dt), p.W_o.T, out=as_rows(dc))
        dq, dkv = ctx.out("dq", t.shape), ctx.out("dkv", (B, S, 2, self.heads, D // self.heads))
        dk, dv = heads_of(dkv)
        attend_backward(seen, self.by_head(dc), self.by_head(dq), dk, dv, ctx)
        slopes = dkv.reshape(B, S, 2 * D)
        np.dot(as_rows(t).T, as_rows(dq), out=g.W_q)
        np.dot(as_rows(m).T, as_rows(slopes), out=g.W_kv)
        if self.bias:
            column_sums(as_rows(dt), out=g.b_o)
            column_sums(as_rows(dq), out=g.b_q)
            column_sums(as_rows(slopes), out=g.b_kv)
        if not ctx.need_dx:
            return None
        np.matmul(slopes, p.W_kv.T, out=dy[:, :S])
        np.matmul(dq, p.W_q.T, out=dy[:, S:])
        return dy
