"""Files with a label each, such as images or recordings: a folder for each class, or a CSV of paths and labels."""

from __future__ import annotations

import csv
import os
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array
from nnctl.core.component import did_you_mean
from nnctl.core.errors import DataError
from nnctl.data.sources.frames import LONGEST_LABEL
from nnctl.data.sources.paths import found
from nnctl.data.sources.source import Source
from nnctl.data.table import PartName, Table, counted, rows_of

__all__ = ["LabelledFiles", "Listed", "first_of", "values_of"]


@dataclass(frozen=True)
class Listed:
    """The files of one part, with a label each; without any where some have none."""

    paths: list[Path]
    labels: list[str]

    def those(self, chosen: Sequence[bool] | Array) -> Listed:
        """Return the chosen ones of them."""
        return Listed(list(compress(self.paths, chosen)), list(compress(self.labels, chosen)))


class LabelledFiles(Source):
    """A file a row: a folder with a folder for each class, or a CSV of paths and labels."""

    kind: ClassVar[str]
    """What a file holds: image, recording."""
    suffixes: ClassVar[tuple[str, ...]]
    """How the names of such files end."""
    files: ClassVar[tuple[str, ...]] = ("path", "train", "validation", "test")

    path: str | None = None
    """The folder or CSV with all files; they are split by the split section."""
    train: str | None = None
    """The folder or CSV of the training part, in place of `path`."""
    validation: str | None = None
    """That of the validation part."""
    test: str | None = None
    """That of the test part."""
    target: str = "label"
    """The column of a CSV to predict."""
    skip_broken: bool = False
    """Leave out, with a note, files that cannot be read, rather than to stop at the first."""

    field_synonyms: ClassVar[dict[str, str]] = {
        "directory": "path",
        "folder": "path",
        "root": "path",
        "label": "target",
        "label_column": "target",
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

    @property
    @abstractmethod
    def column(self) -> tuple[str, str]:
        """The field that names the column of paths in a CSV, and its value."""

    @abstractmethod
    def read(self, paths: Sequence[Path]) -> tuple[Table, Array]:
        """Return a table of the files that can be read, without targets, and which of the paths they are, bool."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read the files, or at least their headers."""
        named = {"train": self.path or self.train, "validation": self.validation, "test": self.test}
        listed = {name: self._listed(found(place, base, folders=True)) for name, place in named.items() if place}
        labels = [label for part in listed.values() for label in part.labels]
        table, whole = self.read([path for part in listed.values() for path in part.paths])
        parts: dict[PartName, Array] = {}
        start = 0
        for name, part in listed.items() if self.path is None else ():
            rows = int(whole[start : start + len(part.paths)].sum())
            parts[cast("PartName", name)] = rows_of(sum(map(len, parts.values())), rows)
            start += len(part.paths)
        y = values_of([label for label, kept in zip(labels, whole, strict=True) if kept])
        return replace(table, y=y, target=self.target, parts=parts)

    def located(self, base: Path) -> Source:
        """Return the source with its paths made absolute."""
        paths = {name: getattr(self, name) for name in self.files}
        return self.model_copy(
            update={name: str(found(path, base, folders=True)) for name, path in paths.items() if path is not None}
        )

    def listed_in(self, file: Path, classes: Sequence[str]) -> Listed:
        """Return what a file, a folder or a CSV holds that is to be predicted, with labels where all are there.

        Raises
        ------
        DataError
            There is nothing of the kind in it.
        """
        if file.is_dir():
            paths = self._inside(file)
            folders = [path.relative_to(file).parts[0] for path in paths]
            listed = Listed(paths, folders if set(folders) <= set(classes) else [])
        elif file.suffix.lower() in self.suffixes:
            listed = Listed([file], [])
        else:
            listed = self._of_csv(file, labelled=False)
        return self._not_empty(listed, file)

    def named(self, listed: Listed, given: Path) -> tuple[str, ...]:
        """Return what the files of an input are called: their places in the folder, or beside the list."""
        folder = given if given.is_dir() else given.parent
        return tuple(os.path.relpath(path, folder) for path in listed.paths)

    def _listed(self, place: Path) -> Listed:
        return self._not_empty(self._of_folder(place) if place.is_dir() else self._of_csv(place), place)

    def _not_empty(self, listed: Listed, place: Path) -> Listed:
        if not listed.paths:
            raise DataError(f"{place}: there are no {self.kind}s ({', '.join(self.suffixes)}) in it.")
        return listed

    def _of_folder(self, folder: Path) -> Listed:
        classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry.name))
        if not classes:
            raise DataError(
                f"{folder}: has no folder for each class. Put the {self.kind}s of every class into a folder of its "
                f"own, or name a CSV with the columns {self.column[1]} and {self.target}."
            )
        listed = Listed([], [])
        for entry in classes:
            inside = self._inside(entry)
            if not inside:
                raise DataError(
                    f"{entry}: there are no {self.kind}s ({', '.join(self.suffixes)}) of this class. Remove it."
                )
            listed.paths.extend(inside)
            listed.labels.extend([entry.name] * len(inside))
        return listed

    def _of_csv(self, file: Path, *, labelled: bool = True) -> Listed:
        listed = Listed([], [])
        role, column = self.column
        wanted = {role: column, "target": self.target} if labelled else {role: column}
        try:
            with file.open(newline="", encoding="utf-8-sig") as stream:
                lines = csv.DictReader(stream, skipinitialspace=True)
                columns = list(lines.fieldnames or ())
                for field, name in wanted.items():
                    if name not in columns:
                        raise DataError(
                            f"data.source.{self.name}.{field}: {file} has no column '{name}'."
                            f"{did_you_mean(name, columns)} Columns: {', '.join(columns) or 'none'}."
                        )
                for line in lines:
                    path, label = _within(file, line[column] or ""), (line.get(self.target) or "").strip()
                    if path is None:
                        raise DataError(
                            f"{file}:{lines.line_num}: {line[column]} leads out of {file.parent}, where the list is. "
                            f"Put the list into a folder above all its {self.kind}s."
                        )
                    if not path.is_file():
                        raise DataError(f"{file}:{lines.line_num}: there is no {self.kind} {path}.")
                    if not label and labelled:
                        raise DataError(f"{file}:{lines.line_num}: {path.name} has no {self.target}.")
                    if len(label) > LONGEST_LABEL:
                        raise DataError(
                            f"{file}:{lines.line_num}: the {self.target} has {len(label):,} characters; a label has at "
                            f"most {LONGEST_LABEL:,}."
                        )
                    listed.paths.append(path)
                    listed.labels.append(label)
        except (UnicodeDecodeError, csv.Error, OSError) as error:
            raise DataError(f"{file}: is no CSV in UTF-8 that can be read: {error}.") from None
        if not all(listed.labels):
            listed.labels.clear()
        return listed

    def _inside(self, folder: Path) -> list[Path]:
        """Return the files of the kind at any depth of a folder, sorted by their paths."""
        inside = []
        for place, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not _is_hidden(name)]
            inside += [
                Path(place, name) for name in names if Path(name).suffix.lower() in self.suffixes and name[0] != "."
            ]
        return sorted(inside)

    def refuse_none(self, paths: Sequence[Path], whole: Sequence[bool] | Array) -> None:
        """Raise where none of the paths can be read, as `whole` says of each."""
        if not any(whole):
            some = f"none of the {len(paths):,} {self.kind}s can be read; the first is {paths[0]}."
            raise DataError(some if len(paths) > 1 else f"{paths[0]}: cannot be read.")

    def left_out(self, paths: Sequence[Path], whole: Sequence[bool] | Array) -> tuple[str, ...]:
        """Return a note on those of the paths that cannot be read, where there are such."""
        left_out = [path for path, kept in zip(paths, whole, strict=True) if not kept]
        are = "is" if len(left_out) == 1 else "are"
        said = f"{counted(len(left_out), self.kind)} cannot be read and {are} left out: {first_of(left_out)}"
        return (said,) if left_out else ()


def _within(file: Path, path: str) -> Path | None:
    """Return what a path in a list names; None where it leads out of the list's folder."""
    whole = os.path.normpath(file.parent / path)
    return Path(whole) if os.path.commonpath([whole, file.parent]) == str(file.parent) else None


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def values_of(labels: Sequence[str]) -> Array:
    """Return labels as whole numbers or decimals where all are written so, or else as texts, such as 01."""
    with suppress(ValueError):
        if all(str(int(label)) == label for label in labels):
            return np.array(labels, np.str_).astype(np.int64)
    with suppress(ValueError):
        if any("." in label for label in labels):
            return np.array(labels, np.str_).astype(np.float64)
    return np.array(labels, np.str_)


def first_of(paths: Sequence[Path]) -> str:
    """Return the first three paths, for messages."""
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")
