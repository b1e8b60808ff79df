"""nnctl predict: the run alone knows how to read, scale, predict and name."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import IRIS

MIXED = """\
name: mixed
data:
  source: {csv: {path: people.csv, target: city, drop: [id]}}
  split: {validation: 0.2, test: 0.2}
architecture: [dense: 8, tanh, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.02}
training: {epochs: 5, batch_size: 8}
metrics: [accuracy, balanced_accuracy]
"""
CITIES = ["=1+1", "[red]Rome[/]", "Oslo"]
PEOPLE = "id,age,colour,city\n" + "".join(
    f"{i},{'' if i % 9 == 0 else i % 40 + i % 3},{['red', 'blue', ''][i % 3]},{CITIES[i % 3]}\n" for i in range(90)
)

PRICES = """\
name: prices
data:
  source: {csv: {path: houses.csv, target: price}}
  target_scaling: standard
architecture: [dense: 8, tanh, dense: outputs]
loss: mse
optimizer: {adam: 0.02}
training: {epochs: 60, batch_size: 16}
"""
HOUSES = "rooms,price\n" + "".join(f"{i % 7 + i / 100},{100000 + 50000 * (i % 7 + i / 100)}\n" for i in range(120))

SIGNS = """\
name: signs
data:
  source: {csv: {path: signs.csv, target: y}}
