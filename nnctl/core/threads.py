"""Threads for work that falls into independent pieces."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import lru_cache

from nnctl.core.machine import cores

__all__ = ["together"]


def together(pieces: Sequence[Callable[[], None]]) -> None:
    """Run pieces of work side by side, the first of them in this thread, and return when all are done.

    Each runs in a copy of the caller's context, so that its ``np.errstate`` holds there too. The threads are made when
    they are first needed, one for every other core, and kept. NumPy lets go of Python's lock while it works on arrays.

    Raises
    ------
    Exception
        What a piece raised; where several did, the first of them.
    """
    first, *others = pieces
    waiting = [_threads().submit(copy_context().run, piece) for piece in others]
    try:
        first()
    finally:
        wait(waiting)
    for piece in waiting:
        piece.result()


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="piece")


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not survive a fork
