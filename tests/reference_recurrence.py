"""Textbook versions of the recurrent layers: one sequence, one step and one gate at a time.

A cell takes its parameters and one sequence (T, D), and returns its outputs (T, H) and a function that turns their
gradients into that of the sequence and those of the parameters. A sequence that is padded is cut to its length first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnctl.core.arrays import Float

Arrays = dict[str, Float]
Back = Callable[[Float], tuple[Float, Arrays]]


def sigmoid(a: Float) -> Float:
    return 1 / (1 + np.exp(-a))


def gate(p: Arrays, k: int, H: int) -> tuple[Float, Float, Float]:
    """Return W, U and b of the k-th gate."""
    block = slice(k * H, (k + 1) * H)
    return p["W"][:, block], p["U"][:, block], p["b"][block]


def side_by_side(gates: list[Arrays]) -> Arrays:
    return {name: np.concatenate([one[name] for one in gates], axis=-1) for name in gates[0]}


def nothing_yet(p: Arrays, gates: int) -> list[Arrays]:
    return [
        {name: np.zeros_like(block) for name, block in zip("WUb", gate(p, k, width(p)), strict=True)}
        for k in range(gates)
    ]


def width(p: Arrays) -> int:
    return len(p["U"])


def rnn(layer: Any, p: Arrays, x: Float) -> tuple[Float, Back]:
    W, U, b = p["W"], p["U"], p["b"]
    h = [np.zeros(width(p))]
    for x_t in x:
        a = x_t @ W + h[-1] @ U + b
        h.append(np.tanh(a) if layer.activation == "tanh" else np.where(a > 0, a, 0))

    def back(dy: Float) -> tuple[Float, Arrays]:
        found, dx, dh = nothing_yet(p, 1), np.zeros_like(x), np.zeros(width(p))
        for t in reversed(range(len(x))):
            dh = dh + dy[t]
            slope = 1 - h[t + 1] ** 2 if layer.activation == "tanh" else (h[t + 1] > 0).astype(float)
            da = dh * slope
            dx[t], dh = W @ da, U @ da
            add(found[0], x[t], h[t], da)
        return dx, side_by_side(found)

    return np.array(h[1:]), back


def add(gradient: Arrays, x: Float, h: Float, da: Float) -> None:
    gradient["W"] += np.outer(x, da)
    gradient["U"] += np.outer(h, da)
    gradient["b"] += da


def lstm(layer: Any, p: Arrays, x: Float) -> tuple[Float, Back]:
    H = width(p)
    gates = [gate(p, k, H) for k in range(4)]
    h, c, kept = [np.zeros(H)], [np.zeros(H)], []
    for x_t in x:
        a_i, a_f, a_o, a_g = (x_t @ W + h[-1] @ U + b for W, U, b in gates)
        i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), np.tanh(a_g)
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
        kept.append((i, f, o, g))

    def back(dy: Float) -> tuple[Float, Arrays]:
        found, dx, dh, dc = nothing_yet(p, 4), np.zeros_like(x), np.zeros(H), np.zeros(H)
        for t in reversed(range(len(x))):
            i, f, o, g = kept[t]
            dh = dh + dy[t]
            dc = dc + dh * o * (1 - np.tanh(c[t + 1]) ** 2)
            das = (
                dc * g * i * (1 - i),
                dc * c[t] * f * (1 - f),
                dh * np.tanh(c[t + 1]) * o * (1 - o),
                dc * i * (1 - g**2),
            )
            dc, dh = dc * f, np.zeros(H)
            for (W, U, _), da, gradient in zip(gates, das, found, strict=True):
                dx[t] += W @ da
                dh += U @ da
                add(gradient, x[t], h[t], da)
        return dx, side_by_side(found)

    return np.array(h[1:]), back


def gru(layer: Any, p: Arrays, x: Float) -> tuple[Float, Back]:
    H = width(p)
    (W_r, U_r, b_r), (W_z, U_z, b_z), (W_n, U_n, b_n) = (gate(p, k, H) for k in range(3))
    after = layer.reset == "after"
    h, kept = [np.zeros(H)], []
    for x_t in x:
        r = sigmoid(x_t @ W_r + h[-1] @ U_r + b_r)
        z = sigmoid(x_t @ W_z + h[-1] @ U_z + b_z)
        q = h[-1] @ U_n + p["c"] if after else (r * h[-1]) @ U_n
        n = np.tanh(x_t @ W_n + b_n + (r * q if after else q))
        kept.append((r, z, n, q))
        h.append((1 - z) * n + z * h[-1])

    def back(dy: Float) -> tuple[Float, Arrays]:
        found, dx, dh, dc = nothing_yet(p, 3), np.zeros_like(x), np.zeros(H), np.zeros(H)
        for t in reversed(range(len(x))):
            r, z, n, q = kept[t]
            dh = dh + dy[t]
            da_n = dh * (1 - z) * (1 - n**2)
            da_z = dh * (h[t] - n) * z * (1 - z)
            dq = da_n * r if after else da_n
            through = U_n @ dq
            da_r = (da_n * q if after else through * h[t]) * r * (1 - r)
            dh = dh * z + U_r @ da_r + U_z @ da_z + (through if after else through * r)
            dx[t] = W_r @ da_r + W_z @ da_z + W_n @ da_n
            dc += dq
            add(found[0], x[t], h[t], da_r)
            add(found[1], x[t], h[t], da_z)
            add(found[2], x[t], np.zeros(H), da_n)
            found[2]["U"] += np.outer(h[t] if after else r * h[t], dq)
        return dx, side_by_side(found) | ({"c": dc} if after else {})

    return np.array(h[1:]), back


CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}


def walk(layer: Any, p: Arrays, x: Float, dy: Float) -> tuple[Float, Float, Arrays]:
    """Return the output of the whole layer for one sequence, dx, and the gradients by the names of its parts.

    `p` holds the tensors as ``1.backward.U``. Without dropout.
    """
    cell, sequence, stack = CELLS[layer.name], x, []
    directions = ("forward", "backward") if layer.bidirectional else ("forward",)
    for i in range(layer.layers):
        outputs, backs = [], {}
        for direction in directions:
            own = {name.split(".")[-1]: value for name, value in p.items() if name.startswith(f"{i}.{direction}.")}
            turned = slice(None, None, 1 if direction == "forward" else -1)
            output, backs[direction] = cell(layer, own, sequence[turned])
            outputs.append(output[turned])
        stack.append(backs)
        sequence = sum(outputs) if layer.bidirectional == "sum" else np.concatenate(outputs, axis=1)

    ends = [output[place] for output, place in zip(outputs, (-1, 0), strict=False)]
    doutputs = [np.zeros_like(output) for output in outputs]
    summed = layer.bidirectional == "sum"
    pieces = [dy] * 2 if summed else np.split(dy, len(outputs), axis=-1)
    if layer.returns == "last":
        y = sum(ends) if summed else np.concatenate(ends)
        for doutput, piece, place in zip(doutputs, pieces, (-1, 0), strict=False):
            doutput[place] = piece
    elif layer.returns == "mean":
        y = sequence.mean(axis=0)
        doutputs = [np.tile(piece / len(x), (len(x), 1)) for piece, _ in zip(pieces, outputs, strict=False)]
    else:
        y, doutputs = sequence, [piece for piece, _ in zip(pieces, outputs, strict=False)]

    gradients: Arrays = {}
    for i in reversed(range(layer.layers)):
        dsequence = 0.0
        for direction, doutput in zip(directions, doutputs, strict=True):
            turned = slice(None, None, 1 if direction == "forward" else -1)
            dx, found = stack[i][direction](doutput[turned])
            dsequence = dsequence + dx[turned]
            gradients |= {f"{i}.{direction}.{name}": value for name, value in found.items()}
        doutputs = [dsequence] * 2 if summed else np.split(dsequence, len(directions), axis=1) if i else []
    return y, dsequence, gradients
