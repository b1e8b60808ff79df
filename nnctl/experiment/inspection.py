"""A look at a data set before there is a spec: what to predict, what kind of task it is, what to watch out for."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from nnctl.core.component import did_you_mean
from nnctl.core.errors import DataError, UsageError
from nnctl.core.mistakes import problems_of
from nnctl.data.cards import card_names, read_card
from nnctl.data.dates import dates_of
from nnctl.data.numerals import DecimalMark, decimal_marks, refuse_decimal_marks
from nnctl.data.sources import Source
from nnctl.data.sources.card import FromCard
from nnctl.data.sources.delimited import Csv, Tsv
from nnctl.data.sources.frames import FrameFile
from nnctl.data.sources.npz import Npz
from nnctl.data.sources.parquet import Parquet
from nnctl.data.table import Table, counted
from nnctl.data.targets import Task, class_indices, class_names, regression_values

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Findings", "look_at"]

TARGET_NAMES = ("target", "label", "class", "y")
FILES: dict[str, type[Source]] = {".csv": Csv, ".tsv": Tsv, ".parquet": Parquet, ".npz": Npz}
FEW = 10
"""A column of whole numbers with at most so many values may hold codes."""


@dataclass(frozen=True)
class Findings:
    """What was found out about a data set.

    Parameters
    ----------
    source : object
        The source as a spec spells it.
    title : str
        What it is, in a few words.
    rows, features : int
        How many rows, and how many numbers in one.
    task : {"classification", "regression"}
    classes : int
        How many; 0 for a regression.
    rarest : tuple of (str, float)
        The name and the share of the class with the fewest rows; the name is empty for a regression.
    is_image : bool
        Whether a row is a picture of 8-bit grey values.
    has_test : bool
        Whether the source has a test part of its own.
    has_texts, has_missing : bool
        Whether columns hold texts, and whether values are missing.
    codes : tuple of str
        Columns of few whole numbers, which may be codes and no quantities.
    time : str
        The column whose dates order the rows; empty where there is none.
    remarks : tuple of str
        What a person should know of what was decided.
    """

    source: Any
    title: str
    rows: int
    features: int
    task: Task
    classes: int = 0
    rarest: tuple[str, float] = ("", 1.0)
    is_image: bool = False
    has_test: bool = False
    has_texts: bool = False
    has_missing: bool = False
    codes: tuple[str, ...] = ()
    time: str = ""
    remarks: tuple[str, ...] = ()


def look_at(source: str, base: Path, target: str | None = None) -> Findings:
    """Look at a file, or at a source by its name.

    Parameters
    ----------
    source : str
        ``digits``, ``mnist``, ``people.csv``.
    base : Path
        The directory of the spec to be, from which paths in it start.
    target : str, optional
        The column of a file to predict; left out, it is guessed.

    Raises
    ------
    UsageError
        There is no such source or file.
    DataError
        The data cannot be read, or nothing can be learned from them.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() in FILES or path.exists():
        return _of_file(path, base, target)
    if target is not None:
        raise UsageError("--target names a column of a file. A named data set has its own target.")
    return _of_name(source, base)


def _of_name(name: str, base: Path) -> Findings:
    known = {*Source.members(), *card_names()}
    if name not in known:
        hint = did_you_mean(name, sorted(known), Source.synonyms) or f" Known: {', '.join(sorted(known))}."
        raise UsageError(f"there is no data set and no file '{name}'.{hint}")
    try:
        source = Source.parse(name)
    except ValidationError as error:
        said = " ".join(f"{loc[-1]} {sentence}" for loc, sentence in problems_of(error))
        raise UsageError(f"{name} alone says too little: {said} Name a file: nnctl init data.csv") from None
    if isinstance(source, FromCard) and "idx" in read_card(name).source:
        card = read_card(name)
        return Findings(name, card.title, 60_000, 784, "classification", 10, is_image=True, has_test=True)
    return _of_table(source.load(base, 0), name, name)


