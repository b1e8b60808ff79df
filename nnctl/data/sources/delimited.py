"""Text files with one row a line: csv and tsv, read by polars."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nnctl.core.arrays import Array
from nnctl.core.component import Items
from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_too_large
from nnctl.data.numerals import DecimalMark, numbers_of, refuse_decimal_marks
from nnctl.data.sources.decoding import TextEncoding, decoded
from nnctl.data.sources.frames import FrameFile
from nnctl.data.table import PartName, Table, counted

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Csv", "Tsv"]

PER_BYTE, PER_COLUMN = 12, 16_000
"""Bytes of memory for one of the file, and for a column however short it is."""
MARK = "\ufeff"
"""Before a text it says that this is one: a header that begins with x^ would be taken for the beginning of a zip."""

Separator = Annotated[str, Field(pattern=r"^[\t -~]$")]
"""One ASCII character."""


class Csv(FrameFile, name="csv"):
    """A file of comma-separated values (RFC 4180), or one for each part.

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
    decimal: DecimalMark = "."
    """What stands before the decimals of a number: a point, or a comma as in 152,8."""
    text_encoding: TextEncoding = "utf-8"
    """How the file's bytes stand for characters; older files of Windows are often in cp1252."""

    def read(self, path: Path) -> pl.DataFrame:
        """Return every column as texts, None where a value is missing."""
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        refuse_too_large(PER_BYTE * path.stat().st_size, str(path))
        text = decoded(path, self.text_encoding)
        width = text.partition("\n")[0].count(self.separator) + 1
        refuse_too_large(PER_COLUMN * width, f"{path}: {width:,} columns")
        try:
            frame = pl.read_csv(
                io.BytesIO((MARK + text).encode()), has_header=self.header, separator=self.separator, infer_schema=False
            )
        except pl.exceptions.PolarsError as error:
            self._refuse_uneven(text, path)
            reason = str(error).split("\n", 1)[0]
            raise DataError(f"{path}: is no {self.name} file that can be read: {reason}.") from error
        if len(frame) and frame[:, -1].null_count():
            self._refuse_uneven(text, path)
        twice = [name.split("_duplicated_")[0] for name in frame.columns if "_duplicated_" in name]
        if twice:
            raise DataError(f"{path}: two columns are called '{twice[0]}'. Rename one of them.")
        frame = (
            frame.rename({name: name.strip() for name in frame.columns}) if self.header else self._named(frame, path)
        )
        stripped = pl.all().str.strip_chars()
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return frame.select(pl.when(stripped.is_in(list(self.missing))).then(None).otherwise(stripped).name.keep())

    def typed(self, frame: pl.DataFrame, keep: tuple[str, ...] | None = None) -> pl.DataFrame:
        """Return the columns that read as numbers as numbers, but for those in `keep` (else in `categorical`)."""
        keep = self.categorical if keep is None else keep
        found = [numbers_of(column, self.decimal) for column in frame if column.name not in keep]
        return frame.with_columns(numbers for numbers in found if numbers is not None)

    def table_of(self, frame: pl.DataFrame, target: str, parts: dict[PartName, Array]) -> Table:
        """Return the table that the frame makes; texts that are numbers with the other decimal mark are refused."""
        for column in frame:
            if not column.dtype.is_numeric() and column.name not in (*self.drop, *self.categorical):
                refuse_decimal_marks(column)
        return super().table_of(frame, target, parts)

    def _named(self, frame: pl.DataFrame, path: Path) -> pl.DataFrame:
        width = len(frame.columns)
        names = list(self.columns) or [f"column_{i + 1}" for i in range(width)]
        if len(names) == width + 1 and self.target in names:
            names.remove(self.target)  # a file of inputs alone, to predict from
        if len(names) != width:
            raise DataError(f"{path}: has {width} columns and `columns` names {len(names)}.")
        return frame.rename(dict(zip(frame.columns, names, strict=True)))

    def _refuse_uneven(self, text: str, path: Path) -> None:
        """Raise where a line has more or fewer values than the first, which polars does not say or says vaguely."""
        csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # all of it, where a quotation mark is not closed
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator)
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
