"""Faults that are planted in data: each is found by its rule, and the sound data beside it raise no alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nnctl.checks.causal_order import in_causal_order
from nnctl.checks.data import check_data, check_file, check_unusable
from nnctl.core.errors import DataError
from nnctl.core.finding import Report
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec

CLASSES, VALUES = "cross_entropy", "mse"


class Data:
    """Writes data and a spec for them, and looks at them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self, source: str, loss: str = CLASSES, *overrides: str) -> Report:
        return check_data(self.experiment(source, loss, *overrides))

    def experiment(self, source: str, loss: str = CLASSES, *overrides: str) -> Experiment:
        return Experiment(self.load(source, loss, *overrides))

    def load(self, source: str, loss: str = CLASSES, *overrides: str):
        path = self.folder / "spec.yaml"
        path.write_text(f"data: {{source: {source}}}\narchitecture: [dense: outputs]\nloss: {loss}\n")
        return load_spec(path, overrides)

    def csv(self, frame: pl.DataFrame, name: str = "table") -> str:
        frame.write_csv(self.folder / f"{name}.csv")
        return f"{{csv: {{path: {name}.csv, target: y}}}}"

    def npz(self, x: np.ndarray, y: np.ndarray) -> str:
        np.savez(self.folder / "table.npz", x=x, y=y)
        return "{npz: table.npz}"


@pytest.fixture
def data(tmp_path) -> Data:
    return Data(tmp_path)


def table(n: int = 400, seed: int = 0) -> pl.DataFrame:
    """Two measurements, a category, and a class that they say something about."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    shop = rng.choice(["north", "south", "west"], n)
    y = np.where(a + b + (shop == "north") + rng.normal(size=n) > 0.3, "yes", "no")
    return pl.DataFrame({"a": a, "b": b, "shop": shop, "y": y})


def prices(n: int = 400, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    return pl.DataFrame({"a": a, "b": b, "y": a * b + rng.normal(size=n)})


def bad(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.verdict) for finding in report.findings if finding.verdict != "pass"]


def places(report: Report, rule: str) -> list[str]:
    return [finding.where for finding in report.findings if finding.rule == rule and finding.verdict != "pass"]


# ------------------------------------------------------------------ sound data


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


FULL = "training.batch_size=full"


def test_every_rule_that_passes_says_what_was_measured(data):
    report = data.look("iris")
    assert {finding.rule for finding in report.findings} >= {
        *("non-finite-values", "target-leak", "sorted-rows", "class-balance", "duplicate-rows", "shared-rows"),
        *("label-conflicts", "few-rows", "input-scale", "outliers", "constant-columns", "input-drift"),
        "small-validation",
    }
    assert all(finding.message for finding in report.findings)


# ------------------------------------------------------------------ columns


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


# ------------------------------------------------------------------ columns that give the target away


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


# ------------------------------------------------------------------ rows


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


# ------------------------------------------------------------------ targets


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


# ------------------------------------------------------------------ what the network receives


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


# ------------------------------------------------------------------ parts and order


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


# ------------------------------------------------------------------ data that cannot be used, and files


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


def test_minus_999_among_positive_numbers_is_found_however_large_they_are(data):
    income = np.random.default_rng(0).normal(3e5, 5e4, 400).round()
    frame = table().with_columns(income=pl.when(pl.int_range(400) % 9 == 0).then(-999).otherwise(income))
    assert places(data.look(data.csv(frame)), "hidden-missing-values") == ["income"]


def test_rows_that_are_alike_and_disagree_are_no_copies(data):
    rng = np.random.default_rng(0)
    frame = table(25)[rng.integers(0, 25, 500).tolist()].with_columns(y=pl.Series(rng.choice(["yes", "no"], 500)))
    report = data.look(data.csv(frame))
    assert report.first.rule == "label-conflicts"
    assert ("shared-rows", "fail") not in bad(report)


def test_a_target_with_a_slipped_comma_is_found(data):
    frame = prices().with_columns(y=pl.when(pl.int_range(400) == 7).then(1e4).otherwise(pl.col("y")))
    report = data.look(data.csv(frame), VALUES, "data.target_scaling=standard")
    assert ("outlying-targets", "warn") in bad(report)
