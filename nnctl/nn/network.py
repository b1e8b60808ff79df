"""Network: layers bound to the flat vectors theta and state, seen through replicas."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.random import stream
from nnctl.nn.layer import Bound, Context, Layer, Pass, ShapeError, Views
from nnctl.nn.layout import Layout

__all__ = ["Network", "Replica"]


class Network:
    """A network: its layout, and the flat vectors theta (trained) and state (statistics).

    Parameters
    ----------
    layout : Layout
    dtype : numpy dtype
        float32 to train, float64 to check.
    seed : int
        Seed of the initial weights and of every random layer.
    """

    def __init__(self, layout: Layout, *, dtype: Any = np.float32, seed: int = 0) -> None:
        self.layout = layout
        self.dtype = np.dtype(dtype)
        self.seed = seed
        self.theta = np.empty(layout.size, self.dtype)
        self.state = np.empty(layout.state_size, self.dtype)
        self.initialize()
        self._inference: list[Replica] = []

    def initialize(self) -> None:
        """Draw the initial weights, each tensor from a stream of its own; then what follows from them."""
        views = self.tensors()
        for slot in self.layout.slots:
            shape = slot.param.shape
            fan_in, fan_out = slot.param.fans or (shape[0], shape[-1])
            views[slot.name][...] = slot.init.sample(stream(self.seed, f"init/{slot.name}"), shape, fan_in, fan_out)
        for row in self.layout.rows:
            wanted = row.layer.params(row.in_shape)
            row.layer.settle(Views(**{name: views[f"{row.path}.{name}"] for name in wanted}))

    def tensors(self, vector: Float | None = None) -> dict[str, Array]:
        """Return every parameter and statistic by name, as views; with `vector`, the trained ones in its memory."""
        found = {}
        for slot in self.layout.slots:
            flat = (self.theta if vector is None else vector) if slot.param.trainable else self.state
            if slot.param.trainable or vector is None:
                found[slot.name] = flat[slot.start : slot.stop].reshape(slot.param.shape)
        return found

    def kernels(self) -> list[Array]:
        """Return the kernels as views of theta."""
        views = self.tensors()
        return [views[slot.name] for slot in self.layout.slots if slot.param.decayed]

    def replica(self, *, need_dx: bool = False) -> Replica:
        """Return a view of this network with a gradient and scratch of its own."""
        return Replica(self, need_dx=need_dx)

    def reader(self) -> Replica:
        """Return the first of the replicas that infer."""
        if not self._inference:
            self._inference.append(self.replica())
        return self._inference[0]

    def predict(self, x: Array, mask: Array | None = None) -> Float:
        """Return the outputs for all rows of `x` in inference mode, in blocks of `Layout.evaluation_rows`.

        Where shards pay, each core takes its share of the blocks; the bits are the same whoever takes one.
        """
        _refuse_misfit(mask, x)
        out = np.empty((len(x), *self.layout.out_shape), self.dtype)
        size = self.layout.evaluation_rows
        starts = range(0, len(x), size)
        workers = max(1, min(self.layout.readers, len(starts)))
        while len(self._inference) < workers:
            self._inference.append(self.replica())

        left = Event()  # by the first worker, whom a signal may have called away

        def work(rank: int) -> None:
            for start in starts[rank::workers]:
                if left.is_set():
                    return
                rows = slice(start, start + size)
                shown = None if mask is None else mask[rows]
                out[rows] = self._inference[rank].forward(x[rows], training=False, mask=shown)

        if workers == 1:
            work(0)
            return out
        with ThreadPoolExecutor(workers - 1, thread_name_prefix="reader") as pool:
            others = [pool.submit(copy_context().run, work, rank) for rank in range(1, workers)]
            try:
                work(0)
            except BaseException:
                left.set()
                raise
        for other in others:
            other.result()
        return out


class Replica:
    """A network as one worker sees it: theta and state shared, grad and scratch its own."""

    def __init__(self, network: Network, *, need_dx: bool = False) -> None:
        self.network = network
        self.grad = np.empty_like(network.theta)
        self.now = Pass(seed=network.seed)
        self._p = network.tensors()
        self._g = network.tensors(self.grad)
        self.root = self._bind(network.layout.root, network.layout.shape, "", need_dx)

    def forward(
        self, x: Array, *, training: bool, step: int = 0, rows: int | None = None, mask: Array | None = None
    ) -> Float:
        """Return the output for a batch.

        Parameters
        ----------
        x : array (B, ...)
        training : bool
        step : int
            Position of the random streams.
        rows : int or None
            Rows of all replicas together where this one has only a shard.
        mask : bool array (B, T) or None
            Which positions of every sequence are there.

        Raises
        ------
        ShapeError
            Where the mask is none for such sequences.
        """
        _refuse_misfit(mask, x)
        now = self.now
        now.training, now.step, now.rows, now.mask = training, step, len(x) if rows is None else rows, mask
        return self.root.forward(x)

    def backward(self, dy: Float) -> Float | None:
        """Fill `grad` and return the gradient of the input, if the replica was made with ``need_dx``."""
        return self.root.backward(dy)

    def bound(self) -> list[Bound]:
        """Return every bound layer, composites before their parts, in the order of the layout's rows."""
        found, queue = [], [self.root]
        while queue:
            bound = queue.pop(0)
            found.append(bound)
            queue[:0] = bound.ctx.parts
        return found

    def _bind(self, layer: Layer, shape: Shape, path: str, need_dx: bool) -> Bound:
        wanted = layer.params(shape)
        p = Views(**{name: self._p[f"{path}.{name}"] for name in wanted})
        g = Views(**{name: self._g[f"{path}.{name}"] for name, param in wanted.items() if param.trainable})
        parts: list[Bound] = []
        for part in layer.parts(shape):
            read = need_dx or bool(vars(g)) or any(_trains(earlier) for earlier in parts)
            parts.append(self._bind(part.layer, part.shape, f"{path}/{part.label}".lstrip("/"), read))
        return Bound(layer, p, g, Context(path, self.network.dtype, self.now, tuple(parts), need_dx))


def _refuse_misfit(mask: Array | None, x: Array) -> None:
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != np.bool_):
        raise ShapeError(
            f"the mask must say of each of {x.shape[:2]} positions whether it is there: bool, and of that shape. "
            f"Got {mask.dtype} of shape {mask.shape}."
        )


def _trains(bound: Bound) -> bool:
    return bool(vars(bound.g)) or any(_trains(part) for part in bound.ctx.parts)
