"""Byte-pair encoding, by the library `tokenizers`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from nnctl.core.component import PositiveInt
from nnctl.core.errors import DataError
from nnctl.data.tokens.tokenizer import Merges, Tokenizer

if TYPE_CHECKING:
    from nnctl.data.tokens.vocabulary import Vocabulary

__all__ = ["BytePair"]

BYTES = 256


class BytePair(Tokenizer, name="bpe"):
    """Byte pairs: start from the 256 bytes and join the most frequent pair of neighbours, again and again.

    Frequent words become one token and rare ones several; any text can be written, so that nothing is unknown. A
    space belongs to the word behind it. It needs the package `tokenizers`: ``pip install 'nnctl[text]'``.

    Source: Gage (1994), "A new algorithm for data compression"; for words: Sennrich, Haddow and Birch (2016), "Neural
    machine translation of rare words with subword units", arXiv:1508.07909; on bytes: Radford et al. (2019),
    "Language models are unsupervised multitask learners", section 2.2.
    """

    knows_everything = True

    size: Annotated[int, Field(ge=BYTES)] = 1000
    """How many tokens there are at most, the 256 bytes among them."""
    min_count: PositiveInt = 2
    """A pair that is rarer than this is not joined."""

    def learn(self, texts: Sequence[str]) -> tuple[tuple[str, ...], Merges]:
        """Return the bytes and the joined pairs in the order in which they were found, and the merges."""
        import json  # noqa: PLC0415 - with the library, whose merges are told in JSON alone

        library = _library()
        model = library.Tokenizer(library.models.BPE())
        model.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = library.trainers.BpeTrainer(
            vocab_size=self.size,
            min_frequency=self.min_count,
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        model.train_from_iterator(texts, trainer)
        found = json.loads(model.to_str())["model"]
        tokens = sorted(found["vocab"], key=found["vocab"].__getitem__)
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in found["merges"])
        return tuple(tokens), tuple((first, second) for first, second in pairs)

    def divider(self, vocabulary: Vocabulary) -> Callable[[str], Sequence[str]]:
        """Return the function that joins the bytes of a text by the vocabulary's merges."""
        library = _library()
        places = {token: i for i, token in enumerate(vocabulary.tokens)}
        model = library.Tokenizer(library.models.BPE(vocab=places, merges=list(vocabulary.merges)))
        model.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)

        def divide(text: str) -> Sequence[str]:
            tokens: list[str] = model.encode(text).tokens
            return tokens

        return divide

    def joined(self, pieces: Iterable[str]) -> str:
        """Return the text of the bytes; bytes that are no text yet become U+FFFD."""
        text: str = _library().decoders.ByteLevel().decode(list(pieces))
        return text


def _library() -> Any:
    try:
        return import_module("tokenizers")
    except ImportError:
        raise DataError(
            "the tokenizer bpe needs the package tokenizers, which is not installed. Type: pip install 'nnctl[text]', "
            "or use the tokenizer char or word."
        ) from None
