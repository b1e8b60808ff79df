"""Named, counter-based random streams.

Every use of chance has a stream of its own, keyed by (seed, purpose) and positioned by counters such as the epoch or
the step. A stream is a pure function of its key: what one part of the program draws never shifts another, and a run can
be taken up at any step with the same bits. The generator is Philox4x64-10 (Salmon, Moraes, Dror and Shaw, 2011,
"Parallel random numbers: as easy as 1, 2, 3").
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np

__all__ = ["bits", "stream"]


@lru_cache(maxsize=4096)
def _key(purpose: str) -> int:
    return int.from_bytes(blake2b(purpose.encode(), digest_size=8).digest(), "little")


def bits(seed: int, purpose: str, *counters: int) -> np.random.Philox:
    """Return the raw bit generator of a stream; 6 us, so it can be made anew every step.

    Parameters
    ----------
    seed : int
        The seed of the run, 0 <= seed < 2**64.
    purpose : str
        What the numbers are for: ``"init"``, ``"split"``, ``"shuffle"``, ``"dropout/2.dropout"``.
    *counters : int
        At most three positions, such as epoch, step or shard. The lowest counter word is left to the stream itself,
        so that streams at different counters never overlap (2**66 numbers each).
    """
    if len(counters) > 3:
        raise ValueError("a stream has at most three counters")
    # As arrays: NumPy makes floats of a list in which some numbers are beyond 2**63, and half of the keys are.
    key = np.array([seed, _key(purpose)], np.uint64)
    position = np.array([0, *counters, *(0,) * (3 - len(counters))], np.uint64)
    return np.random.Philox(key=key, counter=position)


def stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return a Generator over `bits` with the same key."""
    return np.random.Generator(bits(seed, purpose, *counters))