# ------------------------------------------------------------------ files


def _of_file(path: Path, base: Path, target: str | None) -> Findings:
    kind = FILES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: is of no kind that can be looked at. Known: {', '.join(FILES)}.")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    written = _relative(path, base)
    if kind is Npz:
        if target is not None:
            raise UsageError("--target names a column; in an npz file the targets are the array y.")
        return _of_table(Npz(path=str(path.resolve())).load(base, 0), {"npz": written}, path.name)
    assert issubclass(kind, FrameFile)
    settings = _layout_of(path, kind) if issubclass(kind, Csv) else {}
    reader = kind(path=str(path), target=target or "", **settings)
    frame = reader.read(path)
    if issubclass(kind, Csv):
        mark = _decimal_mark(frame)
        settings |= {} if mark == "." else {"decimal": mark}
        reader = reader.model_copy(update={"decimal": mark})
    frame = reader.typed(frame)
    if len(frame) == 0:
        raise DataError(f"{path}: there are no rows.")
    chosen = target or _guessed_target(frame)
    if chosen not in frame.columns:
        raise UsageError(
            f"{path}: there is no column '{chosen}'.{did_you_mean(chosen, frame.columns)} "
            f"Columns: {', '.join(frame.columns[:20])}."
        )
    inputs = frame.drop(chosen)
    time = next((column.name for column in inputs if _tells_time(column)), "")
    useless = dict(_useless(inputs.drop(time, strict=False)))
    table = reader.table_of(frame.drop(time, *useless, strict=False), chosen, {})
    remarks = [f"column '{chosen}' is taken for the target; --target names another"] if target is None else []
    remarks += ["the first line is taken for data and not for names"] if settings.get("header") is False else []
    remarks += (
        [f"the file is no UTF-8 and is read as {settings['text_encoding']}"] if "text_encoding" in settings else []
    )
    remarks += ["numbers are read with a decimal comma"] if "decimal" in settings else []
    remarks += [f"column '{time}' holds dates: the latest rows become the test part"] if time else []
    remarks += [f"column '{name}' is left out: {reason}" for name, reason in useless.items()]
    drop = {"drop": list(useless)} if useless else {}
    spelled = {kind.name: {"path": written, "target": chosen, **settings, **drop}}
    return replace(_of_table(table, spelled, path.name, remarks), time=time)


def _relative(path: Path, base: Path) -> str:
    """Return the path as the spec writes it: from its own directory, or absolute if it lies elsewhere."""
    whole, base = path.resolve(), base.resolve()
    return str(whole.relative_to(base) if whole.is_relative_to(base) else whole)


def _layout_of(path: Path, kind: type[Csv]) -> dict[str, Any]:
    """Return how a text file is laid out where that is not as usual: its encoding, its separator, no header."""
    encoding = _encoding_of(path)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        first = file.readline().removeprefix("\ufeff")
    usual = kind.model_fields["separator"].default
    rivals = re.sub(r"(?<=\d),(?=\d)", "", first) if {";", "\t"} & set(first) else first  # without decimal commas
    separator = max((usual, ",", ";", "\t", "|"), key=rivals.count)
    found: dict[str, Any] = {} if encoding == "utf-8" else {"text_encoding": encoding}
    found |= {} if separator == usual or not first.count(separator) else {"separator": separator}
    cells = next(csv.reader([first], delimiter=separator), [])
    numbers = sum(map(_is_number, cells))
    return found | ({"header": False} if numbers > len(cells) / 4 else {})  # names of columns are hardly ever numbers


def _encoding_of(path: Path) -> str:
    """Return what the bytes of a file can be: UTF-8 if they are, or else what most other files are in."""
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "cp1252"):
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "utf-8"  # it is not, and reading it says where


def _decimal_mark(texts: pl.DataFrame) -> DecimalMark:
    """Return the mark that the numbers of a file have; where they have both, the first with a comma is refused."""
    with_comma = [column for column in texts if "," in decimal_marks(column)]
    if not with_comma:
        return "."
    if any("." in decimal_marks(column) for column in texts):
        refuse_decimal_marks(with_comma[0])
    return ","


