"""The first spec for texts that have a class each: an embedding, a small recurrent network, and comments."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnctl.core import yaml
from nnctl.core.errors import DataError
from nnctl.core.mistakes import Loc
from nnctl.data.sources.delimited import Csv, Tsv
from nnctl.data.sources.frames import FrameFile
from nnctl.data.sources.labelled_texts import JSON_LINES, LabelledTexts
from nnctl.data.sources.parquet import Parquet
from nnctl.experiment.inspection import TARGET_NAMES

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Texts", "texts_of", "texts_spec"]

LONGEST_LINE = 10_000_000
WORDS = 3
"""Cells of fewer words on average are names and no texts."""
OTHERS = 1
"""A file with more columns beside text and target, such as a number of the row, is a table."""


@dataclass(frozen=True)
class Texts:
    """A file of texts with a class each.

    Parameters
    ----------
    path : str
        As the spec writes it.
    text, target : str
        Its columns.
    rows, classes : int
    """

    path: str
    text: str
    target: str
    rows: int
    classes: int


def texts_of(source: str, base: Path, target: str | None = None) -> Texts | None:
    """Return what a file of labelled texts holds; None where it is no such file.

    Parameters
    ----------
    source : str
        A .jsonl, .csv, .tsv or .parquet file.
    base : Path
        The directory of the spec to be.
    target : str, optional
        The column to predict; left out, it is guessed.

    Raises
    ------
    DataError
        A .jsonl file cannot be read, or holds no such texts.
    """
    path = Path(source).expanduser()
    is_lines = path.suffix.lower() in JSON_LINES
    if not path.is_file() or not (is_lines or path.suffix.lower() in {".csv", ".tsv", ".parquet"}):
        return None
    try:
        frame = _frame(path, target)
    except DataError:
        if is_lines:
            raise
        return None  # the look at tables says what is wrong, or knows how to read it
    found = _columns(frame, target)
    if found is None:
        if is_lines:
            raise DataError(f"{path}: has no key with texts of several words beside one with a class for each.")
        return None
    whole, base = path.resolve(), base.resolve()
    written = str(whole.relative_to(base) if whole.is_relative_to(base) else whole)
    return Texts(written, *found, len(frame), frame[found[1]].n_unique())


def _frame(path: Path, target: str | None) -> pl.DataFrame:
    """Return the columns of a file; of objects the longest text of the first, and what may be its class."""
    suffix = path.suffix.lower()
    if suffix not in JSON_LINES:
        kinds: dict[str, type[FrameFile]] = {".csv": Csv, ".tsv": Tsv, ".parquet": Parquet}
        return kinds[suffix](path=str(path), target="").read(path)
    first = _first_object(path)
    text = max(first, key=lambda key: len(first[key]) if isinstance(first[key], str) else -1, default="")
    others = [key for key in first if key != text]
    label = target or next((key for key in others if key.casefold() in TARGET_NAMES), "".join(others[:1]))
    return LabelledTexts(path=str(path), text=text, target=label).read(path)


def _first_object(path: Path) -> dict[str, Any]:
    """Return the object of the first line; an empty one where that is none, which reading tells."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(LONGEST_LINE))
    except ValueError:
        return {}
    return first if isinstance(first, dict) else {}


def _columns(frame: pl.DataFrame, target: str | None) -> tuple[str, str] | None:
    """Return the columns of texts and of classes, if it is clear which they are."""
    written = [column.name for column in frame if _is_written(column)]
    others = [name for name in frame.columns if name not in written]
    labels = [name for name in others if name.casefold() in TARGET_NAMES] or others
    label = target or (labels[0] if len(labels) == 1 else None)
    if len(written) != 1 or label not in others or len(others) > 1 + OTHERS:
        return None
    classes = frame[label]
    return (written[0], label) if 2 <= classes.n_unique() <= max(2, len(frame) // 5) else None


def _is_written(column: pl.Series) -> bool:
    """Whether a column holds texts that people wrote, of some words each and hardly two alike."""
    import polars as pl  # noqa: PLC0415 - 150 ms

    there = column.drop_nulls()
    if column.dtype != pl.String or not len(there) or there.n_unique() <= len(there) / 2:
        return False
    words = there.str.count_matches(r"\S+").mean()
    return isinstance(words, float) and words >= WORDS


def texts_spec(texts: Texts, name: str, command: str) -> str:
    """Return the text of a spec that tells the classes of texts apart.

    Parameters
    ----------
    texts : Texts
    name : str
        What its runs are called.
    command : str
        What was typed to get it.
    """
    spec: dict[str, Any] = {
        "name": name,
        "seed": 0,
        "data": {"source": {"texts": {"path": texts.path, "text": texts.text, "target": texts.target}}},
        "architecture": [
            {"embedding": 32},
            {"dropout": 0.2},
            {"lstm": {"units": 32, "bidirectional": "concat", "returns": "mean"}},
            {"dense": "outputs"},
        ],
        "loss": "cross_entropy",
        "optimizer": {"adam": {"lr": 0.003}},
        "clip": {"norm": 1.0},
        "training": {"epochs": 10 if texts.rows >= 512 else 40, "batch_size": max(1, min(32, texts.rows // 4))},
        "metrics": ["accuracy"],
    }
    return yaml.dump(spec, _comments(command))


def _comments(command: str) -> dict[Loc, str]:
    """Return what stands above each key."""
    return {
        (): (
            f"Texts with a class each: a starting point, written by `{command}`.\n"
            "nnctl validate     checks this file and shows the network\n"
            "nnctl train        trains it; then: nnctl predict RUN FILE, a text a line\n"
            "nnctl explain NAME tells what a word means, and what could stand for it\n"
        ),
        ("seed",): "\nThe one number that all chance follows from.",
        ("data",): (
            "\n15 % of the rows validate and 15 % test. A token is a word; others: tokenizer: char, bpe. The "
            "vocabulary is that of the training part."
        ),
        ("architecture",): (
            "\nA vector for every token, states that read them from both ends, their mean; what padding fills up, is "
            "passed over. Also: transformer_encoder, or conv1d and global_max_pool. Few texts want more dropout."
        ),
        ("loss",): "\nWhat is made small: minus the log of the probability of the true class.",
        ("optimizer",): "\nHow weights follow the gradient. The learning rate lr matters most of all: nnctl lr-find",
        ("clip",): "\nA limit on the length of the gradient, which can grow where a state goes through many steps.",
        ("training",): "\nAn epoch sees every text once.",
    }
