"""The idx format of MNIST: a big-endian header with the shape, then the bytes; plain or in gzip."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_bomb, refuse_too_wide
from nnctl.data.sources.binary import read_array
from nnctl.data.sources.paths import found
from nnctl.data.sources.source import Source
from nnctl.data.table import Table, rows_of

__all__ = ["Idx", "as_rows", "read_idx"]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
Form = Literal["flat", "image"]


class Idx(Source, name="idx"):
    """Images and labels in the idx format of MNIST (LeCun, Cortes and Burges, 1998), also as .gz."""

    files: ClassVar[tuple[str, ...]] = ("images", "labels", "test_images", "test_labels")

    images: str
    """The file of training images, uint8 (N, H, W)."""
    labels: str
    """The file of their labels, (N,)."""
    test_images: str | None = None
    """The file of test images."""
    test_labels: str | None = None
    """The file of their labels."""
    form: Form = "flat"
    """A row of H W values for dense layers (flat), or H x W x 1 (image)."""

    @classmethod
    def value_field(cls) -> str | None:
        """No single value says enough."""
        return None

    @model_validator(mode="after")
    def _tests_come_in_pairs(self) -> Self:
        if (self.test_images is None) != (self.test_labels is None):
            raise PydanticCustomError("nnctl", "needs test_images and test_labels together.")
        return self

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read images and labels."""
        x, y = _pair(self.images, self.labels, base)
        parts = {}
        if self.test_images is not None and self.test_labels is not None:
            x_test, y_test = _pair(self.test_images, self.test_labels, base)
            if x_test.shape[1:] != x.shape[1:]:
                raise DataError(
                    f"idx: training images are {x.shape[1:]} and test images {x_test.shape[1:]}. They must agree."
                )
            parts = {"train": rows_of(0, len(x)), "test": rows_of(len(x), len(x_test))}
            x, y = np.concatenate([x, x_test]), np.concatenate([y, y_test])
        x, features = as_rows(x, self.form)
        return Table(x, y, features, "label", parts=parts)  # type: ignore[arg-type]


def read_idx(path: Path) -> Array:
    """Return the array of an idx file, plain or in gzip.

    Raises
    ------
    DataError
        It is no idx file, claims more than the memory, or is shorter or longer than it claims.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if zipped else raw
            return _read(stream, path, zipped=zipped)
    except (zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _read(stream: IO[bytes], path: Path, *, zipped: bool) -> Array:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise DataError(
            f"{path}: is no idx file: it starts with {magic.hex(' ') or 'nothing'}, not with 00 00 08 03 or the like."
        )
    header = stream.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise DataError(f"{path}: ends within its header. The file is cut short.")
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
    size = path.stat().st_size
    if zipped:
        refuse_bomb(math.prod(shape) * np.dtype(TYPES[magic[2]]).itemsize, size, str(path))
    array = read_array(stream, shape, TYPES[magic[2]], str(path), None if zipped else size - stream.tell())
    if stream.read(1):
        raise DataError(f"{path}: goes on after the {shape} values that its header names. It is damaged.")
    return array if array.dtype.itemsize == 1 else array.astype(array.dtype.newbyteorder("="))


def _pair(images: str, labels: str, base: Path) -> tuple[Array, Array]:
    x, y = read_idx(found(images, base)), read_idx(found(labels, base))
    if y.ndim != 1 or x.ndim < 2:
        raise DataError(
            f"idx: images have shape {x.shape} and labels {y.shape}; (N, H, W) and (N,) are needed. Are they swapped?"
        )
    if len(x) != len(y):
        raise DataError(
            f"idx: there are {len(x):,} images in {images} and {len(y):,} labels in {labels}. They must agree."
        )
    return x, y


def as_rows(x: Array, form: Form) -> tuple[Array, tuple[str, ...]]:
    """Return the images in the form asked for, and the names of the columns."""
    if form == "image":
        return (x[..., None] if x.ndim == 3 else x), ()
    columns = math.prod(x.shape[1:])
    refuse_too_wide(len(x), columns, "idx")
    flat = x.reshape(len(x), columns)
    return flat, tuple(f"pixel_{'_'.join(map(str, place))}" for place in np.ndindex(*x.shape[1:]))
