"""Images in files: looked at by their headers, decoded when they are asked for."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.errors import DataError
from nnctl.core.machine import cores
from nnctl.data.memory import refuse_too_large
from nnctl.data.scaling import Affine

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SUFFIXES", "Header", "ImageFiles", "ScaledImages", "headers_of", "in_threads"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
FORMATS = ("PNG", "JPEG", "BMP")
"""What is looked for in a file, whatever it is called: to read some others, Pillow starts another program."""
ORIENTATION, SIDEWAYS = 0x0112, 5
"""The EXIF tag that says how a camera was held, and the value from which on width and height are swapped."""
GREY = {"1", "L", "LA", "I;16", "I;16B", "I;16L"}
COLORS = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
BROKEN = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, struct.error, zlib.error)
"""What Pillow raises for files that are damaged or of another kind."""
PER_PIXEL = 8
"""Bytes of memory to decode one: as it is in the file, and converted."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image say.

    Parameters
    ----------
    height, width : int
        As it is seen, with the way the camera was held counted in.
    is_grey : bool
        Whether it has no colours.
    """

    height: int
    width: int
    is_grey: bool


def headers_of(paths: Sequence[Path], *, skip_broken: bool = False) -> list[Header | None]:
    """Return what the headers of images say, or None for those that are skipped; nothing is decoded.

    Raises
    ------
    DataError
        One is no image that can be read, or would take more memory than there is.
    """
    from PIL.Image import DecompressionBombWarning  # noqa: PLC0415 - 30 ms, and only images need it

    def header(path: Path) -> Header | None:
        try:
            return _header(path)
        except DataError:
            if skip_broken:
                return None
            raise

    with warnings.catch_warnings():
        warnings.simplefilter("error", DecompressionBombWarning)
        return in_threads(header, paths)


def _header(path: Path) -> Header:
    from PIL import Image  # noqa: PLC0415 - 30 ms, and only images need it

    try:
        with Image.open(path, formats=FORMATS) as image:
            (width, height), mode = image.size, image.mode
            if image.format == "JPEG" and image.getexif().get(ORIENTATION, 1) >= SIDEWAYS:
                width, height = height, width
    except (*BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_unreadable(path, error)) from None
    if mode not in GREY | COLORS:
        raise DataError(f"{path}: holds pixels of the kind '{mode}'. Save it with 8 or 16 bits, in grey or colours.")
    refuse_too_large(
        PER_PIXEL * width * height * cores(),
        f"{path} claims {width:,} x {height:,} pixels, and {cores()} are read at once",
        "Make it smaller.",
    )
    return Header(height, width, is_grey=mode in GREY)


def _unreadable(path: Path, error: Exception) -> str:
    advice = "Mend or remove it; with 'skip_broken: true' in the source it is left out."
    return f"{path}: is no image that can be read: {error}. {advice}"


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return what comes of every item, in order; Pillow lets other threads work while it decodes."""
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, items))


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images of one shape in files: to be used as an array uint8 (N, H, W, C), decoded whenever rows are asked for.

    Parameters
    ----------
    paths : sequence of Path
        One for each row.
    size : tuple of int
        Height and width of a row; an image of another size is brought to it.
    channels : int
        1 for grey values, 3 for red, green and blue.
    """

    paths: Sequence[Path]
    size: tuple[int, int]
    channels: int

    dtype = np.dtype(np.uint8)

    def __post_init__(self) -> None:
        """Raise the DataError of a size that a few images would not fit the memory in."""
        height, width = self.size
        refuse_too_large(
            PER_PIXEL * height * width * cores(),
            f"data.source.images.resize: {cores()} images of {height:,} x {width:,} pixels are made at once",
            "Make them smaller.",
        )

    @property
    def shape(self) -> Shape:
        """(N, H, W, C)."""
        return (len(self.paths), *self.size, self.channels)

    @property
    def ndim(self) -> int:
        """Four axes."""
        return 4

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice | Array) -> Array:
        """Return the images of some rows.

        Raises
        ------
        DataError
            One of them cannot be decoded; it is named.
        """
        chosen = np.arange(len(self))[rows]
        out = np.empty((len(chosen), *self.shape[1:]), np.uint8)

        def read(place: int) -> None:
            out[place] = self.decoded(self.paths[chosen[place]])

        in_threads(read, range(len(chosen)))
        return out

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Return all images as a true array, where they fit in the memory."""
        refuse_too_large(math.prod(self.shape), f"{len(self):,} images of {self.shape[1:]}")
        return self[:].astype(dtype or self.dtype, copy=False)

    def decoded(self, path: Path) -> Array:
        """Return one image, uint8 (H, W, C).

        Raises
        ------
        DataError
            It cannot be decoded.
        """
        from PIL import Image, ImageOps  # noqa: PLC0415 - 30 ms, and only images need it

        try:
            with Image.open(path, formats=FORMATS) as image:
                upright = ImageOps.exif_transpose(image) if image.format == "JPEG" else image
                pixels = _eight_bits(upright, "L" if self.channels == 1 else "RGB")
                if pixels.size != self.size[::-1]:
                    pixels = pixels.resize(self.size[::-1], Image.Resampling.BILINEAR)
                return np.asarray(pixels).reshape(self.shape[1:])
        except (*BROKEN, Image.DecompressionBombError) as error:
            raise DataError(_unreadable(path, error)) from None

    @cached_property
    def digest(self) -> bytes:
        """What tells these files from others without reading them: their names, sizes and times of last change."""
        digest = blake2b(f"{self.shape}".encode(), digest_size=16)
        for path in self.paths:
            stat = path.stat()
            digest.update(f"{path.parent.name}/{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        return digest.digest()


def _eight_bits(image: Image, mode: str) -> Image:
    """Return the image in another mode; of 16 bits the upper 8 are kept."""
    if not image.mode.startswith("I;16"):
        return (image.convert("RGBA") if image.mode in {"P", "PA"} else image).convert(mode)
    from PIL import Image as Pillow  # noqa: PLC0415 - 30 ms, and only images need it

    return Pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)


@dataclass(frozen=True, eq=False)
class ScaledImages:
    """Rows of image files as the network receives them: to be used as a float array (N, H, W, C).

    Parameters
    ----------
    files : ImageFiles
    rows : int array (N,)
        Which of them.
    scaling : Affine
    dtype : dtype
    """

    files: ImageFiles
    rows: Array
    scaling: Affine
    dtype: np.dtype[Any]

    ndim = 4
    nbytes = 0
    """None of it is held in memory."""

    @property
    def shape(self) -> Shape:
        """(N, H, W, C)."""
        return (len(self.rows), *self.files.shape[1:])

    @property
    def digest(self) -> bytes:
        """What tells these rows from others without reading them."""
        return self.files.digest + self.rows.tobytes()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | Array) -> Float:
        """Return some of the rows."""
        return self.scaling.apply(self.files[self.rows[rows]], dtype=self.dtype)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Float:
        """Return all rows as a true array, where they fit in the memory."""
        refuse_too_large(math.prod(self.shape) * self.dtype.itemsize, f"{len(self):,} images of {self.shape[1:]}")
        return self[:].astype(dtype or self.dtype, copy=False)

    def astype(self, dtype: DTypeLike, *, copy: bool = True) -> ScaledImages:  # noqa: ARG002 - as of an array
        """Return the same rows in another precision."""
        return ScaledImages(self.files, self.rows, self.scaling, np.dtype(dtype))
