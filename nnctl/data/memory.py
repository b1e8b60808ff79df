"""What fits in memory: a file is priced from its header before it is read."""

from __future__ import annotations

import os
from pathlib import Path

from nnctl.core.errors import DataError

__all__ = ["available", "refuse_too_large"]


def available() -> int:
    """Return the bytes that can be allocated now: what Linux says is available, elsewhere all physical memory."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63


def refuse_too_large(size: int, what: str) -> None:
    """Raise where `size` bytes are more than the memory that is left.

    Raises
    ------
    DataError
        With both sizes.
    """
    left = available()
    if size > left:
        raise DataError(
            f"{what}: {size / 1e9:,.1f} GB are needed and {left / 1e9:,.1f} GB of memory are left. Use fewer rows."
        )
