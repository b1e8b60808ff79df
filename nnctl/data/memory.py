"""What fits in memory: a file is priced from its header before it is read."""

from __future__ import annotations

from nnctl.core.errors import DataError
from nnctl.core.machine import available_memory

__all__ = ["refuse_bomb", "refuse_too_large", "refuse_too_wide"]

_NAME = 100
"""Bytes that the name of a column takes."""
_BOMB, _BOMB_RATIO = 100_000_000, 500
"""Bytes from which on a packed file is looked at, and how many times its own size it may then unpack to."""


def refuse_too_large(size: int, what: str, advice: str = "Use fewer rows.") -> None:
    """Raise where `size` bytes are more than the memory that is left.

    Raises
    ------
    DataError
        With both sizes.
    """
    left = available_memory()
    if left is not None and size > left:
        raise DataError(
            f"{what}: {size / 1e9:,.1f} GB are needed and {left / 1e9:,.1f} GB of memory are left. {advice}"
        )


def refuse_too_wide(rows: int, columns: int, what: str) -> None:
    """Raise where there are no rows, or more columns than names of them fit into the memory.

    Raises
    ------
    DataError
        A header of a few bytes can claim a billion columns of no rows.
    """
    if not rows:
        raise DataError(f"{what}: there are no rows.")
    refuse_too_large(_NAME * columns, f"{what}: {columns:,} columns")


def refuse_bomb(size: int, packed: int, what: str) -> None:
    """Raise where a small packed file unpacks to a large one.

    The usual packing (deflate) makes data at most 1,032 times smaller, and comes near to that only where all bytes are
    the same, in which there is nothing to learn.

    Raises
    ------
    DataError
        With both sizes.
    """
    if size >= _BOMB and size > _BOMB_RATIO * packed:
        raise DataError(
            f"{what}: {packed / 1e6:,.2f} MB unpack to {size / 1e6:,.0f} MB, over {_BOMB_RATIO} times as much, and no "
            f"data are that uniform: it was not read. If it is what you want, store it unpacked."
        )
