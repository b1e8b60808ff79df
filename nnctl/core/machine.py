"""What the machine offers: memory and cores, with the limits of a container counted in."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_memory", "cores"]


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Return the bytes of memory that can still be taken, or None where the system does not say."""
    found = [bytes_ for bytes_ in (_free_on_linux(), _left_in_container(), _physical()) if bytes_ is not None]
    return min(found, default=None)


def _free_on_linux() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kilobytes is None else 1024 * int(kilobytes)


def _left_in_container() -> int | None:
    pairs = [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ]
    for limit, used in pairs:
        try:
            text = Path(limit).read_text().strip()
            return None if text == "max" else int(text) - int(Path(used).read_text())
        except (OSError, ValueError):
            continue
    return None


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
