"""What fits in memory: a file is priced from its header before it is read."""

from __future__ import annotations

from nnctl.core.errors import DataError
from nnctl.core.machine import available_memory

__all__ = ["refuse_too_large"]


def refuse_too_large(size: int, what: str) -> None:
    """Raise where `size` bytes are more than the memory that is left.

    Raises
    ------
    DataError
        With both sizes.
    """
    left = available_memory()
    if left is not None and size > left:
        raise DataError(
            f"{what}: {size / 1e9:,.1f} GB are needed and {left / 1e9:,.1f} GB of memory are left. Use fewer rows."
        )
