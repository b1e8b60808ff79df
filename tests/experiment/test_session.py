"""A training from a spec to the run that it leaves: what it keeps, what ends it, and what is refused before."""

from __future__ import annotations

import json

import numpy as np
import pytest
from everything import EVERYTHING
from faults import end_of, finish, start

from nnctl.core.errors import DataError, Diverged, SpecError, UsageError
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.runs.store import Run
from nnctl.spec.load import load_spec


def test_weights_of_rows_that_cannot_be_used_leave_no_run_behind(spec_file, tmp_path):
    rows = "".join(f"{i},{i % 2},{-1 if i == 7 else 1}\n" for i in range(60))
    (tmp_path / "data.csv").write_text("a,y,w\n" + rows)
    text = """
        data: {source: {csv: {path: data.csv, target: y, weight: w}}}
        architecture: [{dense: outputs}]
        loss: binary_cross_entropy
        training: {batch_size: 8}
    """
    with pytest.raises(DataError, match="A weight is a number"):
        start(spec_file(text), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_training_the_resolved_spec_gives_the_same_run(spec_file, tmp_path, whole, monkeypatch):
    monkeypatch.chdir("/")
    again = finish(start(whole.path / "resolved.yaml", tmp_path / "again"))
    assert end_of(again) == end_of(whole)


def test_the_run_directory_holds_what_it_should_and_no_pickle(whole):
    files = sorted(str(p.relative_to(whole.path)) for p in whole.path.rglob("*") if p.is_file())
    assert files == [
        ".lock",
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
        "health.jsonl",
        "metrics.jsonl",
        "preprocessing.json",
        "resolved.yaml",
        "run.json",
        "spec.yaml",
    ]
    told = json.loads((whole.path / "run.json").read_text())
    assert told["status"] == "done"
    assert told["environment"]["blas_threads"] >= 1
    assert told["environment"]["replicas"] == 1
    assert (whole.path / "spec.yaml").read_text().strip() == EVERYTHING.strip()


def finite_checkpoints(run: Run) -> list[str]:
    names = sorted(path.stem for path in (run.path / "checkpoints").iterdir())
    assert all(np.isfinite(tensor).all() for name in names for tensor in run.load_tensors(name)[0].values())
    return names


def test_a_run_whose_weights_overflow_says_so_and_is_not_resumed(spec_file, tmp_path):
    path = spec_file("""
        data: {source: diabetes, scaling: none}
        architecture: [{dense: 16}, relu, {dense: outputs}]
        loss: mse
        optimizer: {sgd: 100.0}
        training: {epochs: 50}
    """)
    session = start(path, tmp_path / "runs")
    with pytest.raises(Diverged, match=r"step \d+ \(epoch \d+\).*(the weights|of layer) \d\.dense"):
        finish(session)
    assert session.run.status == "diverged"
    finite_checkpoints(session.run)
    with pytest.raises(UsageError, match="diverged"):
        Session.resume(session.run)


def test_a_gradient_of_nan_stops_before_the_step_and_keeps_the_last_good_weights(spec_file, tmp_path, monkeypatch):
    session = start(spec_file(), tmp_path / "runs")
    loss, right = type(session.learner.loss), type(session.learner.loss).gradient

    def planted(self, z, t, w, total, out):
        right(self, z, t, w, total, out)
        if session.learner.step == 9:
            out[0, 0] = np.nan

    monkeypatch.setattr(loss, "gradient", planted)
    with pytest.raises(Diverged, match=r"diverged at step 10 \(epoch 2\).*the gradient of the loss"):
        finish(session)
    assert finite_checkpoints(session.run) == ["best", "last"]
    assert json.loads(session.run.load_tensors("last")[1]["progress"])["step"] == 9


def test_early_stopping_restores_the_best_weights_whatever_ended_the_run(spec_file, tmp_path):
    text = EVERYTHING.replace("patience: 5", "patience: 100").replace("epochs: 7", "epochs: 40")
    run = finish(start(spec_file(text), tmp_path / "runs"))
    best = min(run.records.read(), key=lambda r: r["val_loss"])
    assert run.record["summary"]["reason"] == "all steps done"
    assert run.record["summary"]["weights"] == "best"
    assert run.record["summary"]["best_epoch"] == best["epoch"] < 40
    assert run.record["summary"]["metrics"]["validation"]["loss"] == pytest.approx(best["val_loss"], rel=1e-6)


def test_without_early_stopping_the_last_weights_are_the_result(spec_file, tmp_path):
    run = finish(start(spec_file(), tmp_path / "runs"))
    last = run.records.read()[-1]
    assert run.record["summary"]["weights"] == "last"
    assert run.record["summary"]["metrics"]["validation"]["loss"] == pytest.approx(last["val_loss"], rel=1e-6)


def test_early_stopping_ends_a_run_that_no_longer_improves(spec_file, tmp_path):
    text = EVERYTHING.replace("patience: 5", "patience: 2, monitor: train_accuracy, min_delta: 0.9")
    run = finish(start(spec_file(text), tmp_path / "runs"))
    assert run.record["summary"]["reason"] == "early stopping"
    assert run.record["summary"]["epochs"] == 3


def test_steps_end_in_the_middle_of_an_epoch(spec_file, tmp_path):
    run = finish(start(spec_file(), tmp_path / "runs", "training={steps: 10, batch_size: 16}"))
    assert [(r["epoch"], r["step"]) for r in run.records.read()] == [(1, 7), (2, 10)]


def test_evaluation_can_be_rarer_than_epochs_and_the_last_one_is_always_evaluated(spec_file, tmp_path):
    run = finish(start(spec_file(), tmp_path / "runs", "training.evaluate_every=4"))
    assert [r["epoch"] for r in run.records.read() if "val_loss" in r] == [4, 6]


@pytest.mark.parametrize(
    ("override", "error", "said"),
    [
        ("training.batch_size=1000", DataError, "fewer than one batch"),
        ("early_stopping={monitor: val_f1}", SpecError, "is not recorded. Known: val_accuracy, val_loss"),
        ("architecture=[{dense: 7}]", SpecError, "must end with shape"),
        ("architecture=[{dense: 99999999}, {dense: outputs}]", SpecError, "of memory"),
        ("loss=binary_cross_entropy", SpecError, "cross_entropy"),
        ("architecture=[{residual: [{dense: 3}]}, {dense: outputs}]", SpecError, "residual adds"),
        ("architecture=[{dense: outputs}, relu]", SpecError, "relu"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_run_is_made(spec_file, tmp_path, override, error, said):
    with pytest.raises(error, match=said):
        start(spec_file(), tmp_path / "runs", override)
    assert not (tmp_path / "runs").exists()


def test_a_spec_error_of_the_second_pass_names_the_line(spec_file):
    path = spec_file(
        "data: {source: iris}\nloss: cross_entropy\narchitecture:\n  - dense: 4\n  - residual: [{dense: 3}]\n"
    )
    with pytest.raises(SpecError) as caught:
        Experiment(load_spec(path))
    assert caught.value.problems[0].line == 5


def test_two_seeds_give_two_networks_and_one_seed_the_same(spec_file, tmp_path):
    runs = [finish(start(spec_file(), tmp_path / "runs", f"seed={seed}")) for seed in (0, 0, 1)]
    first, again, other = (end_of(run) for run in runs)
    assert first == again
    assert all(first[name] != other[name] for name in first if name.endswith(".W"))


def test_statistics_of_a_batch_that_overflows_are_not_kept(spec_file, tmp_path):
    path = spec_file("""
        data: {source: diabetes}
        architecture: [{dense: 8}, batch_norm, relu, {dense: outputs}]
        loss: mse
        optimizer: {sgd: 3e19}
        training: {epochs: 5}
    """)
    session = start(path, tmp_path / "runs")
    with pytest.raises(Diverged) as caught:
        finish(session)
    assert "running_var" not in str(caught.value)
    finite_checkpoints(session.run)
