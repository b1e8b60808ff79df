"""The lock of a run: a file held by the process that trains it, and let go however that process ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnctl.core.errors import UsageError
from nnctl.runs import atomic

__all__ = ["hold", "is_held"]

_TRIES, _PAUSE = 5, 0.01
"""A reader that asks `is_held` has the lock for some microseconds; a second try outlasts it."""


@contextmanager
def hold(run: Path) -> Iterator[None]:
    """Hold the lock of a run directory.

    Raises
    ------
    UsageError
        If another process holds it.
    DiskError
        If the file cannot be made.
    """
    path = run / ".lock"
    with atomic.disk_errors(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with atomic.disk_errors(path):
            if not _taken(file):
                pid = os.read(file, 20).decode() or "unknown"
                raise UsageError(f"{run} is being trained by process {pid}. Wait for it, or stop it.")
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)


def is_held(run: Path) -> bool:
    """Whether a process holds the lock; nothing is written, so that a folder may be read-only."""
    try:
        file = os.open(run / ".lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks, where nobody can hold one
        return False
    finally:
        os.close(file)
    return False


def _taken(file: int) -> bool:
    for last in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if last < _TRIES - 1:
            time.sleep(_PAUSE)
    return False
