"""gradcheck as a whole: on a spec, on the registry, beside corners, after a divergence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnctl.checks.gradcheck import ROWS, STEPS, gradcheck_experiment, gradcheck_registry
from nnctl.checks.gradients import components, examples
from nnctl.experiment.assembly import Experiment
from nnctl.nn.layer import Layer
from nnctl.nn.losses import Loss
from nnctl.nn.preset import Preset
from nnctl.optim.gradients import Regularizer
from nnctl.spec.load import load_spec

REGISTERED = {"layer": Layer, "loss": Loss, "penalty": Regularizer}


@pytest.fixture
def experiment(spec_file):
    return lambda *overrides: Experiment(load_spec(spec_file(), list(overrides)))


def test_a_correct_network_passes_at_the_start_and_after_twenty_steps(experiment):
    report = gradcheck_experiment(experiment("regularizers=[l2: 1e-3, l1: 1e-4, max_norm: 3]"))
    assert report.verdict == "pass"
    assert [point["when"] for point in report.figures["points"]] == ["at the start", f"after {STEPS} steps"]
    assert report.figures["rows"] == ROWS
    for point in report.figures["points"]:
        assert [row["name"] for row in point["tensors"]][:3] == ["input", "0.dense.W", "0.dense.b"]
        assert [row["name"] for row in point["penalties"]] == ["l2", "l1"]  # max_norm has no gradient
        assert all(row["error"] < 1e-7 and row["judged"] for row in point["tensors"])
    json.dumps(report.plain(), allow_nan=False)


def test_the_figures_say_the_loss_after_training_is_another(experiment):
    first, second = gradcheck_experiment(experiment()).figures["points"]
    assert second["loss"] != first["loss"]


def test_the_experiment_is_left_as_it_was(experiment):
    ours = experiment()
    x, theta = ours.data.train.x.copy(), ours.learner().network.theta
    gradcheck_experiment(ours)
    assert np.array_equal(ours.data.train.x, x)
    assert np.array_equal(ours.learner().network.theta, theta)
    assert ours.spec.training.dtype == "float32"


def test_progress_goes_from_nothing_to_all(experiment):
    told = []
    gradcheck_experiment(experiment(), lambda share, what: told.append((share, what)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.9 < shares[-1] <= 1
    assert "0.dense.W" in told[1][1]


def test_weights_on_a_corner_are_checked_beside_it(experiment):
    ours = experiment("architecture=[dense: outputs]", "loss=perceptron", "init=zeros")
    report = gradcheck_experiment(ours)
    assert report.verdict == "pass"
    start = report.figures["points"][0]
    assert start["beside"]
    assert all(row["judged"] for row in [start["outputs"], *start["tensors"]])


@pytest.mark.parametrize("lr", ["1e3", "1e6", "1e8", "1e80"])
def test_a_training_that_diverges_is_told_and_the_start_is_checked(experiment, lr):
    ours = experiment("architecture=[dense: 8, relu, dense: outputs]", f"optimizer={{sgd: {lr}}}")
    report = gradcheck_experiment(ours)
    assert len(report.figures["points"]) == 1
    assert [finding.rule for finding in report.findings] == ["gradcheck-not-finite", "wrong-gradient"]
    assert report.verdict == "warn"


def test_a_loss_that_is_not_finite_fails_and_says_so(experiment):
    ours = experiment("architecture=[dense: 8, dense: outputs]", "init={normal: 1e200}")
    report = gradcheck_experiment(ours)
    assert report.verdict == "fail"
    assert report.first.rule == "gradcheck-not-finite"


def test_a_batch_of_all_rows_is_cut_to_the_rows_of_the_check(experiment):
    assert gradcheck_experiment(experiment("training.batch_size=full")).figures["rows"] == ROWS


def test_accumulated_gradients_train_and_are_checked(experiment):
    assert gradcheck_experiment(experiment("training.accumulate=2")).verdict == "pass"


def test_every_layer_activation_loss_and_penalty_is_checked_in_several_cases():
    report = gradcheck_registry()
    assert report.verdict == "pass"
    checked = {(c["kind"], c["name"]): c for c in report.figures["components"]}
    for kind, family in REGISTERED.items():
        for name in family.members():
            assert (kind, name) in checked or ("activation", name) in checked
    few = {name for (_, name), c in checked.items() if c["cases"] < 2 and not c["note"]}
    assert few <= {name for name, layer in Layer.members().items() if issubclass(layer, Preset)}  # of layers seen above
    assert checked["penalty", "max_norm"]["note"]
    json.dumps(report.plain(), allow_nan=False)


def test_a_component_that_nobody_gave_an_example_is_tried_with_its_defaults(monkeypatch):
    monkeypatch.delitem(examples.LAYERS, "tanh")
    found = components.check_component("activation", "tanh")
    assert found.verdict == "pass"
    assert len({case for case, _ in found.lines}) == 4  # three shapes, and sequences that are padded


def test_a_component_that_cannot_be_made_without_an_example_is_warned_of(monkeypatch):
    monkeypatch.delitem(examples.LAYERS, "dense")
    report = gradcheck_registry()
    assert report.verdict == "warn"
    assert report.first.rule == "component-without-example"
    assert report.first.where == "layer dense"


def test_the_dark_margin_of_pictures_is_no_fault_of_the_pooling(spec_file):
    layers = "[reshape: [8, 8, 1], max_pool: 2, flatten, dense: outputs]"
    text = f"data: {{source: digits}}\narchitecture: {layers}\nloss: cross_entropy\n"
    report = gradcheck_experiment(Experiment(load_spec(spec_file(text), ["data.scaling=pixels"])))
    assert report.verdict == "pass", [finding.message for finding in report.findings]
