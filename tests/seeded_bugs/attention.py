"""Broken attention, embeddings and gates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnctl.core.arrays import Float, as_rows
from nnctl.nn.activations import Tanh
from nnctl.nn.attention import Attention
from nnctl.nn.embedding import Embedding, TiedEmbedding
from nnctl.nn.glu import Swiglu
from nnctl.nn.layer import Context, Views
from nnctl.nn.position import Position
from seeded_bugs.planting import ADJOINT, OVERWRITES, seeded

SEQUENCE = (3, 4)


@seeded(ADJOINT, SEQUENCE, heads=2)
class SoftmaxTermDropped(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        x, c, seen = ctx.saved
        ctx.saved = x, c, replace(seen, c=np.zeros_like(seen.c))  # da without the mean that softmax takes off
        dx = super().backward(p, g, dy, ctx)
        ctx.saved = x, c, seen
        return dx


@seeded(ADJOINT, SEQUENCE, heads=2, causal=True)
class CausalInForwardAlone(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        x, c, seen = ctx.saved
        ctx.saved = x, c, replace(seen, causal=False)
        dx = super().backward(p, g, dy, ctx)
        ctx.saved = x, c, seen
        return dx


@seeded(ADJOINT, SEQUENCE, heads=2, dropout=0.5)
class WeightsDroppedInForwardAlone(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        x, c, seen = ctx.saved
        ctx.saved = x, c, replace(seen, dropout=0.0)
        dx = super().backward(p, g, dy, ctx)
        ctx.saved = x, c, seen
        return dx


@seeded(ADJOINT, SEQUENCE, heads=2)
class QueriesAndKeysSwapped(Attention):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        dq, dk, _ = np.split(g.W_qkv, 3, axis=1)
        g.W_qkv[:, :8] = np.concatenate([dk, dq], axis=1)
        return dx


@seeded(ADJOINT, (5,), width=2, size=3)
class LastTokenWins(Embedding):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dx = super().backward(p, g, dy, ctx)
        g.W[ctx.saved] = dy
        return dx


@seeded(OVERWRITES, SEQUENCE, kind="learned")
class PlacesAddedUp(Position):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        g.P += dy.sum(0)
        return dy


@seeded(ADJOINT, (5,), width=4, size=3, layers=(Tanh(),))
class OutputAloneTied(TiedEmbedding):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        dW = as_rows(dy).T @ as_rows(ctx.saved[1])
        dx = super().backward(p, g, dy, ctx)
        g.W[...] = dW
        return dx


@seeded(ADJOINT, (4,))
class GateWithoutItsSlope(Swiglu):
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        _, b, s = ctx.saved
        dx = super().backward(p, g, dy, ctx)
        dx[..., : dx.shape[-1] // 2] = dy * b * s
        return dx
