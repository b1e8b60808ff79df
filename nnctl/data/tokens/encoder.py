"""What makes rows of tokens of texts: one row a text, or windows over one long text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.tokens.tokenizer import Tokenizer
from nnctl.data.tokens.vocabulary import Vocabulary

__all__ = ["TextEncoder", "Texts", "TokenRows", "Windows", "Wording"]


@dataclass(frozen=True)
class Wording:
    """How texts become tokens, as a spec says it; the vocabulary is learned from the training part.

    Parameters
    ----------
    tokenizer : Tokenizer
    max_length : int
        Longer texts are cut.
    """

    tokenizer: Tokenizer
    max_length: int


class TokenRows(NamedTuple):
    """Rows of tokens.

    Parameters
    ----------
    x : int32 array (N, T)
    lengths : int array (N,) or None
        How many tokens of every row are there; None where all are.
    y : int64 array (N, T) or None
        The token that follows each, where that is what is learned.
    """

    x: Array
    lengths: Array | None = None
    y: Array | None = None


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """What makes rows of tokens of texts, kept with the run.

    Parameters
    ----------
    vocabulary : Vocabulary
    length : int
        How long a row is, T.
    """

    kind: ClassVar[str]

    vocabulary: Vocabulary
    length: int

    @abstractmethod
    def rows(self, texts: Sequence[str]) -> TokenRows:
        """Return the texts as rows of tokens.

        Raises
        ------
        DataError
            A text has no token.
        """

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"kind": self.kind, "length": self.length, "vocabulary": self.vocabulary.to_plain()}

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> TextEncoder:
        """Return what ``to_plain`` was given."""
        member = {cls.kind: cls for cls in (Texts, Windows)}[plain["kind"]]
        return member(Vocabulary.from_plain(plain["vocabulary"]), plain["length"])


@dataclass(frozen=True, eq=False)
class Texts(TextEncoder):
    """One row for every text, filled up with padding to the longest."""

    kind = "texts"

    @classmethod
    def fit(cls, vocabulary: Vocabulary, encoded: Sequence[Array], max_length: int) -> Self:
        """Return rows as long as the longest of the training texts, whose tokens are given, or as the limit."""
        return cls(vocabulary, min(max(map(len, encoded)), max_length))

    def rows(self, texts: Sequence[str]) -> TokenRows:
        """Return x (N, T), cut at T and filled up with 0, and the lengths."""
        return self.filled([self.vocabulary.encode(text) for text in texts], texts)

    def filled(self, encoded: Sequence[Array], texts: Sequence[str]) -> TokenRows:
        """Return the tokens of texts as x (N, T), cut at T and filled up with 0, and the lengths."""
        x = np.zeros((len(texts), self.length), np.int32)
        lengths = np.empty(len(texts), np.int64)
        for i, (whole, text) in enumerate(zip(encoded, texts, strict=True)):
            tokens = whole[: self.length]
            if not len(tokens):
                raise DataError(
                    f"row {i + 1}: the text {text[:40]!r} has no {self.vocabulary.tokenizer.word_for_piece} in it, and "
                    f"a sequence of length 0 says nothing. Remove the row."
                )
            x[i, : len(tokens)] = tokens
            lengths[i] = len(tokens)
        return TokenRows(x, lengths)


@dataclass(frozen=True, eq=False)
class Windows(TextEncoder):
    """Windows over one long text, each with the token that follows every one of its tokens."""

    kind = "windows"

    def rows(self, texts: Sequence[str]) -> TokenRows:
        """Return windows side by side over each text, x and y (N, T), so that every token but the first is a target.

        The last window of a text is mostly shorter, and filled up.
        """
        found = [self._side_by_side(self.vocabulary.encode(text)) for text in texts]
        x, lengths, y = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return TokenRows(x, lengths, y)

    def full(self, tokens: Array, stride: int) -> tuple[Array, Array]:
        """Return windows that begin every `stride` tokens, x and y (N, T), as far as they are full."""
        starts = np.arange(0, len(tokens) - self.length, stride)
        places = starts[:, None] + np.arange(self.length)
        return tokens[places], tokens[places + 1].astype(np.int64)

    def _side_by_side(self, tokens: Array) -> tuple[Array, Array, Array]:
        targets = len(tokens) - 1
        if targets < 1:
            raise DataError("the text has fewer than two tokens, so that none follows another. Give a longer one.")
        n = -(-targets // self.length)
        filled = np.zeros(n * self.length + 1, np.int32)
        filled[: len(tokens)] = tokens
        lengths = np.full(n, self.length)
        lengths[-1] = targets - (n - 1) * self.length
        shape = (n, self.length)
        return filled[:-1].reshape(shape), lengths, filled[1:].reshape(shape).astype(np.int64)
