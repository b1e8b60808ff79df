"""NumPy archives: arrays x and y in one .npz file."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, ClassVar

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_bomb, refuse_too_large, refuse_too_wide
from nnctl.data.sources.binary import read_array
from nnctl.data.sources.paths import found
from nnctl.data.sources.source import Source
from nnctl.data.table import Table

__all__ = ["Npz", "read_npz"]

PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""What NumPy writes; others can ask for gigabytes before the first byte is unpacked."""


class Npz(Source, name="npz"):
    """Arrays of a NumPy archive: inputs x (N, ...), targets y (N,) or (N, outputs), numbers or texts.

    Where x holds sequences (N, T, D) of numbers and y (N, T, outputs), every position has targets of its own: sequence
    to sequence, a regression. A feature is then scaled alike at every position.

    Every other array of N values in the file can be named as the split's group or time. Pickled objects are refused.
    """

    files: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    """The .npz file."""
    x: str = "x"
    """The key of the inputs."""
    y: str = "y"
    """The key of the targets."""
    weight: str | None = None
    """The key of the row weights."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read the arrays."""
        path = found(self.path, base)
        arrays = read_npz(path)
        for key in (self.x, self.y, self.weight):
            if key is not None and key not in arrays:
                raise DataError(f"{path}: there is no array '{key}'. It holds: {', '.join(arrays) or 'none'}.")
        table = table_of(arrays, self.x, self.y, path)
        weight = None if self.weight is None else arrays[self.weight]
        return replace(table, weight=weight)


def table_of(arrays: dict[str, Array], x: str, y: str, path: Path) -> Table:
    """Return the table that the arrays make; y may be missing."""
    inputs = arrays[x]
    if inputs.ndim == 0:
        raise DataError(f"{path}: '{x}' is a single number. Inputs have the shape (N, D).")
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    refuse_too_wide(len(inputs), inputs.shape[1], f"{path}: '{x}'")
    for key, array in arrays.items():
        if key == y and (array.ndim == 0 or len(array) != len(inputs)):
            raise DataError(
                f"{path}: '{x}' has {len(inputs):,} rows and '{key}' has shape {array.shape}. They must agree."
            )
    side = {key: a for key, a in arrays.items() if key not in {x, y} and a.shape == (len(inputs),)}
    features = tuple(f"x{i + 1}" for i in range(inputs.shape[1])) if inputs.ndim == 2 else ()
    targets = arrays.get(y)
    is_sequence = inputs.ndim == 3 and inputs.dtype != np.uint8 and targets is not None and targets.ndim == 3
    has_positions = is_sequence and targets is not None and targets.shape[1] == inputs.shape[1]
    return Table(inputs, targets, features, y, side=side, sequence=has_positions)


def read_npz(path: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file, or of an .npy file as ``x``, priced from their headers before they are read.

    Raises
    ------
    DataError
        It is no such file, holds pickled objects, or claims more than the memory.
    """
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as stream:
                return {"x": _read_array(stream, path.stat().st_size, str(path))}
        with zipfile.ZipFile(path) as archive:
            names = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            size = sum(info.file_size for info in names)
            refuse_too_large(size, str(path))
            refuse_bomb(size, path.stat().st_size, str(path))
            arrays = {}
            for info in names:
                key = info.filename.removesuffix(".npy")
                if info.compress_type not in PACKINGS:
                    raise DataError(f"{path}: '{key}' is packed in a way that NumPy does not use. Save it by np.savez.")
                with archive.open(info) as stream:
                    arrays[key] = _read_array(stream, info.file_size, f"{path}: '{key}'")
            return arrays
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise DataError(f"{path}: is no NumPy archive that can be read: {error}") from error


def _read_array(stream: IO[bytes], size: int, what: str) -> Array:
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise DataError(
            f"{what}: holds pickled objects, which are not read. Store numbers or texts, as array.astype(float)."
        )
    there = size - stream.tell()
    if fortran:
        return read_array(stream, shape[::-1], dtype, what, there).T
    return read_array(stream, shape, dtype, what, there)
