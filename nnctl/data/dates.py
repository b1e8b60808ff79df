"""Dates that are written as texts, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["dates_of", "in_time"]

ISO = r"^\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])([T ]\d{2}:\d{2}.*)?)?$"
DAYS = ("%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y")
TIMES = ("", " %H:%M", " %H:%M:%S")


def dates_of(texts: pl.Series) -> pl.Series | None:
    """Return what sorts as the dates do, or None where a text is no date, or all could be read in two ways.

    ISO dates sort as the texts they are. 31.12.2024, 2024/12/31, 31/12/2024 and 12/31/2024 are parsed, with or without
    a time of day; years have four digits.
    """
    if texts.null_count() == len(texts):
        return None
    if texts.str.contains(ISO).all():
        return texts
    readings = [texts.str.to_datetime(day + time, strict=False) for day in DAYS for time in TIMES if time]
    readings += [texts.str.to_date(day, strict=False) for day in DAYS]
    whole = [dates for dates in readings if dates.null_count() == texts.null_count() and (dates.dt.year() > 999).all()]
    return whole[0] if len(whole) == 1 else None


def in_time(values: Array, name: str) -> Array:
    """Return what sorts as the times of the rows do: numbers as they are, dates parsed.

    Raises
    ------
    DataError
        The values are texts, and not all of them dates.
    """
    if values.dtype.kind != "U":
        return values
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    dates = dates_of(pl.Series(name, values))
    if dates is None:
        raise DataError(
            f"data.split.time: column '{name}' holds neither numbers nor dates that can be told, such as "
            f"'{values[0]}'. Write them as 2024-12-31 (or 31.12.2024)."
        )
    return np.array(dates.to_numpy()) if dates.dtype != pl.String else values
