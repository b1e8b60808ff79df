"""What the machine offers: memory and cores, with the limits of a container counted in."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_memory", "cores"]


def cores(proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use: its affinity, and the quotas of its control groups, rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([allowed, *(max(1, math.ceil(quota)) for quota in _quotas(proc, mount))])


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


def _quotas(proc: Path, mount: Path) -> Iterator[float]:
    """Yield the CPU quotas of every control group around this process, in cores."""
    for line in _read(proc).splitlines():
        hierarchy, controllers, group = line.split(":", 2)
        if hierarchy == "0":  # version 2
            top, files = mount, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            top, files = mount / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        inner = top / group.strip("/")
        for folder in (inner, *inner.parents):
            words = [word for file in files for word in _read(folder / file).split()]
            if len(words) == 2 and words[0].isdecimal():
                yield int(words[0]) / int(words[1])
            if folder == top:
                break


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
