"""nnctl from Python: what it offers, and that importing it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnctl


def test_every_public_name_is_there_and_has_one_home():
    homes = [name for names in nnctl._HOMES.values() for name in names]
    assert sorted(homes) == sorted(nnctl.__all__) == sorted(set(homes))
    for name in nnctl.__all__:
        assert getattr(nnctl, name).__doc__, name
        assert getattr(nnctl, name) is getattr(nnctl, name)
    assert set(nnctl.__all__) <= set(dir(nnctl))


def test_no_public_name_is_that_of_a_subpackage():
    folders = {path.stem for path in Path(nnctl.__file__).parent.iterdir()}
    assert not folders & set(nnctl.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'nnctl' has no attribute 'Netwrok'"):
        nnctl.Netwrok  # noqa: B018
    assert not hasattr(nnctl, "numpy")


def test_importing_it_imports_nothing_else():
    code = "import sys, nnctl; print(nnctl.__version__, {'numpy', 'pydantic', 'yaml', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [nnctl.__version__, "set()"]


def test_a_star_import_brings_all_of_them():
    code = "from nnctl import *; print(Network.__name__, train_spec.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Network", "train_spec"]


IRIS = """
data: {source: iris}
architecture: [{dense: 16}, relu, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.02}
training: {epochs: 30, batch_size: 16}
"""


def test_iris_is_trained_from_python(spec_file, tmp_path):
    session = nnctl.train_spec(str(spec_file(IRIS)), tmp_path / "runs")
    assert session.summary["metrics"]["test"]["accuracy"] > 0.85
    assert session.run.status == "done"
    assert isinstance(session.learner.network, nnctl.Network)
    assert isinstance(session.run, nnctl.Run)
    probabilities = nnctl.Predictor(session.run).of_part("test").figures
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_a_spec_can_be_changed_before_it_is_trained(spec_file, tmp_path):
    loaded = nnctl.load_spec(str(spec_file(IRIS)), ["training.epochs=2", "optimizer=sgd"]).with_seed(5)
    session = nnctl.train_spec(loaded, str(tmp_path))
    assert session.summary["epochs"] == 2
    assert isinstance(session.experiment.spec.optimizer, nnctl.Optimizer)
    assert session.experiment.spec.seed == 5
    assert session.run.path.parent == tmp_path


@pytest.mark.parametrize("text", ["", IRIS.replace("relu", "rleu"), IRIS.replace("batch_size: 16", "batch_size: 999")])
def test_what_goes_wrong_is_an_nnctl_error_and_leaves_no_run(spec_file, tmp_path, text):
    with pytest.raises(nnctl.NnctlError):
        nnctl.train_spec(spec_file(text), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_second_ctrl_c_leaves_a_run_that_can_be_resumed(spec_file, tmp_path):
    session = nnctl.Session.start(nnctl.Experiment(nnctl.load_spec(spec_file(IRIS))), tmp_path)
    training = session.epochs()
    next(training)
    with pytest.raises(KeyboardInterrupt):
        training.throw(KeyboardInterrupt)
    assert session.run.status == "interrupted"
    whole = nnctl.train_spec(spec_file(IRIS), tmp_path)
    resumed = nnctl.Session.resume(session.run)
    assert [epoch.epoch for epoch in resumed.epochs()][-1] == 30
    assert resumed.learner.network.theta.tobytes() == whole.learner.network.theta.tobytes()


def test_a_network_is_built_and_run_without_a_spec():
    layers = tuple(nnctl.Layer.parse(written) for written in ({"dense": 5}, "tanh", {"dense": 2}))
    layout = nnctl.Layout(layers, (3,), nnctl.Initializer.parse("xavier_normal"))
    network = nnctl.Network(layout, dtype=np.float64, seed=1)
    x = np.random.default_rng(0).normal(size=(4, 3))
    weights = network.tensors()
    expected = np.tanh(x @ weights["0.dense.W"] + weights["0.dense.b"]) @ weights["2.dense.W"] + weights["2.dense.b"]
    np.testing.assert_allclose(network.predict(x), expected, rtol=1e-12)
