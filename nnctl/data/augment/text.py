"""Augmentation of texts: the family of what rewrites them, and what needs nothing but the text itself.

The texts are rewritten before they are cut into tokens, so that words stay words whatever the tokenizer is. A word is
what stands between spaces and punctuation, which keep their places; a text without words is left alone. All words that
an augmentation can bring in are in the vocabulary beside those of the training part, as far as the tokenizer's `size`
and `min_count` let them. A row of tokens stays as long as the longest text of the training part, or `max_length`; what
a rewritten text has beyond that is cut.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float
from nnctl.data.augment.augmentation import Augmentation, Chance, Inputs, Probability

__all__ = ["RandomDeletion", "RandomSwap", "Rewriter", "TextAugmentation", "TrainingTexts", "WordAugmentation"]

WORD = re.compile(r"(\w+(?:['’-]\w+)*)")
"""A word with its apostrophes and hyphens; in a split by it, words and what stands between them take turns."""

Change = Callable[[list[str], Float], list[str]]
"""Returns the parts of a text changed: words stand at the odd places, and u has two random numbers for each."""

SomeWords = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, eq=False)
class Rewriter:
    """What rewrites training texts, made for them once.

    Parameters
    ----------
    rewrite : callable
        Returns some texts rewritten, given those texts, their places in the training part (B,), and their chance.
    brought : tuple of str
        Texts with all words that may come in, for the vocabulary.
    note : str
        What a person should know.
    """

    rewrite: Callable[[list[str], Array, Chance], list[str]]
    brought: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class TrainingTexts:
    """The texts of the training part, and what rewrites them, one after the other."""

    texts: tuple[str, ...]
    rewriters: tuple[Rewriter, ...]

    @property
    def brought(self) -> tuple[str, ...]:
        """Texts with all words that may come in."""
        return tuple(text for rewriter in self.rewriters for text in rewriter.brought)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the rewriters."""
        return tuple(rewriter.note for rewriter in self.rewriters if rewriter.note)


class TextAugmentation(Augmentation):
    """A change of texts, before they are cut into tokens."""

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse what was no text with a target of its own."""
        if not inputs.is_text:
            what = "the next token of one long text is what is learned" if inputs.is_token else "the inputs are numbers"
            return f"rewrites texts that have a target each, as those of the source texts, and here {what}."
        return None

    @abstractmethod
    def rewriter(self, texts: Sequence[str], base: Path) -> Rewriter:
        """Return what rewrites these training texts; paths start from `base`.

        Raises
        ------
        DataError
            What it needs is not there.
        """


class WordAugmentation(TextAugmentation):
    """A change of some words of a text."""

    share: SomeWords = 0.1
    """Of the words of a text, those that are changed, rounded down and at least one; alpha in the paper."""
    probability: Probability = 0.5
    """Of a text to be changed at all; the others are shown as they are."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"alpha": "share", "p": "probability"}

    def rewritten(self, change: Change, texts: list[str], _: Array, chance: Chance) -> list[str]:
        """Return the texts, each changed with its probability."""
        parted = [WORD.split(text) for text in texts]
        u = chance.uniform(1 + max(map(len, parted)))
        return [
            "".join(change(parts, numbers[1:])).strip() if numbers[0] < self.probability and len(parts) > 1 else text
            for text, parts, numbers in zip(texts, parted, u, strict=True)
        ]

    def count(self, parts: Sequence[str]) -> int:
        """Return how many words of a text are changed."""
        return max(1, int(self.share * (len(parts) // 2)))


class _Blind(WordAugmentation):
    """A change of words whatever they are."""

    def rewriter(self, texts: Sequence[str], base: Path) -> Rewriter:  # noqa: ARG002 - others need them
        """Return what changes words at random."""
        return Rewriter(partial(self.rewritten, self.change))

    @abstractmethod
    def change(self, parts: list[str], u: Float) -> list[str]:
        """Return the parts of a text changed."""


class RandomDeletion(_Blind, name="random_deletion"):
    """Every word is left out with probability `share`, with the space before it; one word always stays.

    Source: Wei and Zou (2019), "EDA: Easy data augmentation techniques for boosting performance on text classification
    tasks", section 2, arXiv:1901.11196.
    """

    share: SomeWords = 0.1
    """Probability of a word to be left out; alpha in the paper."""

    def change(self, parts: list[str], u: Float) -> list[str]:
        """Return the parts without some of the words."""
        words = np.arange(1, len(parts), 2)
        gone = u[: len(words)] < self.share
        gone[int(u[len(words)] * len(words))] &= not gone.all()
        for i in words[gone]:
            parts[i - 1], parts[i] = parts[i - 1].rstrip(), ""
        return parts


class RandomSwap(_Blind, name="random_swap"):
    """Two words of the text change places, as often as `share` says; punctuation stays where it is.

    Source: Wei and Zou (2019), "EDA: Easy data augmentation techniques for boosting performance on text classification
    tasks", section 2, arXiv:1901.11196.
    """

    def change(self, parts: list[str], u: Float) -> list[str]:
        """Return the parts with some pairs of words exchanged."""
        words = len(parts) // 2
        if words < 2:
            return parts
        for first, second in u[: 2 * self.count(parts)].reshape(-1, 2):
            i = int(first * words)
            j = (i + 1 + int(second * (words - 1))) % words
            parts[2 * i + 1], parts[2 * j + 1] = parts[2 * j + 1], parts[2 * i + 1]
        return parts
