"""Numbers that are written as texts, with a decimal point or a decimal comma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DecimalMark", "decimal_marks", "no_numbers", "numbers_of", "refuse_decimal_marks"]

DecimalMark: TypeAlias = Literal[".", ","]


def numbers_of(texts: pl.Series, mark: DecimalMark) -> pl.Series | None:
    """Return the texts as whole numbers, else as floats, or None where one is no number written with this mark."""
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    written = texts if mark == "." else _swapped(texts)
    for dtype in (pl.Int64, pl.Float64):
        numbers = written.cast(dtype, strict=False)
        if numbers.null_count() == texts.null_count():
            return numbers
    return None


def no_numbers(texts: pl.Series) -> Array:
    """Return which texts are there and are no numbers with either mark, bool (N,)."""
    numbers = texts.cast(float, strict=False).is_not_null() | _swapped(texts).cast(float, strict=False).is_not_null()
    return (texts.is_not_null() & ~numbers).to_numpy()


def decimal_marks(texts: pl.Series) -> str:
    """Return the decimal marks in a column of numbers: ``","``, ``"."``, ``",."`` or none; none too for other texts."""
    if no_numbers(texts).any():
        return ""
    return "".join(mark for mark in ",." if texts.str.contains(mark, literal=True).any())


def refuse_decimal_marks(texts: pl.Series) -> None:
    """Raise where texts are numbers, but for a decimal mark that is not the one that the source was told.

    Raises
    ------
    DataError
        With what to say instead.
    """
    marks = decimal_marks(texts)
    if not marks:
        return
    first = next(text for text in texts.drop_nulls() if marks[0] in text)
    if len(marks) > 1:
        raise DataError(
            f"column '{texts.name}' holds numbers with decimal points and others with decimal commas, such as "
            f"'{first}'. Mend the file."
        )
    raise DataError(
        f"column '{texts.name}' holds numbers with a decimal {'comma' if marks == ',' else 'point'}, such as "
        f"'{first}': say `decimal: '{marks}'` in the source. If they are categories, list it in `categorical`."
    )


def _swapped(texts: pl.Series) -> pl.Series:
    """Return the texts with commas for points and points for commas, so that 1.5 is no number with a decimal comma."""
    return texts.str.replace_many([",", "."], [".", ","])
