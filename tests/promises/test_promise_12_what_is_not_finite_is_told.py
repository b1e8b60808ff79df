"""Promise 12: a value that is not finite never spreads in silence, wherever it appears."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from commands import call
from faults import finish, resumed, start

import nnctl.data.augment.augmenter
from nnctl.core.errors import Diverged, Interrupted
from nnctl.nn.dense import Dense
from nnctl.nn.losses import Loss
from nnctl.optim.optimizers import Adam
from nnctl.optim.schedules import Constant, ReduceOnPlateau
from nnctl.runs.store import Run
from nnctl.train.evaluate import Judge
from nnctl.train.metrics import Metric
from nnctl.train.stopping import Patience

NAN, INF = float("nan"), float("inf")
WILD = pytest.mark.parametrize("value", [NAN, INF, -INF])

SPEC = """\
name: small
data: {source: iris}
architecture: [{dense: 8}, batch_norm, tanh, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 4, batch_size: 16}
"""


@pytest.fixture(autouse=True)
def spec(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    return Path("spec.yaml")


# ---------------------------------------------------------------------- in the data


def rows(value: float, column: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=60), "y": rng.normal(size=60), "w": np.ones(60)}
    table[column][6] = value
    return table


def write_csv(table: dict) -> str:
    pl.DataFrame(table).write_csv("rows.csv")
    return "{csv: {path: rows.csv, target: y, weight: w, impute: error}}"


def write_parquet(table: dict) -> str:
    pl.DataFrame(table).write_parquet("rows.parquet")
    return "{parquet: {path: rows.parquet, target: y, weight: w, impute: error}}"


def write_npz(table: dict) -> str:
    np.savez("rows.npz", x=np.stack([table["a"], table["w"]], axis=1), y=table["y"])
    return "{npz: rows.npz}"


@WILD
@pytest.mark.parametrize("column", ["a", "y", "w"])
@pytest.mark.parametrize("write", [write_csv, write_parquet, write_npz])
def test_in_the_data_it_is_refused_with_its_row_before_a_run_is_made(write, column, value):
    source = write(rows(value, column))
    text = "architecture: [dense: outputs]\nloss: mse\ntraining: {epochs: 2, batch_size: 8}\n"
    Path("data.yaml").write_text(f"data: {{source: {source}}}\n{text}")
    answer = call("train", "data.yaml", "--no-plot")
    assert answer.code == 3, answer
    assert "row 7" in answer.err
    assert not Path("runs").exists()


@WILD
def test_in_what_is_predicted_from_it_is_refused_too(value):
    run = finish(start(Path("spec.yaml"), Path("runs")))
    x = np.ones((5, 4))
    x[3, 1] = value
    np.savez("new.npz", x=x)
    answer = call("predict", run.path, "new.npz")
    assert answer.code == 3
    assert answer.out == ""
    assert "row 4" in answer.err


def test_a_prediction_that_is_not_finite_is_told_of():
    session = start(Path("spec.yaml"), Path("runs"))
    finish(session)
    tensors, metadata = session.run.load_tensors("last")
    tensors["3.dense.W"] = np.full_like(tensors["3.dense.W"], 3e38)
    session.run.save_tensors("last", tensors, metadata)
    answer = call("predict", session.run.path, "test")
    assert answer.code == 0
    assert re.search(r"is not finite for \d+ of 23 predictions, first for number \d+; these mean nothing\.", answer.err)


# ---------------------------------------------------------------------- in the training


def diverges(step: int, where: str, *overrides: str) -> Run:
    """Train, see it stop at a step and name a place, and everything that is left be finite."""
    answer = call("train", "spec.yaml", *overrides, "--no-plot")
    assert answer.code == 4, answer
    assert f"diverged at step {step:,} (epoch " in answer.err
    assert where in answer.err
    assert "Warning" not in answer.err
    (path,) = Path("runs").iterdir()
    run = Run.open(path)
    assert run.status == "diverged"
    for file in (run.path / "checkpoints").glob("*.safetensors"):
        tensors, _ = run.load_tensors(file.stem)
        assert all(np.isfinite(t).all() for n, t in tensors.items() if not n.startswith("optimizer/")), file
    return run


def planted(monkeypatch, place, name: str, plant, *, at: int) -> None:
    """Let what a method did for the n-th time be spoiled."""
    real, calls = getattr(place, name), 0

    def spoiled(*arguments, **options):
        nonlocal calls
        calls += 1
        found = real(*arguments, **options)
        return plant(found, *arguments) if calls == at else found

    monkeypatch.setattr(place, name, spoiled)


@WILD
def test_in_an_augmented_row(monkeypatch, value):
    def plant(x, *_):
        x[0, 0] = value
        return x

    planted(monkeypatch, nnctl.data.augment.augmenter.Augmenter, "rows_of", plant, at=9)
    diverges(9, "the inputs of the batch", "data.augment=[{noise: 0.1}]")


@WILD
def test_in_what_a_layer_says(monkeypatch, value):
    def plant(y, *_):
        y[0, 0] = value
        return y

    planted(monkeypatch, Dense, "forward", plant, at=1)  # the second time nobody spoils it, so that nothing is found
    answer = call("train", "spec.yaml", "--no-plot")
    assert answer.code == 4
    assert "diverged at step 1 (epoch 1): the gradient is not finite" in answer.err


@WILD
def test_in_the_gradient_of_a_layer(monkeypatch, value):
    real = Dense.backward

    def backward(self, p, g, dy, ctx):
        dx = real(self, p, g, dy, ctx)
        if ctx.path == "0.dense" and ctx.now.step >= 7:
            g.W[0, 0] = value
        return dx

    monkeypatch.setattr(Dense, "backward", backward)
    diverges(8, "the gradient of the weights of layer 0.dense")


@WILD
def test_in_the_loss(monkeypatch, value):
    monkeypatch.setattr(Judge, "outputs", lambda *_: {"loss": value, "accuracy": 0.0})
    diverges(7, "the training loss of epoch 1 is not finite")


@WILD
def test_in_the_weights_after_the_last_step_of_an_epoch_too(monkeypatch, value):
    def plant(_, optimizer, theta, *more):
        theta[0] = value

    planted(monkeypatch, Adam, "step", plant, at=14)
    run = diverges(14, "the weights 0.dense.W are not finite")
    assert [record["epoch"] for record in run.records.read()] == [1], "its epoch is not recorded, and never the best"


@WILD
def test_in_the_weights_after_the_very_last_step(monkeypatch, value):
    planted(monkeypatch, Adam, "step", lambda *found: found[2].__setitem__(-1, value), at=28)
    diverges(28, "are not finite", "early_stopping={monitor: train_loss}")


@WILD
def test_in_running_statistics(monkeypatch, value):
    from nnctl.nn.norm import BatchNorm

    def plant(y, _, p, *more):
        p.running_var[0] = abs(value)
        return y

    planted(monkeypatch, BatchNorm, "forward", plant, at=7)
    diverges(7, "the statistics 1.batch_norm.running_var are not finite")


def test_in_the_memory_of_the_optimizer(monkeypatch):
    def plant(_, optimizer, theta, grad, lr, slots, *more):
        slots.moments["v"][3] = INF  # from here on the steps of this weight are 0

    planted(monkeypatch, Adam, "step", plant, at=5)
    diverges(7, "the optimizer's v of 0.dense.W is not finite")


def test_a_gradient_whose_square_is_beyond_the_number_format_stops_no_unit_in_silence():
    Path("spec.yaml").write_text(
        SPEC.replace("batch_norm, tanh, ", "")
        .replace("iris}", "diabetes, target_scaling: none}")
        .replace("cross_entropy", "mse")
    )
    answer = call("train", "spec.yaml", "init={normal: 1e16}", "--no-plot")
    assert answer.code == 4
    assert "is not finite" in answer.err


@WILD
def test_in_the_learning_rate(monkeypatch, value):
    monkeypatch.setattr(Constant, "lr_at", lambda *asked: value if asked[1] == 9 else 0.01)
    diverges(10, "the learning rate")


@WILD
def test_at_a_checkpoint_in_the_middle_of_an_epoch(monkeypatch, value):
    from nnctl.experiment import session

    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 0.0)
    planted(monkeypatch, Adam, "step", lambda *found: found[2].__setitem__(0, value), at=10)
    diverges(10, "the weights 0.dense.W are not finite")


# ---------------------------------------------------------------------- in what is measured


@WILD
def test_in_the_validation_loss_it_is_never_the_best_and_told_of_once_also_after_an_interruption(monkeypatch, value):
    def judged(self, network, examples):
        found = real(self, network, examples)
        return {**found, "loss": value} if len(examples.x) == 23 and session.progress.epoch % 2 else found

    real = Judge.network
    monkeypatch.setattr(Judge, "network", judged)
    session = start(Path("spec.yaml"), Path("whole"), "early_stopping={patience: 50}")
    finish(session)
    records = session.run.records.read()
    assert [record["val_loss"] is None for record in records] == [False, True, False, True]
    assert not any(record["best"] for record in records if record["val_loss"] is None)
    assert session.summary["best_epoch"] in (1, 3)
    (finding,) = session.summary["findings"]
    assert finding["rule"] == "not-finite-loss"
    assert finding["message"].startswith("it is not finite after epoch 2, step 14; first in ")
    session = start(Path("spec.yaml"), Path("runs"), "early_stopping={patience: 50}")
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: 2 if session.learner.step >= 16 else None):
            pass
    session = resumed(session.run)
    finish(session)
    assert session.summary["findings"] == [finding]


def test_the_layer_where_it_appears_in_the_validation_part_is_named():
    x = np.random.default_rng(0).normal(size=(60, 2))
    x[51:] *= 1e30
    np.savez("rows.npz", x=x, y=x.sum(axis=1) * 1e-10)
    Path("spec.yaml").write_text("""
