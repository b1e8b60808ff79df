"""Parquet files, read by polars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_bomb, refuse_too_large
from nnctl.data.sources.frames import FrameFile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Parquet"]

PER_CELL = 16
"""Bytes of memory for a number, or for what says where a text is."""


class Parquet(FrameFile, name="parquet"):
    """A parquet file, or one for each part; numbers and truth values are numeric, texts and dates categorical."""

    def read(self, path: Path) -> pl.DataFrame:
        """Return the columns as they are stored, priced before they are read; those in `drop` are not read."""
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        try:
            frame = self._priced(pl.scan_parquet(path, glob=False), path).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).split("\n", 1)[0]
            raise DataError(f"{path}: is no parquet file that can be read: {reason}.") from error
        refuse_too_large(_size_of_texts(frame), f"{path}: its texts, counted for every row that has them,")
        return frame

    def _priced(self, lazy: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """Return what is to be read, or refuse what its header says to be too much."""
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        schema = lazy.collect_schema()
        for name, dtype in schema.items():
            if name not in self.drop:
                _refuse_nested(name, dtype)
        size = PER_CELL * lazy.select(pl.len()).collect().item() * len(schema)
        refuse_too_large(size, str(path))
        refuse_bomb(size, path.stat().st_size, str(path))
        return lazy.with_columns(pl.lit(None).alias(name) for name in schema if name in self.drop)

    def typed(self, frame: pl.DataFrame, keep: tuple[str, ...] | None = None) -> pl.DataFrame:
        """Return numbers as numbers, and all else, with the columns in `keep` (else in `categorical`), as texts."""
        keep = self.categorical if keep is None else keep
        return frame.with_columns(_number_or_text(column, column.name in keep) for column in frame)


def _number_or_text(column: pl.Series, is_text: bool) -> pl.Series:
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    if column.dtype == pl.Boolean and not is_text:
        return column.cast(pl.Int64)
    if column.dtype.is_numeric() and not is_text:
        return column.cast(pl.Float64) if column.dtype.is_decimal() else column
    return column.cast(pl.String)


def _refuse_nested(name: str, dtype: pl.DataType) -> None:
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    if dtype.is_nested() or dtype in {pl.Binary, pl.Object}:
        raise DataError(f"column '{name}' holds {dtype}, which is neither a number nor a text. Drop it.")


def _size_of_texts(frame: pl.DataFrame) -> int:
    """Return the bytes of all texts, each row with one of its own, as they are once they are no columns any more."""
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    texts = frame.select(pl.col(pl.String, pl.Categorical, pl.Enum).cast(pl.String).str.len_bytes().cast(pl.Int64))
    return sum(int(column.sum()) for column in texts)
