"""Texts augmented: what becomes of the words, what the vocabulary knows, and what cannot be."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.errors import DataError
from nnctl.data.augment import Augmentation, Inputs
from nnctl.data.augment.augmentation import Chance
from nnctl.data.augment.augmenter import TextAugmenter
from nnctl.data.augment.text import WORD
from nnctl.data.batches import Batches
from nnctl.data.dataset import Prepared
from nnctl.data.prepare import prepare
from nnctl.data.scaling import NoScaling
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan

TEXTS = ("A good film, really.", "Bad!", "The film was so-so; don't go, it's long", "...", "two words")
WHOLE = {"probability": 1.0}


def chance(n: int, epoch: int = 0) -> Chance:
    return Chance(3, "augment/0.test", epoch, np.arange(n))


def rewritten(step: object, texts=TEXTS, epoch: int = 0, base: Path = Path()) -> list[str]:
    made = Augmentation.parse(step).rewriter(texts, base)
    return made.rewrite(list(texts), np.arange(len(texts)), chance(len(texts), epoch))


def words(text: str) -> list[str]:
    return WORD.findall(text)


# ------------------------------------------------------------------ words


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4), st.integers(0, 5))
def test_a_deletion_leaves_the_order_of_what_stays_and_at_least_one_word(texts, epoch):
    for before, after in zip(texts, rewritten({"random_deletion": {"share": 0.7, **WHOLE}}, texts, epoch), strict=True):
        left, rest = words(after), iter(words(before))
        assert all(word in rest for word in left)
        assert bool(left) == bool(words(before))


def test_a_deletion_takes_the_space_before_a_word_and_leaves_punctuation():
    found = {
        after
        for epoch in range(300)
        for after in rewritten({"random_deletion": {"share": 0.5, **WHOLE}}, ("A good film, really.",), epoch)
    }
    assert {"A film, really.", "A good film,.", "good film, really.", "A good, really."} <= found
    assert not any("  " in text or text.startswith(" ") for text in found)


def test_as_many_words_are_deleted_as_the_share_says():
    text = " ".join(["word"] * 100)
    left = [len(words(rewritten({"random_deletion": {"share": 0.3, **WHOLE}}, (text,), k)[0])) for k in range(100)]
    assert np.mean(left) == pytest.approx(70, abs=1.5)


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4), st.integers(0, 5))
def test_a_swap_keeps_every_word_and_all_that_stands_between(texts, epoch):
    for before, after in zip(texts, rewritten({"random_swap": {"share": 0.5, **WHOLE}}, texts, epoch), strict=True):
        assert sorted(words(after)) == sorted(words(before))
        if words(before):
            assert WORD.sub("", after).strip() == WORD.sub("", before).strip()


def test_one_swap_exchanges_two_different_places_and_all_are_as_likely():
    text = "a b c d"
    found = [rewritten({"random_swap": WHOLE}, (text,), epoch)[0] for epoch in range(600)]
    moved = [sum(x != y for x, y in zip(after, text, strict=True)) for after in found]
    assert set(moved) == {2}
    assert len(set(found)) == 6
    assert min(found.count(each) for each in set(found)) > 60  # 100 are to be expected


def test_a_text_is_changed_with_its_probability():
    text = ("one two three four five",)
    changed = [rewritten({"random_swap": {"probability": 0.3}}, text, epoch) != list(text) for epoch in range(1000)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.05)
    assert rewritten({"random_swap": {"probability": 0.0}}) == list(TEXTS)


# ------------------------------------------------------------------ synonyms


@pytest.fixture
def table(tmp_path) -> Path:
    (tmp_path / "table.txt").write_text(
        "# words\nfilm, movie, motion picture\n\nGood, fine\nfilm, picture\nnever, no\n"
    )
    return tmp_path


def test_words_with_synonyms_are_replaced_by_each_of_them_and_keep_a_capital(table):
    step = {"synonyms": {"table": "table.txt", "share": 1.0, **WHOLE}}
    found = {rewritten(step, ("Film good, long",), epoch, table)[0] for epoch in range(60)}
    assert found == {"Movie fine, long", "Motion picture fine, long", "Picture fine, long"}


def test_as_many_words_are_replaced_as_the_share_says_and_at_least_one(table):
    text = ("good good good good good film film film film film",)
    for share, expected in ((0.1, 1), (0.35, 3), (1.0, 10)):
        after = rewritten({"synonyms": {"table": "table.txt", "share": share, **WHOLE}}, text, 1, table)[0]
        assert len(words(text[0])) - sum(word in {"good", "film"} for word in words(after)) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"film\n", r"table.txt:1: must hold a word and behind it its synonyms.*Got 'film'"),
        (b"ok, fine\nfilm,,movie\n", r"table.txt:2: must hold"),
        (b"two words, one\n", r"table.txt:1: must hold"),
        (b"film, caf\xe9\n", r"table.txt:1: byte 10 \(0xe9\) is no text in utf-8"),
        (b"nothing, nil\n", r"no synonym for any of the 14 words of the training texts"),
        (b"", "is empty"),
    ],
)
def test_a_table_that_is_none_is_told_with_its_line(tmp_path, content, said):
    (tmp_path / "table.txt").write_bytes(content)
    with pytest.raises(DataError, match=said):
        rewritten({"synonyms": "table.txt"}, base=tmp_path)


def test_a_table_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match=r"tabel.txt: there is no such file"):
        rewritten({"synonyms": "tabel.txt"}, base=tmp_path)


class Corpus:
    """What nltk has as wordnet, with one word in it."""

    def ensure_loaded(self) -> None:
        """The data are there."""

    def synsets(self, word: str) -> list[SimpleNamespace]:
        names = {"film": ["movie", "film", "motion_picture"], "good": ["good"], "a": ["angstrom"]}.get(word, [])
        return [SimpleNamespace(lemma_names=lambda: names)]


def test_wordnets_words_are_those_of_its_sets_but_for_stop_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk", SimpleNamespace(corpus=SimpleNamespace(wordnet=Corpus())))
    monkeypatch.setitem(sys.modules, "nltk.corpus", SimpleNamespace(wordnet=Corpus()))
    step = {"synonyms": {"table": "wordnet", "share": 1.0, **WHOLE}}
    found = {rewritten(step, ("a good film",), epoch)[0] for epoch in range(40)}
    assert found == {"a good movie", "a good motion picture"}


def test_wordnet_without_its_package_or_its_data_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    with pytest.raises(DataError, match=r"pip install 'nnctl\[wordnet\]'"):
        rewritten({"synonyms": "wordnet"})

    class Missing(Corpus):
        def ensure_loaded(self) -> None:
            raise LookupError("nltk.download('wordnet')")

    monkeypatch.setitem(sys.modules, "nltk.corpus", SimpleNamespace(wordnet=Missing()))
    with pytest.raises(DataError, match=r"python -m nltk\.downloader wordnet"):
        rewritten({"synonyms": "wordnet"})


# ------------------------------------------------------------------ in a training part


def prepared(base: Path, tokenizer: object = "word", *steps: object) -> Prepared:
    rows = [f"{text!r},{'pos' if i % 2 else 'neg'}".replace("'", '"') for i, text in enumerate(SENTENCES)]
    (base / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    source = Source.parse({"texts": {"path": "reviews.csv", "tokenizer": tokenizer}})
    augment = [Augmentation.parse(step) for step in steps]
    split = SplitPlan(validation=0.25, test=0)
    return prepare(source, split, NoScaling(), task="classification", base=base, augment=augment)


SENTENCES = [f"{'very ' * (k % 5)}good film number {k}" for k in range(40)]


def augmenter(data: Prepared, *steps: object) -> TextAugmenter:
    parsed, train = [Augmentation.parse(step) for step in steps], data.train
    assert data.texts is not None
    given = (parsed, Inputs.of(data), train.x, train.y, None, train.rows)
    return TextAugmenter(data.texts, data.preprocessing.text, *given, seed=5)


@pytest.mark.parametrize("tokenizer", ["word", "char", {"bpe": 300}])
def test_words_that_come_in_are_known_and_words_stay_words_whatever_the_tokenizer(table, tokenizer):
    steps = [{"synonyms": {"table": "table.txt", **WHOLE}}, {"random_swap": WHOLE}]
    data = prepared(table, tokenizer, *steps)
    made = augmenter(data, *steps)
    known = data.preprocessing.text.vocabulary
    chosen, seen = np.arange(len(data.train)), set()
    for epoch in range(8):
        texts = made.texts_of(chosen, epoch)
        assert known.unseen(texts) is None
        x = made.rows_of(chosen, epoch)
        assert x.shape == data.train.x.shape
        for row, length, text in zip(x, made.lengths_of(x, data.train.lengths), texts, strict=True):
            np.testing.assert_array_equal(row[:length], known.encode(text)[: x.shape[1]])
            assert not row[length:].any()
        seen |= {word for text in texts for word in words(text)}
    assert {"movie", "motion", "picture", "fine"} <= seen
    assert "no" not in seen  # of a word that no text has


def test_nothing_but_the_vocabulary_of_the_other_parts_depends_on_augmentation(table):
    plain, more = prepared(table), prepared(table, "word", {"synonyms": "table.txt"})
    assert plain.texts is None
    assert plain.input_shape == more.input_shape
    for name in ("train", "validation"):
        before, after = getattr(plain, name), getattr(more, name)
        np.testing.assert_array_equal(before.rows, after.rows)
        np.testing.assert_array_equal(before.lengths, after.lengths)
        said = [
            [data.preprocessing.tokens[i] for i in part.x.ravel()] for data, part in ((plain, before), (more, after))
        ]
        assert said[0] == said[1]


def test_a_rare_word_that_comes_in_is_unknown_where_the_tokenizer_keeps_frequent_ones_alone(table):
    steps = [{"synonyms": {"table": "table.txt", **WHOLE}}]
    data = prepared(table, {"word": {"min_count": 2}}, *steps)
    assert "film" in data.preprocessing.tokens
    assert "movie" not in data.preprocessing.tokens


def test_what_becomes_of_a_text_depends_on_seed_epoch_and_row_alone(table):
    steps = [{"random_swap": WHOLE}, {"random_deletion": {"share": 0.4, **WHOLE}}]
    data = prepared(table, "word", *steps)
    made = augmenter(data, *steps)
    whole = made.texts_of(np.arange(len(data.train)), 2)
    for chosen in ([3, 9, 1], [9], [1, 0, 9]):
        assert made.texts_of(np.array(chosen), 2) == [whole[i] for i in chosen]
    assert made.texts_of(np.arange(len(data.train)), 3) != whole


def test_a_batch_is_as_long_as_the_longest_of_its_texts_as_they_became(table):
    steps = [{"random_deletion": {"share": 0.8, **WHOLE}}]
    data = prepared(table, "word", *steps)
    train = data.train
    batches = Batches(train.x, train.y, None, 8, lengths=train.lengths, augmenter=augmenter(data, *steps), seed=1)
    widths = []
    for batch in batches.epoch(0):
        there = (batch.x != 0).sum(axis=1)
        assert batch.x.shape[1] == there.max()
        mask = np.ones(batch.x.shape, bool) if batch.mask is None else batch.mask
        np.testing.assert_array_equal(mask.sum(axis=1), there)
        widths.append(batch.x.shape[1])
    assert min(widths) < train.lengths.min()
