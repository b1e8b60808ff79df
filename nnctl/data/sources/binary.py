"""Arrays from binary streams: the size that a header claims is priced before a byte is read."""

from __future__ import annotations

import math
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Array, Shape
from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_too_large

__all__ = ["read_array"]

CHUNK = 1 << 24
MOST_AXES = 64
"""Of an array of NumPy."""


def read_array(stream: IO[bytes], shape: Shape, dtype: DTypeLike, what: str, there: int | None = None) -> Array:
    """Return the array that follows in `stream`, read straight into place.

    Parameters
    ----------
    there : int or None
        How many bytes follow, where that is known.

    Raises
    ------
    DataError
        The shape claims more than the memory, or more than there is.
    """
    dtype = np.dtype(dtype)
    if len(shape) > MOST_AXES or not dtype.itemsize:
        raise DataError(f"{what}: claims {len(shape)} axes of type {dtype.str}, which no array has. It is damaged.")
    size = math.prod(shape) * dtype.itemsize
    refuse_too_large(size, f"{what} claims the shape {shape}")
    if there is not None and there < size:
        raise DataError(f"{what}: ends after {there:,} of {size:,} bytes. The file is cut short.")
    data = np.empty(size, np.uint8)
    view = data.data
    start = 0
    while start < size:
        n = stream.readinto(view[start : start + CHUNK])  # type: ignore[attr-defined]
        if not n:
            raise DataError(f"{what}: ends after {start:,} of {size:,} bytes. The file is cut short.")
        start += n
    return data.view(dtype).reshape(shape)
