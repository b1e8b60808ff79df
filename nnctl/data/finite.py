"""The check that numbers are numbers: NaN and infinity are found before they reach a network."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.table import blocks, counted, shown_rows

__all__ = ["refuse_unusable"]

ADVICE = {"column": "Remove or fill them.", "target": "Remove these rows: a target cannot be guessed."}


def refuse_unusable(x: Array, names: tuple[str, ...], word: Literal["column", "target"] = "column") -> None:
    """Raise where x (N, ...) is no number array, or somewhere NaN, infinite or beyond the range of float32.

    Raises
    ------
    DataError
        With the first column that is affected, how often, and in which rows.
    """
    if x.dtype.kind in "iub":
        return
    if x.dtype.kind != "f":
        raise DataError(f"the inputs are no numbers but of type {x.dtype}. Store them as integers or floats.")
    if all(_usable(block).all() for block in blocks(x)):
        return
    flat = x.reshape(len(x), -1)
    bad = np.concatenate([~_usable(block) for block in blocks(flat)])
    columns = np.flatnonzero(bad.any(0))
    k = columns[0]
    rows = np.flatnonzero(bad[:, k])
    values = flat[rows, k]
    kinds = [("NaN", np.isnan(values)), ("infinite", np.isinf(values)), ("beyond 3.4e38", np.isfinite(values))]
    said = " or ".join(kind for kind, found in kinds if found.any())
    name = f"'{names[k]}'" if names else f"at {tuple(int(i) for i in np.unravel_index(k, x.shape[1:]))}"
    more = f" {counted(len(columns) - 1, f'more {word}')} likewise." if len(columns) > 1 else ""
    where = f"{counted(len(rows), 'row')} of {len(x):,} ({shown_rows(rows)})"
    raise DataError(f"{word} {name} is {said} in {where}.{more} {ADVICE[word]}")


def _usable(block: Array) -> NDArray[np.bool_]:
    with np.errstate(over="ignore"):
        return np.isfinite(block.astype(np.float32, copy=False))
