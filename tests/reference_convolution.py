"""Textbook versions of convolution and pooling, in the form of `reference`: loops over samples, windows and taps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from nnctl.core.arrays import Float

Arrays = dict[str, Float]
Backward = tuple[Float, Arrays]
Place = tuple[int, ...]


def per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,) * axes


def settings(layer: Any, axes: int) -> list[tuple[int, int, int, int, int]]:
    """Return kernel, stride, dilation and the margins before and after, axis by axis."""
    stride = getattr(layer, "stride", None) or layer.kernel
    found = []
    for a in range(axes):
        k, s = per_axis(layer.kernel, axes)[a], per_axis(stride, axes)[a]
        d = per_axis(getattr(layer, "dilation", 1), axes)[a]
        if layer.padding == "same":
            before = ((k - 1) * d) // 2
            after = (k - 1) * d - before
        else:
            before = after = 0 if layer.padding == "valid" else per_axis(layer.padding, axes)[a]
        found.append((k, s, d, before, after))
    return found


def windows(layer: Any, size: Place) -> Iterator[tuple[Place, list[tuple[Place, Place]]]]:
    """Yield every window with its taps that lie inside: (window, [(tap, position), ...])."""
    axes = settings(layer, len(size))
    counts = [(n + m + e - (k - 1) * d - 1) // s + 1 for n, (k, s, d, m, e) in zip(size, axes, strict=True)]
    for window in product(*map(range, counts)):
        seen = []
        for tap in product(*(range(k) for k, *_ in axes)):
            at = tuple(i * s + u * d - m for i, u, (_, s, d, m, _) in zip(window, tap, axes, strict=True))
            if all(0 <= place < n for place, n in zip(at, size, strict=True)):
                seen.append((tap, at))
        yield window, seen


def groups_of(layer: Any, channels: int, width: int) -> list[tuple[slice, slice]]:
    """Return which inputs each part of the outputs sees."""
    c, o = channels // layer.groups, width // layer.groups
    return [(slice(g * c, (g + 1) * c), slice(g * o, (g + 1) * o)) for g in range(layer.groups)]


def conv(layer: Any, p: Arrays, x: Float) -> Float:
    W = p["W"]
    y = np.zeros((len(x), *layer.out_shape(x.shape[1:])))
    for sample, result in zip(x, y, strict=True):
        for window, taps in windows(layer, x.shape[1:-1]):
            for (tap, at), (c, o) in product(taps, groups_of(layer, x.shape[-1], W.shape[-1])):
                result[window][o] += sample[at][c] @ W[tap][:, o]
            result[window] += p.get("b", 0)
    return y


def conv_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    W = p["W"]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(W.shape[-1])
    for sample, d, delta in zip(x, dx, dy, strict=True):
        for window, taps in windows(layer, x.shape[1:-1]):
            for (tap, at), (c, o) in product(taps, groups_of(layer, x.shape[-1], W.shape[-1])):
                d[at][c] += W[tap][:, o] @ delta[window][o]
                dW[tap][:, o] += np.outer(sample[at][c], delta[window][o])
            db += delta[window]
    return dx, {"W": dW, "b": db} if "b" in p else {"W": dW}


def spread(layer: Any, shape: Place) -> Iterator[tuple[Place, Place, Place]]:
    """Yield (pixel, tap, place) of a transposed convolution: every pixel sends through every tap to a place."""
    (height, width, _), out = shape, layer.out_shape(shape)
    (kh, kw), (sh, sw) = per_axis(layer.kernel, 2), per_axis(layer.stride, 2)
    dh, dw = per_axis(layer.dilation, 2)
    if layer.padding == "same":
        top, left = max((kh - 1) * dh + 1 - sh, 0) // 2, max((kw - 1) * dw + 1 - sw, 0) // 2
    else:
        top, left = (0, 0) if layer.padding == "valid" else per_axis(layer.padding, 2)
    for i, j, u, v in product(range(height), range(width), range(kh), range(kw)):
        k, l = i * sh + u * dh - top, j * sw + v * dw - left
        if 0 <= k < out[0] and 0 <= l < out[1]:
            yield (i, j), (u, v), (k, l)


def conv_transpose(layer: Any, p: Arrays, x: Float) -> Float:
    y = np.zeros((len(x), *layer.out_shape(x.shape[1:])))
    for sample, result in zip(x, y, strict=True):
        for pixel, tap, place in spread(layer, x.shape[1:]):
            result[place] += p["W"][tap] @ sample[pixel]
    return y + p.get("b", 0)


def conv_transpose_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dx, dW = np.zeros_like(x), np.zeros_like(p["W"])
    for sample, d, delta in zip(x, dx, dy, strict=True):
        for pixel, tap, place in spread(layer, x.shape[1:]):
            d[pixel] += delta[place] @ p["W"][tap]
            dW[tap] += np.outer(delta[place], sample[pixel])
    db = dy.sum((0, 1, 2))
    return dx, {"W": dW, "b": db} if "b" in p else {"W": dW}


def max_pool(layer: Any, p: Arrays, x: Float) -> Float:
    y = np.zeros((len(x), *layer.out_shape(x.shape[1:])))
    for sample, result in zip(x, y, strict=True):
        for window, taps in windows(layer, x.shape[1:-1]):
            result[window] = np.max([sample[at] for _, at in taps], axis=0)
    return y


def max_pool_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dx = np.zeros_like(x)
    for sample, d, delta in zip(x, dx, dy, strict=True):
        for window, taps in windows(layer, x.shape[1:-1]):
            first = np.argmax([sample[at] for _, at in taps], axis=0)
            for channel, winner in enumerate(first):
                d[taps[winner][1]][channel] += delta[window][channel]
    return dx, {}


def avg_pool(layer: Any, p: Arrays, x: Float) -> Float:
    y = np.zeros((len(x), *layer.out_shape(x.shape[1:])))
    for sample, result in zip(x, y, strict=True):
        for window, taps in windows(layer, x.shape[1:-1]):
            result[window] = np.mean([sample[at] for _, at in taps], axis=0)
    return y


def avg_pool_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dx = np.zeros_like(x)
    for d, delta in zip(dx, dy, strict=True):
        for window, taps in windows(layer, x.shape[1:-1]):
            for _, at in taps:
                d[at] += delta[window] / len(taps)
    return dx, {}


def positions(x: Float) -> Float:
    return x.reshape(len(x), -1, x.shape[-1])


def global_avg_pool(layer: Any, p: Arrays, x: Float) -> Float:
    return np.array([sample.mean(0) for sample in positions(x)])


def global_avg_pool_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    n = positions(x).shape[1]
    return np.array([[delta / n] * n for delta in dy]).reshape(x.shape), {}


def global_max_pool(layer: Any, p: Arrays, x: Float) -> Float:
    return np.array([sample.max(0) for sample in positions(x)])


def global_max_pool_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    dx = np.zeros_like(positions(x))
    for sample, d, delta in zip(positions(x), dx, dy, strict=True):
        for channel, value in enumerate(delta):
            d[np.argmax(sample[:, channel]), channel] = value
    return dx.reshape(x.shape), {}


def reshape(layer: Any, p: Arrays, x: Float) -> Float:
    return np.array([np.reshape(list(sample.flat), layer.shape) for sample in x])


def reshape_backward(layer: Any, p: Arrays, x: Float, dy: Float) -> Backward:
    return np.array([np.reshape(list(delta.flat), x.shape[1:]) for delta in dy]), {}


LAYERS = {
    "conv1d": (conv, conv_backward),
    "conv2d": (conv, conv_backward),
    "conv2d_transpose": (conv_transpose, conv_transpose_backward),
    "max_pool": (max_pool, max_pool_backward),
    "avg_pool": (avg_pool, avg_pool_backward),
    "global_avg_pool": (global_avg_pool, global_avg_pool_backward),
    "global_max_pool": (global_max_pool, global_max_pool_backward),
    "reshape": (reshape, reshape_backward),
}
"""Forward and backward of every layer."""
