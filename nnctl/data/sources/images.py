"""Images as files: a folder for each class, or a CSV of paths and labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, cast

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Shape
from nnctl.core.component import Items, PositiveInt
from nnctl.core.errors import DataError
from nnctl.core.machine import available_memory
from nnctl.data.image_files import SUFFIXES, Header, ImageFiles, headers_of, in_threads
from nnctl.data.sources.labelled_files import LabelledFiles, values_of
from nnctl.data.table import Table

__all__ = ["Images"]

HELD = 0.5
"""The share of the free memory up to which all images are held in it."""
BYTES = 5
"""Of a value in memory: as it is in the file, and in float32."""


class Images(LabelledFiles, name="images"):
    """Images in PNG, JPEG or BMP files: a folder with a folder for each class, or a CSV of paths and labels.

    A row is (H, W, C) with values 0 to 255. In a folder, the names of its folders are the classes, and images at any
    depth in them belong to the class; other files, and names that begin with a dot, are passed over. In a CSV, paths
    start from its own folder and stay in it. JPEG files are turned the way that the camera says it was held;
    transparency is dropped; of 16 bits the upper 8 are kept.

    What takes at most half of the free memory (5 bytes a value: 1 as it is in the file, 4 scaled) is decoded once and
    held. Of more than that, every image is decoded once to see that it can be, and again whenever its batch is needed,
    by as many threads as there are cores, two batches ahead of the one that is trained on.
    """

    kind = "image"
    suffixes = SUFFIXES

    resize: Annotated[Items[PositiveInt], Field(min_length=2, max_length=2)] | None = None
    """Height and width [H, W] to which every image is brought, by means over the pixels that meet (bilinear); left
    out, all must have one size."""
    color: Literal["grey", "rgb"] | None = None
    """One channel or three; left out, one where no image has colours, and three otherwise."""
    image: str = "path"
    """The column of a CSV with the paths."""
    keep: Literal["memory", "disk"] | None = None
    """Where the images are while training; left out, in memory where they take at most half of what is free."""

    field_synonyms: ClassVar[dict[str, str]] = {
        "image_size": "resize",
        "size": "resize",
        "target_size": "resize",
        "color_mode": "color",
        "mode": "color",
        "image_column": "image",
    }

    @property
    def column(self) -> tuple[str, str]:
        """The field of the column of paths, and its value."""
        return "image", self.image

    def of_input(self, file: Path, shape: Shape, classes: Sequence[str] = ()) -> Table:
        """Return the images of a file, a folder or a CSV as rows of a shape (H, W, C); y where all labels are there.

        Raises
        ------
        DataError
            One of them cannot be read, or has another size where the source has no `resize`.
        """
        listed = self.listed_in(file, classes)
        headers = headers_of(listed.paths, skip_broken=self.skip_broken)
        if self.resize is None:
            _common_size(listed.paths, headers, (shape[0], shape[1]))
        files = ImageFiles(listed.paths, (shape[0], shape[1]), shape[2])
        whole = self._whole(files) if self.skip_broken else np.ones(len(files), bool)
        notes, listed = self.left_out(listed.paths, whole), listed.those(whole)
        x = np.asarray(replace(files, paths=listed.paths))
        y = values_of(listed.labels) if listed.labels else None
        return Table(x, y, (), self.target, files=self.named(listed, file), notes=notes)

    def read(self, paths: Sequence[Path]) -> tuple[Table, Array]:
        """Return a table of the images that can be read, and which of the paths they are."""
        headers = headers_of(paths, skip_broken=self.skip_broken)
        known = [header for header in headers if header is not None]
        self.refuse_none(paths, [header is not None for header in headers])
        size = (self.resize[0], self.resize[1]) if self.resize else _common_size(paths, headers)
        channels = {"grey": 1, "rgb": 3}[self.color or ("grey" if all(h.is_grey for h in known) else "rgb")]
        files = ImageFiles(paths, size, channels)
        stays = self._stays_on_disk(files.shape)
        whole = self._whole(files) if self.skip_broken or stays else np.ones(len(files), bool)
        files = replace(files, paths=[path for path, kept in zip(paths, whole, strict=True) if kept])
        x = files if stays else np.asarray(files)
        return Table(cast("Array", x), None, notes=self.left_out(paths, whole)), whole

    def _whole(self, files: ImageFiles) -> Array:
        """Decode every image once and return which can be, bool (N,); raise at one that cannot, unless it is skipped.

        Raises
        ------
        DataError
            With the name of the file; or where none can be decoded.
        """

        def decodes(path: Path) -> bool:
            try:
                files.decoded(path)
            except DataError:
                if self.skip_broken:
                    return False
                raise
            return True

        whole = np.array(in_threads(decodes, files.paths))
        self.refuse_none(files.paths, whole)
        return whole

    def _stays_on_disk(self, shape: Shape) -> bool:
        if self.keep is not None:
            return self.keep == "disk"
        left = available_memory()
        return left is not None and math.prod(shape) * BYTES > HELD * left


def _common_size(
    paths: Sequence[Path], headers: Sequence[Header | None], wanted: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Return the height and width that all images have, or refuse the first that has not."""
    sizes = [None if header is None else (header.height, header.width) for header in headers]
    common = wanted or Counter(size for size in sizes if size is not None).most_common(1)[0][0]
    for path, size in zip(paths, sizes, strict=True):
        if size is not None and size != common:
            others = "the network was trained on" if wanted else "most of the others are"
            raise DataError(
                f"{path}: is {size[0]} x {size[1]} pixels (height x width), and {others} {common[0]} x {common[1]}. "
                f"Say 'resize: [{common[0]}, {common[1]}]' in the source to bring all to one size."
            )
    return common
