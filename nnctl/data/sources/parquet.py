"""Parquet files, read by polars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_too_large
from nnctl.data.sources.frames import FrameFile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Parquet"]


class Parquet(FrameFile, name="parquet"):
    """A parquet file, or one for each part; numbers and truth values are numeric, texts and dates categorical."""

    def read(self, path: Path) -> pl.DataFrame:
        """Return the columns as they are stored, priced before they are read."""
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        try:
            lazy = pl.scan_parquet(path, glob=False)
            rows = lazy.select(pl.len()).collect().item()
            refuse_too_large(8 * rows * len(lazy.collect_schema()), str(path))
            return lazy.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).split("\n", 1)[0]
            raise DataError(f"{path}: is no parquet file that can be read: {reason}.") from error

    def typed(self, frame: pl.DataFrame, keep: tuple[str, ...] | None = None) -> pl.DataFrame:
        """Return numbers as numbers, and all else, with the columns in `keep` (else in `categorical`), as texts."""
        keep = self.categorical if keep is None else keep
        return frame.with_columns(_number_or_text(column, column.name in keep) for column in frame)


def _number_or_text(column: pl.Series, is_text: bool) -> pl.Series:
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    if column.dtype.is_nested() or column.dtype in {pl.Binary, pl.Object}:
        raise DataError(f"column '{column.name}' holds {column.dtype}, which is neither a number nor a text. Drop it.")
    if column.dtype == pl.Boolean and not is_text:
        return column.cast(pl.Int64)
    if column.dtype.is_numeric() and not is_text:
        return column.cast(pl.Float64) if column.dtype.is_decimal() else column
    return column.cast(pl.String)
