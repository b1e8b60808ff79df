"""Times: a column of dates or numbers as numbers that can be counted with, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.errors import DataError
from nnctl.data.dates import ISO, dates_of
from nnctl.data.numerals import numbers_of
from nnctl.data.table import counted, shown_rows

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TOLERANCE", "Grid", "Unit", "counted_in", "grid_of", "times_of", "written"]

Unit: TypeAlias = Literal["number", "month", "second"]
"""What times are counted in: as they are; months since the year 0; seconds since 1970."""
MOSTLY = 0.5
"""A grid is regular where at least this share of the rows come one step after the row before."""
TOLERANCE = 1e-3
"""A distance counts as so many steps where it differs from them by no more than this part of a step."""
DAY = 86_400


@dataclass(frozen=True)
class Grid:
    """How the times of a series follow one another.

    Parameters
    ----------
    unit : {"number", "month", "second"}
    step : float or None
        From one time to the next, in units; None where the times are on no regular grid.
    """

    unit: Unit
    step: float | None

    def steps(self, at: Float) -> Float:
        """Return the distance between neighbours (S - 1,) in steps."""
        assert self.step is not None
        return np.diff(at) / self.step

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"unit": self.unit, "step": self.step}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``to_plain`` was given."""
        return cls(plain["unit"], plain["step"])


def times_of(column: pl.Series, role: str) -> pl.Series:
    """Return the times of all rows as numbers, or as datetimes in UTC where they are dates.

    Raises
    ------
    DataError
        A time is missing, or is neither a number nor a date that can be told.
    """
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    _refuse_missing(column, role)
    numbers = numbers_of(column, ".") if column.dtype == pl.String else None
    column = column if numbers is None else numbers
    if column.dtype.is_numeric():
        numbers = column.cast(pl.Float64)
        if not numbers.is_finite().all():
            raise DataError(f"{role}: column '{column.name}' holds infinite times ({_shown(~numbers.is_finite())}).")
        return numbers
    if column.dtype.is_temporal():
        return _in_utc(column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column)
    texts = column.cast(pl.String)
    found = _iso(texts) if texts.str.contains(ISO).any() else _with_days(texts)
    if found.null_count():
        wrong = found.is_null()
        raise DataError(
            f"{role}: '{texts.filter(wrong)[0]}' in column '{column.name}' is neither a number nor a time that can be "
            f"told: {counted(int(wrong.sum()), 'row')} of {len(texts):,} ({_shown(wrong)}). Write times as 2024-12-31 "
            f"or 2024-12-31 23:00, all in one way."
        )
    return _in_utc(found)


def counted_in(times: pl.Series, unit: Unit | None = None) -> tuple[Float, Unit]:
    """Return times as float64 numbers and their unit, the given one where they can be counted in it.

    Left out, more than two dates that are all first days of months are counted in months.
    """
    if times.dtype.is_numeric():
        return np.array(times.to_numpy(), np.float64), "number"
    seconds = np.array(times.dt.epoch("us").to_numpy(), np.float64) / 1e6
    begin_months = bool((times.dt.day() == 1).all()) and not (seconds % DAY).any()
    if begin_months and (unit == "month" or (unit is None and len(times) > 2)):
        return np.array(times.dt.year() * 12 + times.dt.month().cast(int) - 1, np.float64), "month"
    return seconds, "second"


def grid_of(at: Float, member: Array, unit: Unit) -> Grid:
    """Return the grid of the times of one or several series, sorted by series and time."""
    steps = np.diff(at)[member[1:] == member[:-1]]
    if not len(steps):
        return Grid(unit, None)
    step = float(steps.min())
    counts = steps / step
    on_grid = np.abs(counts - np.round(counts)) <= TOLERANCE
    is_regular = on_grid.all() and (np.abs(counts - 1) <= TOLERANCE).mean() >= MOSTLY
    return Grid(unit, step if is_regular else None)


def written(at: Float, unit: Unit) -> list[Any]:
    """Return times as a file holds them: whole numbers, numbers, or ISO 8601; None where one is not known (nan)."""
    known = np.isfinite(at)
    if unit == "number":
        return [
            None if not there else int(t) if t == int(t) else t for t, there in zip(at.tolist(), known, strict=True)
        ]
    if unit == "month":
        months = np.where(known, at, 0).astype(np.int64)
        pairs = zip(*np.divmod(months, 12), known, strict=True)
        return [f"{year:04d}-{month + 1:02d}-01" if there else None for year, month, there in pairs]
    moments = np.round(np.where(known, at, 0) * 1e6).astype("datetime64[us]")
    whole = moments[known]
    details: tuple[Literal["D", "m", "s"], ...] = ("D", "m", "s")
    detail = next((d for d in details if (whole.astype(f"datetime64[{d}]") == whole).all()), "us")
    texts = np.datetime_as_string(moments, unit=detail)  # type: ignore[call-overload]
    return [str(text).replace("T", " ") if there else None for text, there in zip(texts, known, strict=True)]


def _refuse_missing(column: pl.Series, role: str) -> None:
    missing = column.is_null() | (column.is_nan() if column.dtype.is_float() else column.is_null())
    if missing.any():
        raise DataError(
            f"{role}: column '{column.name}' is missing in {counted(int(missing.sum()), 'row')} of {len(column):,} "
            f"({_shown(missing)}). Remove these rows, or say when they were."
        )


def _iso(texts: pl.Series) -> pl.Series:
    whole = texts + "-01" if texts.str.len_chars().max() == len("2024-12") else texts
    return whole.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)


def _with_days(texts: pl.Series) -> pl.Series:
    """Return dates such as 31.12.2024; all null where they cannot be told, or could be read in two ways."""
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    found = dates_of(texts)
    if found is None:
        known = texts.str.to_datetime("%d.%m.%Y", strict=False)
        return known if known.null_count() not in {0, len(known)} else pl.Series(texts.name, [None] * len(texts))
    return found.cast(pl.Datetime("us"))


def _in_utc(times: pl.Series) -> pl.Series:
    """Return datetimes in UTC; those without a zone are taken as they are."""
    has_zone = getattr(times.dtype, "time_zone", None) is not None
    return times.dt.convert_time_zone("UTC") if has_zone else times.dt.replace_time_zone("UTC")


def _shown(marked: pl.Series) -> str:
    return shown_rows(np.flatnonzero(marked.to_numpy()))
