"""Attention: every position of a sequence gathers from the others what it finds relevant."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from nnctl.core.arrays import Array, Float, Shape, as_rows, column_sums
from nnctl.core.component import PositiveInt, Share
from nnctl.nn.dot_product import attend, attend_backward, held_scores, scores_together
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Context, Layer, Param, ShapeError, Views
from nnctl.nn.memory import BOOL, Use

__all__ = ["Attention", "MultiHead", "heads_of"]


class MultiHead(Layer):
    """Attention of several heads, each with its share of the columns."""

    heads: PositiveInt
    """How many heads look at the sequence, each with D / heads columns; they must divide D."""
    dropout: Share = 0.0
    """Share of the weights to drop in training."""
    bias: bool = True
    """Whether the projections have biases."""
    init: Initializer | None = None
    """Initial weights; by default the `init` of the spec. Kernels side by side have the fans of one."""

    sharded: ClassVar[bool] = True
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "num_heads": "heads",
        "n_heads": "heads",
        "nhead": "heads",
        "n_head": "heads",
        "attn_dropout": "dropout",
        "use_bias": "bias",
        "kernel_initializer": "init",
    }
    advice: ClassVar[Mapping[str, str]] = {
        "embed_dim": "The width is that of the input.",
        "key_dim": "The columns of a head are the width of the input divided by the heads.",
    }

    def out_shape(self, shape: Shape) -> Shape:
        """Return (T, D), if the input is a sequence and the heads divide its width."""
        if len(shape) != 2 or not shape[0]:
            raise ShapeError(f"{self.name} needs a sequence (T, D) of at least one position. Got {shape}.")
        D = shape[1]
        if D % self.heads:
            fitting = ", ".join(str(n) for n in range(1, D + 1) if D % n == 0)
            raise ShapeError(f"the heads must divide the width {D}: {fitting}. Got {self.heads}.")
        return shape

    def scratch(self, shape: Shape, use: Use) -> int:
        """Return the numbers of the scores and, backward, of their slopes: see `dot_product.SCORES`."""
        return held_scores(use.rows * self.heads, shape[0], shape[0], use)

    def by_head(self, a: Float) -> Float:
        """Return (B, T, D) as a view (B, h, T, d)."""
        B, T, D = a.shape
        return a.reshape(B, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def shown(self, x: Float, ctx: Context) -> Array | None:
        """Return the mask of a batch, if it has one.

        Raises
        ------
        ShapeError
            Where it is for sequences of another length.
        """
        if ctx.mask is not None and ctx.mask.shape != x.shape[:2]:
            raise ShapeError(
                f"the mask says which of {ctx.mask.shape[1]} positions are there, but {x.shape[1]} reach "
                f"the {self.name}: a layer before it changes the length."
            )
        return ctx.mask


class Attention(MultiHead, name="attention"):
    """Multi-head self-attention: every position takes a weighted mean of what all positions offer.

    forward:   [q k v] = x W_qkv + b_qkv, each cut into `heads` pieces of d = D / heads columns; in every head
               s_ij = q_i · k_j / sqrt(d),  a_ij = exp(s_ij) / Σ_l exp(s_il),  c_i = Σ_j a_ij v_j;
               y = c W_o + b_o, with the c of all heads side by side
    backward:  db_o = 1' dy,  dW_o = c' dy,  dc = dy W_o';  in every head
               dv_j = Σ_i a_ij dc_i,  da_ij = dc_i · v_j,  ds_ij = a_ij (da_ij - c_i · dc_i),
               dq_i = Σ_j ds_ij k_j / sqrt(d),  dk_j = Σ_i ds_ij q_i / sqrt(d);
               db_qkv = 1' [dq dk dv],  dW_qkv = x' [dq dk dv],  dx = [dq dk dv] W_qkv'

    Shapes: x, y (B, T, D); W_qkv (D, 3 D), b_qkv (3 D), W_o (D, D), b_o (D); s, a (T, T) in every head.

    What is hidden has s_ij = -inf and so no weight: padding always, and with `causal` all j > i. A position from which
    everything is hidden gets c_i = 0. Dropout acts on the weights a. With `rotary` every pair of columns 2m, 2m + 1 of
    q_i and k_i is turned by the angle i 10000^(-2m/d), so that s_ij depends on the distance i - j.

    Memory: of a batch 9 B T D + heads B T numbers, y among them; in inference 5 B T D + heads B T. And scores: those of
    as many sequences, or else heads of one sequence, as have 65,536 together, T² at least, twice for all layers of a
    replica together (and once more for each with dropout). They are made anew for the backward pass.

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.2, arXiv:1706.03762, with biases; Su et al.
    (2021), "RoFormer", eq. 34, arXiv:2104.09864, for `rotary`.
    """

    causal: bool = False
    """Whether a position sees only itself and what comes before it."""
    rotary: bool = False
    """Whether queries and keys are turned by their position; the columns of a head must be even in number."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "is_causal": "causal",
        "use_causal_mask": "causal",
        "rope": "rotary",
    }

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W_qkv (D, 3 D), W_o (D, D) and, unless left out, b_qkv (3 D) and b_o (D)."""
        D = shape[-1]
        found = {
            "W_qkv": Param((D, 3 * D), "kernel", self.init, fans=(D, D)),
            "W_o": Param((D, D), "kernel", self.init),
        }
        if self.bias:
            found |= {"b_qkv": Param((3 * D,), "bias"), "b_o": Param((D,), "bias")}
        return found

    def flop(self, shape: Shape) -> int:
        """Return the operations of x W_qkv, q k', a v and c W_o."""
        T, D = shape
        return 2 * T * D * (3 * D + T + T + D)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of q, k, v, c and y, of dq, dk, dv and dc, and of a sum for every row of scores."""
        T, D = shape
        decisions = scores_together(use.rows * self.heads, T, T) if self.dropout and use.training else 0
        return use.rows * (T * D * (5 + 4 * use.training) + self.heads * T) + int((1 + BOOL) * decisions)

    def out_shape(self, shape: Shape) -> Shape:
        """Return (T, D), if the input is a sequence and the heads divide its width."""
        D = super().out_shape(shape)[1]
        if self.rotary and D // self.heads % 2:
            raise ShapeError(
                f"rotary turns pairs of columns, but each of the {self.heads} heads has {D // self.heads}: "
                f"take twice the width, or leave out rotary and put a position layer first."
            )
        return shape

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return what every position gathers."""
        B, T, D = x.shape
        qkv = ctx.out("qkv", (B, T, 3, self.heads, D // self.heads))
        rows = qkv.reshape(B * T, 3 * D)
        np.dot(as_rows(x), p.W_qkv, out=rows)
        if self.bias:
            np.add(rows, p.b_qkv, out=rows)
        if self.rotary:
            _turn(qkv, _turns(T, D // self.heads, qkv.dtype))
        c = ctx.out("c", x.shape)
        q, k, v = heads_of(qkv)
        seen = attend(q, k, v, self.by_head(c), ctx, shown=self.shown(x, ctx), causal=self.causal, dropout=self.dropout)
        ctx.saved = x, c, seen
        y = ctx.out("y", x.shape)
        np.dot(as_rows(c), p.W_o, out=as_rows(y))
        if self.bias:
            np.add(y, p.b_o, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill the gradients; return dx."""
        x, c, seen = ctx.saved
        B, T, D = x.shape
        rows = as_rows(dy)
        np.dot(as_rows(c).T, rows, out=g.W_o)
        dc = ctx.out("dc", c.shape)
        np.dot(rows, p.W_o.T, out=as_rows(dc))
        dqkv = ctx.out("dqkv", (B, T, 3, self.heads, D // self.heads))
        dq, dk, dv = heads_of(dqkv)
        attend_backward(seen, self.by_head(dc), dq, dk, dv, ctx)
        if self.rotary:
            _turn(dqkv, _turns(T, D // self.heads, dqkv.dtype).conj())
        slopes = dqkv.reshape(B * T, 3 * D)
        np.dot(as_rows(x).T, slopes, out=g.W_qkv)
        if self.bias:
            column_sums(rows, out=g.b_o)
            column_sums(slopes, out=g.b_qkv)
        if not ctx.need_dx:
            return None
        dx = dc  # its memory is free now
        np.dot(slopes, p.W_qkv.T, out=as_rows(dx))
        return dx


def heads_of(stacked: Float) -> tuple[Float, ...]:
    """Return the n pieces of (B, T, n, h, d), such as q, k and v, each a view (B, h, T, d)."""
    return tuple(stacked.transpose(2, 0, 3, 1, 4))


def _turn(qkv: Float, turns: Array) -> None:
    """Turn every pair of columns of q and k: as complex numbers of modulus 1 times pairs read as complex numbers."""
    pairs = qkv.view(turns.dtype)[:, :, :2]
    np.multiply(pairs, turns, out=pairs)


@lru_cache(maxsize=8)
def _turns(T: int, d: int, dtype: np.dtype[Any]) -> Array:
    angles = np.arange(T)[:, None] * 10000.0 ** (-np.arange(0, d, 2) / d)
    turns: Array = np.exp(1j * angles).astype(np.result_type(dtype, np.complex64))[:, None, None]
    turns.flags.writeable = False
    return turns
