"""One long text to learn a language from: every token is to be foretold from those before it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array
from nnctl.core.component import PositiveInt, Share
from nnctl.core.errors import DataError
from nnctl.data.memory import refuse_too_large
from nnctl.data.sources.decoding import TextEncoding, decoded
from nnctl.data.sources.paths import found
from nnctl.data.sources.source import Source
from nnctl.data.table import PartName, Table, counted, rows_of
from nnctl.data.tokens import Char, Tokenizer, Vocabulary, Windows

__all__ = ["Corpus", "PydocTopics", "Text", "read_text"]


class Corpus(Source):
    """A text that is cut into parts by position, and each part into windows of tokens.

    The vocabulary is that of the training part. A row holds as many tokens as `context` says, and its targets are the
    tokens one further on. What is left at the end of a part, shorter than a window, is no row.
    """

    context: Annotated[int, Field(ge=2)] = 128
    """How many tokens a row has, T: the most that the network sees when it foretells one."""
    stride: PositiveInt | None = None
    """Tokens from the beginning of one training row to that of the next; left out, as many as a row has, so that every
    token is a target once. The rows of the other parts always stand side by side."""
    tokenizer: Tokenizer = Field(default_factory=Char)
    """What a token is."""
    validation: Share = 0.1
    """The share of the characters that validates. The neighbours of a training row would tell too much about it, so
    nothing is drawn: training, validation and test part follow one another."""
    test: Share = 0.0
    """The share of the characters, at the very end, that tests."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read the text, cut it, and learn the vocabulary of its training part.

        Raises
        ------
        DataError
            A part is shorter than a window, or the vocabulary is empty.
        """
        cut = self._cut(self.read(base))
        encoder = Windows(Vocabulary.fit(self.tokenizer, [cut["train"]], padded=False), self.context)
        parts: dict[PartName, Array] = {}
        x: list[Array] = []
        y: list[Array] = []
        for name, text in cut.items():
            tokens = encoder.vocabulary.encode(text)
            if text and len(tokens) <= self.context:
                raise DataError(
                    f"the {name} part has {counted(len(tokens), 'token')}, and a row of context {self.context} with "
                    f"the token behind it needs {self.context + 1}. Take a longer text or a smaller context."
                )
            seen, follows = encoder.full(tokens, (self.stride if name == "train" else None) or self.context)
            parts[name] = rows_of(sum(map(len, x)), len(seen))
            x.append(seen)
            y.append(follows)
        said = encoder.vocabulary.unseen(text for name, text in cut.items() if name != "train")
        vocabulary = encoder.vocabulary.tokens
        return Table(
            np.concatenate(x),
            np.concatenate(y),
            target="next token",
            classes=vocabulary,
            parts=parts,
            tokens=vocabulary,
            text=encoder,
            notes=(said,) if said else (),
        )

    def read(self, base: Path) -> str:
        """Return the whole text."""
        raise NotImplementedError

    def _cut(self, text: str) -> dict[PartName, str]:
        """Return the text of every part; those that are left out are empty."""
        test = len(text) - math.ceil(self.test * len(text))
        validation = test - math.ceil(self.validation * len(text))
        if validation <= 0:
            raise DataError(
                f"{self.name}: validation {self.validation:g} and test {self.test:g} leave nothing to train on."
            )
        return {"train": text[:validation], "validation": text[validation:test], "test": text[test:]}


class Text(Corpus, name="text"):
    """A text file to learn the next token from: a language model."""

    files: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    """The file."""
    text_encoding: TextEncoding = "utf-8"
    """How the file's bytes stand for characters; older files of Windows are often in cp1252."""

    def read(self, base: Path) -> str:
        """Return the file's text, every line ended by one character."""
        return read_text(found(self.path, base), self.text_encoding)


def read_text(path: Path, encoding: TextEncoding = "utf-8") -> str:
    """Return a file's text, every line ended by one character.

    Raises
    ------
    DataError
        It is too large, or no text in that encoding.
    """
    refuse_too_large(30 * path.stat().st_size, str(path))  # its characters, and their numbers twice
    return decoded(path, encoding).replace("\r\n", "\n")


class PydocTopics(Corpus, name="pydoc_topics"):
    """The help topics of Python's language reference, some 460,000 characters of English that come with Python.

    It is what `help("if")` shows, the topics in the order of the alphabet; the text differs a little from one version
    of Python to the next.
    """

    def read(self, base: Path) -> str:  # noqa: ARG002 - it comes with Python
        """Return all topics."""
        try:
            from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte, for those who use it
        except ImportError:
            raise DataError(
                "pydoc_topics: this Python comes without its help topics (the module pydoc_data). Install the "
                "complete standard library, or use 'text' with a file of yours."
            ) from None
        return "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"
