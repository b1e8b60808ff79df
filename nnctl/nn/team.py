"""A network seen through replicas that share theta, each with its shard of the batch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Barrier, BrokenBarrierError

import numpy as np

from nnctl.core.arrays import Array, Float, as_rows
from nnctl.core.machine import cores
from nnctl.nn.layer import Solo
from nnctl.nn.layout import Layout
from nnctl.nn.loss import positions
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network, Replica

__all__ = ["Team", "replicas_for"]


SHARDED_FLOP = 50e6
"""From this many floating point operations in a forward pass on, a network gains from a second replica."""


def replicas_for(layout: Layout, batch: int) -> int:
    """Return how many replicas train this network: a fixed rule, recorded in the run, since the bits depend on it.

    Dense networks use one: their work is a few large matrix products, for which the threads of BLAS serve better than
    shards. Where a convolution, a recurrence or attention does the work, each core gets a replica, unless the step is
    too short for the threads to meet. Where two directions do it, each replica gets two cores.
    """
    if not layout.sharded or layout.flop(batch) < SHARDED_FLOP:
        return 1
    return min(cores() // 2 or 1 if layout.two_ways else cores(), 8, batch)


class Team:
    """Replicas of one network that compute the gradient of a batch together.

    Every replica takes a contiguous shard of the rows, has its own gradient and scratch, and runs in a thread of its
    own. The gradients are summed in the order of the replicas, so that the same team gives the same bits.

    Parameters
    ----------
    network : Network
    size : int
        Number of replicas; with one there are no threads.
    """

    def __init__(self, network: Network, size: int = 1) -> None:
        self.replicas = [network.replica() for _ in range(size)]
        self.size = size
        self._meeting = _Meeting(size)
        for rank, replica in enumerate(self.replicas):
            replica.now.team = Solo() if size == 1 else _Member(rank, self._meeting)
            replica.now.lanes = 2 if network.layout.two_ways and 2 * size <= cores() else 1
        self._pool = ThreadPoolExecutor(size - 1, thread_name_prefix="replica") if size > 1 else None

    @property
    def grad(self) -> Float:
        """The gradient of the last batch."""
        return self.replicas[0].grad

    def gradient(
        self,
        loss: Loss,
        x: Array,
        t: Float,
        w: Float | None,
        *,
        divisor: float,
        step: int,
        outputs: Float | None = None,
        mask: Array | None = None,
    ) -> Float:
        """Compute the gradient of ``sum_i w_i l_i / divisor`` over a batch.

        Parameters
        ----------
        loss : Loss
        x, t : array (B, ...), array (B, K)
            Inputs and encoded targets; or targets of every position, (B, T) indices or (B, T, K) values.
        w : array (B,) or None
            Sample weights.
        divisor : float
            The rows of the whole batch, or the positions that are there, also where this is one micro-batch of several.
        step : int
            Position of the random streams.
        outputs : array (B, K) or None
            Receives the network's outputs.
        mask : bool array (B, T) or None
            Which positions of every sequence are there.

        Returns
        -------
        array
            The flat gradient; valid until the next call.
        """
        rows = len(x)
        if self._pool is None:
            _shard_gradient(self.replicas[0], loss, x, t, w, rows, divisor, step, outputs, mask)
            return self.grad
        if rows < self.size:  # fewer rows than replicas, as in the last batch of an epoch: the first does it alone
            first = self.replicas[0]
            member, first.now.team = first.now.team, Solo()
            try:
                _shard_gradient(first, loss, x, t, w, rows, divisor, step, outputs, mask)
            finally:
                first.now.team = member
            return self.grad
        bounds = [rows * rank // self.size for rank in range(self.size + 1)]

        def work(rank: int) -> None:
            shard = slice(bounds[rank], bounds[rank + 1])
            into = None if outputs is None else outputs[shard]
            weights = None if w is None else w[shard]
            shown = None if mask is None else mask[shard]
            _shard_gradient(self.replicas[rank], loss, x[shard], t[shard], weights, rows, divisor, step, into, shown)

        self._together(work)
        for replica in self.replicas[1:]:
            np.add(self.grad, replica.grad, out=self.grad)
        return self.grad

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _together(self, work: Callable[[int], None]) -> None:
        assert self._pool is not None

        def guarded(rank: int) -> None:
            try:
                work(rank)
            except BaseException:
                self._meeting.abort()  # the others must not wait for one that will never come
                raise

        # Each in a copy of the caller's context, so that its np.errstate holds there too.
        others = [self._pool.submit(copy_context().run, guarded, rank) for rank in range(1, self.size)]
        try:
            guarded(0)
        except BrokenBarrierError:
            pass  # another replica failed; its own error is raised below
        finally:
            failures = [other.exception() for other in others]
            self._meeting.reset()
        for failure in sorted(filter(None, failures), key=lambda e: isinstance(e, BrokenBarrierError)):
            raise failure


def _shard_gradient(
    replica: Replica,
    loss: Loss,
    x: Array,
    t: Float,
    w: Float | None,
    rows: int,
    divisor: float,
    step: int,
    outputs: Float | None,
    mask: Array | None,
) -> None:
    z = replica.forward(x, training=True, step=step, rows=rows, mask=mask)
    dz = replica.root.ctx.out("dz", z.shape)
    if z.ndim == 2:
        loss.gradient(z, t, w, divisor, dz)
    else:
        each = positions(z, t, w, mask)
        loss.gradient(each.z, each.t, each.w, divisor, as_rows(dz))
    if outputs is not None:
        outputs[...] = z
    replica.backward(dz)


class _Meeting:
    """Where replicas meet to add up what needs the whole batch."""

    def __init__(self, size: int) -> None:
        self.values: list[Float | None] = [None] * size
        self._barrier = Barrier(size)

    def sum(self, rank: int, values: Float) -> Float:
        self.values[rank] = values
        self._barrier.wait()
        first, *others = [v for v in self.values if v is not None]
        result = first.copy()
        for other in others:
            result += other
        self._barrier.wait()  # nobody overwrites its values before all have read them
        return result

    def abort(self) -> None:
        self._barrier.abort()

    def reset(self) -> None:
        self._barrier.reset()


class _Member(Solo):
    """One replica's view of the team."""

    def __init__(self, rank: int, meeting: _Meeting) -> None:
        self.rank = rank
        self.size = len(meeting.values)
        self._meeting = meeting

    def sum(self, values: Float) -> Float:
        return self._meeting.sum(self.rank, values)
