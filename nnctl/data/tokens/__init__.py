"""Texts to tokens: tokenizers, vocabularies, and the rows of numbers that a network reads."""

from nnctl.data.tokens import bpe  # noqa: F401 - importing a family registers it
from nnctl.data.tokens.encoder import TextEncoder, Texts, Windows, Wording
from nnctl.data.tokens.tokenizer import Char, Tokenizer, Word
from nnctl.data.tokens.vocabulary import PADDING, UNKNOWN, Vocabulary

__all__ = [
    "PADDING",
    "UNKNOWN",
    "Char",
    "TextEncoder",
    "Texts",
    "Tokenizer",
    "Vocabulary",
    "Windows",
    "Word",
    "Wording",
]
