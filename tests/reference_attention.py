"""Textbook versions of what transformers are made of: one sequence, one head, one position at a time.

As in `reference.py`, each takes its layer, the parameters by name, and a batch; those of attention take the mask too.
"""

from __future__ import annotations

from math import cos, exp, log, sin, sqrt
from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float

Arrays = dict[str, Float]
Backward = tuple[Float, Arrays]


def turned(row: Float, position: int, *, back: bool = False) -> Float:
    """Turn each pair of numbers in the plane, by an angle that grows with the position."""
    found, d = np.empty_like(row), len(row)
    for m in range(0, d, 2):
        angle = position * 10000 ** (-m / d) * (-1 if back else 1)
        found[m] = cos(angle) * row[m] - sin(angle) * row[m + 1]
        found[m + 1] = sin(angle) * row[m] + cos(angle) * row[m + 1]
    return found


def weights_of(layer: Any, i: int, q: Float, k: Float, there: Array) -> Float:
    """Return how much position i looks at each of the others."""
    seen = [j for j in range(len(k)) if there[j] and (j <= i or not layer.causal)]
    a = np.zeros(len(k))
    if seen:
        scores = {j: float(q[i] @ k[j]) / sqrt(q.shape[1]) for j in seen}
        largest = max(scores.values())
        total = log(sum(exp(s - largest) for s in scores.values())) + largest
        for j, s in scores.items():
            a[j] = exp(s - total)
    return a


def heads_of(layer: Any, p: Arrays, sequence: Float) -> list[tuple[Float, Float, Float]]:
    """Return q, k and v of every head, turned where the layer says so."""
    D = sequence.shape[1]
    d = D // layer.heads
    qkv = sequence @ p["W_qkv"] + p.get("b_qkv", 0)
    found = []
    for h in range(layer.heads):
        q, k, v = (qkv[:, part * D + h * d : part * D + (h + 1) * d].copy() for part in range(3))
        if layer.rotary:
            for i in range(len(q)):
                q[i], k[i] = turned(q[i], i), turned(k[i], i)
        found.append((q, k, v))
    return found


def attention(layer: Any, p: Arrays, x: Float, mask: Array | None = None) -> Float:
    y = []
    for n, sequence in enumerate(x):
        there = np.ones(len(sequence), bool) if mask is None else mask[n]
        contexts = [
            np.array([weights_of(layer, i, q, k, there) @ v for i in range(len(q))])
            for q, k, v in heads_of(layer, p, sequence)
        ]
        y.append(np.concatenate(contexts, axis=1) @ p["W_o"] + p.get("b_o", 0))
    return np.array(y)


def attention_backward(layer: Any, p: Arrays, x: Float, dy: Float, mask: Array | None = None) -> Backward:
    g = {name: np.zeros_like(tensor) for name, tensor in p.items()}
    dx = np.zeros_like(x)
    D = x.shape[2]
    d = D // layer.heads
    for n, (sequence, delta) in enumerate(zip(x, dy, strict=True)):
        there = np.ones(len(sequence), bool) if mask is None else mask[n]
        dqkv, c = np.zeros((len(sequence), 3 * D)), np.zeros_like(sequence)
        for h, (q, k, v) in enumerate(heads_of(layer, p, sequence)):
            columns = slice(h * d, (h + 1) * d)
            dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
            for i in range(len(q)):
                a = weights_of(layer, i, q, k, there)
                c[i, columns] = a @ v
                dc = (p["W_o"] @ delta[i])[columns]
                ds = (np.diag(a) - np.outer(a, a)) @ np.array([dc @ v[j] for j in range(len(k))]) / sqrt(d)
                for j in range(len(k)):
                    dv[j] += a[j] * dc
                    dq[i] += ds[j] * k[j]
                    dk[j] += ds[j] * q[i]
            for part, slopes in enumerate((dq, dk, dv)):
                for i, slope in enumerate(slopes):
                    back = layer.rotary and part < 2
                    dqkv[i, part * D + h * d : part * D + (h + 1) * d] = turned(slope, i, back=True) if back else slope
        dx[n] = dqkv @ p["W_qkv"].T
        g["W_qkv"] += sequence.T @ dqkv
        g["W_o"] += c.T @ delta
        if layer.bias:
            g["b_qkv"] += dqkv.sum(0)
            g["b_o"] += delta.sum(0)
    return dx, g


def cross_heads(layer: Any, p: Arrays, sequence: Float) -> list[tuple[Float, Float, Float]]:
    S, d = layer.memory, sequence.shape[1] // layer.heads
    q = sequence[S:] @ p["W_q"] + p.get("b_q", 0)
    k, v = np.split(sequence[:S] @ p["W_kv"] + p.get("b_kv", 0), 2, axis=1)
    return [(q[:, h : h + d], k[:, h : h + d], v[:, h : h + d]) for h in range(0, q.shape[1], d)]


