"""`nnctl diff` as it is called."""

import json
from pathlib import Path

from made_runs import line, make_run

RUNS = Path("runs")


def test_a_repetition_is_told_as_one(here, nnctl):
    make_run(RUNS, "a-1")
    make_run(RUNS, "a-2")
    out = nnctl("diff", "a-1", "a-2").out
    assert "the specs are the same" in out
    assert "all 3 epochs that both have recorded are the same to the last bit" in out
    assert out.endswith("One is the repetition of the other.\n")


def test_what_differs_is_set_side_by_side(here, nnctl):
    make_run(RUNS, "a", 0.5)
    make_run(RUNS, "b", 0.75, optimizer={"sgd": {"lr": 0.1}})
    out = nnctl("diff", "runs/a", "b").out
    assert "they part in epoch 1\n" in out
    assert ["optimizer", "adam", "sgd"] in [row.split() for row in out.splitlines()]
    assert ["val_loss", "2.5", "2.75", "+0.25"] in [row.split() for row in out.splitlines()]
    assert out.endswith("They differ in 3 keys of the spec.\n")


def test_the_same_spec_elsewhere_points_at_the_environment(here, nnctl):
    make_run(RUNS, "a")
    run = make_run(RUNS, "b")
    record = json.loads((run / "run.json").read_text())
    record["environment"]["blas_threads"] = 2
    (run / "run.json").write_text(json.dumps(record))
    (run / "metrics.jsonl").write_text(line(1, 0.5) + line(2, 0.5 + 1e-9))
    out = nnctl("diff", "a", "b").out
    assert "they part in epoch 2; up to epoch 1 they are the same to the last bit" in out
    assert out.endswith("Spec and data are the same. What is left is where they ran: blas_threads.\n")


def test_json_has_the_changes_and_the_parting(here, nnctl):
    make_run(RUNS, "a", 0.5)
    make_run(RUNS, "b", 0.75, seed=1)
    found = json.loads(nnctl("diff", "a", "b", "--json").out)
    assert found["spec"] == [{"key": "name", "a": "a", "b": "b"}, {"key": "seed", "a": 0, "b": 1}]
    assert found["records"]["epoch"] == 1


def test_only_runs_are_compared(here, nnctl):
    make_run(RUNS, "a")
    make_run(RUNS, "brk").joinpath("run.json").write_text("{")
    answer = nnctl("diff", "a", "brk")
    assert answer.code == 2
    assert "runs/brk is no run that can be compared (broken: run.json is not JSON)" in answer.err