def _is_number(text: str) -> bool:
    """Return whether a cell holds a number, with a decimal point or a decimal comma."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _guessed_target(frame: pl.DataFrame) -> str:
    by_word = {name.casefold(): name for name in frame.columns}
    named = [by_word[word] for word in TARGET_NAMES if word in by_word]
    undated = [column.name for column in frame if not _holds_dates(column)]
    return (named or undated[-1:] or frame.columns[-1:])[0]


def _holds_dates(column: pl.Series) -> bool:
    return not column.dtype.is_numeric() and dates_of(column) is not None


def _tells_time(column: pl.Series) -> bool:
    """Whether a column can order the rows in time: a date in every row, and not the same one."""
    return _holds_dates(column) and column.null_count() == 0 and column.n_unique() > 1


def _useless(frame: pl.DataFrame) -> Iterable[tuple[str, str]]:
    """Yield the columns that nothing can be learned from, and why."""
    n = len(frame)
    for column in frame:
        distinct = column.drop_nulls().n_unique()
        is_text = not column.dtype.is_numeric()
        if distinct <= 1:
            yield column.name, "it has one value only" if distinct else "it has no value"
        elif _holds_dates(column):
            yield column.name, "it holds dates"
        elif is_text and n > 20 and distinct > max(FEW, 0.9 * n):
            yield column.name, f"{distinct:,} distinct texts in {counted(n, 'row')} look like an identifier"
        elif is_text and distinct > 100:
            yield column.name, f"it has {distinct:,} distinct texts, too many for categories"
        elif column.dtype.is_integer() and n > 20 and distinct == n and _counts_up(column):
            yield column.name, "it numbers the rows"


def _counts_up(column: pl.Series) -> bool:
    steps = column.diff().drop_nulls()
    return column.null_count() == 0 and bool((steps == 1).all())


# ------------------------------------------------------------------ rows and targets


def _of_table(table: Table, source: Any, title: str, remarks: Iterable[str] = ()) -> Findings:
    task, classes, rarest = _task_of(table)
    frame = None if isinstance(table.x, np.ndarray) else table.x
    features = int(np.prod(np.shape(table.x)[1:])) if frame is None else len(frame.columns)
    pixels = isinstance(table.x, np.ndarray) and table.x.dtype == np.uint8
    return Findings(
        source,
        title,
        len(table),
        features,
        task,
        classes,
        rarest,
        is_image=pixels,
        has_test="test" in table.parts,
        has_texts=frame is not None and any(not dtype.is_numeric() for dtype in frame.dtypes),
        has_missing=frame is not None and any(column.null_count() for column in frame),
        codes=() if frame is None else tuple(c.name for c in frame if c.dtype.is_integer() and 2 < c.n_unique() <= FEW),
        remarks=tuple(remarks),
    )


def _task_of(table: Table) -> tuple[Task, int, tuple[str, float]]:
    """Return the task, how many classes there are, and the rarest of them with its share."""
    y = table.y
    assert y is not None
    if table.classes is None and y.dtype.kind in "iuf" and not _is_few(y):
        regression_values(table)
        return "regression", 0, ("", 1.0)
    names = class_names(table)
    if len(names) > max(100, len(table) // 5):
        raise DataError(f"target '{table.target}' has {len(names):,} distinct texts. Name another with --target.")
    counts = np.bincount(class_indices(table, names), minlength=len(names))
    k = int(counts.argmin())
    return "classification", len(names), (names[k], float(counts[k] / len(table)))


def _is_few(y: Any) -> bool:
    """Whether numbers are class labels rather than a quantity: few whole ones, each of them several times."""
    if y.ndim > 1 and y.shape[1] > 1:
        return False
    try:
        class_names(Table(y, y.reshape(-1)))
    except DataError:
        return False
    return len(np.unique(y)) <= 20
