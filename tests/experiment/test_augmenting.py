"""A training on augmented rows: the other parts are left alone, and an interruption changes no bit."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

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


@pytest.mark.parametrize("loss", ["cross_entropy", "{cross_entropy: {label_smoothing: 0.1}}", "hinge", "perceptron"])
def test_in_the_training_figures_a_mixture_counts_for_each_of_its_classes_by_its_share(path, tmp_path, loss):
    change = [f"loss={loss}", "data.augment=[mixup]", "training.epochs=1", "metrics=[accuracy, recall, roc_auc]"]
    session = Session.start(Experiment(load_spec(path, change)), tmp_path)
    [epoch] = list(session.epochs())
    order, train = session.batches.order(0), session.train
    [step] = session.batches.augmenter.steps
    pairs = step.pairs(session.batches.augmenter._chance(0, 0, np.arange(len(train.y))), None, len(train.y))
    said = session.progress.outputs.argmax(1)
    own, other, s = train.y[order], train.y[pairs.partner][order], pairs.share[order]
    right = s * (said == own) + (1 - s) * (said == other)
    assert epoch.metrics["train_accuracy"] == pytest.approx(right.mean(), rel=1e-5)
    rows, y, w = np.tile(np.arange(len(own)), 2), np.r_[own, other], np.r_[s, 1 - s]
    assert epoch.metrics["train_recall"] == pytest.approx(
        recall_score(y, said[rows], average="macro", sample_weight=w), rel=1e-5
    )
    scores = session.experiment.judge.predictions(session.progress.outputs)[rows]
    expected = np.mean([roc_auc_score(y == k, scores[:, k], sample_weight=w) for k in range(10)])
    assert epoch.metrics["train_roc_auc"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge", "perceptron", "cross_entropy"])
def test_two_classes_are_mixed_with_every_loss_and_measured_with_every_metric(spec_file, tmp_path, loss):
    named = "accuracy, balanced_accuracy, precision, recall, f1, roc_auc"
    named += ", log_loss, perplexity" if "entropy" in loss else ""
    spec = spec_file(
        "name: two\ndata: {source: breast_cancer, augment: [{mixup: 1.0}]}\narchitecture: [{dense: outputs}]\n"
        f"loss: {loss}\noptimizer: {{adam: 1e-2}}\ntraining: {{epochs: 5}}\nmetrics: [{named}]\n"
    )
    session = Session.start(Experiment(load_spec(spec)), tmp_path)
    last = list(session.epochs())[-1]
    assert session.summary["metrics"]["train"]["accuracy"] > 0.85
    assert 0.6 < last.metrics["train_accuracy"] < 0.93  # the other class of a mixture is never said
    assert all(np.isfinite(value) for value in last.metrics.values())


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
        (["data.augment=[mixup, smote]"], "smote: is done once, on the rows as they are, so that it must be the first"),
        (["data.augment=[random_swap]"], "random_swap: rewrites texts that have a target each.*the inputs are numbers"),
        (
            ["data.source=pydoc_topics", "data.split={}", "data.augment=[random_swap]"],
            "random_swap: rewrites texts.*the next token of one long text",
        ),
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
