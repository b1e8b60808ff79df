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
from numpy.typing import NDArray

__all__ = ["bits", "stream", "words"]

MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


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


def words(seed: int, purpose: str, epoch: int, rows: NDArray[np.integer], count: int) -> NDArray[np.uint32]:
    """Return random 32-bit words, (B, count): those of a row depend on seed, purpose, epoch and the row alone.

    Made for all rows at once: a generator for each of them would take longer than what is drawn from it.

    Parameters
    ----------
    seed : int
        The seed of the run, 0 <= seed < 2**64.
    purpose : str
    epoch : int
        0 <= epoch < 2**32.
    rows : int array (B,)
        0 <= row < 2**32.
    count : int
        Words for each row.
    """
    blocks = -(-count // 4)
    counters = np.empty((4, len(rows), blocks), np.uint64)
    counters[0], counters[1], counters[2], counters[3] = np.arange(blocks), rows[:, None], epoch, 0
    key = _key(f"{purpose} {seed}")
    found = _philox4x32(counters.reshape(4, -1), np.array([[key & 0xFFFFFFFF], [key >> 32]], np.uint64))
    return found.T.reshape(len(rows), 4 * blocks)[:, :count]


def _philox4x32(counters: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the words (4, n) of counters (4, n) under a key (2, 1), all below 2**32; ten rounds."""
    even, odd = counters[::2], counters[1::2]
    for _ in range(10):
        product = MULTIPLIERS * even
        even, odd = (product[::-1] >> HALF) ^ odd ^ key, product[::-1] & LOW
        key = (key + WEYL) & LOW
    return np.stack([even[0], odd[0], even[1], odd[1]]).astype(np.uint32)
