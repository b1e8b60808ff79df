"""A file of rows, looked at before there is a spec."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnctl.checks.data.view import View, targets
from nnctl.core.errors import UsageError
from nnctl.data.sources import Source
from nnctl.data.sources.frames import FrameFile
from nnctl.data.sources.idx import as_rows, read_idx
from nnctl.data.sources.paths import found
from nnctl.data.table import Table
from nnctl.experiment.inspection import look_at

__all__ = ["view_of_file"]


def view_of_file(path: Path, target: str | None) -> tuple[View, tuple[str, ...]]:
    """Return the view on a file, and what a person should know of how it was read.

    Raises
    ------
    UsageError
        It is of no kind that can be read, or has no such column.
    DataError
        It cannot be read, or its targets cannot be used.
    """
    if path.suffix.lower() in {".gz", ".idx"} or path.name.endswith("-ubyte"):
        return _view_of_idx(path, target)
    base = Path.cwd()
    looked = look_at(str(path), base, target)
    source = Source.parse(looked.source)
    if isinstance(source, FrameFile):
        source = source.model_copy(update={"drop": ()})
    table = source.load(base, 0)
    y, classes = targets(table, looked.task)
    remarks = tuple(remark for remark in looked.remarks if "is left out" not in remark and "test part" not in remark)
    return View(table, table, {"train": np.arange(len(table))}, y, classes), remarks


def _view_of_idx(path: Path, target: str | None) -> tuple[View, tuple[str, ...]]:
    """Return the view on images, with the labels of the file beside it that MNIST would call them by."""
    if target is not None:
        raise UsageError("--target names a column; an idx file has none.")
    x = read_idx(found(str(path), Path.cwd()))
    if x.ndim < 3:
        raise UsageError(f"{path}: holds an array of shape {x.shape}, such as labels. Name the file of the images.")
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    y = read_idx(beside) if beside != path and beside.is_file() else None
    images, features = as_rows(x, "image")
    table = Table(images, y if y is not None and y.shape == (len(x),) else None, features, "label")
    parts = {"train": np.arange(len(table))}
    if table.y is None:
        return View(table, table, parts, None, None), ("there are no labels beside it",)
    return View(table, table, parts, *targets(table, "classification")), (f"labels are those of {beside.name}",)
