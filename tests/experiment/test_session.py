"""A run that is interrupted, killed or damaged ends like the one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnctl.core.errors import DataError, Diverged, Interrupted, SpecError, UsageError
from nnctl.experiment import session as module
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.runs.store import Run
from nnctl.spec.load import load_spec

EVERYTHING = """
name: everything
data: {source: iris}
architecture:
  - dense: 8
  - batch_norm
  - prelu
  - dropout: 0.3
  - residual: [{dense: 8}, tanh]
  - dense: outputs
loss: {cross_entropy: {label_smoothing: 0.1, class_weight: balanced}}
optimizer: {adamw: {lr: 1e-2, amsgrad: true}}
schedule: {cosine: {warmup: 20 steps}}
regularizers: [{l2: 1e-3}, {l1: 1e-4}, {max_norm: 2}]
clip: {norm: 0.5}
training: {epochs: 7, batch_size: 16, accumulate: 2}
early_stopping: {patience: 5}
metrics: [accuracy, f1]
"""
TIMES = ("seconds", "samples_per_second")


def start(path: Path, root: Path, *overrides: str) -> Session:
    return Session.start(Experiment(load_spec(path, overrides)), root)


def finish(session: Session) -> Session:
    for _ in session.epochs():
        pass
    return session


def after_steps(n: int):
    """A signal that comes in before step n + 1."""
    asked = iter(range(10**9))
    return lambda: signal.SIGINT if next(asked) >= n else None


def records(run: Run) -> list[dict]:
    return [{k: v for k, v in record.items() if k not in TIMES} for record in run.records.read()]


def assert_same_end(run: Run, other: Run) -> None:
    for name in ("last", "best"):
        mine, theirs = run.load_tensors(name)[0], other.load_tensors(name)[0]
        assert mine.keys() == theirs.keys()
        for key in mine:
            assert mine[key].tobytes() == theirs[key].tobytes(), key
    assert records(run) == records(other)
    assert run.samples.read() == other.samples.read()
    mine, theirs = (r.read_json("run.json")["summary"] for r in (run, other))
    assert {k: v for k, v in mine.items() if k != "seconds"} == {k: v for k, v in theirs.items() if k != "seconds"}


@pytest.fixture
def whole(spec_file, tmp_path) -> Run:
    return finish(start(spec_file(EVERYTHING), tmp_path / "whole")).run


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 5, 9, 20])
def test_an_interrupted_run_resumes_to_the_same_bits(spec_file, tmp_path, whole, steps):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    with pytest.raises(Interrupted) as caught:
        for _ in session.epochs(lambda: signal.SIGINT if session.learner.step >= steps else None):
            pass
    assert caught.value.signal == signal.SIGINT
    assert session.run.status == "interrupted"
    assert session.learner.step == steps
    resumed = finish(Session.resume(session.run))
    assert resumed.run.status == "done"
    assert_same_end(resumed.run, whole)


def test_a_run_interrupted_at_every_step_resumes_to_the_same_bits(spec_file, tmp_path, whole):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    sittings = 0
    while session.run.status != "done":
        try:
            for _ in session.epochs(after_steps(1)):
                pass
        except Interrupted:
            session = Session.resume(session.run)
            sittings += 1
    assert sittings > 10
    assert_same_end(session.run, whole)


def test_a_run_killed_before_its_first_checkpoint_starts_again_with_the_same_bits(
    spec_file, tmp_path, whole, monkeypatch
):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    training = session.epochs()
    for _ in range(3):
        next(training)
    assert len(records(session.run)) == 3
    monkeypatch.setattr(session, "_save", lambda: None)  # as after a kill
    training.close()
    assert_same_end(finish(Session.resume(session.run)).run, whole)


def test_a_run_killed_after_a_checkpoint_loses_only_what_came_after(spec_file, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint before every step
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    training = session.epochs()
    for _ in range(4):
        next(training)
    monkeypatch.setattr(session, "_save", lambda: None)
    next(training)
    training.close()
    with (session.run.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 6, "tor')  # the line that the kill tore
    resumed = Session.resume(session.run)
    finish(resumed)
    assert_same_end(resumed.run, whole)


@pytest.mark.slow
def test_a_process_killed_at_any_moment_resumes_to_the_same_bits(spec_file, tmp_path):
    path = spec_file(EVERYTHING.replace("epochs: 7", "epochs: 1200").replace("patience: 5", "patience: 5000"))
    whole = finish(start(path, tmp_path / "whole")).run
    program = (
        "import sys, pathlib; from nnctl.experiment import session as m; m.CHECKPOINT_SECONDS = 0.05\n"
        "from nnctl.experiment.session import Session; from nnctl.experiment.assembly import Experiment\n"
        "from nnctl.spec.load import load_spec; from nnctl.runs.store import Run\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "start = lambda: Session.start(Experiment(load_spec(path)), pathlib.Path(sys.argv[2]))\n"
        "s = Session.resume(Run.open(path)) if path.is_dir() else start()\n"
        "print(s.run.path, flush=True)\n"
        "for _ in s.epochs(): pass\n"
    )
    rng = np.random.default_rng(0)
    target = path
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(target), str(tmp_path / "runs")], stdout=subprocess.PIPE, text=True
        )
        target = Path(process.stdout.readline().strip())
        while not (target / "checkpoints" / "last.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0.0, 0.2)))
        process.kill()
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        assert Run.open(target).status == "running"
    assert_same_end(finish(Session.resume(Run.open(target))).run, whole)


def test_a_caller_who_stops_listening_can_go_on_later(spec_file, tmp_path, whole):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    for epoch in session.epochs():
        if epoch.epoch == 3:
            break
    assert session.run.status == "interrupted"
    assert session.run.load_tensors("last")
    assert_same_end(finish(Session.resume(session.run)).run, whole)


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
    assert_same_end(again.run, whole)


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
    session = finish(start(spec_file(text), tmp_path / "runs"))
    best = min(session.run.records.read(), key=lambda r: r["val_loss"])
    assert session.summary["reason"] == "all steps done"
    assert session.summary["weights"] == "best"
    assert session.summary["best_epoch"] == best["epoch"] < 40
    assert session.summary["metrics"]["validation"]["loss"] == pytest.approx(best["val_loss"], rel=1e-6)


def test_without_early_stopping_the_last_weights_are_the_result(spec_file, tmp_path):
    session = finish(start(spec_file(), tmp_path / "runs"))
    last = session.run.records.read()[-1]
    assert session.summary["weights"] == "last"
    assert session.summary["metrics"]["validation"]["loss"] == pytest.approx(last["val_loss"], rel=1e-6)


def test_early_stopping_ends_a_run_that_no_longer_improves(spec_file, tmp_path):
    text = EVERYTHING.replace("patience: 5", "patience: 2, monitor: train_accuracy, min_delta: 0.9")
    session = finish(start(spec_file(text), tmp_path / "runs"))
    assert session.summary["reason"] == "early stopping"
    assert session.summary["epochs"] == 3


def test_steps_end_in_the_middle_of_an_epoch(spec_file, tmp_path):
    session = finish(start(spec_file(), tmp_path / "runs", "training={steps: 10, batch_size: 16}"))
    assert [(r["epoch"], r["step"]) for r in session.run.records.read()] == [(1, 7), (2, 10)]


def test_evaluation_can_be_rarer_than_epochs_and_the_last_one_is_always_evaluated(spec_file, tmp_path):
    session = finish(start(spec_file(), tmp_path / "runs", "training.evaluate_every=4"))
    assert [r["epoch"] for r in session.run.records.read() if "val_loss" in r] == [4, 6]


def test_a_run_that_is_done_is_not_resumed(whole):
    with pytest.raises(UsageError, match="done"):
        Session.resume(whole)


def test_changed_data_are_noticed_at_resume(spec_file, tmp_path):
    (tmp_path / "data.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(60)))
    text = """
        data: {source: {csv: {path: data.csv, target: y}}}
        architecture: [{dense: outputs}]
        loss: binary_cross_entropy
        training: {epochs: 3, batch_size: 8}
    """
    session = start(spec_file(text), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(2)):
            pass
    (tmp_path / "data.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i % 5},{i % 2}\n" for i in range(60)))
    with pytest.raises(DataError, match="data have changed"):
        Session.resume(session.run)


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
    ends = [finish(start(spec_file(), tmp_path / "runs", f"seed={seed}")) for seed in (0, 0, 1)]
    thetas = [session.learner.network.theta.tobytes() for session in ends]
    assert thetas[0] == thetas[1] != thetas[2]


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


def test_changed_row_weights_are_noticed_at_resume(spec_file, tmp_path):
    def write(weight: int) -> None:
        rows = "".join(f"{i},{i % 2},{1 + (i % 3) * weight}\n" for i in range(60))
        (tmp_path / "data.csv").write_text("a,y,w\n" + rows)

    text = """
        data: {source: {csv: {path: data.csv, target: y, weight: w}}}
        architecture: [{dense: outputs}]
        loss: binary_cross_entropy
        training: {epochs: 3, batch_size: 8}
    """
    write(1)
    session = start(spec_file(text), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(2)):
            pass
    write(2)
    with pytest.raises(DataError, match="data have changed"):
        Session.resume(session.run)


def test_a_resumed_run_keeps_its_number_of_blas_threads(spec_file, tmp_path):
    session = start(spec_file(), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(2)):
            pass
    told = session.run.record
    session.run.write_json("run.json", told | {"environment": told["environment"] | {"blas_threads": 2}})
    assert Session.resume(session.run).threads == 2


def test_the_samples_of_a_run_are_those_of_the_one_that_was_not_interrupted_and_none_is_there_twice(
    spec_file, tmp_path, whole, monkeypatch
):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 1e9)
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: signal.SIGINT if session.learner.step >= 4 else None):
            pass
    session = Session.resume(session.run)
    monkeypatch.setattr(session, "_save", lambda: None)  # as after a kill: what comes now is lost, but for its records
    training = session.epochs()
    while session.learner.step < 12:
        next(training)
    training.close()
    assert [sample["step"] for sample in session.run.samples.read()] == [1, 10]
    resumed = Session.resume(session.run)
    finish(resumed)
    assert_same_end(resumed.run, whole)
    assert [sample["step"] for sample in resumed.run.samples.read()] == [1, 10, whole.record["summary"]["steps"]]


def test_what_health_finds_is_kept_also_over_an_interruption(spec_file, tmp_path):
    dead = "relu\n  - dense: {units: 8, bias_init: {constant: -1e3}}\n  - relu"
    path = spec_file(EVERYTHING.replace("batch_norm", "tanh").replace("prelu", dead))
    whole = finish(start(path, tmp_path / "whole"))
    assert [finding["rule"] for finding in whole.summary["findings"]] == ["dead-relu"]
    session = start(path, tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(13)):
            pass
    resumed = finish(Session.resume(session.run))
    assert resumed.run.record["summary"]["findings"] == whole.summary["findings"]


def test_a_damaged_health_file_is_named_and_not_a_crash(spec_file, tmp_path):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(13)):
            pass
    (session.run.path / "health.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(DataError, match=r"health\.jsonl"):
        finish(Session.resume(session.run))
