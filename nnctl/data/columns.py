"""Columns to numbers: missing values filled, categories encoded, with scikit-learn's imputer and encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.component import did_you_mean
from nnctl.core.errors import DataError
from nnctl.data.dates import dates_of
from nnctl.data.finite import refuse_unusable
from nnctl.data.numerals import no_numbers, numbers_of, refuse_decimal_marks
from nnctl.data.table import Columns, Encoding, counted, shown_rows

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ColumnEncoder"]

MISSING = "(missing)"
"""The category of a text that is not there."""


@dataclass(frozen=True)
class ColumnEncoder:
    """What was learned about a frame's columns: numbers come first, then the categories, each in the frame's order.

    Parameters
    ----------
    numeric : tuple of str
        Number columns.
    fills : tuple of float or None
        What fills a missing number in each; None where no number was missing.
    categorical : tuple of str
        Text columns.
    category_fills : tuple of str
        What stands for a missing text in each.
    categories : tuple of tuple of str
        The sorted texts that the training part holds, for each.
    encoding : {"onehot", "ordinal"}
        K columns of 0 and 1, or the index of the category.
    """

    numeric: tuple[str, ...]
    fills: tuple[float, ...] | None = None
    categorical: tuple[str, ...] = ()
    category_fills: tuple[str, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    encoding: Encoding = "onehot"

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: Columns, rows: Array) -> Self:
        """Find the kind of every column; learn fills and categories from the training rows.

        Raises
        ------
        DataError
            A column cannot be what it is said to be, has no value, or looks like an identifier.
        """
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        _check_named(frame, columns)
        is_text = {
            name: name in columns.categorical or (dtype == pl.String and name not in columns.numeric)
            for name, dtype in frame.schema.items()
        }
        numeric = tuple(name for name in frame.columns if not is_text[name])
        categorical = tuple(name for name in frame.columns if is_text[name])
        for name in categorical:
            _refuse_identifier(frame[name], columns)
        fills = _learn_fills(frame, numeric, columns.impute, rows)
        if columns.impute == "error":
            _refuse_missing(frame.select(categorical))
        frequent = columns.impute == "most_frequent"
        train = [frame[name][rows] for name in categorical]
        category_fills = tuple(_most_frequent(column) if frequent else MISSING for column in train)
        filled = [column.fill_null(fill) for column, fill in zip(train, category_fills, strict=True)]
        categories = tuple(tuple(column.unique().sort().to_list()) for column in filled)
        return cls(numeric, fills, categorical, category_fills, categories, columns.encoding)

    @property
    def is_onehot(self) -> Array:
        """Which of the encoded columns are 0 or 1 by construction, bool (D,)."""
        width = len(self.features)
        return (np.arange(width) >= len(self.numeric)) & (self.encoding == "onehot")

    @property
    def is_code(self) -> Array:
        """Which of the encoded columns are places of categories in a list, bool (D,)."""
        width = len(self.features)
        return (np.arange(width) >= len(self.numeric)) & (self.encoding == "ordinal")

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the encoded columns."""
        if self.encoding == "ordinal":
            return (*self.numeric, *self.categorical)
        pairs = zip(self.categorical, self.categories, strict=True)
        return (*self.numeric, *(f"{column}={category}" for column, known in pairs for category in known))

    def encode(self, frame: pl.DataFrame) -> Float:
        """Return the columns as numbers, float64 (N, D); an unknown category is all zeros, or -1 if ordinal.

        Raises
        ------
        DataError
            A number is missing and nothing was learned to fill it with, or is infinite.
        """
        numbers = _numbers(frame, self.numeric)
        if np.isnan(numbers).any():
            if self.fills is None:
                refuse_unusable(numbers, self.numeric)
            numbers = _imputer("mean", np.array([self.fills])).transform(numbers)
        if not self.categorical:
            return numbers
        texts = self._texts(frame).to_numpy().astype(object)
        return np.hstack([numbers, self._category_encoder().transform(texts)])

    def unseen(self, frame: pl.DataFrame) -> str | None:
        """Return one sentence on the categories that the training part did not have, or None."""
        new = []
        for column, known in zip(self._texts(frame), self.categories, strict=True):
            found = column.filter(~column.is_in(list(known)))
            if len(found):
                new.append(f"{column.name} ({', '.join(found.unique().sort()[:3])}; {counted(len(found), 'row')})")
        what = "all zeros" if self.encoding == "onehot" else "-1"
        return (
            f"categories that the training part does not have are encoded as {what}: {'; '.join(new)}." if new else None
        )

    def filled(self, frame: pl.DataFrame) -> str | None:
        """Return one sentence on the missing numbers that were filled, or None."""
        counts = {name: frame[name].null_count() for name in self.numeric}
        said = ", ".join(f"{name} ({counted(n, 'row')})" for name, n in counts.items() if n)
        return f"missing numbers were filled from the training part: {said}." if said else None

    def _texts(self, frame: pl.DataFrame) -> pl.DataFrame:
        fills = zip(self.categorical, self.category_fills, strict=True)
        return frame.select(frame[name].fill_null(fill) for name, fill in fills)

    def _category_encoder(self) -> Any:
        from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder  # noqa: PLC0415 - a second to import

        known = [np.array(names, object) for names in self.categories]
        if self.encoding == "onehot":
            encoder = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False)
        else:
            encoder = OrdinalEncoder(categories=known, handle_unknown="use_encoded_value", unknown_value=-1)
        # Fitted on one row that it knows: all that there is to learn stands in `categories` already.
        return encoder.fit(np.array([[names[0] for names in self.categories]], object))

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return what ``to_plain`` was given."""
        return cls(
            numeric=tuple(plain["numeric"]),
            fills=None if plain["fills"] is None else tuple(plain["fills"]),
            categorical=tuple(plain["categorical"]),
            category_fills=tuple(plain["category_fills"]),
            categories=tuple(tuple(names) for names in plain["categories"]),
            encoding=plain["encoding"],
        )


def _check_named(frame: pl.DataFrame, columns: Columns) -> None:
    both = set(columns.numeric) & set(columns.categorical)
    if both:
        raise DataError(f"column '{min(both)}' is said to be numeric and categorical. Leave one out.")
    for role, names in (("numeric", columns.numeric), ("categorical", columns.categorical)):
        for name in names:
            if name not in frame.columns:
                hint = did_you_mean(name, frame.columns)
                raise DataError(f"data.source: {role}: there is no column '{name}' among the inputs.{hint}")


def _refuse_identifier(column: pl.Series, columns: Columns) -> None:
    n, distinct, name = len(column), column.n_unique(), column.name
    found = column.name not in columns.categorical
    if distinct <= columns.max_categories and not (found and n > 20 and distinct > 0.9 * n):
        return
    wrong = np.flatnonzero(no_numbers(column))
    if found and len(wrong) < 0.2 * n:
        raise DataError(
            f"column '{name}' is a column of numbers but for {counted(len(wrong), 'value')}, such as "
            f"'{column[int(wrong[0])]}' ({shown_rows(wrong)}). If that stands for a missing value, add it to `missing`."
        )
    if dates_of(column) is not None:
        raise DataError(
            f"column '{name}' looks like a date, such as '{column.drop_nulls()[0]}', and is no category. Name it in "
            f"data.split to test on the latest rows, `split: {{time: {name}}}`, or drop it: `drop: [{name}]`."
        )
    limit = columns.max_categories
    raise DataError(
        f"column '{name}' has {distinct:,} distinct texts in {counted(n, 'row')}; max_categories is {limit}. "
        f"If it is an identifier, drop it: `drop: [{name}]`. If not, list it in `categorical` and raise max_categories."
    )


def _refuse_missing(frame: pl.DataFrame) -> None:
    for column in frame:
        rows = column.is_null().to_numpy()
        if rows.any():
            raise DataError(
                f"column '{column.name}' is missing in {counted(int(rows.sum()), 'row')} of {len(column):,} "
                f"({shown_rows(np.flatnonzero(rows))}), and `impute: error` forbids to fill it."
            )


def _learn_fills(frame: pl.DataFrame, numeric: tuple[str, ...], impute: str, rows: Array) -> tuple[float, ...] | None:
    numbers = _numbers(frame, numeric)
    if not np.isnan(numbers).any():
        return None
    if impute == "error":
        _refuse_missing(frame.select(numeric).fill_nan(None))
    train = numbers[rows]
    empty = np.flatnonzero(np.isnan(train).all(0))
    if len(empty):
        raise DataError(f"column '{numeric[empty[0]]}' has no value in the training part. Drop it.")
    return tuple(_imputer(impute, train).statistics_.tolist())


def _imputer(strategy: str, x: Float) -> Any:
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 - a second to import, and only where values are missing

    return SimpleImputer(strategy=strategy).fit(x)


def _numbers(frame: pl.DataFrame, numeric: tuple[str, ...]) -> Float:
    """Return the columns as float64 (N, D), NaN where a value is missing."""
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    for name in numeric:
        if frame[name].dtype == pl.String and numbers_of(frame[name], ".") is None:
            refuse_decimal_marks(frame[name])
            wrong = np.flatnonzero(no_numbers(frame[name]))
            raise DataError(
                f"column '{name}' should hold numbers and holds '{frame[name][int(wrong[0])]}': "
                f"{counted(len(wrong), 'value')} of {len(frame):,} {'is' if len(wrong) == 1 else 'are'} no number "
                f"({shown_rows(wrong)}). If that stands for a missing value, add it to `missing`."
            )
    numbers = np.empty((len(frame), len(numeric)))
    for k, name in enumerate(numeric):
        numbers[:, k] = frame[name].cast(pl.Float64).to_numpy()
    refuse_unusable(np.nan_to_num(numbers, nan=0.0, posinf=np.inf, neginf=-np.inf), numeric)
    return numbers


def _most_frequent(column: pl.Series) -> str:
    counts = column.drop_nulls().value_counts(sort=True)
    if not len(counts):
        return MISSING
    most = counts.filter(counts["count"] == counts["count"][0])
    return str(most[column.name].min())
