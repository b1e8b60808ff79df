"""Texts as data: a language model's windows, labelled texts, and what is wrong with a file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from nnctl.core.errors import DataError
from nnctl.data.prepare import prepare
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.reading import read_input
from nnctl.data.scaling import NoScaling, Standard
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan

ABC = "abcdefghij" * 30


def prepared(source: object, base: Path, **split: float):
    return prepare(Source.parse(source), SplitPlan(**split), Standard(), task="classification", base=base)


def text_of(data, part) -> str:
    """Return the text that rows without gaps were cut from."""
    tokens = data.preprocessing.tokens
    return "".join(tokens[i] for i in part.x.ravel()) + tokens[part.y[-1, -1]]


# ------------------------------------------------------------------ language models


def test_a_text_is_cut_by_position_and_every_token_is_a_target_once(tmp_path):
    text = "".join(chr(97 + i % 26) for i in range(1000))
    (tmp_path / "a.txt").write_text(text)
    data = prepared({"text": {"path": "a.txt", "context": 9, "validation": 0.1, "test": 0.2}}, tmp_path)
    parts = {"train": text[:700], "validation": text[700:800], "test": text[800:]}
    for name, part in parts.items():
        found = getattr(data, name)
        n = (len(part) - 1) // 9
        assert found.x.shape == found.y.shape == (n, 9)
        assert text_of(data, found) == part[: 9 * n + 1]
        np.testing.assert_array_equal(found.x[:, 1:], found.y[:, :-1])
    assert data.train.x.dtype == np.int32
    assert data.train.lengths is None
    assert data.classes == data.preprocessing.tokens
    assert set(data.train.rows) | set(data.validation.rows) | set(data.test.rows) == set(range(77 + 11 + 22))


def test_tiny_shakespeare_is_cut_as_everybody_does_the_first_nine_tenths_train():
    n = 1_115_394
    assert n - math.ceil(0.1 * n) == int(n * 0.9)


def test_a_part_that_is_left_out_is_none(tmp_path):
    (tmp_path / "a.txt").write_text(ABC)
    data = prepared({"text": {"path": "a.txt", "context": 9, "validation": 0}}, tmp_path)
    assert data.validation is None
    assert data.test is None


def test_the_vocabulary_is_that_of_the_training_part_alone(tmp_path):
    (tmp_path / "a.txt").write_text("ab" * 450 + "abxy" * 25)
    data = prepared({"text": {"path": "a.txt", "context": 5}}, tmp_path)
    assert data.classes == ("<unk>", "a", "b")
    assert (data.validation.x == 0).any()
    assert not (data.train.x == 0).any()


def test_characters_that_only_later_parts_of_a_text_have_are_told(tmp_path):
    (tmp_path / "a.txt").write_text("ab" * 90 + "c" * 10 + "d" * 10)
    data = prepared({"text": {"path": "a.txt", "context": 4, "validation": 0.05, "test": 0.05}}, tmp_path)
    assert data.notes == ("2 characters that the training part does not have are read as <unk>: 'c', 'd'.",)


def test_training_windows_overlap_with_a_stride_and_those_that_judge_do_not(tmp_path):
    (tmp_path / "a.txt").write_text(ABC)
    data = prepared({"text": {"path": "a.txt", "context": 9, "stride": 2}}, tmp_path)
    assert len(data.train) == len(range(0, 270 - 9, 2))
    assert len(data.validation) == 3


def test_lines_of_windows_end_in_one_character(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\r\n" * 30)
    assert "\r" not in prepared({"text": {"path": "a.txt", "context": 9}}, tmp_path).classes


def test_the_topics_of_python_are_english_and_come_with_it():
    text = Source.parse("pydoc_topics").read(Path())
    assert len(text) > 300_000
    assert "statement" in text
    assert Source.parse({"pydoc_topics": {"context": 64}}).load(Path(), 0).x.shape[1] == 64


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        (b"caf\xe9 " * 50, {}, r"a.txt:1: byte 4 \(0xe9\) is no text in utf-8.*text_encoding: cp1252"),
        (b"abc" * 10, {}, "the train part has 27 tokens, and a row of context 128 .* needs 129"),
        (b"abcde" * 100, {"context": 64}, "the validation part has 50 tokens"),
        (b" \t " * 100, {"tokenizer": "word", "context": 2}, "vocabulary is empty"),
        (b"every word of it is there once", {"tokenizer": {"word": {"min_count": 9}}}, "vocabulary is empty"),
        (b"abcde" * 100, {"validation": 0.5, "test": 0.5, "context": 4}, "leave nothing to train on"),
    ],
)
def test_a_text_that_cannot_be_used_says_why(tmp_path, content, fields, said):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=said):
        prepared({"text": {"path": "a.txt", **fields}}, tmp_path)


def test_shares_of_a_text_belong_to_its_source(tmp_path):
    (tmp_path / "a.txt").write_text(ABC)
    with pytest.raises(DataError, match="the source has a validation part of its own"):
        prepared({"text": {"path": "a.txt", "context": 9}}, tmp_path, validation=0.2)
    with pytest.raises(ValidationError):
        Source.parse({"text": {"path": "a.txt", "context": 1}})


# ------------------------------------------------------------------ labelled texts

ROWS = [("a good film", "pos"), ("a bad film", "neg"), ("good, very good", "pos"), ("so bad", "neg")] * 10


def write(folder: Path, kind: str, rows=ROWS) -> str:
    name = f"reviews.{kind}"
    if kind == "jsonl":
        (folder / name).write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows))
    else:
        quoted = [f'"{t}"' if kind == "csv" else t for t, _ in rows]
        lines = [{"csv": ",", "tsv": "\t"}[kind].join(pair) for pair in zip(quoted, (y for _, y in rows), strict=True)]
        (folder / name).write_text("\n".join([{"csv": "text,label", "tsv": "text\tlabel"}[kind], *lines]) + "\n")
    return name


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_labelled_texts_become_rows_of_tokens_with_their_lengths(tmp_path, kind):
    data = prepared({"texts": write(tmp_path, kind)}, tmp_path, validation=0.2, test=0.2)
    train = data.train
    assert data.classes == ("neg", "pos")
    assert data.preprocessing.tokens[:2] == ("<pad>", "<unk>")
    for i, row in enumerate(train.rows):
        text, label = ROWS[row]
        words = data.preprocessing.text.vocabulary.encode(text)
        assert train.lengths[i] == len(words)
        np.testing.assert_array_equal(train.x[i, : len(words)], words)
        assert not train.x[i, len(words) :].any()
        assert data.classes[train.y[i]] == label


def test_words_that_only_other_parts_have_are_unknown_and_told(tmp_path):
    write(tmp_path, "csv")
    (tmp_path / "test.csv").write_text("text,label\na marvellous film,pos\nbad,neg\n")
    data = prepared({"texts": {"train": "reviews.csv", "test": "test.csv"}}, tmp_path, validation=0.2)
    assert "marvellous" not in data.preprocessing.tokens
    assert data.test.x[0, 1] == 1
    assert data.notes == ("1 word that the training part does not have is read as <unk>: 'marvellous'.",)


def test_texts_that_are_cut_are_told(tmp_path):
    source = {"texts": {"path": write(tmp_path, "csv"), "max_length": 2}}
    data = prepared(source, tmp_path, validation=0, test=0)
    assert data.train.x.shape == (40, 2)
    assert data.notes == ("30 texts of more than 2 tokens cut",)


@pytest.mark.parametrize(
    ("name", "content", "fields", "said"),
    [
        ("a.csv", "text,label\nfine,1\n,0\nbad,0\n", {}, r"'text' is missing in 1 row \(row 2\).*length 0"),
        ("a.csv", "review,label\nfine,1\nbad,0\n", {}, "there is no column 'text'"),
        ("a.csv", "text,stars\nfine,1\nbad,0\n", {}, "there is no column 'label'"),
        (
            "a.jsonl",
            '{"text": "fine", "label": 1}\n{"text": "bad"',
            {},
            "a.jsonl:2: is no file of one JSON object a line: Expecting ',' delimiter: character 15.",
        ),
        ("a.jsonl", '{"text": "a", "label": 1}\n\n[3]\n', {}, "a.jsonl:3: is no file of one JSON object a line: this"),
        ("a.jsonl", '{"text": 1, "label": 1}\n', {}, "holds Int64 and no texts"),
        ("a.doc", "fine", {}, "is of no kind that holds texts"),
    ],
)
def test_a_file_of_texts_that_cannot_be_used_says_why(tmp_path, name, content, fields, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        prepared({"texts": {"path": name, **fields}}, tmp_path)


# ------------------------------------------------------------------ what a run keeps


def test_preprocessing_goes_through_json_and_reads_new_texts_as_the_training_did(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = write(tmp_path, "csv")
    data = prepared({"texts": name}, tmp_path, validation=0, test=0)
    again = Preprocessing.from_json(data.preprocessing.to_json())
    table = again.tokenized(read_input(name, again))
    np.testing.assert_array_equal(again.transform(table), data.train.x)
    np.testing.assert_array_equal(table.lengths, data.train.lengths)
    np.testing.assert_array_equal(again.encode_target(table), data.train.y)
    (tmp_path / "new.txt").write_text("a good film\n\na strange film\n")
    table = read_input("new.txt", again)
    assert table.x.tolist() == ["a good film", "a strange film"]
    assert again.unseen(table) == "1 word that the training part does not have is read as <unk>: 'strange'."


def test_a_language_model_reads_a_whole_file_as_one_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(ABC)
    again = Preprocessing.from_json(
        prepared({"text": {"path": "a.txt", "context": 9}}, tmp_path).preprocessing.to_json()
    )
    (tmp_path / "new.txt").write_text("abcdefghijabc")
    table = again.tokenized(read_input("new.txt", again))
    assert table.x.shape == (2, 9)
    assert table.lengths.tolist() == [9, 3]
    assert [again.classes[i] for i in table.y[0]] == list("bcdefghija")[:9]


def test_tokens_are_never_scaled(tmp_path):
    (tmp_path / "a.txt").write_text(ABC)
    source = Source.parse({"text": {"path": "a.txt", "context": 9}})
    parts = [
        prepare(source, SplitPlan(), scaling, task="classification", base=tmp_path)
        for scaling in (Standard(), NoScaling())
    ]
    np.testing.assert_array_equal(parts[0].train.x, parts[1].train.x)
