"""The lock of a run or a check: a file held by the process at work there, and let go however that process ends."""

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
def hold(directory: Path) -> Iterator[None]:
    """Hold the lock of the directory of a run or a check.

    Raises
    ------
    UsageError
        If another process holds it.
    DiskError
        If the file cannot be made.
    """
    path = directory / ".lock"
    with atomic.disk_errors(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        with atomic.disk_errors(path):
            if not _taken(file):
                pid = os.read(file, 20).decode() or "unknown"
                raise UsageError(f"{directory} is in use by process {pid}. Wait for it, or stop it.")
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)


def is_held(directory: Path) -> bool:
    """Whether a process holds the lock; nothing is written, so that a folder may be read-only."""
    try:
        file = os.open(directory / ".lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
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
