"""From the texts of a table to tokens: what rewrites the training part, and the vocabulary learned from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnctl.core.arrays import Array
from nnctl.data.augment.augmentation import Augmentation
from nnctl.data.table import PartName, Table, counted
from nnctl.data.tokens import TextEncoder, Texts, Vocabulary, Wording

if TYPE_CHECKING:
    from nnctl.data.augment.text import TrainingTexts

__all__ = ["Tokenized", "tokenized", "training_texts"]


class Tokenized(NamedTuple):
    """A table with its texts as tokens, what made them, and what a person should know."""

    table: Table
    encoder: TextEncoder | None = None
    notes: tuple[str, ...] = ()


def training_texts(table: Table, train: Array, augment: Sequence[Augmentation], base: Path) -> TrainingTexts | None:
    """Return the texts of the training part with what rewrites them, or None where nothing does."""
    if not augment or not isinstance(table.text, Wording):
        return None
    from nnctl.data.augment.text import TextAugmentation, TrainingTexts  # noqa: PLC0415 - only needed here

    steps = [step for step in augment if isinstance(step, TextAugmentation)]
    if not steps:
        return None
    texts = tuple(table.x[train])
    return TrainingTexts(texts, tuple(step.rewriter(texts, base) for step in steps))


def tokenized(table: Table, rows: Mapping[PartName, Array], rewritten: TrainingTexts | None) -> Tokenized:
    """Cut the texts of a table into tokens, if it has texts; every text is cut once.

    The vocabulary is learned from the training part and from the words that rewriting it can bring in.
    """
    if not isinstance(table.text, Wording):
        return Tokenized(table, table.text)
    assert isinstance(table.x, np.ndarray)
    texts, train = table.x.tolist(), rows["train"]
    brought, notes = ((), ()) if rewritten is None else (rewritten.brought, rewritten.notes)
    vocabulary = Vocabulary.fit(table.text.tokenizer, [*(texts[i] for i in train), *brought], padded=True)
    encoded = [vocabulary.encode(text) for text in texts]
    encoder = Texts.fit(vocabulary, [encoded[i] for i in train], table.text.max_length)
    x, lengths, _ = encoder.filled(encoded, texts)
    cut = sum(len(tokens) > encoder.length for tokens in encoded)
    unseen = vocabulary.unseen(texts[i] for name, chosen in rows.items() if name != "train" for i in chosen)
    notes += (f"{counted(cut, 'text')} of more than {encoder.length} tokens cut",) if cut else ()
    notes += (unseen,) if unseen else ()
    return Tokenized(replace(table, x=x, lengths=lengths, tokens=vocabulary.tokens), encoder, notes)
