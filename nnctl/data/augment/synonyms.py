"""Synonym replacement: from a table of the user's, or from WordNet where it is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from nnctl.core.arrays import Float
from nnctl.core.errors import DataError
from nnctl.data.augment.text import WORD, Rewriter, WordAugmentation
from nnctl.data.sources.decoding import decoded
from nnctl.data.sources.paths import found
from nnctl.data.table import counted

__all__ = ["Synonyms"]

Thesaurus = Mapping[str, tuple[str, ...]]
"""What may stand for a word in small letters."""

WORDNET = "wordnet"


class Synonyms(WordAugmentation, name="synonyms"):
    """Some words of the text are replaced by synonyms, each of its synonyms as likely.

    The table is a text file, UTF-8, with a word on each line and behind it what may stand for it, commas between:
    ``film, movie, picture``. Only the first is replaced; lines that start with # are left out. With `wordnet` the
    synonyms are those of Princeton's WordNet, which the package `nltk` reads (``pip install 'nnctl[wordnet]'``) once
    its data are installed (``python -m nltk.downloader wordnet``); nothing is downloaded by itself. The words that
    scikit-learn has as English stop words are then left alone. Synonyms are not bent: a plural is not looked up as its
    singular in a table, and WordNet gives base forms.

    Source: Wei and Zou (2019), "EDA: Easy data augmentation techniques for boosting performance on text classification
    tasks", section 2, arXiv:1901.11196; Miller (1995), "WordNet: a lexical database for English". Unlike in the code of
    EDA one occurrence of a word is replaced, and not all of them.
    """

    table: str
    """A file of synonyms, or ``wordnet``."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"path": "table", "file": "table"}
    files: ClassVar[tuple[str, ...]] = ("table",)

    def located(self, base: Path) -> Synonyms:
        """Return the same with the path of its table made absolute."""
        if self.table == WORDNET:
            return self
        return self.model_copy(update={"table": str(found(self.table, base))})

    def rewriter(self, texts: Sequence[str], base: Path) -> Rewriter:
        """Return what replaces words of these texts.

        Raises
        ------
        DataError
            There is no such table, or it is none; WordNet is not installed; or no word of the texts has a synonym.
        """
        words = dict.fromkeys(word.lower() for text in texts for word in WORD.findall(text))
        thesaurus = _from_wordnet(words) if self.table == WORDNET else _from_file(found(self.table, base))
        known = {word: thesaurus[word] for word in words if word in thesaurus}
        if not known:
            raise DataError(
                f"data.augment: synonyms: {self.table} has no synonym for any of the {counted(len(words), 'word')} of "
                f"the training texts. Is it a table for their language?"
            )
        brought = tuple(dict.fromkeys(synonym for others in known.values() for synonym in others))
        note = (
            f"synonyms: {self.table} has synonyms for {len(known):,} of the {len(words):,} words of the training part"
        )
        return Rewriter(partial(self.rewritten, partial(self._replaced, known)), brought, note)

    def _replaced(self, thesaurus: Thesaurus, parts: list[str], u: Float) -> list[str]:
        """Return the parts with some of the words replaced that have synonyms."""
        words = len(parts) // 2
        candidates = [i for i in range(words) if parts[2 * i + 1].lower() in thesaurus]
        for i in sorted(candidates, key=u.__getitem__)[: self.count(parts)]:
            word = parts[2 * i + 1]
            others = thesaurus[word.lower()]
            synonym = others[int(u[words + i] * len(others))]
            parts[2 * i + 1] = synonym[0].upper() + synonym[1:] if word[0].isupper() else synonym
        return parts


def _from_file(path: Path) -> Thesaurus:
    """Return the synonyms of a table.

    Raises
    ------
    DataError
        A line is none, or the file is no text in UTF-8.
    """
    thesaurus: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(decoded(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, *synonyms = (entry.strip() for entry in line.split(","))
        if not synonyms or not all(WORD.search(entry) for entry in synonyms) or not WORD.fullmatch(word):
            raise DataError(
                f"{path}:{number}: must hold a word and behind it its synonyms, with commas between, such as "
                f"'film, movie, picture'. Got {line.strip()[:60]!r}."
            )
        thesaurus[word.lower()] = tuple(dict.fromkeys((*thesaurus.get(word.lower(), ()), *synonyms)))
    return thesaurus


def _from_wordnet(words: Iterable[str]) -> Thesaurus:
    """Return the synonyms that WordNet has for these words, stop words left out.

    Raises
    ------
    DataError
        The package or its data are not installed.
    """
    try:
        wordnet: Any = import_module("nltk.corpus").wordnet
        wordnet.ensure_loaded()
    except ImportError:
        raise DataError(
            "data.augment: synonyms: wordnet needs the package nltk, which is not installed. "
            "Type: pip install 'nnctl[wordnet]', or give a table of synonyms."
        ) from None
    except LookupError:
        raise DataError(
            "data.augment: synonyms: the package nltk is there, and the data of WordNet are not. "
            "Type: python -m nltk.downloader wordnet, or give a table of synonyms."
        ) from None
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # noqa: PLC0415 - a second, for those who use it

    found_ones = {word: _synonyms(wordnet, word) for word in words if word not in ENGLISH_STOP_WORDS}
    return {word: synonyms for word, synonyms in found_ones.items() if synonyms}


def _synonyms(wordnet: Any, word: str) -> tuple[str, ...]:
    """Return what WordNet has in one set with a word, in the order of its senses."""
    names = (name.replace("_", " ") for synset in wordnet.synsets(word) for name in synset.lemma_names())
    return tuple(dict.fromkeys(name for name in names if name.lower() != word and WORD.search(name)))
