"""A look at data: none that are sound raise an alarm, it says what it measured, and it changes nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tables import CLASSES, FULL, VALUES, bad, places, table

from nnctl.checks.data import check_data, check_file, check_unusable
from nnctl.core.errors import DataError

# ---------------------------------------------------------------------- sound data


@pytest.mark.parametrize("source", ["iris", "wine", "breast_cancer", "digits", "moons", "circles", "spirals"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sound_classes_raise_no_alarm(data, source, seed):
    assert bad(data.look(source, CLASSES, f"seed={seed}")) == []


@pytest.mark.parametrize("source", ["diabetes", "friedman", "sine"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sound_regressions_raise_no_alarm(data, source, seed):
    assert bad(data.look(source, VALUES, f"seed={seed}", "data.target_scaling=standard")) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_sound_table_with_categories_raises_no_alarm(data, seed):
    assert bad(data.look(data.csv(table(seed=seed)), CLASSES, f"seed={seed}")) == []


def test_four_rows_without_any_other_part_raise_no_alarm(data):
    report = data.look("xor", "binary_cross_entropy", "data.split.validation=0", "data.split.test=0", FULL)
    assert bad(report) == []


def test_every_rule_that_passes_says_what_was_measured(data):
    report = data.look("iris")
    assert {finding.rule for finding in report.findings} >= {
        *("non-finite-values", "target-leak", "sorted-rows", "class-balance", "duplicate-rows", "shared-rows"),
        *("label-conflicts", "few-rows", "input-scale", "outliers", "constant-columns", "input-drift"),
        "small-validation",
    }
    assert all(finding.message for finding in report.findings)


# ---------------------------------------------------------------------- data that cannot be used, and files


def test_what_training_refuses_is_told_with_the_columns(data):
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[4, 1] = np.nan
    source = data.npz(x, np.arange(50) % 2)
    with pytest.raises(DataError) as refused:
        data.experiment(source)
    report = check_unusable(data.load(source), refused.value)
    assert report.verdict == "fail"
    assert places(report, "non-finite-values") == ["x2"]
    assert report.first.rule == "unusable-data"
    assert "NaN" in report.first.message


def test_a_file_is_looked_at_without_a_spec(data, monkeypatch):
    monkeypatch.chdir(data.folder)
    data.csv(pl.concat([table(), table().head(40)]).with_row_index("id"))
    report = check_file(data.folder / "table.csv")
    assert places(report, "identifier-columns") == ["id"]
    assert report.figures["equal_rows"]["copies"] == 40
    assert "'y' is taken for the target" in report.figures["notes"][0]
    assert [column["name"] for column in report.figures["columns"]] == ["id", "a", "b", "shop"]


def test_a_file_is_looked_at_with_the_target_that_is_named(data, monkeypatch):
    monkeypatch.chdir(data.folder)
    data.csv(table())
    report = check_file(data.folder / "table.csv", target="shop")
    assert report.figures["targets"]["names"] == ["north", "south", "west"]


def test_images_are_looked_at_with_the_labels_beside_them(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (30, 4, 5), np.uint8)
    x[29], x[2], x[:, 0, 0] = x[28], x[1], 0  # the labels of the first two are equal, of the others not
    header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4) for n in x.shape)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header + x.tobytes())
    labels = (np.arange(30, dtype=np.uint8) // 2) % 3
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + (30).to_bytes(4) + labels.tobytes())
    report = check_file(tmp_path / "train-images-idx3-ubyte")
    assert report.figures["constant"]["train"] == 1
    assert report.figures["equal_rows"]["copies"] == 1
    assert report.figures["equal_rows"]["conflicts"] == 1
    assert report.figures["targets"]["counts"] == {"train": [10, 10, 10]}
    assert report.figures["samples"]["shape"] == [4, 5, 1]


def test_columns_are_described(data):
    frame = table().with_columns(n=pl.when(pl.int_range(400) % 4 > 0).then(pl.int_range(400) % 7))
    by_name = {column["name"]: column for column in data.look(data.csv(frame)).figures["columns"]}
    counts = {key: by_name["n"][key] for key in ("type", "rows", "missing", "distinct", "min", "max")}
    assert counts == {"type": "whole", "rows": 400, "missing": 100, "distinct": 7, "min": 0, "max": 6}
    assert by_name["shop"]["type"] == "text"
    assert by_name["a"]["type"] == "number"


def test_the_check_changes_nothing_of_the_experiment(data):
    experiment = data.experiment("iris")
    before = experiment.data.train.x.copy()
    check_data(experiment)
    np.testing.assert_array_equal(experiment.data.train.x, before)


def test_two_looks_say_the_same(data):
    source = data.csv(pl.concat([table(), table().head(40)]))
    assert data.look(source).plain() == data.look(source).plain()
