"""`nnctl repro`: identical, or the first epoch and figure that differ, or why the two cannot be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nnctl.experiment import session as sessions
from nnctl.runs.store import Run

SPEC = """\
name: points
data: {source: {csv: {path: points.csv, target: y}}, split: {validation: 0.2, test: 0.2}}
architecture: [dense: 8, batch_norm, relu, dropout: 0.2, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 4, batch_size: 8}
"""
POINTS = "a,b,y\n" + "".join(f"{i % 7},{i % 5 + i / 80},{'no' if i % 7 < 3 else 'yes'}\n" for i in range(80))


@pytest.fixture
def run(here, nnctl) -> Path:
    """A run that is done, in runs here."""
    (here / "points.csv").write_text(POINTS)
    (here / "spec.yaml").write_text(SPEC)
    answer = nnctl("train", "--json", "--no-plot")
    return here / json.loads(answer.out)["run"]


def edit(path: Path, change) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_run_is_repeated_to_the_last_bit(nnctl, run, here):
    code, out, err = nnctl("repro", run.name)
    assert (code, err) == (0, "")
    assert "identical: 4 epochs, the result and all weights are the same to the last bit" in out
    [other] = [path for path in (here / "runs").iterdir() if path != run]
    assert str(other.relative_to(here)) in out
    tensors = [Run.open(path).load_tensors("last")[0] for path in (run, other)]
    assert {n: t.tobytes() for n, t in tensors[0].items()} == {n: t.tobytes() for n, t in tensors[1].items()}


def test_json_has_the_verdict_and_where_the_repetition_is(nnctl, run):
    found = json.loads(nnctl("repro", run, "--json").out)
    assert found["verdict"] == "identical"
    assert found["epochs"] == 4
    assert Path(found["repetition"]).is_dir()
    assert found["records"]["epoch"] is None
    assert found["weights"] == found["conditions"] == found["notes"] == []


def test_the_first_epoch_and_figure_that_differ_are_named(nnctl, run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    third = json.loads(lines[2])
    loss = third["val_loss"]
    lines[2] = json.dumps({**third, "val_loss": loss + 1})
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    code, out, err = nnctl("repro", run)
    assert code == 5
    assert "they part in epoch 3; up to epoch 2 they are the same to the last bit" in out
    assert f"different: epoch 3 is the first that differs, val_loss from {loss + 1!r} to {loss!r}" in err
    answer = nnctl("repro", run, "--json")
    assert answer.code == 5
    found = json.loads(answer.out)
    assert found["verdict"] == "different"
    assert found["records"]["epoch"] == 3
    assert found["records"]["changes"] == [{"key": "val_loss", "a": loss + 1, "b": loss}]
    assert found["error"]["kind"] == "CheckFailed"


def test_a_result_that_was_touched_is_found(nnctl, run):
    edit(run / "run.json", lambda record: record["summary"]["metrics"]["test"].update(accuracy=2.0))
    code, _, err = nnctl("repro", run)
    assert code == 5
    assert "all epochs are the same and the result is not, metrics.test.accuracy from 2.0 to" in err


def test_weights_that_were_touched_are_found(nnctl, run):
    taken = Run.open(run)
    tensors, metadata = taken.load_tensors("last")
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    tensors["0.dense.W"][0, 0] += 1
    taken.save_tensors("last", tensors, metadata)
    code, _, err = nnctl("repro", run)
    assert code == 5
    assert "all figures are the same and the weights are not: 0.dense.W" in err


def test_other_data_are_said_before_anything_is_trained(nnctl, run, here):
    (here / "points.csv").write_text(POINTS.replace("0,0.0,no", "6,0.0,no"))
    code, out, err = nnctl("repro", run, "--json")
    assert code == 5
    assert json.loads(out)["verdict"] == "not comparable"
    assert "the data have changed" in err
    assert list((here / "runs").iterdir()) == [run]


@pytest.mark.parametrize(
    ("recorded", "said"), [({"numpy": "1.0"}, "NumPy was 1.0"), ({"cpu": "another"}, "the CPU was another")]
)
def test_other_versions_and_machines_are_why_figures_differ(nnctl, run, recorded, said):
    edit(run / "run.json", lambda record: record["environment"].update(recorded))
    code, out, _ = nnctl("repro", run)
    assert code == 0  # another version may still give the same bits, and here it did
    assert said in out
    lines = (run / "metrics.jsonl").read_text().replace('"train_loss": ', '"train_loss": 1')
    (run / "metrics.jsonl").write_text(lines)
    code, out, err = nnctl("repro", run)
    assert code == 5
    assert said in out
    assert "not comparable: epoch 1 is the first that differs" in err


def test_a_resolved_spec_that_was_edited_is_said(nnctl, run):
    path = run / "resolved.yaml"
    path.write_text(path.read_text().replace("lr: 0.01", "lr: 0.02"))
    code, out, err = nnctl("repro", run)
    assert code == 5
    assert "optimizer.lr in resolved.yaml was 0.01 and is 0.02" in out
    assert "not comparable" in err


def test_the_run_keeps_its_number_of_threads(nnctl, run, monkeypatch):
    edit(run / "run.json", lambda record: record["environment"].update(blas_threads=2))
    asked = []
    monkeypatch.setattr(sessions, "set_blas_threads", asked.append)
    nnctl("repro", run)
    assert asked[0] == 2


def test_a_run_that_was_interrupted_is_compared_as_far_as_it_came(nnctl, run):
    edit(run / "run.json", lambda record: record.update(status="interrupted", summary={}))
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:2]))
    code, out, _ = nnctl("repro", run)
    assert code == 0
    assert "identical: the run is interrupted, and as far as it came (2 epochs) all is the same" in out
    (run / "metrics.jsonl").write_text("")
    code, _, err = nnctl("repro", run)
    assert code == 5
    assert "not comparable: the run is interrupted and has recorded no epoch" in err


def test_a_run_that_diverged_diverges_again(nnctl, here):
    (here / "spec.yaml").write_text(SPEC.replace("{csv: {path: points.csv, target: y}}", "iris"))
    assert nnctl("train", "optimizer={sgd: 1e30}", "--no-plot").code == 4
    [run] = (here / "runs").iterdir()
    code, out, err = nnctl("repro", run)
    assert (code, err) == (0, "")
    assert "identical" in out


def test_a_run_without_its_weights_is_not_called_identical(nnctl, run):
    shutil.rmtree(run / "checkpoints")
    code, _, err = nnctl("repro", run)
    assert code == 5
    assert "not comparable: all figures are the same, and the weights cannot be compared" in err


def test_what_cannot_be_run_again_is_refused(nnctl, run, here):
    with Run.open(run).lock():
        edit(run / "run.json", lambda record: record.update(status="running"))
        code, _, err = nnctl("repro", run)
        assert (code, "is being trained" in err) == (2, True)
    (run / "resolved.yaml").unlink()
    code, _, err = nnctl("repro", run)
    assert (code, "has no resolved.yaml" in err) == (2, True)
    assert list((here / "runs").iterdir()) == [run]
