"""Text files with one row a line: csv and tsv, read by polars."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nnctl.core.component import Items
from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_too_large
from nnctl.data.sources.frames import FrameFile
from nnctl.data.table import counted

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Csv", "Tsv"]


Separator = Annotated[str, Field(pattern=r"^[\t -~]$")]
"""One ASCII character."""


class Csv(FrameFile, name="csv"):
    """A file of comma-separated values (RFC 4180, UTF-8), or one for each part.

    White space around a value is taken off. A column whose every value reads as a number is numeric, any other
    categorical. A line with nothing in it is no row.
    """

    header: bool = True
    """Whether the first line names the columns."""
    columns: Items[str] = ()
    """The names of the columns of a file without a header; left out: column_1, column_2, ..."""
    separator: Separator = ","
    """The one character between two values."""
    missing: Items[str] = ("", "?", "NA", "N/A", "NaN", "nan", "null")
    """What stands for a missing value."""

    def read(self, path: Path) -> pl.DataFrame:
        """Return every column as texts, None where a value is missing."""
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        refuse_too_large(path.stat().st_size, str(path))
        try:
            frame = pl.read_csv(path, has_header=self.header, separator=self.separator, infer_schema=False, glob=False)
        except pl.exceptions.PolarsError as error:
            self._refuse_uneven(path)
            reason = str(error).split("\n", 1)[0]
            raise DataError(f"{path}: is no {self.name} file in UTF-8 that can be read: {reason}.") from error
        if len(frame) and frame[:, -1].null_count():
            self._refuse_uneven(path)
        twice = [name.split("_duplicated_")[0] for name in frame.columns if "_duplicated_" in name]
        if twice:
            raise DataError(f"{path}: two columns are called '{twice[0]}'. Rename one of them.")
        frame = (
            frame.rename({name: name.strip() for name in frame.columns}) if self.header else self._named(frame, path)
        )
        text = pl.all().str.strip_chars()
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return frame.select(pl.when(text.is_in(list(self.missing))).then(None).otherwise(text).name.keep())

    def typed(self, frame: pl.DataFrame, keep: tuple[str, ...] | None = None) -> pl.DataFrame:
        """Return the columns that read as numbers as numbers, but for those in `keep` (else in `categorical`)."""
        keep = self.categorical if keep is None else keep
        return frame.with_columns(_number_or_text(column) for column in frame if column.name not in keep)

    def _named(self, frame: pl.DataFrame, path: Path) -> pl.DataFrame:
        width = len(frame.columns)
        names = list(self.columns) or [f"column_{i + 1}" for i in range(width)]
        if len(names) == width + 1 and self.target in names:
            names.remove(self.target)  # a file of inputs alone, to predict from
        if len(names) != width:
            raise DataError(f"{path}: has {width} columns and `columns` names {len(names)}.")
        return frame.rename(dict(zip(frame.columns, names, strict=True)))

    def _refuse_uneven(self, path: Path) -> None:
        """Raise where a line has more or fewer values than the first, which polars does not say or says vaguely."""
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            lines = csv.reader(file, delimiter=self.separator)
            width = len(next(lines, []))
            for line in lines:
                if line and len(line) != width:
                    raise DataError(
                        f"{path}:{lines.line_num}: has {counted(len(line), 'value')} where the first line has {width}. "
                        f"Mend the line; a value that holds '{self.separator}' stands in double quotes."
                    )


class Tsv(Csv, name="tsv"):
    """A file of tab-separated values; all else as in `csv`."""

    separator: Separator = "\t"
    """The one character between two values."""


def _number_or_text(column: pl.Series) -> pl.Series:
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    for dtype in (pl.Int64, pl.Float64):
        numbers = column.cast(dtype, strict=False)
        if numbers.null_count() == column.null_count():
            return numbers
    return column
