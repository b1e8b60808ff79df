"""New rows for a trained network: a file of the same kind as the training data, with or without the targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.image_files import SUFFIXES as IMAGES
from nnctl.data.pictures import picture_shape
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.sources import Source
from nnctl.data.sources.audio import Audio
from nnctl.data.sources.card import FromCard
from nnctl.data.sources.delimited import Csv, Tsv
from nnctl.data.sources.frames import FrameFile, targets_of
from nnctl.data.sources.idx import as_rows, read_idx
from nnctl.data.sources.images import Images
from nnctl.data.sources.labelled_texts import FILES_OF_TEXTS, LabelledTexts
from nnctl.data.sources.npz import Npz, read_npz, table_of
from nnctl.data.sources.parquet import Parquet
from nnctl.data.sources.paths import found
from nnctl.data.sources.text import Text, read_text
from nnctl.data.sources.time_series import TimeSeries
from nnctl.data.sources.windowed import Windowed
from nnctl.data.table import Table, counted
from nnctl.data.tokens import Windows

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_input"]

SUFFIXES = (".csv", ".tsv", ".parquet", ".npz", ".npy", ".idx", ".gz", "-ubyte")


def read_input(path: str, preprocessing: Preprocessing, source: Source | None = None) -> Table:
    """Return the rows of a file for ``preprocessing.transform``; y is None where the file has no, or not all, targets.

    Columns that the network does not know are ignored.

    Parameters
    ----------
    path : str
        A .csv, .tsv, .parquet, .npz, .npy or idx file; an image, or a folder of images. For a network that hears
        recordings a wav file, a folder or a CSV of them. For a network that reads texts
        a .csv, .tsv, .jsonl or .parquet file, or any other with a text a line; for a language model a text.
    preprocessing : Preprocessing
        The run's.
    source : Source or None
        The run's; a file of the same kind is read with its settings, such as separator, header and missing values.

    Raises
    ------
    DataError
        The file cannot be read, or a column is missing.
    """
    if preprocessing.text is not None and " " in path and not Path(path).exists():
        raise DataError(
            f"{path[:80]}: is no file. Texts come from one, a line each: write it into a file, and name that."
        )
    file = found(path, Path.cwd(), folders=preprocessing.text is None)
    if isinstance(source, FromCard):
        source = source.source()
    if preprocessing.text is not None:
        return _texts(file, preprocessing, source)
    if preprocessing.series is not None:
        assert isinstance(source, Windowed)
        return _time_series(source).of_input(file, preprocessing.series.inputs, preprocessing.series.grid)
    if preprocessing.audio is not None:
        reads = source if isinstance(source, Audio) else Audio(path="-", target=preprocessing.target)
        return reads.of_input(file, preprocessing.audio, preprocessing.classes or ())
    suffix = file.suffix.lower()
    if file.is_dir() or suffix in IMAGES or (suffix == ".csv" and isinstance(source, Images)):
        return _images(file, preprocessing, source)
    if suffix in {".csv", ".tsv", ".parquet"}:
        return _frame(file, preprocessing, _reader(suffix, source, preprocessing.target))
    if suffix in {".npz", ".npy"}:
        keys = source if isinstance(source, Npz) else Npz(path=str(file))
        arrays = read_npz(file)
        if keys.x not in arrays:
            raise DataError(f"{file}: there is no array '{keys.x}'. It holds: {', '.join(arrays) or 'none'}.")
        return table_of(arrays, keys.x, keys.y, file)
    if file.name.lower().endswith(SUFFIXES):
        x = read_idx(file)
        x, features = as_rows(x, "flat" if len(preprocessing.input_shape) == 1 else "image")
        return Table(x, None, features)
    raise DataError(f"{file}: is of no kind that can be read. Known: {', '.join((*SUFFIXES, *IMAGES))}.")


def _images(file: Path, preprocessing: Preprocessing, source: Source | None) -> Table:
    shape = picture_shape(preprocessing.input_shape, preprocessing.inputs)
    if shape is None:
        kind = "a folder" if file.is_dir() else "an image"
        row = preprocessing.input_shape
        wanted = f"rows of {counted(row[0], 'number')}" if len(row) == 1 else f"rows of shape {row}"
        raise DataError(
            f"{file}: is {kind}, and the network was trained on {wanted}. Name a file of them: {', '.join(SUFFIXES)}."
        )
    reader = source if isinstance(source, Images) else Images(path="-")
    table = reader.of_input(file, shape, preprocessing.classes or ())
    assert isinstance(table.x, np.ndarray)
    return replace(table, x=table.x.reshape(len(table), *preprocessing.input_shape), features=preprocessing.inputs)


def _time_series(source: Windowed) -> TimeSeries:
    """Return the reader of a time series; for one that was made up, of a file with its columns and its `time`."""
    if isinstance(source, TimeSeries):
        return source
    shared = {name: getattr(source, name) for name in (*Windowed.model_fields, "targets")}
    return TimeSeries(path="-", time="time", **shared)


def _texts(file: Path, preprocessing: Preprocessing, source: Source | None) -> Table:
    """Return texts (N,): the whole file for a language model, else a column of it, or its lines."""
    if isinstance(preprocessing.text, Windows):
        encoding = source.text_encoding if isinstance(source, Text) else "utf-8"
        return Table(np.array([read_text(file, encoding)], object), None)
    reader = source if isinstance(source, LabelledTexts) else LabelledTexts(path=str(file), target=preprocessing.target)
    if file.suffix.lower() not in FILES_OF_TEXTS:
        lines = read_text(file, reader.text_encoding).removesuffix("\n").split("\n")
        texts = [line for line in lines if line.strip()]
        empty = len(lines) - len(texts)
        notes = (f"{counted(empty, 'line')} without a text passed over, and not counted",) if empty else ()
        return Table(np.array(texts, object), None, notes=notes)
    frame = reader.read(file)
    return Table(reader.texts_of(frame), _complete_targets(frame, preprocessing.target), target=preprocessing.target)


def _reader(suffix: str, source: Source | None, target: str) -> FrameFile:
    """Return the run's own source if it reads such files, or else one with the default settings."""
    kind: dict[str, Any] = {".csv": Csv, ".tsv": Tsv, ".parquet": Parquet}
    if type(source) is kind[suffix]:
        return source  # type: ignore[return-value]
    return kind[suffix](path="-", target=target)  # type: ignore[no-any-return]


def _frame(file: Path, preprocessing: Preprocessing, reader: FrameFile) -> Table:
    frame = reader.read(file)
    encoder = preprocessing.encoder
    frame = reader.typed(frame, keep=() if encoder is None else encoder.categorical)
    y = _complete_targets(frame, preprocessing.target, reader.label_strip)
    return Table(frame, y, tuple(frame.columns), preprocessing.target)


def _complete_targets(frame: pl.DataFrame, target: str, label_strip: str = "") -> Array | None:
    complete = target in frame.columns and frame[target].null_count() == 0
    return targets_of(frame, target, label_strip) if complete else None
