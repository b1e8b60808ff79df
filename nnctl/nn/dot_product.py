"""Scaled dot-product attention of many heads, with the scores of a few heads at a time.

All arrays are views (B, h, T, d): sequences, heads, positions, columns of a head. In every head of every sequence

    s_ij = q_i · k_j / sqrt(d),   a_ij = exp(s_ij) / Σ_l exp(s_il),   c_i = Σ_j a_ij v_j

and backward, from dc,

    dv_j = Σ_i a_ij dc_i,   da_ij = dc_i · v_j,   ds_ij = a_ij (da_ij - c_i · dc_i),
    dq_i = Σ_j ds_ij k_j / sqrt(d),   dk_j = Σ_i ds_ij q_i / sqrt(d)

where c_i · dc_i stands for Σ_j a_ij da_ij, which it equals. The scores are made anew for the backward pass; forward
keeps log Σ_j exp(s_ij) of every row, so that the weights follow from them in one step.

Source: Vaswani et al. (2017), "Attention is all you need", section 3.2.1, arXiv:1706.03762; Dao et al. (2022),
"FlashAttention", section 3.1 and appendix B.2, arXiv:2205.14135, for the backward pass without stored weights. Here a
head is not cut further.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf, sqrt
from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float, ones
from nnctl.nn.dropout import dropout_mask, drops
from nnctl.nn.layer import Context
from nnctl.nn.memory import Use

__all__ = ["SCORES", "Attended", "attend", "attend_backward", "held_scores", "scores_together"]

SCORES = 2**16
"""Scores that are held at a time, where a single head has no more."""

Block = tuple[slice, slice]
"""Some sequences and some of their heads."""


@dataclass(frozen=True)
class Attended:
    """What attend leaves for attend_backward: its arrays, q scaled, and log Σ_j exp(s_ij) of every row."""

    q: Float
    k: Float
    v: Float
    c: Float
    log_sums: Float
    shown: Array | None
    causal: bool
    dropout: float


def attend(
    q: Float, k: Float, v: Float, c: Float, ctx: Context, *, shown: Array | None, causal: bool, dropout: float
) -> Attended:
    """Fill `c` with the means of `v`, weighted by how well `k` fits to `q`; divides `q` by sqrt(d).

    Parameters
    ----------
    q, c : array (B, h, T, d)
    k, v : array (B, h, S, d)
    shown : bool array (B, S) or None
        Which of the positions of k and v are there. A row of scores with none of them gives c = 0.
    causal : bool
        Whether position i sees the positions j <= i only.
    dropout : float
        Share of the weights that are set to zero in training; the others are divided by 1 - dropout.
    """
    np.multiply(q, 1 / sqrt(q.shape[-1]), out=q)
    log_sums = ctx.out("log_sums", (*q.shape[:3], 1))
    seen = Attended(q, k, v, c, log_sums, shown, causal, dropout if drops(dropout, ctx) else 0.0)
    bits = ctx.bits() if seen.dropout else None
    lowest = np.finfo(q.dtype).min
    for block in _blocks(q, k):
        weights = _scores(seen, block, ctx)
        rows = (*weights.shape[:3], 1)
        top = np.max(weights, axis=-1, keepdims=True, out=ctx.scratch("top", rows))
        np.maximum(top, lowest, out=top)  # -inf where all is hidden, and -inf - -inf is no number
        np.subtract(weights, top, out=weights)
        np.exp(weights, out=weights)
        sums = np.matmul(weights, ones(k.shape[2], q.dtype)[:, None], out=ctx.scratch("sums", rows))
        np.maximum(sums, 1, out=sums)  # the largest term is 1; there is none only where all is hidden
        if bits is not None:
            np.multiply(weights, dropout_mask(dropout, weights.shape, bits, ctx), out=weights)
        np.matmul(weights, v[block], out=c[block])
        np.divide(c[block], sums, out=c[block])
        np.log(sums, out=sums)
        np.add(sums, top, out=log_sums[block])
    return seen


def attend_backward(seen: Attended, dc: Float, dq: Float, dk: Float, dv: Float, ctx: Context) -> None:
    """Fill `dq`, `dk` and `dv`, the gradients of what attend was given."""
    bits = ctx.bits() if seen.dropout else None
    for block in _blocks(seen.q, seen.k):
        weights = _scores(seen, block, ctx)
        np.subtract(weights, seen.log_sums[block], out=weights)
        np.exp(weights, out=weights)
        slope = np.matmul(dc[block], seen.v[block].swapaxes(2, 3), out=ctx.scratch("slope", weights.shape))
        mask = None if bits is None else dropout_mask(seen.dropout, weights.shape, bits, ctx)
        if mask is not None:
            np.multiply(slope, mask, out=slope)
        mean = ctx.scratch("mean", (*weights.shape[:3], 1))
        np.vecdot(seen.c[block], dc[block], out=mean[..., 0])
        np.subtract(slope, mean, out=slope)
        np.multiply(slope, weights, out=slope)
        if mask is not None:
            np.multiply(weights, mask, out=weights)
        np.matmul(weights.swapaxes(2, 3), dc[block], out=dv[block])
        np.matmul(slope, seen.k[block], out=dq[block])
        np.matmul(slope.swapaxes(2, 3), seen.q[block], out=dk[block])
    np.multiply(dq, 1 / sqrt(dq.shape[-1]), out=dq)


def held_scores(heads: int, T: int, S: int, use: Use) -> int:
    """Return the numbers of scratch that attention takes for that many heads of all sequences together."""
    scores = scores_together(heads, T, S)
    return scores * (1 + use.training) + scores // S * (2 + use.training)


def scores_together(heads: int, T: int, S: int) -> int:
    """Return how many scores are held at a time."""
    return T * S * min(heads, max(1, SCORES // (T * S)))


def _scores(seen: Attended, block: Block, ctx: Context) -> Float:
    q, k = seen.q[block], seen.k[block]
    scores = ctx.scratch("scores", (*q.shape[:3], k.shape[2]))
    np.matmul(q, k.swapaxes(2, 3), out=scores)
    if seen.causal:
        np.add(scores, _future(q.shape[2], k.shape[2], q.dtype), out=scores)
    if seen.shown is not None:
        padding = np.where(seen.shown[block[0]], 0.0, -inf).astype(q.dtype)
        np.add(scores, padding[:, None, None], out=scores)
    return scores


@lru_cache(maxsize=8)
def _future(T: int, S: int, dtype: np.dtype[Any]) -> Float:
    """Return what is added to the scores so that no position sees a later one: -inf above the diagonal."""
    future = np.triu(np.full((T, S), -inf, dtype), 1)
    future.flags.writeable = False
    return future


def _blocks(q: Float, k: Float) -> Iterator[Block]:
    """Yield as many sequences at a time as have `SCORES` scores, or of one sequence as many heads; at least one."""
    B, h, T, _ = q.shape
    together = max(1, SCORES // (T * k.shape[2]))
    sequences, heads = max(1, together // h), min(h, together)
    for i in range(0, B, sequences):
        for j in range(0, h, heads):
            yield slice(i, i + sequences), slice(j, j + heads)
