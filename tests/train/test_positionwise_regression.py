"""A target for every position: sequence to sequence with numbers, from an archive to the figures of a run."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.cli import app
from nnctl.data.prepare import prepare
from nnctl.data.scaling import Standard
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.prediction import Predictor
from nnctl.experiment.session import train_spec
from nnctl.spec.load import load_spec

SPEC = """\
name: running-sums
data: {source: {npz: sums.npz}, target_scaling: standard}
architecture: [{gru: {units: 16, returns: sequence}}, dense: outputs]
loss: mse
optimizer: {adam: 1e-2}
training: {epochs: 6}
metrics: [rmse, mae, r2]
"""


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Sequences with their running sums, and twice as much, at every position."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(3, 2, (300, 7, 2))
    sums = x[:, :, 0].cumsum(axis=1)
    np.savez(tmp_path / "sums.npz", x=x, y=np.stack([sums, 2 * sums], axis=2))
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def test_every_output_has_one_scale_over_all_positions(archive):
    data = prepare(
        Source.parse({"npz": str(archive / "sums.npz")}),
        SplitPlan(),
        Standard(),
        task="regression",
        target_scaling=Standard(),
        dtype=np.float64,
    )
    y = np.load(archive / "sums.npz")["y"]
    chosen = y[data.train.rows].reshape(-1, 2)
    assert data.train.y.shape == (len(data.train), 7, 2)
    np.testing.assert_allclose(data.preprocessing.target_scaling.center, chosen.mean(axis=0))
    np.testing.assert_allclose(data.preprocessing.target_scaling.scale, chosen.std(axis=0))
    np.testing.assert_allclose(data.preprocessing.decode_target(data.test.y), y[data.test.rows])


def test_figures_are_those_of_all_positions_together_and_not_means_over_blocks(archive, monkeypatch):
    session = train_spec(archive / "spec.yaml", archive / "runs")
    experiment, network = session.experiment, session.learner.network
    test = experiment.data.test
    said = experiment.judge.predictions(network.predict(test.x)).reshape(-1, 2)
    truth = experiment.data.preprocessing.decode_target(test.y).reshape(-1, 2)
    figures = session.summary["metrics"]["test"]
    assert figures["rmse"] == pytest.approx(np.sqrt(np.square(said - truth).mean(axis=0)).mean())
    assert figures["r2"] > 0.9
    monkeypatch.setattr(type(network.layout), "evaluation_rows", 4)
    assert experiment.judge.network(network, experiment.examples(test))["r2"] == pytest.approx(figures["r2"])


def test_predictions_of_the_file_are_those_of_the_parts(archive):
    session = train_spec(archive / "spec.yaml", archive / "runs")
    predictor = Predictor(session.run)
    whole, part = predictor.of_file("sums.npz"), predictor.of_part("test")
    rows = np.isin(whole.rows, part.rows)
    np.testing.assert_allclose(whole.said[rows], part.said, rtol=1e-4, atol=1e-4)
    assert part.score["rmse"] == pytest.approx(session.summary["metrics"]["test"]["rmse"])
    assert app._run(["predict", str(session.run.path), "sums.npz", "-o", "out.csv"]) == 0
    lines = (archive / "out.csv").read_text().splitlines()
    assert lines[0] == "row,position,prediction_1,prediction_2,target_1,target_2"
    assert len(lines) == 1 + 300 * 7


def test_a_network_that_says_one_thing_a_row_is_told_what_is_missing(archive):
    (archive / "spec.yaml").write_text(SPEC.replace(", returns: sequence", ""))
    with pytest.raises(Exception, match=r"must end with shape \(7, 2\).*returns: sequence"):
        Experiment(load_spec(archive / "spec.yaml"))
