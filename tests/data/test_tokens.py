"""Tokenizers and vocabularies: what the training part teaches, and what becomes of the rest."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.errors import DataError
from nnctl.data.tokens import PADDING, UNKNOWN, TextEncoder, Texts, Tokenizer, Vocabulary, Windows


def vocabulary(tokenizer: object, *texts: str, padded: bool = False) -> Vocabulary:
    return Vocabulary.fit(Tokenizer.parse(tokenizer), texts, padded=padded)


def fitted(*texts: str, limit: int) -> Texts:
    known = vocabulary("word", *texts, padded=True)
    return Texts.fit(known, [known.encode(text) for text in texts], limit)


@given(st.text(min_size=1))
def test_a_text_of_known_characters_comes_back(text):
    known = vocabulary("char", text)
    assert known.decode(known.encode(text)) == text
    assert known.unseen([text]) is None


def test_an_unknown_character_becomes_the_unknown_token_and_is_told_once():
    known = vocabulary("char", "abc")
    assert [known.tokens[i] for i in known.encode("aéb中é")] == ["a", UNKNOWN, "b", UNKNOWN, UNKNOWN]
    assert known.unseen(["aéb中é", "é"]) == (
        "2 characters that the training part does not have are read as <unk>: 'é', '中'."
    )


def test_padding_is_token_0_where_rows_have_different_lengths_and_nothing_else_is():
    assert vocabulary("char", "ab", padded=True).tokens == (PADDING, UNKNOWN, "a", "b")
    assert vocabulary("char", "ab").tokens == (UNKNOWN, "a", "b")
    assert vocabulary("char", "ab", padded=True).special == (0, 1)


def test_words_are_ranked_by_frequency_and_rare_ones_are_unknown():
    known = vocabulary({"word": {"size": 3}}, "b a b c c b d", "It's.")
    assert known.tokens == (UNKNOWN, "b", "c", ".")
    assert vocabulary({"word": {"min_count": 2}}, "b a b c c b d").tokens == (UNKNOWN, "b", "c")


def test_words_join_to_a_text_with_spaces_where_a_reader_wants_them():
    known = vocabulary({"word": {"lower": False}}, "He said: it's (very) fine, I think.\nDon't you?")
    assert known.decode(known.encode("He said :  it's (very) fine, I think.\nDon't you?")) == (
        "He said: it's (very) fine, I think.\nDon't you?"
    )


def test_upper_and_lower_case_are_one_word_unless_said_otherwise():
    assert vocabulary("word", "The the THE").tokens == (UNKNOWN, "the")
    assert len(vocabulary({"word": {"lower": False}}, "The the THE")) == 4


def test_a_vocabulary_that_would_be_empty_is_refused():
    with pytest.raises(DataError, match="vocabulary is empty"):
        vocabulary({"word": {"min_count": 2}}, "every word once")


@pytest.mark.parametrize("tokenizer", ["char", {"word": {"lower": False, "size": 50}}])
@pytest.mark.parametrize("kind", [Texts, Windows])
def test_an_encoder_goes_through_json_and_reads_the_same(tokenizer, kind):
    text = "One fish, two fish.\nRed fish, blue fish."
    encoder = kind(vocabulary(tokenizer, text, padded=kind is Texts), 5)
    again = TextEncoder.from_plain(json.loads(json.dumps(encoder.to_plain())))
    assert type(again) is kind
    for before, after in zip(encoder.rows([text, "fish é"]), again.rows([text, "fish é"]), strict=True):
        np.testing.assert_array_equal(before, after)


def test_rows_of_texts_are_cut_at_the_longest_of_the_training_part_or_at_the_limit_and_padded():
    encoder = fitted("a b c d", "a", limit=3)
    x, lengths, y = encoder.rows(["a", "a b c d e", "b a"])
    assert y is None
    assert lengths.tolist() == [1, 3, 2]
    a, b, c = encoder.vocabulary.encode("a b c")
    assert x.tolist() == [[a, 0, 0], [a, b, c], [b, a, 0]]
    assert fitted("a b", "a", limit=30).length == 2


def test_a_text_without_a_token_is_refused_with_its_row():
    encoder = fitted("a b", limit=3)
    with pytest.raises(DataError, match=r"row 2: .* length 0"):
        encoder.rows(["a", " \t "])


@given(st.integers(2, 60), st.integers(2, 9))
def test_windows_side_by_side_make_every_token_but_the_first_a_target_once(n, length):
    tokens = "".join(map(chr, range(97, 97 + n)))
    encoder = Windows(vocabulary("char", tokens), length)
    x, lengths, y = encoder.rows([tokens])
    there = np.arange(length) < lengths[:, None]
    assert encoder.vocabulary.decode(x[there]) == tokens[:-1]
    assert encoder.vocabulary.decode(y[there]) == tokens[1:]


@given(st.integers(3, 60), st.integers(2, 9), st.integers(1, 9))
def test_full_windows_begin_every_stride_and_their_targets_are_one_further_on(n, length, stride):
    tokens = np.arange(n)
    x, y = Windows(vocabulary("char", "a"), length).full(tokens, stride)
    assert (y == x + 1).all()
    assert x[:, 0].tolist() == [i for i in range(0, n, stride) if i + length < n]


def test_byte_pairs_without_their_library_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"pip install 'nnctl\[text\]'"):
        vocabulary("bpe", "a text")


def test_byte_pairs_write_any_text_and_go_through_json():
    pytest.importorskip("tokenizers")
    known = vocabulary({"bpe": 300}, "low lower lowest, new newer newest. " * 5)
    assert UNKNOWN not in known.tokens
    assert len(known) <= 300
    text = "The newest low é 中\n  is lower."
    again = Vocabulary.from_plain(json.loads(json.dumps(known.to_plain())))
    assert again.encode(text).tolist() == known.encode(text).tolist()
    assert known.decode(known.encode(text)) == text
    assert len(known.encode(" newest")) == 1