name: outliers
data: {source: {npz: rows.npz}, split: {shuffle: false, validation: 0.15, test: 0}, scaling: none}
architecture:
  - dense: {units: 4, init: {normal: 1e3}}
  - relu
  - dense: {units: 4, init: {normal: 1e6}}
  - dense: outputs
loss: mse
optimizer: {sgd: 1e-30}
training: {epochs: 1, batch_size: 10}
""")
    answer = call("train", "spec.yaml", "--no-plot")
    assert answer.code == 0, answer
    assert "warn  not-finite-loss  val_loss: it is not finite after epoch 1, step " in answer.out
    assert "the output of layer 2.dense" in answer.out


@WILD
def test_early_stopping_takes_it_for_no_improvement(value):
    for mode in ("min", "max"):
        patience = Patience(mode=mode, limit=2).after(1.0).after(value).after(value)
        assert patience.best == 1.0
        assert patience.exhausted
        assert not Patience(mode=mode).after(value).improved


@WILD
def test_so_does_the_schedule(value):
    for mode in ("min", "max"):
        schedule = ReduceOnPlateau(patience=2, mode=mode)
        assert schedule.reductions([1.0, value, value]) == 1
        better = 0.5 if mode == "min" else 2.0
        assert schedule.reductions([1.0, value, better, value]) == 0


@WILD
def test_in_a_metric_it_is_null_in_the_records_and_monitored_never_the_best(monkeypatch, value):
    metric = Metric.parse("accuracy")
    monkeypatch.setattr(type(metric), "score", lambda *_: value)
    session = start(Path("spec.yaml"), Path("runs"), "early_stopping={monitor: val_accuracy, patience: 2}")
    run = finish(session)
    assert session.summary["best_epoch"] is None
    assert session.summary["weights"] == "last"
    assert {record["val_accuracy"] for record in run.records.read()} == {None}
    assert not run.has_tensors("best")
    json.loads((run.path / "run.json").read_text(), parse_constant=pytest.fail)
    assert call("compare", "runs").code == 0


def test_every_loss_is_judged_by_its_gradient():
    """What a loss says of a row that is not finite is not finite either: nothing is clipped away."""
    for name, loss in Loss.members().items():
        if not loss.__module__.startswith("nnctl."):
            continue
        made = Loss.parse(name)
        z = np.full((2, 3), NAN) if made.task == "classification" and name != "binary_cross_entropy" else None
        z = np.full((2, 1), NAN) if z is None else z
        t = np.zeros_like(z)
        t[:, 0] = 1
        out = np.empty_like(z)
        try:
            made.gradient(z, t, None, 2, out)
        except (ValueError, IndexError):
            continue
        assert not np.isfinite(out).all(), name


def test_a_run_that_diverged_can_be_caught_in_python():
    with pytest.raises(Diverged):
        finish(start(Path("spec.yaml"), Path("runs"), "optimizer={sgd: 1e38}"))