architecture: [dense: outputs]
loss: LOSS
optimizer: {adam: 0.05}
training: {epochs: 20}
"""
POINTS = "x,y\n" + "".join(f"{i - 50.5},{-1 if i < 51 else 1}\n" for i in range(100))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def summary(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())["summary"]


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_the_score_of_a_part_is_the_one_that_train_printed(nnctl, trained, part):
    run = trained(IRIS)
    code, out, _ = nnctl("predict", run, part, "--json")
    assert code == 0
    assert json.loads(out)["score"] == summary(run)["metrics"][part]


def test_the_weights_are_those_that_the_result_of_the_run_is_about(nnctl, trained):
    text = IRIS.replace("epochs: 3", "epochs: 30") + "early_stopping: {patience: 2, min_delta: 0.2}\n"
    run = trained(text)
    assert summary(run)["weights"] == "best"
    own = json.loads(nnctl("predict", run, "test", "--json").out)
    assert own["checkpoint"] == "best"
    assert own["score"] == summary(run)["metrics"]["test"]
    last = json.loads(nnctl("predict", run, "test", "--json", "--checkpoint", "last").out)
    assert last["score"] != own["score"]


def test_every_row_has_its_prediction_probabilities_and_target(nnctl, trained):
    code, out, err = nnctl("predict", trained(IRIS), "test")
    rows = table(out)
    assert code == 0
    assert list(rows[0]) == ["row", "prediction", "p_setosa", "p_versicolor", "p_virginica", "target"]
    for row in rows:
        shares = {name: float(row[f"p_{name}"]) for name in ("setosa", "versicolor", "virginica")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        assert row["prediction"] == max(shares, key=shares.get)
    right = np.mean([row["prediction"] == row["target"] for row in rows])
    assert f"accuracy {right:.4g}" in err


def test_the_rows_of_a_part_are_numbered_as_in_the_source(nnctl, trained, monkeypatch):
    run = trained(MIXED, people=PEOPLE)
    rows = table(nnctl("predict", run, "test").out)
    lines = PEOPLE.splitlines()
    for row in rows:
        assert lines[int(row["row"])].split(",")[3] == row["target"].removeprefix("'")


def test_a_file_is_read_as_the_training_data_were(nnctl, trained, here):
    run = trained(MIXED, people=PEOPLE)
    (here / "new.csv").write_text(PEOPLE)
    code, out, err = nnctl("predict", run, "new.csv")
    assert code == 0
    by_row = {row["row"]: row for row in table(out)}
    assert len(by_row) == 90
    for row in table(nnctl("predict", run, "test").out):
        assert by_row[row["row"]] == pytest.approx(row, abs=1e-6) or by_row[row["row"]] == row
    assert "balanced_accuracy" in err


def test_a_run_predicts_without_its_data_and_wherever_it_lies(nnctl, trained, here):
    run = here / "elsewhere"
    shutil.copytree(trained(MIXED, people=PEOPLE), run)
    resolved = run / "resolved.yaml"
    resolved.write_text(resolved.read_text().replace("people.csv", "gone.csv"))
    (here / "new.csv").write_text("colour,age\nred,3\ngreen,\n")
    code, out, err = nnctl("predict", run, "new.csv")
    assert code == 0
    assert [row["row"] for row in table(out)] == ["1", "2"]
    assert "target" not in table(out)[0]
    assert "green" in err
    assert "score" not in err
    assert nnctl("predict", run, "test").code == 3


def test_what_a_spreadsheet_would_run_is_marked_as_a_text(nnctl, trained):
    rows = table(nnctl("predict", trained(MIXED, people=PEOPLE), "train").out)
    assert "p_=1+1" in rows[0]
    assert {row["target"] for row in rows} == {"'=1+1", "[red]Rome[/]", "Oslo"}


def test_json_has_the_names_as_they_are(nnctl, trained):
    found = json.loads(nnctl("predict", trained(MIXED, people=PEOPLE), "train", "--json").out)
    assert {entry["target"] for entry in found["predictions"]} == set(CITIES)
    assert set(found["predictions"][0]["probabilities"]) == set(CITIES)


def test_a_regression_predicts_in_its_own_units(nnctl, trained):
    run = trained(PRICES, houses=HOUSES)
    code, out, err = nnctl("predict", run, "test")
    rows = table(out)
    assert code == 0
    assert list(rows[0]) == ["row", "prediction", "target"]
    assert all(100_000 <= float(row["target"]) <= 500_000 for row in rows)
    assert np.mean([abs(float(r["prediction"]) - float(r["target"])) for r in rows]) < 60_000
    assert "r2" in err


def test_one_output_gives_the_probabilities_of_both_classes(nnctl, trained):
    run = trained(SIGNS.replace("LOSS", "binary_cross_entropy"), signs=POINTS)
    rows = table(nnctl("predict", run, "test").out)
    assert list(rows[0]) == ["row", "prediction", "p_-1", "p_1", "target"]
    assert {row["target"] for row in rows} == {"-1", "1"}
    for row in rows:
        assert float(row["p_-1"]) + float(row["p_1"]) == pytest.approx(1)
        assert (row["prediction"] == "1") == (float(row["p_1"]) > 0.5)


def test_scores_are_not_called_probabilities(nnctl, trained):
    run = trained(SIGNS.replace("LOSS", "hinge"), signs=POINTS)
    rows = table(nnctl("predict", run, "test").out)
    assert list(rows[0]) == ["row", "prediction", "score_1", "target"]
    assert all((row["prediction"] == "1") == (float(row["score_1"]) > 0) for row in rows)
    assert "scores" in json.loads(nnctl("predict", run, "test", "--json").out)["predictions"][0]


def test_several_targets_have_a_column_each(nnctl, here):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    np.savez(here / "two.npz", x=x, y=x[:, :2] * 10)
    (here / "spec.yaml").write_text(
        "data: {source: {npz: two.npz}}\narchitecture: [dense: outputs]\nloss: mse\ntraining: {epochs: 2}\n"
    )
    assert nnctl("train", "spec.yaml", "-q", "--no-plot").code == 0
    [run] = (here / "runs").iterdir()
    rows = table(nnctl("predict", run, "two.npz").out)
    assert list(rows[0]) == ["row", "prediction_1", "prediction_2", "target_1", "target_2"]
    found = json.loads(nnctl("predict", run, "two.npz", "--json").out)
    assert np.allclose([entry["target"] for entry in found["predictions"]], x[:, :2] * 10, rtol=1e-5)
    np.savez(here / "three.npz", x=x, y=x)
    code, out, err = nnctl("predict", run, "three.npz")
    assert code == 0
    assert "target_1" not in table(out)[0]
    assert "no score" in err


def test_labels_that_are_no_class_are_told_and_not_scored(nnctl, trained, here):
    run = trained(MIXED, people=PEOPLE)
    (here / "new.csv").write_text("colour,age,city\nred,3,Paris\n")
    code, out, err = nnctl("predict", run, "new.csv")
    assert code == 0
    assert len(table(out)) == 1
    assert "'Paris'" in err
    assert "no score" in err


def test_a_file_is_written_and_said(nnctl, trained, here):
    run = trained(IRIS)
    code, out, err = nnctl("predict", run, "test", "-o", "out.csv")
    assert (code, err) == (0, "")
    assert "wrote out.csv: 23 rows, last weights" in out
    assert "score: loss" in out
    assert (here / "out.csv").read_text() == nnctl("predict", run, "test").out


def test_a_run_is_found_by_its_name(nnctl, trained):
    run = trained(IRIS)
    assert nnctl("predict", run.name, "test", "--runs-dir", run.parent).code == 0


@pytest.mark.parametrize("status", ["running", "interrupted", "diverged", "failed"])
def test_a_run_that_is_not_done_predicts_with_a_note(nnctl, trained, here, status):
    run = here / "copy"
    shutil.copytree(trained(IRIS), run)
    record = json.loads((run / "run.json").read_text())
    del record["summary"]
    (run / "run.json").write_text(json.dumps({**record, "status": status}))
    code, out, err = nnctl("predict", run, "test")
    assert code == 0
    assert len(table(out)) == 23
    assert f"note: the run is {status}" in err


def test_data_that_changed_are_told(nnctl, trained, here):
    run = here / "copy"
    shutil.copytree(trained(IRIS), run)
    record = json.loads((run / "run.json").read_text())
    record["environment"]["data_hash"] = "0"
    (run / "run.json").write_text(json.dumps(record))
    assert "the data have changed" in nnctl("predict", run, "test").err


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda run: (run / "checkpoints" / "last.safetensors").unlink(), "does not exist"),
        (lambda run: (run / "checkpoints" / "last.safetensors").write_bytes(b"x"), "last.safetensors"),
        (lambda run: (run / "preprocessing.json").write_text("{}"), "preprocessing"),
        (lambda run: (run / "preprocessing.json").unlink(), "preprocessing.json"),
        (lambda run: (run / "resolved.yaml").unlink(), "resolved.yaml"),
        (lambda run: (run / "resolved.yaml").write_text("a: 1"), "unknown key"),
        (
            lambda run: (run / "resolved.yaml").write_text((run / "resolved.yaml").read_text().replace("8", "9")),
            "0.dense.W",
        ),
    ],
)
def test_a_damaged_run_ends_with_3(nnctl, trained, here, break_it, said):
    run = here / "copy"
    shutil.copytree(trained(IRIS), run)
    break_it(run)
    code, out, err = nnctl("predict", run, "test")
    assert (code, out) == (3, "")
    assert said in err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no.csv", None, "there is no such file"),
        ("empty.csv", "", "is empty"),
        ("head.csv", "age,colour\n", "no rows"),
        ("other.csv", "a,b\n1,2\n", "missing"),
        ("words.csv", "age,colour\nold,red\n", "old"),
        ("what.xyz", "1", "no kind that can be read"),
    ],
)
def test_an_input_that_cannot_be_used_ends_with_3(nnctl, trained, here, name, content, said):
    if content is not None:
        (here / name).write_text(content)
    code, out, err = nnctl("predict", trained(MIXED, people=PEOPLE), name)
    assert (code, out) == (3, "")
    assert said in err


def test_a_missing_column_is_told_with_its_file(nnctl, trained, here):
    (here / "narrow.csv").write_text("age\n3\n")
    err = nnctl("predict", trained(MIXED, people=PEOPLE), "narrow.csv").err
    assert err.startswith("error: narrow.csv: ")
    assert re.search(r"columns? of the training data (is|are) missing: ", err)


def test_a_folder_is_not_said_to_hold_images_where_rows_are_wanted(nnctl, trained, here):
    (here / "folder").mkdir()
    code, _, err = nnctl("predict", trained(IRIS), "folder")
    assert code == 3
    assert "folder: is a folder, and the network was trained on rows of 4 numbers. Name a file of them: .csv" in err


def test_a_part_that_the_data_do_not_have_ends_with_2(nnctl, trained):
    run = trained(IRIS.replace("test: 0.15", "test: 0"))
    code, _, err = nnctl("predict", run, "test")
    assert code == 2
    assert "no test part" in err


@pytest.mark.parametrize("arguments", [["nope", "test"], ["nope"], ["nope", "test", "--checkpoint", "first"]])
def test_a_wrong_command_line_ends_with_2(nnctl, arguments):
    assert nnctl("predict", *arguments).code == 2


def test_a_file_that_cannot_be_written_ends_with_74(nnctl, trained):
    assert nnctl("predict", trained(IRIS), "test", "-o", "no/where.csv").code == 74


def test_where_only_the_last_positions_have_targets_every_one_of_them_is_predicted(nnctl, here):
    (here / "spec.yaml").write_text("""
name: backwards
data: {source: {reversal: {samples: 60, length: 4, symbols: 5}}, scaling: none}
architecture: [{dense: 8}, {segment: {start: 4, alone: true, layers: [tanh]}}, {dense: outputs}]
loss: cross_entropy
training: {epochs: 1}
""")
    assert nnctl("train", "spec.yaml", "--no-plot").code == 0
    [run] = here.glob("runs/backwards-*")
    answer = nnctl("predict", run, "test", "--json")
    assert answer.code == 0
    assert len(json.loads(answer.out)["predictions"]) == 9 * 4
