"""From a source to what a network is trained on: load, check, split, fit on the training part, transform every part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.augment.augmentation import Augmentation
from nnctl.data.columns import ColumnEncoder
from nnctl.data.dataset import Prepared, Split
from nnctl.data.dates import in_time
from nnctl.data.finite import refuse_unusable
from nnctl.data.image_files import ImageFiles, ScaledImages
from nnctl.data.prepare_series import prepare_series
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.scaling import NoScaling, Scaling
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan, split_rows
from nnctl.data.table import PartName, Table, counted, shown_rows
from nnctl.data.targets import Task, class_indices, class_names, regression_values
from nnctl.data.tokens import TextEncoder, Texts, Vocabulary, Wording

if TYPE_CHECKING:
    from nnctl.data.augment.text import TrainingTexts

__all__ = ["prepare"]

LARGE_TARGET = 10
"""A mean or standard deviation of the targets beyond this is worth a note; outputs of a new network are around 1."""


class _Tokenized(NamedTuple):
    """A table with its texts as tokens, what made them, and what a person should know."""

    table: Table
    text: TextEncoder | None = None
    notes: tuple[str, ...] = ()


def prepare(
    source: Source,
    split: SplitPlan,
    scaling: Scaling,
    *,
    task: Task,
    target_scaling: Scaling | None = None,
    seed: int = 0,
    dtype: DTypeLike = np.float32,
    base: Path | None = None,
    augment: Sequence[Augmentation] = (),
) -> Prepared:
    """Return the parts of a data set as arrays, and the preprocessing that made them.

    Whatever is learned (fills, categories, center and scale) is learned from the training part alone. Every part is
    written once, in `dtype`.

    Parameters
    ----------
    source, split, scaling, target_scaling
        What the spec's `data` section says; targets are scaled in a regression only.
    task : {"classification", "regression"}
        What the loss asks for.
    seed : int
        The run's; generated data draw from its stream "data", the split from "split".
    dtype : dtype
        Of the inputs and the regression targets; class indices are int64.
    base : Path
        The spec's directory, which relative paths start from; else the working directory.
    augment : sequence of Augmentation
        Those of texts can bring words in, which the vocabulary then has.

    Raises
    ------
    DataError
        The data cannot be read, or cannot be learned from.
    """
    table = _loaded(source, base or Path.cwd(), seed)
    if table.series is not None:
        return prepare_series(table, split, scaling, target_scaling or NoScaling(), task, dtype)
    table = _without_side_columns(table, split)
    classes = class_names(table) if task == "classification" else None
    y = regression_values(table) if classes is None else class_indices(table, classes)
    rows = split_rows(table, split, None if classes is None or y.ndim == 2 else y, classes or (), seed)

    texts = _rewritten(table, rows["train"], augment, base or Path.cwd())
    table, text, notes = _tokenized(table, rows, texts)
    x, encoder, filled = _encoded(table, rows["train"])
    notes = (*table.notes, *notes, *filled)
    affine = (NoScaling() if table.tokens is not None else scaling).fit(*_instances(x, table, rows["train"]))
    if encoder is not None:
        affine = affine.except_where(encoder.is_onehot)
    y_affine = None
    if classes is None:
        target_scaling = target_scaling or NoScaling()
        values, there = _positions(y, table, rows["train"]) if y.ndim == 3 else (y, rows["train"])
        y_affine = target_scaling.fit(values, there).spread(values.shape[1:])
        large = _large(values[there]) if isinstance(target_scaling, NoScaling) else None
        notes += (large,) if large else ()
    preprocessing = Preprocessing(
        task,
        table.features,
        x.shape[1:],
        encoder,
        affine,
        table.target,
        classes,
        y_affine,
        table.tokens,
        text,
        audio=None if table.recordings is None else table.recordings.encoder,
    )

    def part(chosen: Array) -> Split:
        targets = y[chosen] if y_affine is None else y_affine.apply(y, chosen, dtype)
        weight = None if table.weight is None else table.weight[chosen].astype(dtype)
        lengths = None if table.lengths is None else table.lengths[chosen]
        if isinstance(x, ImageFiles):
            inputs = cast("Array", ScaledImages(x, chosen, affine, np.dtype(dtype)))  # is used as one
        elif table.tokens is None:
            inputs = affine.apply(x, chosen, dtype)
        else:
            inputs = x[chosen].astype(np.int32)
        return Split(inputs, targets, weight, chosen, lengths)

    parts = {name: part(chosen) for name, chosen in rows.items()}
    recordings = table.recordings if any(step.changes_sound for step in augment) else None
    validation, test = parts.get("validation"), parts.get("test")
    return Prepared(parts["train"], validation, test, preprocessing, notes, texts=texts, recordings=recordings)


def _loaded(source: Source, base: Path, seed: int) -> Table:
    table = source.load(base, seed)
    if len(table) == 0:
        raise DataError("the data have no rows.")
    weight = table.weight
    if weight is not None:
        if weight.shape != (len(table),) or weight.dtype.kind not in "iufb":
            raise DataError(f"weights must be {len(table):,} numbers. Got shape {weight.shape} of type {weight.dtype}.")
        bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
        if len(bad):
            where = f"{counted(len(bad), 'row')} ({shown_rows(bad)})"
            raise DataError(f"weights are missing, negative or infinite in {where}. A weight is a number >= 0.")
    return table


def _without_side_columns(table: Table, split: SplitPlan) -> Table:
    """Return the table with the split's group and time columns in `side`, where they are no inputs."""
    if split.group is not None:
        groups, table = table.taken_out(split.group, "data.split.group")
        table = replace(table, side={**table.side, split.group: groups})
    if split.time is not None:
        times, table = table.taken_out(split.time, "data.split.time")
        table = replace(table, side={**table.side, split.time: in_time(times, split.time)})
    return table


