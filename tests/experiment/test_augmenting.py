"""A training on augmented rows: the other parts are left alone, and an interruption changes no bit."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from nnctl.checks.frozen import bare
from nnctl.core.errors import Interrupted, SpecError
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.spec.load import load_spec

EVERYTHING = """
name: everything
data:
  source: digits
  split: {validation: 40, test: 1637}
  scaling: channels
  augment: [flip, {random_crop: 1}, {rotation: 10}, color_jitter, {cutout: 2}, noise, mixup, cutmix]
architecture: [{dense: 16}, relu, {dense: outputs}]
loss: {cross_entropy: {class_weight: balanced, label_smoothing: 0.1}}
optimizer: {adam: 1e-2}
training: {epochs: 4, batch_size: 16, accumulate: 2}
"""


@pytest.fixture
def path(spec_file):
    return spec_file(EVERYTHING)


def trained(path, runs) -> Session:
    session = Session.start(Experiment(load_spec(path)), runs)
    for _ in session.epochs():
        pass
    return session


def test_the_parts_are_those_of_the_same_spec_without_augmentation(path, tmp_path):
    session = trained(path, tmp_path)
    plain = Experiment(load_spec(path, ["data.augment=[]"]))
    for name in ("train", "validation", "test"):
        split, other = getattr(session.experiment.data, name), getattr(plain.data, name)
        np.testing.assert_array_equal(split.x, other.x)
        found = plain.judge.network(session.learner.network, plain.examples(other))
        assert session.summary["metrics"][name] == found


def test_the_weights_differ_from_those_of_a_training_without_augmentation(path, tmp_path):
    session = trained(path, tmp_path)
    for change in ("[]", "[flip]", "[{flip: vertical}]"):
        plain = Session.start(Experiment(load_spec(path, [f"data.augment={change}"])), tmp_path)
        for _ in plain.epochs():
            pass
        assert not np.array_equal(plain.learner.network.theta, session.learner.network.theta)


@pytest.mark.parametrize("steps", [1, 5, 8, 14])
def test_a_training_interrupted_within_an_epoch_ends_with_the_same_bits(path, tmp_path, steps):
    whole = trained(path, tmp_path / "whole")
    session = Session.start(Experiment(load_spec(path)), tmp_path)
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: signal.SIGINT if session.learner.step >= steps else None):
            pass
    resumed = Session.resume(session.run)
    for _ in resumed.epochs():
        pass
    np.testing.assert_array_equal(resumed.learner.network.theta, whole.learner.network.theta)
    kept = [{k: v for k, v in r.items() if "second" not in k} for r in resumed.run.records.read()]
    assert kept == [{k: v for k, v in r.items() if "second" not in k} for r in whole.run.records.read()]


def test_the_training_figures_of_mixtures_go_by_the_class_with_the_larger_share(path, tmp_path):
    session = Session.start(Experiment(load_spec(path, ["data.augment=[mixup]", "training.epochs=1"])), tmp_path)
    [epoch] = list(session.epochs())
    t, _ = session.batches.targets()
    said = session.progress.outputs.argmax(1)
    assert epoch.metrics["train_accuracy"] == pytest.approx((said == t.argmax(1)).mean())
    order = session.batches.order(0)
    assert not np.array_equal(t.argmax(1), session.train.y[order])


def test_a_regression_mixes_values_in_their_own_units(spec_file, tmp_path):
    spec = spec_file(
        "name: mixed\ndata: {source: diabetes, target_scaling: standard, augment: [{mixup: 1.0}]}\n"
        "architecture: [{dense: 8}, tanh, {dense: outputs}]\nloss: mse\ntraining: {epochs: 1}\nmetrics: [rmse]\n"
    )
    session = Session.start(Experiment(load_spec(spec)), tmp_path)
    [epoch] = list(session.epochs())
    t, _ = session.batches.targets()
    units = session.experiment.data.preprocessing.decode_target
    rmse = np.sqrt(np.square(units(t) - units(session.progress.outputs)).mean())
    assert epoch.metrics["train_rmse"] == pytest.approx(rmse, rel=1e-5)


def test_one_batch_is_learned_by_heart_without_augmentation(path):
    experiment, switched_off = bare(Experiment(load_spec(path)), 16)
    assert "augmentation" in switched_off
    assert experiment.batches(experiment.examples(experiment.data.train)).augmenter is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["loss=perceptron", "data.augment=[mixup]"], "mixup: mixes the targets of two rows, and perceptron knows one"),
        (["data.scaling=standard"], "flip: moves pixels"),
        (
            ["loss=cross_entropy", "data.source=pydoc_topics", "data.split={}", "data.augment=[mixup]"],
            "mixup: changes numbers, and the inputs are tokens",
        ),
    ],
)
def test_what_does_not_suit_is_refused_where_it_stands(path, change, said):
    with pytest.raises(SpecError, match=said):
        Experiment(load_spec(path, change))
