"""Faults that are planted in values: targets and inputs of a size, or of a kind, that no network learns from."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tables import CLASSES, VALUES, bad, places, prices, table

# ---------------------------------------------------------------------- targets


def rare(share: float) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return table(1000).with_columns(y=pl.Series(np.where(rng.random(1000) < share, "ill", "well")))


def test_imbalance_is_found_unless_the_loss_weighs_the_classes(data):
    source = data.csv(rare(0.04))
    assert ("class-balance", "warn") in bad(data.look(source))
    assert ("class-balance", "warn") not in bad(data.look(source, "{cross_entropy: {class_weight: balanced}}"))
    assert ("class-balance", "warn") not in bad(data.look(data.csv(rare(0.2))))


def test_a_part_without_a_class_fails(data):
    frame = table().sort("y")
    both = pl.concat([frame.head(100), frame.tail(200), frame[100:200]])
    report = data.look(data.csv(both), CLASSES, "data.split.shuffle=false", "data.split.test=0")
    assert places(report, "class-absent") == ["validation part"]
    assert report.verdict == "fail"


@pytest.mark.parametrize(("factor", "verdict"), [(1, None), (100, "warn"), (1e5, "fail"), (1e-4, "warn")])
def test_targets_of_another_size_are_found(data, factor, verdict):
    found = dict(bad(data.look(data.csv(prices().with_columns(pl.col("y") * factor)), VALUES)))
    assert found.get("target-scale") == verdict


@pytest.mark.parametrize("scaling", ["none", "standard"])
def test_a_target_that_never_changes_fails_and_is_called_so(data, scaling):
    report = data.look(data.csv(prices().with_columns(y=pl.lit(5.1))), VALUES, f"data.target_scaling={scaling}")
    assert bad(report) == [("constant-target", "fail")]


def test_targets_that_are_cut_off_are_found(data):
    frame = prices().with_columns(pl.col("y").clip(upper_bound=1.5))
    assert ("capped-target", "warn") in bad(data.look(data.csv(frame), VALUES))
    assert ("capped-target", "warn") not in bad(data.look(data.csv(prices()), VALUES))


# ---------------------------------------------------------------------- what the network receives


@pytest.mark.parametrize(("factor", "verdict"), [(1, None), (30, "warn"), (1e4, "fail"), (1e-3, "warn")])
def test_inputs_of_another_size_are_found(data, factor, verdict):
    frame = table().with_columns(pl.col("a") * factor)
    found = dict(bad(data.look(data.csv(frame), CLASSES, "data.scaling=none")))
    assert found.get("input-scale") == verdict
    assert "input-scale" not in dict(bad(data.look(data.csv(frame), CLASSES)))


def test_rare_categories_and_rare_marks_are_not_badly_scaled(data):
    rare_one = np.arange(1000) % 250 == 0
    frame = table(1000).with_columns(kind=np.where(rare_one, "odd", "usual"), mark=rare_one.astype(int))
    source = data.csv(frame)
    assert "input-scale" not in dict(bad(data.look(source, CLASSES)))
    assert "input-scale" not in dict(bad(data.look(source, CLASSES, "data.scaling=none")))


def test_pixels_that_are_not_scaled_fail(data):
    x = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 1), np.uint8)
    flat = "architecture=[flatten, {dense: outputs}]"
    source = data.npz(x, np.arange(100) % 2)
    assert data.look(source, CLASSES, "data.scaling=none", flat).first.rule == "raw-pixels"
    assert "raw-pixels" not in dict(bad(data.look(source, CLASSES, "data.scaling=pixels", flat)))


def test_a_slipped_comma_is_found(data):
    frame = table().with_columns(a=pl.when(pl.int_range(400) == 7).then(1e4).otherwise(pl.col("a")))
    assert places(data.look(data.csv(frame)), "outliers") == ["a"]


def test_a_long_tail_is_no_outlier(data):
    frame = table().with_columns(a=pl.col("a").exp())
    assert places(data.look(data.csv(frame)), "outliers") == []


def test_a_rare_value_that_scaling_blows_up_is_found(data):
    rare_one = np.zeros(6000)
    rare_one[17] = 2.5
    report = data.look(data.csv(table(6000).with_columns(rare=rare_one)), CLASSES, "data.split.test=0")
    assert places(report, "outliers") == ["rare"]


def test_more_inputs_than_rows_are_found(data):
    rng = np.random.default_rng(0)
    report = data.look(data.npz(rng.normal(size=(60, 80)), np.arange(60) % 2))
    assert ("few-rows", "warn") in bad(report)


# ---------------------------------------------------------------------- data that cannot be used, and files


def test_a_target_with_a_slipped_comma_is_found(data):
    frame = prices().with_columns(y=pl.when(pl.int_range(400) == 7).then(1e4).otherwise(pl.col("y")))
    report = data.look(data.csv(frame), VALUES, "data.target_scaling=standard")
    assert ("outlying-targets", "warn") in bad(report)
