"""Faults that are planted in rows, their parts and their order: copies, contradictions, parts that differ."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tables import CLASSES, FULL, VALUES, bad, places, prices, table

# ---------------------------------------------------------------------- rows


def test_copies_are_counted_and_found(data):
    frame = table()
    report = data.look(data.csv(pl.concat([frame, frame.head(40)])), CLASSES, "data.split.test=0")
    assert ("duplicate-rows", "warn") in bad(report)
    assert report.figures["equal_rows"]["copies"] == 40


def test_a_few_copies_are_counted_without_alarm(data):
    frame = table()
    report = data.look(data.csv(pl.concat([frame, frame.head(2)])), CLASSES, "data.split.test=0")
    assert report.figures["equal_rows"]["copies"] == 2
    assert ("duplicate-rows", "warn") not in bad(report)


def test_copies_with_another_identifier_are_copies(data):
    frame = table()
    report = data.look(data.csv(pl.concat([frame, frame.head(40)]).with_row_index("id")), CLASSES, "data.split.test=0")
    assert report.figures["equal_rows"]["copies"] == 40


def test_rows_that_differ_in_a_dropped_column_are_no_copies(data):
    frame = pl.concat([table(), table().head(40)]).with_columns(day=pl.int_range(440) // 3)
    data.csv(frame)
    report = data.look("{csv: {path: table.csv, target: y, drop: [day]}}", CLASSES, "data.split.test=0")
    assert report.figures["equal_rows"]["copies"] == 0
    assert report.figures["equal_rows"]["equal_inputs"] == 40


def test_a_dropped_column_may_hold_anything(data):
    data.csv(table().with_columns(note=pl.format("{},5", pl.int_range(400))))
    assert bad(data.look("{csv: {path: table.csv, target: y, drop: [note]}}")) == []


def test_rows_of_few_values_are_equal_by_chance(data):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({name: rng.integers(0, 3, 500) for name in "abc"} | {"y": rng.integers(0, 2, 500)})
    rules = [rule for rule, _ in bad(data.look(data.csv(frame)))]
    assert "duplicate-rows" not in rules
    assert "shared-rows" not in rules


def test_a_validation_file_that_repeats_training_rows_fails(data):
    frame = table()
    data.csv(frame, "train")
    data.csv(pl.concat([frame.head(30), table(70, seed=9)]), "validation")
    report = data.look("{csv: {train: train.csv, validation: validation.csv, target: y}}", CLASSES, "data.split.test=0")
    assert ("shared-rows", "fail") in bad(report)
    assert report.figures["equal_rows"]["shared"]["validation"]["copies"] == 30


def test_conflicting_labels_are_found_with_the_floor_that_they_force(data):
    x = np.repeat(np.random.default_rng(0).normal(size=(100, 2)), 4, axis=0)
    report = data.look(data.npz(x, np.arange(400) % 4 == 0), CLASSES)
    assert ("label-conflicts", "warn") in bad(report)
    assert report.figures["equal_rows"]["unavoidable"] == 0.25


def test_the_floor_of_a_regression_is_the_variance_within_equal_inputs(data):
    x = np.repeat(np.arange(50.0), 2)[:, None]
    y = np.tile([-1.0, 1.0], 50)
    assert data.look(data.npz(x, y), VALUES).figures["equal_rows"]["unavoidable"] == pytest.approx(1.0)


# ---------------------------------------------------------------------- parts and order


def test_a_part_from_another_population_is_found(data):
    data.csv(table(), "train")
    data.csv(table(200, seed=5).with_columns(pl.col("b") + 1), "test")
    report = data.look("{csv: {train: train.csv, test: test.csv, target: y}}")
    assert places(report, "input-drift") == ["test part"]
    assert "b" in next(f.message for f in report.findings if f.rule == "input-drift" and f.verdict == "warn")


def test_a_part_with_other_shares_of_the_classes_is_found(data):
    data.csv(table(), "train")
    data.csv(table(300, seed=5).filter((pl.col("y") == "yes") | (pl.int_range(300) % 4 == 0)), "test")
    report = data.look("{csv: {train: train.csv, test: test.csv, target: y}}")
    assert places(report, "target-drift") == ["test part"]


@pytest.mark.parametrize(("rows", "more"), [(40, 0.12), (8000, 0.03)])
def test_other_shares_of_the_classes_by_chance_or_by_little_raise_no_alarm(data, rows, more):
    def part(n: int, share: float) -> pl.DataFrame:
        return table(n, seed=n).with_columns(y=pl.when(pl.int_range(n) < n * share).then(1).otherwise(0))

    data.csv(part(8000, 0.5), "train")
    data.csv(part(rows, 0.5 + more), "test")
    report = data.look("{csv: {train: train.csv, test: test.csv, target: y}}")
    assert places(report, "target-drift") == []


def test_a_small_validation_part_is_found(data):
    source = data.csv(table())
    assert ("small-validation", "warn") in bad(data.look(source, CLASSES, "data.split.validation=12"))
    assert ("small-validation", "warn") in bad(
        data.look(source, CLASSES, "data.split.validation=0", "data.split.test=0")
    )


@pytest.mark.parametrize("key", ["training.shuffle", "data.split.shuffle"])
def test_rows_in_the_order_of_their_targets_fail_where_the_order_is_kept(data, key):
    values = prices().sort("y")
    report = data.look(data.csv(values), VALUES, f"{key}=false")
    assert ("sorted-rows", "fail") in bad(report)
    assert key in next(f.fix for f in report.findings if f.rule == "sorted-rows")
    assert "sorted-rows" not in dict(bad(data.look(data.csv(values), VALUES)))


def test_one_batch_of_everything_has_no_order(data):
    source = data.csv(table().sort("y"))
    assert "sorted-rows" not in dict(bad(data.look(source, CLASSES, "training.shuffle=false", FULL)))
    assert "sorted-rows" in dict(bad(data.look(source, CLASSES, "training.shuffle=false")))


# ---------------------------------------------------------------------- data that cannot be used, and files


def test_rows_that_are_alike_and_disagree_are_no_copies(data):
    rng = np.random.default_rng(0)
    frame = table(25)[rng.integers(0, 25, 500).tolist()].with_columns(y=pl.Series(rng.choice(["yes", "no"], 500)))
    report = data.look(data.csv(frame))
    assert report.first.rule == "label-conflicts"
    assert ("shared-rows", "fail") not in bad(report)