def look(q: Float, k: Float, there: Array) -> Float:
    """Return the weights of one position: a softmax over what is there."""
    terms = [exp(float(q @ row) / sqrt(len(q))) if seen else 0.0 for row, seen in zip(k, there, strict=True)]
    return np.array(terms) / (sum(terms) or 1.0)


def cross_attention(layer: Any, p: Arrays, x: Float, mask: Array | None = None) -> Float:
    y = np.zeros_like(x)
    for n, sequence in enumerate(x):
        there = np.ones(layer.memory, bool) if mask is None else mask[n, : layer.memory]
        heads = cross_heads(layer, p, sequence)
        for i in range(len(sequence) - layer.memory):
            c = np.concatenate([look(q[i], k, there) @ v for q, k, v in heads])
            y[n, layer.memory + i] = c @ p["W_o"] + p.get("b_o", 0)
    return y


def cross_attention_backward(layer: Any, p: Arrays, x: Float, dy: Float, mask: Array | None = None) -> Backward:
    g = {name: np.zeros_like(tensor) for name, tensor in p.items()}
    dx, S, D = np.zeros_like(x), layer.memory, x.shape[2]
    d = D // layer.heads
    for n, sequence in enumerate(x):
        there = np.ones(S, bool) if mask is None else mask[n, :S]
        dq, dkv = np.zeros((len(sequence) - S, D)), np.zeros((S, 2 * D))
        for i, delta in enumerate(dy[n, S:]):
            c = []
            for h, (q, k, v) in enumerate(cross_heads(layer, p, sequence)):
                columns = slice(h * d, (h + 1) * d)
                a = look(q[i], k, there)
                dc = (p["W_o"] @ delta)[columns]
                ds = (np.diag(a) - np.outer(a, a)) @ (v @ dc) / sqrt(d)
                dq[i, columns] = ds @ k
                dkv[:, columns] += np.outer(ds, q[i])
                dkv[:, D:][:, columns] += np.outer(a, dc)
                c.append(a @ v)
            g["W_o"] += np.outer(np.concatenate(c), delta)
        dx[n] = np.concatenate([dkv @ p["W_kv"].T, dq @ p["W_q"].T])
        g["W_q"] += sequence[S:].T @ dq
        g["W_kv"] += sequence[:S].T @ dkv
        if layer.bias:
            g["b_q"] += dq.sum(0)
            g["b_kv"] += dkv.sum(0)
            g["b_o"] += dy[n, S:].sum(0)
    return dx, g


def swiglu(layer: Any, p: Arrays, x: Float) -> Float:
    F = x.shape[-1] // 2
    return np.array([a * b / (1 + exp(-a)) for a, b in zip(x[..., :F].flat, x[..., F:].flat, strict=True)]).reshape(
        *x.shape[:-1], F
    )


def swiglu_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    F = x.shape[-1] // 2
    dx = np.empty_like(x)
    for place in np.ndindex(dy.shape):
        other = (*place[:-1], place[-1] + F)
        a, b, s = x[place], x[other], 1 / (1 + exp(-x[place]))
        dx[place] = dy[place] * b * (s + a * s * (1 - s))
        dx[other] = dy[place] * a * s
    return dx, {}


def place_of(layer: Any, p: Arrays, t: int, column: int, D: int) -> float:
    if layer.kind == "learned":
        return float(p["P"][t, column])
    angle = t / 10000 ** (2 * (column // 2) / D)
    return cos(angle) if column % 2 else sin(angle)


def position(layer: Any, p: Arrays, x: Float) -> Float:
    y = x.copy()
    for _, t, column in np.ndindex(x.shape):
        y[_, t, column] += place_of(layer, p, t, column, x.shape[2])
    return y


def position_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    return dy, {"P": np.array([dy[:, t].sum(0) for t in range(x.shape[1])])}


def embedding(layer: Any, p: Arrays, x: Float) -> Float:
    rows = [np.zeros(layer.width) if token == layer.padding else p["W"][int(token)] for token in x.flat]
    return np.array(rows).reshape(*x.shape, layer.width)


def embedding_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dW = np.zeros_like(p["W"])
    for place in np.ndindex(x.shape):
        if x[place] != layer.padding:
            dW[int(x[place])] += dy[place]
    return np.zeros_like(x), {"W": dW}


LAYERS = {
    "attention": (attention, attention_backward),
    "cross_attention": (cross_attention, cross_attention_backward),
    "swiglu": (swiglu, swiglu_backward),
    "position": (position, position_backward),
    "embedding": (embedding, embedding_backward),
}
"""Forward and backward of every layer; attention without dropout."""
