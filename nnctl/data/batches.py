"""The training part in minibatches, shuffled anew every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.random import stream

__all__ = ["Batch", "Batches"]

GATHERED_BYTES = 16 << 20
"""A set up to this size is gathered once an epoch and then seen through views; a larger one batch by batch."""


class Batch(NamedTuple):
    """Rows ``start:stop`` of an epoch: inputs, encoded targets, weights. Valid until the next batch."""

    x: Array
    t: Float
    w: Float | None
    start: int
    stop: int


class Batches:
    """A set of rows in minibatches; the last one of an epoch may be smaller.

    Parameters
    ----------
    x, t, w : array (N, ...), array (N, K), array (N,) or None
        Inputs, encoded targets and weights.
    rows : int
        Rows of a batch.
    shuffle : bool
        Whether every epoch has an order of its own, drawn from the stream ("shuffle", epoch).
    seed : int
    """

    def __init__(self, x: Array, t: Float, w: Float | None, rows: int, *, shuffle: bool = True, seed: int = 0) -> None:
        self.x, self.t, self.w = x, t, w
        self.rows = rows
        self.seed = seed
        self.shuffled = shuffle and rows < len(x)  # one batch of everything has no order
        self.bounds = [(i, min(i + rows, len(x))) for i in range(0, len(x), rows)]
        self._epoch_t = np.empty_like(t) if self.shuffled else t
        self._epoch_w = np.empty_like(w) if self.shuffled and w is not None else w
        self._gathers = self.shuffled and x.nbytes <= GATHERED_BYTES
        self._epoch_x = np.empty_like(x) if self._gathers else x
        self._batch_x = np.empty((rows, *x.shape[1:]), x.dtype) if self.shuffled and not self._gathers else None
        self._order: tuple[int, Array] = (-1, np.empty(0))
        self._views = [
            Batch(self._epoch_x[a:b], self._epoch_t[a:b], None if w is None else self._epoch_w[a:b], a, b)  # type: ignore[index]
            for a, b in self.bounds
        ]

    def __len__(self) -> int:
        return len(self.bounds)

    def order(self, epoch: int) -> Array:
        """Return the order of the rows in an epoch, counted from 0."""
        known, order = self._order
        if known != epoch:
            n = len(self.x)
            order = stream(self.seed, "shuffle", epoch).permutation(n) if self.shuffled else np.arange(n)
            self._order = epoch, order
        return order

    def targets(self) -> tuple[Float, Float | None]:
        """Return the targets and weights of the current epoch, in its order."""
        return self._epoch_t, self._epoch_w

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from the batch `first` on.

        Small sets are gathered at once: an epoch of 1,257 x 64 floats in batches of 32 then costs 0.01 ms, and 0.08 ms
        gathered batch by batch.
        """
        if not self.shuffled:
            yield from self._views[first:]
            return
        order = self.order(epoch)
        np.take(self.t, order, 0, self._epoch_t, mode="clip")
        if self.w is not None:
            np.take(self.w, order, 0, self._epoch_w, mode="clip")
        if self._gathers:
            np.take(self.x, order, 0, self._epoch_x, mode="clip")
            yield from self._views[first:]
            return
        assert self._batch_x is not None
        for view in self._views[first:]:
            x = self._batch_x[: view.stop - view.start]
            np.take(self.x, order[view.start : view.stop], 0, x, mode="clip")
            yield view._replace(x=x)
