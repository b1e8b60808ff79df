"""What the machine offers: memory and cores, with the limits of a container counted in."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_memory", "cores"]

_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def cores(groups: Path = _GROUPS, mount: Path = _MOUNT) -> int:
    """Return how many cores this process may use: its affinity, and the quotas of its control groups, rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [_quota(folder) for folder in _folders("cpu", groups, mount)]
    return min([allowed, *(max(1, math.ceil(quota)) for quota in quotas if quota is not None)])


def available_memory(meminfo: Path = Path("/proc/meminfo"), groups: Path = _GROUPS, mount: Path = _MOUNT) -> int | None:
    """Return the bytes of memory that can still be taken, or None where the system does not say."""
    left = [_left_in(folder) for folder in _folders("memory", groups, mount)]
    return min((size for size in (_free_on_linux(meminfo), _physical(), *left) if size is not None), default=None)


def _free_on_linux(meminfo: Path) -> int | None:
    kilobytes = _table(meminfo).get("MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _folders(controller: str, groups: Path, mount: Path) -> Iterator[Path]:
    """Yield the folders of every control group around this process, from the inmost one outwards."""
    for line in _read(groups).splitlines():
        hierarchy, controllers, group = line.split(":", 2)
        if hierarchy == "0":  # version 2
            top = mount
        elif controller in controllers.split(","):
            top = mount / controller
        else:
            continue
        inner = top / group.strip("/")
        for folder in (inner, *inner.parents):
            yield folder
            if folder == top:
                break


def _quota(folder: Path) -> float | None:
    """Return the cores that a control group may use, or None where it has no limit."""
    version_1 = f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}"
    words = (_read(folder / "cpu.max") or version_1).split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0].isdecimal() else None


def _left_in(folder: Path) -> int | None:
    """Return the bytes that a control group may still take, or None where it has no limit.

    What it uses holds the cache of files too; the part not used of late is given up at need, and so counts as left.
    """
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),  # version 2
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        sizes = [_read(folder / limit).strip(), _read(folder / used).strip()]
        if all(size.isdecimal() for size in sizes):
            return max(0, int(sizes[0]) - int(sizes[1]) + _table(folder / "memory.stat").get(cache, 0))
    return None


def _table(path: Path) -> dict[str, int]:
    """Return a file of names and whole numbers, one pair a line."""
    rows = [line.split() for line in _read(path).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) >= 2 and row[1].isdecimal()}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
