"""Sources that make sequences: what they draw is what they say, and every step of a feature is scaled alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from nnctl.core.errors import DataError
from nnctl.data.prepare import prepare
from nnctl.data.scaling import MinMax, NoScaling, Standard
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan
from nnctl.data.table import Table

SOURCES = [
    ("adding", (2000, 50, 2)),
    ("copy", (2000, 20, 7)),
    ("parity", (2000, 12, 1)),
    ("brackets", (2000, 20, 4)),
    ("sine_waves", (2000, 20, 1)),
    ({"sine_waves": {"predict": "next"}}, (2000, 20, 1)),
]


def drawn(spelling: Any, seed: int = 0) -> Table:
    return Source.parse(spelling).load(Path(), seed)


@pytest.mark.parametrize(("spelling", "shape"), SOURCES, ids=str)
def test_a_seed_draws_the_same_sequences_and_another_one_others(spelling: Any, shape: tuple[int, ...]) -> None:
    table = drawn(spelling)
    assert table.x.shape == shape
    assert table.y is not None
    assert table.y.shape == shape[:1]
    assert np.array_equal(table.x, drawn(spelling).x)
    assert not np.array_equal(table.x, drawn(spelling, 1).x)


@pytest.mark.parametrize(("spelling", "shape"), SOURCES, ids=str)
def test_noise_is_added_to_the_inputs_alone(spelling: Any, shape: tuple[int, ...]) -> None:
    [(name, fields)] = spelling.items() if isinstance(spelling, dict) else [(spelling, {})]
    still, noisy = drawn({name: {**fields, "noise": 0.0}}), drawn({name: {**fields, "noise": 0.3}})
    assert np.array_equal(still.y, noisy.y)
    assert (noisy.x - still.x).std() == pytest.approx(0.3, rel=0.05)


def test_adding_marks_one_number_in_each_half_and_sums_them() -> None:
    for T in (2, 7, 50):
        table = drawn({"adding": {"samples": 300, "length": T}})
        numbers, marks = table.x[..., 0], table.x[..., 1]
        assert set(np.unique(marks)) <= {0, 1}
        assert (marks[:, : T // 2].sum(axis=1) == 1).all()
        assert (marks[:, T // 2 :].sum(axis=1) == 1).all()
        np.testing.assert_allclose((numbers * marks).sum(axis=1), table.y)
    assert drawn({"adding": {"samples": 20_000}}).y.var() == pytest.approx(1 / 6, rel=0.05)


def test_copy_asks_at_the_end_for_one_of_the_symbols_shown_first() -> None:
    table = drawn({"copy": {"symbols": 5, "remember": 4, "length": 9}})
    shown, asked = table.x[:, :4, :5].argmax(axis=2), table.x[:, -1, 5:].argmax(axis=1)
    assert np.array_equal(shown[np.arange(len(table)), asked], table.y)
    assert not table.x[:, 4:-1].any()
    assert (table.x.sum(axis=(1, 2)) == 5).all()
    assert set(asked) == {0, 1, 2, 3}


def test_copy_needs_a_step_for_the_question() -> None:
    with pytest.raises(ValidationError, match=r"remember must be < length 5\. Got 5\."):
        Source.parse({"copy": {"remember": 5, "length": 5}})


def test_reversal_holds_the_symbols_a_start_and_the_answer_that_is_one_step_ahead() -> None:
    table = drawn({"reversal": {"samples": 200, "length": 6, "symbols": 5}})
    assert table.x.shape == (200, 12, 6)
    assert (table.x.sum(axis=2) == 1).all()
    symbols = table.x.argmax(axis=2)
    source, given = symbols[:, :6], symbols[:, 6:]
    assert np.array_equal(table.y, source[:, ::-1])
    assert (given[:, 0] == 5).all()
    assert np.array_equal(given[:, 1:], table.y[:, :-1])
    assert set(np.unique(table.y)) == set(range(5))
    assert table.classes == ("0", "1", "2", "3", "4")


def test_noise_and_seed_of_reversal_change_what_they_name() -> None:
    one, other = drawn("reversal"), drawn("reversal", 1)
    assert np.array_equal(one.x, drawn("reversal").x)
    assert not np.array_equal(one.x, other.x)
    noisy = drawn({"reversal": {"noise": 0.3}})
    assert np.array_equal(one.y, noisy.y)
    assert (noisy.x - one.x).std() == pytest.approx(0.3, rel=0.05)


def test_parity_is_that_of_the_ones() -> None:
    table = drawn("parity")
    assert np.array_equal(table.x.sum(axis=(1, 2)) % 2, table.y)
    assert table.y.mean() == pytest.approx(0.5, abs=0.05)


def nested(word: str) -> bool:
    while "()" in word or "[]" in word:
        word = word.replace("()", "").replace("[]", "")
    return not word


@pytest.mark.parametrize("length", [4, 6, 20])
def test_half_of_the_brackets_are_nested_well_and_the_others_are_not(length: int) -> None:
    table = drawn({"brackets": {"samples": 500, "length": length}})
    words = ["".join("([)]"[place] for place in row.argmax(axis=1)) for row in table.x]
    assert [int(nested(word)) for word in words] == table.y.tolist()
    assert table.y.mean() == 0.5
    for word in words:
        assert (word.count("("), word.count("[")) == (word.count(")"), word.count("]")), "counting gives it away"


def test_brackets_come_in_pairs() -> None:
    with pytest.raises(ValidationError, match="must be a multiple of 2"):
        Source.parse({"brackets": {"length": 7}})


def test_sine_waves_have_the_frequency_that_they_say() -> None:
    table = drawn({"sine_waves": {"length": 64, "noise": 0.0, "frequencies": 5}})
    loudest = np.abs(np.fft.rfft(table.x[..., 0], axis=1)).argmax(axis=1)
    assert np.array_equal(loudest, table.y)
    assert set(table.y) == {1, 2, 3, 4, 5}


def test_sine_waves_go_on_as_they_say() -> None:
    table = drawn({"sine_waves": {"length": 64, "noise": 0.0, "predict": "next"}})
    before, last = table.x[:, -2, 0], table.x[:, -1, 0]
    # sin(a + d) = 2 cos(d) sin(a) - sin(a - d), and cos(d) from the three before
    cosine = (last + table.x[:, -3, 0]) / (2 * before)
    sure = np.abs(before) > 0.1
    np.testing.assert_allclose((2 * cosine * last - before)[sure], table.y[sure], atol=1e-9)


def test_sequences_beyond_the_memory_are_refused_before_they_are_drawn() -> None:
    with pytest.raises(DataError, match=r"adding: 1,000,000 sequences of 100,000,000 steps: .* Use fewer rows"):
        drawn({"adding": {"samples": 10**6, "length": 10**8}})


class Given(Source):
    """A table that is there."""

    table: Any

    def load(self, base: Path, seed: int) -> Table:
        return self.table


Given.name = "given"


def prepared(table: Table, scaling: Any) -> Any:
    split = SplitPlan(validation=0.25, test=0.25)
    return prepare(Given(table=table), split, scaling, task="regression", dtype=np.float64)


@pytest.mark.parametrize("scaling", [Standard(), MinMax()])
def test_a_feature_of_a_sequence_is_scaled_alike_at_every_step(scaling: Any) -> None:
    table = drawn("adding")
    train = prepared(table, scaling).train
    raw = table.x[train.rows].reshape(-1, 2)
    affine = scaling.fit(raw)
    np.testing.assert_allclose(train.x, (table.x[train.rows] - affine.center) / affine.scale)
    assert affine.center.shape == (2,)


def test_padding_does_not_count_in_the_scaling() -> None:
    table = drawn("adding")
    lengths = np.random.default_rng(0).integers(5, 51, len(table))
    there = np.arange(50) < lengths[:, None]
    padded = replace(table, x=np.where(there[..., None], table.x, 0.0), lengths=lengths)
    train = prepared(padded, Standard()).train
    values = train.x[there[train.rows]]
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(values.std(axis=0), 1)


def test_without_scaling_sequences_stay_as_they_are() -> None:
    table = drawn("parity")
    train = prepared(table, NoScaling()).train
    assert np.array_equal(train.x, table.x[train.rows])
