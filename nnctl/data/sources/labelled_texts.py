"""Texts with a target each, in a column of a file: reviews, messages, headlines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from nnctl.core.component import PositiveInt
from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_too_large
from nnctl.data.sources.decoding import TextEncoding, decoded
from nnctl.data.sources.delimited import Csv, Tsv
from nnctl.data.sources.frames import FileSource, require_column, targets_of
from nnctl.data.sources.parquet import Parquet
from nnctl.data.table import Table, counted, shown_rows
from nnctl.data.tokens import Tokenizer, Word, Wording

if TYPE_CHECKING:
    import polars as pl

    from nnctl.core.arrays import Array

__all__ = ["FILES_OF_TEXTS", "JSON_LINES", "LabelledTexts"]

JSON_LINES = (".jsonl", ".ndjson")
FILES_OF_TEXTS = (".csv", ".tsv", *JSON_LINES, ".parquet")


class LabelledTexts(FileSource, name="texts"):
    """Texts with a target each, from a csv, tsv, jsonl or parquet file, or one for each part.

    A jsonl file holds one JSON object a line. The vocabulary is learned from the training part; rows of tokens are
    filled up with token 0, and a mask says what is there.
    """

    text: str = "text"
    """The column that holds the texts."""
    target: str = "label"
    """The column to predict."""
    tokenizer: Tokenizer = Field(default_factory=Word)
    """What a token is."""
    max_length: PositiveInt = 200
    """Texts of more tokens are cut there."""
    text_encoding: TextEncoding = "utf-8"
    """How the file's bytes stand for characters; older files of Windows are often in cp1252."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read the file or files."""
        frame, parts = self.read_all(base)
        if len(frame) == 0:
            raise DataError(f"{self.name}: there are no rows.")
        require_column(frame, self.target, f"data.source.{self.name}.target")
        texts = self.texts_of(frame)
        wording = Wording(self.tokenizer, self.max_length)
        return Table(texts, targets_of(frame, self.target), target=self.target, parts=parts, text=wording)

    def texts_of(self, frame: pl.DataFrame) -> Array:
        """Return the texts (N,).

        Raises
        ------
        DataError
            There is no such column, it holds something else, or a text is missing.
        """
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        require_column(frame, self.text, f"data.source.{self.name}.text")
        column = frame[self.text]
        if column.dtype != pl.String:
            raise DataError(f"data.source.{self.name}.text: column '{self.text}' holds {column.dtype} and no texts.")
        missing = np.flatnonzero(column.is_null().to_numpy())
        if len(missing):
            raise DataError(
                f"data.source.{self.name}.text: column '{self.text}' is missing in {counted(len(missing), 'row')} "
                f"({shown_rows(missing)}): a sequence of length 0 says nothing. Remove these rows."
            )
        return np.array(column.to_list(), object)

    def read(self, path: Path) -> pl.DataFrame:
        """Return the columns of a file; numbers as numbers, but for those in the column of the texts."""
        suffix = path.suffix.lower()
        if suffix in JSON_LINES:
            return self._json_lines(path)
        if suffix == ".parquet":
            return Parquet(path=str(path), target=self.target).read(path)
        if suffix not in FILES_OF_TEXTS:
            raise DataError(f"{path}: is of no kind that holds texts. Known: {', '.join(FILES_OF_TEXTS)}.")
        kind = Csv if suffix == ".csv" else Tsv
        reader = kind(path=str(path), target=self.target, missing=("",), text_encoding=self.text_encoding)
        return reader.typed(reader.read(path), keep=(self.text,))

    def _json_lines(self, path: Path) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        refuse_too_large(3 * path.stat().st_size, str(path))
        text = decoded(path, self.text_encoding)
        try:
            lazy = pl.scan_ndjson(io.BytesIO(text.encode()), infer_schema_length=None)
            schema = lazy.collect_schema()
            require_column(schema.to_frame(), self.text, f"data.source.{self.name}.text")
            return lazy.select({self.text, self.target} & set(schema)).collect()  # a key of one line is a column of all
        except pl.exceptions.PolarsError as error:
            line, reason = _first_that_is_no_object(text) or ("", str(error).split("\n", 1)[0])
            raise DataError(f"{path}{line}: is no file of one JSON object a line: {reason}.") from error


def _first_that_is_no_object(text: str) -> tuple[str, str] | None:
    """Return ``":3"`` for the third line, and what is wrong with it; None where all are objects."""
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.strip() and not isinstance(json.loads(line), dict):
                return f":{number}", "this line holds something else"
        except ValueError as error:
            return f":{number}", f"{error}".replace("line 1 column", "character").partition(" (char")[0]
    return None