def _large(y: Array) -> str | None:
    """Return one sentence on targets (N, outputs) that are large for a network, whose outputs start near 0, or None."""
    mean, spread = y.mean(0, dtype=np.float64), y.std(0, dtype=np.float64)
    size = np.maximum(np.abs(mean), spread)
    k = int(size.argmax())
    if size[k] <= LARGE_TARGET:
        return None
    return (
        f"the target has mean {mean[k]:,.1f} and spread {spread[k]:,.1f}: "
        f"data.target_scaling: standard helps a network learn it."
    )


def _instances(x: Array, table: Table, rows: Array) -> tuple[Array, Array]:
    """Return what scaling counts as a row, and which of them train: of sequences, every step that is there."""
    return _positions(x, table, rows) if table.sequence else (x, rows)


def _positions(x: Array, table: Table, rows: Array) -> tuple[Array, Array]:
    """Return all positions of sequences x (N, T, D) as rows (N T, D), and which of them are there in some sequences."""
    steps = x.shape[1]
    places = rows[:, None] * steps + np.arange(steps)
    if table.lengths is not None:
        places = places[np.arange(steps) < table.lengths[rows][:, None]]
    return x.reshape(-1, x.shape[2]), places.ravel()


def _tokenized(table: Table, rows: Mapping[PartName, Array], rewritten: TrainingTexts | None) -> _Tokenized:
    """Cut the texts of a table into tokens, if it has texts; every text is cut once."""
    if not isinstance(table.text, Wording):
        return _Tokenized(table, table.text)
    assert isinstance(table.x, np.ndarray)
    texts, train = table.x.tolist(), rows["train"]
    notes = () if rewritten is None else rewritten.notes
    learned = [*(texts[i] for i in train), *(() if rewritten is None else rewritten.brought)]
    vocabulary = Vocabulary.fit(table.text.tokenizer, learned, padded=True)
    encoded = [vocabulary.encode(text) for text in texts]
    encoder = Texts.fit(vocabulary, [encoded[i] for i in train], table.text.max_length)
    x, lengths, _ = encoder.filled(encoded, texts)
    cut = sum(len(tokens) > encoder.length for tokens in encoded)
    unseen = vocabulary.unseen(texts[i] for name, chosen in rows.items() if name != "train" for i in chosen)
    notes += (f"{counted(cut, 'text')} of more than {encoder.length} tokens cut",) if cut else ()
    notes += (unseen,) if unseen else ()
    return _Tokenized(replace(table, x=x, lengths=lengths, tokens=vocabulary.tokens), encoder, notes)


def _rewritten(table: Table, train: Array, augment: Sequence[Augmentation], base: Path) -> TrainingTexts | None:
    """Return the texts of the training part with what rewrites them, or None where nothing does."""
    if not augment or not isinstance(table.text, Wording):
        return None
    from nnctl.data.augment.text import TextAugmentation, TrainingTexts  # noqa: PLC0415 - only needed here

    steps = [step for step in augment if isinstance(step, TextAugmentation)]
    if not steps:
        return None
    texts = tuple(table.x[train])
    return TrainingTexts(texts, tuple(step.rewriter(texts, base) for step in steps))


def _encoded(table: Table, train: Array) -> tuple[Array, ColumnEncoder | None, tuple[str, ...]]:
    """Return the inputs as one numeric array, the encoder that made it of a frame, and what a person should know."""
    encoder: ColumnEncoder | None = None
    notes: tuple[str, ...] = ()
    x, features = table.x, table.features
    if math.prod(x.shape[1:]) == 0 or len(x.shape) < 2:
        raise DataError(f"the data have no input columns: x has shape {x.shape}, and (N, D) is needed.")
    if not isinstance(x, np.ndarray | ImageFiles):
        encoder = ColumnEncoder.fit(x, table.columns, train)
        notes = tuple(sentence for sentence in (encoder.filled(x), encoder.unseen(x)) if sentence)
        x, features = encoder.encode(x), encoder.features
    refuse_unusable(x, features)
    return x, encoder, notes
