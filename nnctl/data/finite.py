"""The check that numbers are numbers: NaN and infinity are found before they reach a network."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.table import blocks, counted, shown_rows

__all__ = ["refuse_unusable"]


def refuse_unusable(x: Array, features: tuple[str, ...]) -> None:
    """Raise where x (N, ...) is no number array, or is NaN or infinite somewhere; say in which column and rows.

    Raises
    ------
    DataError
        With the first column that is affected, how often, and in which rows.
    """
    if x.dtype.kind in "iub":
        return
    if x.dtype.kind != "f":
        raise DataError(f"the inputs are no numbers but of type {x.dtype}. Store them as integers or floats.")
    if all(np.isfinite(block).all() for block in blocks(x)):
        return
    flat = x.reshape(len(x), -1)
    bad = np.concatenate([~np.isfinite(block) for block in blocks(flat)])
    columns = np.flatnonzero(bad.any(0))
    k = columns[0]
    rows = np.flatnonzero(bad[:, k])
    column = f"column '{features[k]}'" if features else f"value {tuple(map(int, np.unravel_index(k, x.shape[1:])))}"
    kinds = " and ".join(
        [
            word
            for word, found in (("NaN", np.isnan(flat[rows, k])), ("infinite", np.isinf(flat[rows, k])))
            if found.any()
        ]
    )
    more = f" {counted(len(columns) - 1, 'more column')} likewise." if len(columns) > 1 else ""
    where = f"{counted(len(rows), 'row')} of {len(x):,} ({shown_rows(rows)})"
    raise DataError(f"{column} is {kinds} in {where}.{more} Remove or fill them.")
