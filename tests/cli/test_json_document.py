"""With --json a command prints exactly one document on stdout, also where it fails; the message stays on stderr."""

from __future__ import annotations

import json

import pytest
import typer

from nnctl.cli import app

COMMANDS = typer.main.get_command(app.app).commands
WITH_JSON = sorted(
    name for name, command in COMMANDS.items() if any("--json" in parameter.opts for parameter in command.params)
)
TAKE_A_SPEC = ["train", "validate", "lint", "doctor", "data", "gradcheck", "lr-find", "overfit-batch"]
TAKE_A_RUN = {
    "predict": ["nope", "test"],
    "sample": ["nope"],
    "show": ["nope"],
    "diff": ["nope", "nope"],
    "repro": ["nope"],
    "compare": ["nope"],
    "ls": ["nope"],
}


def test_every_command_with_json_is_tried_here():
    assert {*TAKE_A_SPEC, *TAKE_A_RUN} == set(WITH_JSON)


def failed(answer, kind: str, code: int) -> dict:
    """Return the error of the one document that a command printed."""
    document = json.loads(answer.out)
    error = document["error"]
    assert (answer.code, error["kind"], error["exit_code"]) == (code, kind, code)
    assert answer.err.strip()
    return error


@pytest.mark.parametrize("name", WITH_JSON)
def test_an_unknown_option_is_a_usage_error_in_the_document(nnctl, name):
    error = failed(nnctl(name, "--json", "--nonsense"), "UsageError", 2)
    assert "--nonsense" in error["message"]
    assert "errors" not in error


@pytest.mark.parametrize("name", TAKE_A_SPEC)
def test_every_mistake_of_a_spec_stands_in_the_document_with_its_place(nnctl, spec, name):
    spec.write_text(spec.read_text().replace("relu", "rellu"))
    error = failed(nnctl(name, spec, "training.epochs=-1", "--json"), "SpecError", 2)
    mistakes = {mistake["path"]: mistake for mistake in error["errors"]}
    assert set(mistakes) == {"architecture.1", "training.epochs"}
    assert mistakes["architecture.1"]["where"] == str(spec)
    assert (mistakes["architecture.1"]["line"], mistakes["architecture.1"]["column"]) == (3, 26)
    assert mistakes["training.epochs"]["where"] == "command line"


@pytest.mark.parametrize("name", [name for name in TAKE_A_SPEC if name != "lint"])  # which reads no data
def test_data_that_are_not_there_are_a_data_error_in_the_document(nnctl, spec, name):
    error = failed(nnctl(name, spec, "data.source={csv: {path: no.csv, target: y}}", "--json"), "DataError", 3)
    assert "no.csv" in error["message"]


@pytest.mark.parametrize(("name", "arguments"), TAKE_A_RUN.items())
def test_a_run_that_is_not_there_is_a_usage_error_in_the_document(nnctl, name, arguments):
    assert "nope" in failed(nnctl(name, *arguments, "--json"), "UsageError", 2)["message"]


def test_a_training_that_diverges_says_so_in_the_document(nnctl, spec):
    error = failed(nnctl("train", spec, "optimizer={sgd: 1e30}", "--json", "--no-plot"), "Diverged", 4)
    assert "diverged at step" in error["message"]


def test_seeds_that_diverge_stand_beside_the_error(nnctl, spec):
    answer = nnctl("train", spec, "optimizer={sgd: 1e30}", "--json", "--no-plot", "--seeds", "2")
    assert "2 of 2" in failed(answer, "Diverged", 4)["message"]
    assert [run["seed"] for run in json.loads(answer.out)["runs"]] == [0, 1]


def test_a_check_that_fails_has_its_findings_beside_the_error(nnctl, spec):
    answer = nnctl("overfit-batch", spec, "optimizer={sgd: 1e-30}", "--steps", "1", "--json")
    failed(answer, "CheckFailed", 5)
    document = json.loads(answer.out)
    assert document["verdict"] == "fail"
    assert document["findings"]


def test_a_disk_that_takes_no_file_is_told_in_the_document(nnctl, spec, here):
    (here / "taken").write_text("")
    assert "taken" in failed(nnctl("train", spec, "--runs-dir", "taken", "--json"), "DiskError", 74)["message"]


def test_a_bug_is_told_in_the_document(nnctl, spec, monkeypatch):
    monkeypatch.setattr("nnctl.spec.load.load_spec", lambda *_: 1 / 0)
    error = failed(nnctl("validate", spec, "--json"), "Bug", 1)
    assert "ZeroDivisionError" in error["message"]


def test_ctrl_c_is_told_in_the_document(nnctl, spec, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nnctl.spec.load.load_spec", interrupted)
    failed(nnctl("validate", spec, "--json"), "Interrupted", 130)


def test_json_behind_two_hyphens_is_no_option(nnctl):
    answer = nnctl("explain", "--", "--json")
    assert answer.code == 2
    assert answer.out == ""
