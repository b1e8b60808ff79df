"""Promise 11: runs and specs carry a format; an older one is read, and a newer one refused in a clear sentence.

golden/ holds run directories as nnctl wrote them: a done run, an interrupted one, a check, and a run of before run.json
held the spec. A change of format keeps them and adds others.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import call
from faults import finish, resumed

from nnctl.runs.store import Run

GOLDEN = Path(__file__).parent / "golden"
RUNS = ("done", "interrupted", "older")


@pytest.fixture
def golden(tmp_path) -> Path:
    shutil.copytree(GOLDEN, tmp_path / "runs")
    return tmp_path / "runs"


def entries(folder: Path) -> dict[str, dict]:
    return {entry["name"]: entry for entry in json.loads(call("ls", folder, "--json").out)["entries"]}


def test_golden_directories_are_read_by_every_reader(golden):
    states = {name: entry["status"] for name, entry in entries(golden).items()}
    assert states == {"check": "done", "done": "done", "interrupted": "interrupted", "older": "interrupted"}
    compared = json.loads(call("compare", golden, "--json").out)["runs"]
    assert {run["name"]: run["value"] for run in compared}["done"] == pytest.approx(1.087, abs=0.01)
    for name in (*RUNS, "check"):
        assert call("show", golden / name).code == 0
        assert call("show", golden / name, "--json").code == 0
    assert "no spec" not in call("show", golden / "older").out
    assert call("diff", golden / "interrupted", golden / "older").code == 0


@pytest.mark.parametrize("name", RUNS)
def test_they_still_predict(golden, name):
    answer = call("predict", golden / name, "validation", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert len(found["predictions"]) == 23
    if name == "done":
        assert found["score"]["loss"] == pytest.approx(1.087, abs=0.01)


@pytest.mark.parametrize("name", ["interrupted", "older"])
def test_they_still_go_on_to_the_end_of_the_one_that_was_not_interrupted(golden, name):
    run = finish(resumed(Run.open(golden / name)))
    wanted, found = (Run.open(golden / each).records.read() for each in ("done", name))
    assert [record["epoch"] for record in found] == [1, 2, 3]
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
    assert run.record["summary"]["metrics"]["test"]["loss"] == pytest.approx(
        Run.open(golden / "done").record["summary"]["metrics"]["test"]["loss"], rel=1e-4
    )


def test_what_is_written_carries_the_format(golden):
    assert Run.open(golden / "done").record["format"] == 1
    assert json.loads((golden / "check" / "check.json").read_text())["format"] == 1
    assert (golden / "done" / "resolved.yaml").read_text().startswith("format: 1\n")


def renumbered(path: Path, found: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": found}))


def test_a_newer_run_is_listed_as_newer_and_refused_by_whoever_would_use_it(golden):
    renumbered(golden / "done" / "run.json", 2)
    renumbered(golden / "check" / "check.json", 3)
    listed = entries(golden)
    assert {listed[name]["status"] for name in ("done", "check")} == {"newer"}
    assert listed["done"]["reason"] == (
        "run.json was written by a newer nnctl: it has format 2, and this one reads 1. Update nnctl"
    )
    assert "newer" in call("ls", golden).out
    assert [run["name"] for run in json.loads(call("compare", golden, "--json").out)["runs"]] == [
        "interrupted",
        "older",
    ]
    assert "newer nnctl" in call("show", golden / "done").out
    for command in (["predict", golden / "done", "test"], ["train", "--resume", golden / "done"]):
        answer = call(*command)
        assert answer.code == 3
        assert answer.err.rstrip().endswith(
            "was written by a newer nnctl: it has format 2, and this one reads 1. Update nnctl."
        )
    answer = call("diff", golden / "done", golden / "older")
    assert answer.code == 2
    assert "newer nnctl" in answer.err


@pytest.mark.parametrize("found", [None, "1", 0, -1, True, 1.0, [1]])
def test_a_format_that_no_nnctl_writes_is_damage(golden, found):
    renumbered(golden / "done" / "run.json", found)
    assert entries(golden)["done"]["status"] == "broken"
    answer = call("predict", golden / "done", "test")
    assert answer.code == 3
    assert "is damaged: it has format" in answer.err


SPEC = "data: {source: iris}\narchitecture: [dense: outputs]\nloss: cross_entropy\n"


def test_a_spec_without_a_format_is_in_the_first_and_says_so_resolved(tmp_path):
    (tmp_path / "old.yaml").write_text(SPEC)
    (tmp_path / "new.yaml").write_text("format: 1\n" + SPEC)
    assert [call("validate", tmp_path / name).code for name in ("old.yaml", "new.yaml")] == [0, 0]


@pytest.mark.parametrize("command", ["validate", "train", "lint", "data", "lr-find", "gradcheck"])
def test_a_newer_spec_is_refused_in_one_sentence_whatever_else_it_says(tmp_path, command):
    (tmp_path / "spec.yaml").write_text("format: 2\nquantum: {entangle: true}\n" + SPEC)
    answer = call(command, tmp_path / "spec.yaml")
    assert answer.code == 2
    assert "spec.yaml:1:1: format: is 2, and this nnctl reads specs up to 1. Update nnctl." in answer.err
    assert "quantum" not in answer.err


def test_so_is_the_resolved_spec_of_a_run(golden):
    path = golden / "interrupted" / "resolved.yaml"
    path.write_text(path.read_text().replace("format: 1", "format: 7"))
    answer = call("train", "--resume", golden / "interrupted")
    assert "this nnctl reads specs up to 1. Update nnctl." in answer.err
    assert answer.code == 2
