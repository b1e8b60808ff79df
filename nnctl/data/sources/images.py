"""Images as files: a folder for each class, or a CSV of paths and labels."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array, Shape
from nnctl.core.component import Items, PositiveInt, did_you_mean
from nnctl.core.errors import DataError
from nnctl.core.machine import available_memory
from nnctl.data.image_files import SUFFIXES, Header, ImageFiles, headers_of, in_threads
from nnctl.data.sources.paths import found
from nnctl.data.sources.source import Source
from nnctl.data.table import PartName, Table, counted, rows_of

__all__ = ["Images"]

HELD = 0.5
"""The share of the free memory up to which all images are held in it."""
BYTES = 5
"""Of a value in memory: as it is in the file, and in float32."""


@dataclass(frozen=True)
class _Listed:
    """The files of one part, with a label each."""

    paths: list[Path]
    labels: list[str]


class Images(Source, name="images"):
    """Images in PNG, JPEG or BMP files: a folder with a folder for each class, or a CSV of paths and labels.

    A row is (H, W, C) with values 0 to 255. In a folder, the names of its folders are the classes, and images at any
    depth in them belong to the class; other files, and names that begin with a dot, are passed over. In a CSV, paths
    start from its own folder. JPEG files are turned the way that the camera says it was held; transparency is dropped;
    of 16 bits the upper 8 are kept.

    What takes at most half of the free memory (5 bytes a value: 1 as it is in the file, 4 scaled) is decoded once and
    held; of more than that, every batch is read when it is needed, by as many threads as there are cores, two batches
    ahead of the one that is trained on.
    """

    files: ClassVar[tuple[str, ...]] = ("path", "train", "validation", "test")

    path: str | None = None
    """The folder or CSV with all images; they are split by the split section."""
    train: str | None = None
    """The folder or CSV of the training part, in place of `path`."""
    validation: str | None = None
    """That of the validation part."""
    test: str | None = None
    """That of the test part."""
    resize: Annotated[Items[PositiveInt], Field(min_length=2, max_length=2)] | None = None
    """Height and width [H, W] to which every image is brought, by means over the pixels that meet (bilinear); left
    out, all must have one size."""
    color: Literal["grey", "rgb"] | None = None
    """One channel or three; left out, one where no image has colours, and three otherwise."""
    image: str = "path"
    """The column of a CSV with the paths."""
    target: str = "label"
    """The column of a CSV to predict."""
    skip_broken: bool = False
    """Leave out, with a note, images that cannot be read, rather than to stop at the first."""
    keep: Literal["memory", "disk"] | None = None
    """Where the images are while training; left out, in memory where they take at most half of what is free."""

    field_synonyms: ClassVar[dict[str, str]] = {
        "directory": "path",
        "folder": "path",
        "root": "path",
        "image_size": "resize",
        "size": "resize",
        "target_size": "resize",
        "color_mode": "color",
        "mode": "color",
        "label": "target",
        "label_column": "target",
        "image_column": "image",
    }

    @classmethod
    def value_field(cls) -> str | None:
        """``images: folder`` names the folder."""
        return "path"

    @model_validator(mode="after")
    def _path_or_parts(self) -> Self:
        if (self.path is None) == (self.train is None):
            raise PydanticCustomError("nnctl", "needs either path, or train (with validation or test).")
        if self.path is not None and (self.validation or self.test):
            raise PydanticCustomError("nnctl", "has path and a folder for a part. Write train in place of path.")
        return self

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read the images, or at least their headers."""
        if self.path is not None:
            listed = {"train": self._listed(found(self.path, base, folders=True))}
        else:
            named = {"train": self.train, "validation": self.validation, "test": self.test}
            listed = {name: self._listed(found(place, base, folders=True)) for name, place in named.items() if place}
        paths = [path for part in listed.values() for path in part.paths]
        labels = [label for part in listed.values() for label in part.labels]
        x, whole, skipped = self._read(paths)
        parts: dict[PartName, Array] = {}
        start = 0
        for name, part in listed.items() if self.path is None else ():
            rows = int(whole[start : start + len(part.paths)].sum())
            parts[cast("PartName", name)] = rows_of(sum(map(len, parts.values())), rows)
            start += len(part.paths)
        y = _values([label for label, kept in zip(labels, whole, strict=True) if kept])
        return Table(cast("Array", x), y, (), self.target, parts=parts, notes=skipped)

    def located(self, base: Path) -> Source:
        """Return the source with its paths made absolute."""
        paths = {name: getattr(self, name) for name in self.files}
        return self.model_copy(
            update={name: str(found(path, base, folders=True)) for name, path in paths.items() if path is not None}
        )

    def of_input(self, file: Path, shape: Shape, classes: Sequence[str] = ()) -> Table:
        """Return the images of a file, a folder or a CSV as rows of a shape (H, W, C); y where all labels are there.

        Raises
        ------
        DataError
            One of them cannot be read, or has another size where the source has no `resize`.
        """
        if file.is_dir():
            paths = _images_in(file)
            folders = [path.relative_to(file).parts[0] for path in paths]
            listed = _Listed(paths, folders if set(folders) <= set(classes) else [])
        elif file.suffix.lower() in SUFFIXES:
            listed = _Listed([file], [])
        else:
            listed = self._of_csv(file, labelled=False)
        if not listed.paths:
            raise DataError(f"{file}: there are no images ({', '.join(SUFFIXES)}) in it.")
        headers = headers_of(listed.paths)
        if self.resize is None:
            _common_size(listed.paths, headers, (shape[0], shape[1]))
        x = np.asarray(ImageFiles(listed.paths, (shape[0], shape[1]), shape[2]))
        return Table(x, _values(listed.labels) if listed.labels else None, (), self.target)

    # ------------------------------------------------------------------ which images

    def _listed(self, place: Path) -> _Listed:
        found = self._of_folder(place) if place.is_dir() else self._of_csv(place)
        if not found.paths:
            raise DataError(f"{place}: there are no images ({', '.join(SUFFIXES)}) in it.")
        return found

    def _of_folder(self, folder: Path) -> _Listed:
        classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry.name))
        if not classes:
            raise DataError(
                f"{folder}: has no folder for each class. Put the images of every class into a folder of its own, "
                f"or name a CSV with the columns {self.image} and {self.target}."
            )
        listed = _Listed([], [])
        for entry in classes:
            images = _images_in(entry)
            if not images:
                raise DataError(f"{entry}: there are no images ({', '.join(SUFFIXES)}) of this class. Remove it.")
            listed.paths.extend(images)
            listed.labels.extend([entry.name] * len(images))
        return listed

    def _of_csv(self, file: Path, *, labelled: bool = True) -> _Listed:
        listed = _Listed([], [])
        try:
            with file.open(newline="", encoding="utf-8-sig") as stream:
                lines = csv.DictReader(stream, skipinitialspace=True)
                columns = list(lines.fieldnames or ())
                for role, name in (("image", self.image), ("target", self.target)):
                    if name not in columns and (labelled or role == "image"):
                        raise DataError(
                            f"data.source.images.{role}: {file} has no column '{name}'."
                            f"{did_you_mean(name, columns)} Columns: {', '.join(columns) or 'none'}."
                        )
                for line in lines:
                    path, label = file.parent / (line[self.image] or ""), (line.get(self.target) or "").strip()
                    if not path.is_file():
                        raise DataError(f"{file}:{lines.line_num}: there is no image {path}.")
                    if not label and labelled:
                        raise DataError(f"{file}:{lines.line_num}: {path.name} has no {self.target}.")
                    listed.paths.append(path)
                    listed.labels.append(label)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{file}: is no CSV in UTF-8 that can be read: {error}.") from None
        if not all(listed.labels):
            listed.labels.clear()
        return listed

    # ------------------------------------------------------------------ their pixels

    def _read(self, paths: list[Path]) -> tuple[Array | ImageFiles, Array, tuple[str, ...]]:
        """Return the images, which of the paths are among them, and a note on those that are not."""
        headers = headers_of(paths, skip_broken=self.skip_broken)
        known = [header for header in headers if header is not None]
        if not known:
            raise DataError(f"none of the {counted(len(paths), 'image')} can be read; the first is {paths[0]}.")
        size = (self.resize[0], self.resize[1]) if self.resize else _common_size(paths, headers)
        channels = {"grey": 1, "rgb": 3}[self.color or ("grey" if all(h.is_grey for h in known) else "rgb")]
        files = ImageFiles(paths, size, channels)
        whole = np.ones(len(paths), bool)
        if self.skip_broken:
            whole[:] = in_threads(lambda path: _decodes(files, path), paths)
            files = ImageFiles([path for path, kept in zip(paths, whole, strict=True) if kept], size, channels)
        left_out = [path for path, kept in zip(paths, whole, strict=True) if not kept]
        notes = (f"{counted(len(left_out), 'image')} cannot be read and left out: {_first(left_out)}",)
        return (files if self._stays_on_disk(files.shape) else files[:]), whole, notes if left_out else ()

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


def _decodes(files: ImageFiles, path: Path) -> bool:
    try:
        files.decoded(path)
    except DataError:
        return False
    return True


def _images_in(folder: Path) -> list[Path]:
    """Return the images at any depth of a folder, sorted by their paths."""
    images = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        images += [Path(place, name) for name in names if Path(name).suffix.lower() in SUFFIXES and name[0] != "."]
    return sorted(images)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _values(labels: Sequence[str]) -> Array:
    """Return labels as whole numbers or decimals where all are written so, or else as texts, such as 01."""
    with suppress(ValueError):
        if all(str(int(label)) == label for label in labels):
            return np.array(labels, np.str_).astype(np.int64)
    with suppress(ValueError):
        if any("." in label for label in labels):
            return np.array(labels, np.str_).astype(np.float64)
    return np.array(labels, np.str_)


def _first(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")
