"""Vocabulary: the tokens of the training part, by number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.tokens.tokenizer import Merges, Tokenizer

__all__ = ["PADDING", "UNKNOWN", "Vocabulary"]

PADDING = "<pad>"
"""What fills a row up to the longest; it is token 0 where there is one."""
UNKNOWN = "<unk>"
"""What stands for every piece that the training part does not have."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What the numbers of tokens stand for, learned from the training part.

    Parameters
    ----------
    tokenizer : Tokenizer
        What divides a text.
    tokens : tuple of str
        The pieces by number, padding and the unknown first, where there are such.
    merges : tuple of pairs of str
        Those of a byte-pair vocabulary.
    """

    tokenizer: Tokenizer
    tokens: tuple[str, ...]
    merges: Merges = ()

    @classmethod
    def fit(cls, tokenizer: Tokenizer, texts: Sequence[str], *, padded: bool) -> Self:
        """Return the vocabulary of the training texts.

        Raises
        ------
        DataError
            There is not one piece in them.
        """
        learned, merges = tokenizer.learn(texts)
        if not learned:
            raise DataError(
                f"the vocabulary is empty: the training texts have no {tokenizer.word_for_piece} that the tokenizer "
                f"{tokenizer.name} keeps. Lower its min_count, or look whether the file holds what you think."
            )
        special = (PADDING,) * padded + (UNKNOWN,) * (not tokenizer.knows_everything)
        return cls(tokenizer, special + learned, merges)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def special(self) -> tuple[int, ...]:
        """The numbers that stand for no text: of padding and of the unknown."""
        return tuple(i for i, token in enumerate(self.tokens[:2]) if token in {PADDING, UNKNOWN})

    def encode(self, text: str) -> Array:
        """Return the tokens of a text, int32 (T,); a piece that is not known becomes the unknown token."""
        unknown = self.numbers.get(UNKNOWN, 0)
        pieces = self._divide(text)
        return np.fromiter((self.numbers.get(piece, unknown) for piece in pieces), np.int32, len(pieces))

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of tokens."""
        return self.tokenizer.joined(self.tokens[number] for number in numbers)

    def unknown(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Return the distinct pieces of texts that are not in the vocabulary, in their order."""
        known = self.numbers
        return tuple(dict.fromkeys(piece for text in texts for piece in self._divide(text) if piece not in known))

    def unseen(self, texts: Iterable[str]) -> str | None:
        """Return one sentence on pieces that the training part did not have, or None."""
        new = self.unknown(texts)
        if not new:
            return None
        shown = ", ".join(map(repr, new[:10])) + (", ..." if len(new) > 10 else ".")
        word, several = self.tokenizer.word_for_piece, len(new) > 1
        return (
            f"{len(new):,} {word}{'s' * several} that the training part does not have "
            f"{'are' if several else 'is'} read as {UNKNOWN}: {shown}"
        )

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of every token."""
        return {token: i for i, token in enumerate(self.tokens)}

    @cached_property
    def _divide(self) -> Any:
        return self.tokenizer.divider(self)

    def to_plain(self) -> dict[str, Any]:
        """Return the vocabulary as JSON values."""
        return {"tokenizer": self.tokenizer.spelled(), "tokens": self.tokens, "merges": self.merges}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``to_plain`` was given."""
        merges = tuple((first, second) for first, second in plain["merges"])
        return cls(Tokenizer.parse(plain["tokenizer"]), tuple(plain["tokens"]), merges)
