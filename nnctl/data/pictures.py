"""Rows that are pictures: their height, width and channels."""

from __future__ import annotations

import math
import re

from nnctl.core.arrays import Shape

__all__ = ["picture_shape"]


def picture_shape(shape: Shape, features: tuple[str, ...] = ()) -> Shape | None:
    """Return (H, W, C) for rows of such a shape, or None where they cannot be pictures.

    Parameters
    ----------
    shape : tuple of int
        (H, W, C), (H, W), or (D,) with pixels laid end to end.
    features : tuple of str
        The names of the columns of flat rows, which tell the place of each pixel: ``pixel_ROW_COLUMN``.
    """
    if len(shape) == 3:
        return shape
    if len(shape) == 2:
        return (*shape, 1)
    if not features or not features[-1].startswith("pixel_"):
        return None
    sides = tuple(int(place) + 1 for place in re.findall(r"\d+", features[-1]))
    if math.prod(sides) != math.prod(shape) or len(sides) not in {2, 3}:
        return None
    return sides if len(sides) == 3 else (*sides, 1)
