"""Faults that are planted in columns: each is found by its rule, and the sound columns beside it raise no alarm."""

from __future__ import annotations

import numpy as np
import polars as pl
from tables import CLASSES, VALUES, bad, places, prices, table

from nnctl.checks.causal_order import in_causal_order
from nnctl.checks.data import check_file

# ---------------------------------------------------------------------- columns


def test_a_column_that_is_mostly_empty_is_found(data):
    frame = table().with_columns(empty=pl.when(pl.int_range(400) % 10 < 3).then(pl.col("a") * 2 - pl.col("b")))
    report = data.look(data.csv(frame))
    assert places(report, "missing-values") == ["empty"]


def test_a_number_that_stands_for_a_missing_one_is_found(data):
    frame = table().with_columns(age=pl.when(pl.int_range(400) % 9 == 0).then(-999).otherwise(pl.int_range(400) % 71))
    assert places(data.look(data.csv(frame)), "hidden-missing-values") == ["age"]


def test_ninety_nine_hours_among_others_are_no_missing_value(data):
    frame = table().with_columns(hours=pl.int_range(400) % 100)
    assert places(data.look(data.csv(frame)), "hidden-missing-values") == []


def test_a_constant_column_is_found_and_named(data):
    report = data.look(data.csv(table().with_columns(same=pl.lit(3))))
    assert ("constant-columns", "warn") in bad(report)
    [finding] = [f for f in report.findings if f.rule == "constant-columns"]
    assert "same" in finding.message


def test_inputs_that_never_change_fail(data):
    report = data.look(data.npz(np.ones((60, 2)), np.arange(60) % 2))
    assert bad(report)[0] == ("constant-inputs", "fail")
    assert in_causal_order(report.findings)[0].rule == "constant-inputs"


def test_pixels_that_are_constant_are_counted_and_raise_no_alarm(data):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (200, 6, 6), np.uint8)
    x[:, 0] = 0
    source = data.npz(x[..., None], np.arange(200) % 2)
    report = data.look(source, CLASSES, "data.scaling=pixels", "architecture=[flatten, {dense: outputs}]")
    assert report.figures["constant"]["train"] == 6
    assert bad(report) == []


def test_steps_in_which_nothing_comes_raise_no_alarm_and_numbers_that_never_come_do(data):
    sequences = "{copy: {samples: 400, length: 30, symbols: 8, remember: 5}}"
    report = data.look(sequences, CLASSES, "data.scaling=none", "architecture=[gru: 4, dense: outputs]")
    assert report.figures["constant"]["train"] == 24 * 13 + 6 * 13 - 5 * 8 - 5
    assert bad(report) == []
    x = np.zeros((400, 10, 5))
    x[..., 0] = np.random.default_rng(0).normal(size=(400, 10))
    report = data.look(data.npz(x, np.arange(400) % 2), CLASSES, "architecture=[gru: 4, dense: outputs]")
    assert bad(report) == [("constant-columns", "warn")]
    [finding] = [f for f in report.findings if f.rule == "constant-columns"]
    assert "80% of the numbers of a step never change" in finding.message
    assert "column" not in finding.fix


def test_a_running_number_is_found(data):
    assert places(data.look(data.csv(table().with_row_index("id", 1))), "identifier-columns") == ["id"]


def test_numbers_that_were_handed_out_are_found_in_any_order(data):
    ids = np.random.default_rng(3).permutation(1000)[:400] + 10_000
    assert places(data.look(data.csv(table().with_columns(patient=ids))), "identifier-columns") == ["patient"]


def test_names_that_are_all_different_are_found(data):
    frame = table().with_columns(name=pl.format("{}-{}", pl.int_range(400) * 7919 % 401, pl.lit("x")))
    data.csv(frame)
    report = check_file(data.folder / "table.csv")
    assert places(report, "identifier-columns") == ["name"]


def test_prices_that_happen_to_differ_are_no_identifier(data):
    price = np.random.default_rng(3).choice(10_000_000, 400, replace=False)
    assert places(data.look(data.csv(table().with_columns(price=price))), "identifier-columns") == []


# ---------------------------------------------------------------------- columns that give the target away


def test_a_recoded_target_fails(data):
    frame = table().with_columns(code=pl.when(pl.col("y") == "yes").then(7).otherwise(3))
    report = data.look(data.csv(frame))
    assert report.first.rule == "target-leak"
    assert places(report, "target-leak") == ["code"]
    assert report.verdict == "fail"


def test_a_text_that_recodes_the_target_fails(data):
    frame = table().with_columns(note=pl.when(pl.col("y") == "yes").then(pl.lit("paid")).otherwise(pl.lit("open")))
    assert ("target-leak", "fail") in bad(data.look(data.csv(frame)))


def test_an_amount_that_is_zero_for_one_class_only_warns(data):
    rng = np.random.default_rng(1)
    frame = table().with_columns(refund=pl.when(pl.col("y") == "yes").then(rng.uniform(5, 90, 400)).otherwise(0.0))
    assert ("target-leak", "warn") in bad(data.look(data.csv(frame)))


def test_a_target_in_another_unit_fails(data):
    frame = prices().with_columns(in_cents=100 * pl.col("y") + 3)
    report = data.look(data.csv(frame), VALUES)
    assert places(report, "target-leak") == ["in_cents"]
    assert report.verdict == "fail"


def test_a_gap_that_gives_the_target_away_is_found(data):
    frame = table().with_columns(stay=pl.when(pl.col("y") == "yes").then(pl.int_range(400) % 17))
    assert places(data.look(data.csv(frame)), "target-leak") == ["stay"]


def test_copies_do_not_make_a_column_look_telling(data):
    report = data.look(data.csv(pl.concat([table()] * 12)))
    assert places(report, "target-leak") == []
    assert ("shared-rows", "fail") in bad(report)


def test_all_places_of_a_picture_that_tell_the_class_are_one_warning(data):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = rng.integers(0, 200, (200, 6, 6)).astype(np.uint8)
    x[:, :2, :2] = 255 * y[:, None, None]
    report = data.look(data.npz(x, y), CLASSES, "architecture=[flatten, {dense: outputs}]")
    [leak] = [finding for finding in report.findings if finding.rule == "target-leak"]
    assert (leak.verdict, leak.where) == ("warn", "(0, 0)")
    assert "avoids 100.0% of the errors of guessing, and 3 other places nearly as much" in leak.message
    assert "drop" not in leak.fix


def test_an_only_input_may_predict_the_target(data):
    frame = pl.DataFrame({"a": np.linspace(0, 1, 200), "y": 2 * np.linspace(0, 1, 200)})
    assert places(data.look(data.csv(frame), VALUES), "target-leak") == []


# ---------------------------------------------------------------------- data that cannot be used, and files


def test_minus_999_among_positive_numbers_is_found_however_large_they_are(data):
    income = np.random.default_rng(0).normal(3e5, 5e4, 400).round()
    frame = table().with_columns(income=pl.when(pl.int_range(400) % 9 == 0).then(-999).otherwise(income))
    assert places(data.look(data.csv(frame)), "hidden-missing-values") == ["income"]
