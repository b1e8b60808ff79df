"""Tokenizers: what a text is divided into, and how the pieces make a text again."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from nnctl.core.component import Component, PositiveInt

if TYPE_CHECKING:
    from nnctl.data.tokens.vocabulary import Vocabulary

__all__ = ["Char", "Merges", "Tokenizer", "Word"]

Merges = tuple[tuple[str, str], ...]
"""The pairs that a byte-pair vocabulary joins, in the order in which it learned them."""

PIECES = re.compile(r"\n|\w+(?:['’]\w+)*|[^\w\s]")
"""A line's end, a word with its apostrophes, or any other single character that is no space."""
NO_SPACE_BEFORE = frozenset(".,;:!?)]}%\n")
NO_SPACE_AFTER = frozenset("([{\n")


class Tokenizer(Component, family="tokenizer"):
    """A way to divide texts into pieces; those of the training part become the vocabulary."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "chars": "char",
        "character": "char",
        "characters": "char",
        "words": "word",
        "byte_pair": "bpe",
        "subword": "bpe",
    }

    knows_everything: ClassVar[bool] = False
    """Whether any text can be made of its pieces, so that no unknown token is needed."""
    word_for_piece: ClassVar[str] = "token"
    """What a piece is called in messages."""

    @abstractmethod
    def learn(self, texts: Sequence[str]) -> tuple[tuple[str, ...], Merges]:
        """Return the pieces that these texts are made of, and the merges of a byte-pair vocabulary."""

    @abstractmethod
    def divider(self, vocabulary: Vocabulary) -> Callable[[str], Sequence[str]]:
        """Return the function that divides a text into pieces."""

    @abstractmethod
    def joined(self, pieces: Iterable[str]) -> str:
        """Return the text that the pieces make."""


class Char(Tokenizer, name="char"):
    """Every character is a token: a small vocabulary, no unknown words, long sequences."""

    word_for_piece = "character"

    def learn(self, texts: Sequence[str]) -> tuple[tuple[str, ...], Merges]:
        """Return the distinct characters in the order of their code points."""
        return tuple(sorted(set().union(*texts))), ()

    def divider(self, vocabulary: Vocabulary) -> Callable[[str], Sequence[str]]:  # noqa: ARG002 - a text is its pieces
        """Return the function that leaves a text as it is, a sequence of characters."""
        return lambda text: text

    def joined(self, pieces: Iterable[str]) -> str:
        """Return the characters in a row."""
        return "".join(pieces)


class Word(Tokenizer, name="word"):
    """Words, punctuation marks and line ends are tokens; other white space is not kept."""

    word_for_piece = "word"

    size: PositiveInt = 20_000
    """At most so many words are kept, the most frequent ones; the others are unknown."""
    min_count: PositiveInt = 1
    """A word that is rarer in the training part than this is unknown."""
    lower: bool = True
    """Whether upper and lower case are the same."""

    def learn(self, texts: Sequence[str]) -> tuple[tuple[str, ...], Merges]:
        """Return the most frequent words first; those that are equally frequent in the order of the alphabet."""
        counts = Counter(piece for text in texts for piece in self._pieces(text))
        ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        return tuple(word for word, count in ranked[: self.size] if count >= self.min_count), ()

    def divider(self, vocabulary: Vocabulary) -> Callable[[str], Sequence[str]]:  # noqa: ARG002 - the same for all
        """Return the function that finds the words of a text."""
        return self._pieces

    def joined(self, pieces: Iterable[str]) -> str:
        """Return the words with a space between, but for one before a full stop and the like."""
        text = ""
        for piece in pieces:
            tight = not text or piece in NO_SPACE_BEFORE or text[-1] in NO_SPACE_AFTER
            text += piece if tight else f" {piece}"
        return text

    def _pieces(self, text: str) -> list[str]:
        return PIECES.findall(text.lower() if self.lower else text)
