"""`nnctl show` as it is called."""

import json
import os
from pathlib import Path

import pytest
from commands import on_a_terminal, plain
from made_runs import make_check, make_run

RUNS = Path("runs")


def test_a_run_is_shown_on_a_page(here, nnctl):
    run = make_run(RUNS, "toy-1", 0.25)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "best.safetensors").write_bytes(b"x" * 2048)
    out = nnctl("show", "toy-1").out
    for said in (
        "best          val_loss 0.25 in epoch 3",
        "network       67 parameters",
        "architecture  dense(8), relu, dense(outputs)",
        "optimizer     adam(lr: 0.001, beta1: 0.9)",
        "test        0.275       0.9",
        "predict       nnctl predict runs/toy-1 test",
        "checkpoints/best.safetensors  2.0 KiB",
    ):
        assert said in out
    assert "--resume" not in out


@pytest.mark.parametrize("status", ["running", "interrupted", "failed"])
def test_a_run_that_did_not_end_says_how_to_go_on(here, nnctl, status):
    make_run(RUNS, "toy 1", status=status)
    assert "nnctl train --resume 'runs/toy 1'" in nnctl("show", "toy 1").out


def test_findings_of_a_check_and_in_a_summary_are_shown(here, nnctl):
    check = make_check(RUNS, "toy-lr-find")
    findings = json.loads((check / "check.json").read_text())["findings"]
    run = make_run(RUNS, "toy-1")
    record = json.loads((run / "run.json").read_text())
    record["summary"]["findings"] = findings
    (run / "run.json").write_text(json.dumps(record))
    for name in ("toy-lr-find", "toy-1"):
        assert "warn  flat  The curve is flat.\n      Look.\n" in nnctl("show", name).out


def test_what_is_broken_or_foreign_is_said_to_be(here, nnctl):
    make_run(RUNS, "brk").joinpath("run.json").write_text("{")
    (RUNS / "foreign").mkdir()
    assert "broken: run.json is not JSON" in nnctl("show", "brk").out
    assert "foreign: has no run.json" in nnctl("show", "foreign").out


def test_json_is_the_record_with_status_and_files(here, nnctl):
    make_run(RUNS, "toy-1", status="running")
    found = json.loads(nnctl("show", "toy-1", "--json").out)
    assert (found["status"], found["kind"]) == ("killed", "run")
    assert found["files"].keys() == {"run.json", "metrics.jsonl"}
    assert found["spec"]["optimizer"] == {"adam": {"lr": 0.001, "beta1": 0.9}}


def test_a_name_of_nothing_is_refused(here, nnctl):
    make_run(RUNS, "toy-1")
    answer = nnctl("show", "toy-2")
    assert answer.code == 2
    assert "Did you mean 'toy-1'?" in answer.err


def test_a_file_that_is_gone_by_the_time_it_is_looked_at_is_left_out(here, nnctl, monkeypatch):
    make_run(RUNS, "toy-1")
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda path: ((at, inner, [*names, "gone"]) for at, inner, names in walk(path)))
    shown = nnctl("show", "toy-1")
    assert "run.json" in shown.out
    assert "gone" not in shown.out


def test_what_is_no_run_is_not_walked_through(here, nnctl, monkeypatch):
    (here / "big").mkdir()
    monkeypatch.setattr("os.walk", lambda *_: 1 / 0)
    assert nnctl("show", "big").code == 0
    assert json.loads(nnctl("show", "big", "--json").out)["files"] == {}


def test_one_epoch_is_one(here, nnctl):
    (here / "spec.yaml").write_text(
        "data: {source: iris}\narchitecture: [dense: outputs]\nloss: cross_entropy\n"
        "training: {epochs: 1, batch_size: full}\n"
    )
    assert "after 1 epoch, 1 step, " in nnctl("train", "--no-plot").out
    [run] = (here / "runs").iterdir()
    assert "1 epoch," in nnctl("show", run).out
    assert "identical: 1 epoch," in nnctl("repro", run).out


def test_a_long_line_of_the_spec_is_broken_between_words_on_a_terminal(here):
    run = make_run(RUNS, "toy-1")
    record = json.loads((run / "run.json").read_text())
    record["spec"]["architecture"] = [{"dense": 8}, "relu"] * 12
    (run / "run.json").write_text(json.dumps(record))
    lines = plain(on_a_terminal("show", "toy-1", columns=60).text).splitlines()
    begins = next(i for i, line in enumerate(lines) if line.startswith("architecture"))
    assert lines[begins].endswith("dense: 8,")
    assert lines[begins + 1].startswith(" " * 14 + "relu")
