"""Slots: the memory of an optimizer, cut into blocks that are worked on one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Array, Float
from nnctl.core.errors import DataError
from nnctl.optim.blocks import blocks

__all__ = ["Block", "Slots"]

SHARED = 250_000
"""From so many parameters on a step takes longer than threads need to meet: of 250 thousand 0.18 ms for 0.23, of 1.2
million 0.7 ms for 1.4, by Adam on two cores."""


class Block(NamedTuple):
    """One stretch of the flat vectors: where it lies, its views of the moments, and scratch of its length."""

    part: slice
    moments: tuple[Float, ...]
    scratch: Float


class Slots:
    """What an optimizer remembers between steps: its moments, and the number of steps done.

    Parameters
    ----------
    names : sequence of str
        The moments; each starts as n zeros.
    n : int
        Number of parameters.
    dtype : dtype
        float32 or float64, that of theta.
    threads : int
        Among how many a step is divided, where it is long.

    Attributes
    ----------
    steps : int
        Steps done so far.
    moments : dict of str to array (n,)
        The moments by name.
    scratch : array
        Working memory of one block; not part of the state.
    lanes : list of list of Block
        The blocks as they are divided among the threads; the bits do not depend on it.
    """

    def __init__(self, names: Sequence[str], n: int, dtype: DTypeLike, threads: int = 1) -> None:
        count = threads if n >= SHARED else 1
        self.steps = 0
        self.moments: dict[str, Float] = {name: np.zeros(n, dtype) for name in names}
        self.lanes = [self._lane(n * rank // count, n * (rank + 1) // count, dtype) for rank in range(count)]
        self.scratch = self.lanes[0][0].scratch if n else np.empty(0, dtype)

    def _lane(self, start: int, stop: int, dtype: DTypeLike) -> list[Block]:
        """Return the blocks of one stretch, which share their scratch."""
        parts = [slice(start + part.start, start + part.stop) for part in blocks(stop - start)]
        scratch = np.empty(max((part.stop - part.start for part in parts), default=0), dtype)
        return [
            Block(part, tuple(m[part] for m in self.moments.values()), scratch[: part.stop - part.start])
            for part in parts
        ]

    def arrays(self) -> dict[str, Array]:
        """Return the state for a checkpoint: ``steps`` and every moment by name, not copied."""
        return {"steps": np.array(self.steps, np.int64), **self.moments}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Take up the state that `arrays` returned; training goes on with the same bits.

        Raises
        ------
        DataError
            If the arrays are those of another optimizer, network or dtype; nothing is changed then.
        """
        expected, found = self.arrays(), dict(arrays)
        if found.keys() != expected.keys():
            raise DataError(
                f"optimizer state: must hold {', '.join(expected)}. Got {', '.join(found) or 'nothing'}. "
                f"It was saved by another optimizer."
            )
        for name, array in expected.items():
            if found[name].shape != array.shape or found[name].dtype != array.dtype:
                raise DataError(
                    f"optimizer state: {name} must have shape {array.shape} and dtype {array.dtype}. "
                    f"Got {found[name].shape} and {found[name].dtype}. It was saved for another network."
                )
        self.steps = int(found["steps"])
        for name, moment in self.moments.items():
            moment[...] = found[name]

    def flush_denormals(self) -> None:
        """Set moments to zero that are next to the smallest normal number of their dtype (below 1e-30 in float32).

        The moments of a parameter without gradient (a pixel that is always black, a dead relu) shrink by a factor every
        step, until the processor works on denormal numbers, which is slow.
        """
        smallest = 1e8 * float(np.finfo(self.scratch.dtype).tiny)
        for _, moments, scratch in chain.from_iterable(self.lanes):
            for moment in moments:
                np.abs(moment, out=scratch)
                moment[scratch < smallest] = 0
