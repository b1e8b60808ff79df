"""gradcheck finds every seeded bug: alone, in a whole network, and as the layer to blame."""

from __future__ import annotations

import numpy as np
import pytest
from seeded_bugs import BACKWARD, LOSS_BUGS, NO_DX, PENALTY_BUGS, BiasGradientAveraged, Bug, NotRescaledInBackward

from nnctl.checks.gradcheck import gradcheck_experiment, gradcheck_registry
from nnctl.checks.gradients import examples
from nnctl.checks.gradients.components import check_component
from nnctl.checks.gradients.network import Point, check_point
from nnctl.data.batches import Batch
from nnctl.experiment.assembly import Experiment
from nnctl.nn.dense import Dense
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.optim.gradients import Regularizer
from nnctl.spec.load import load_spec

every_layer_bug = pytest.mark.parametrize("bug", BACKWARD.values(), ids=BACKWARD)


def unbroken(component):
    whole = type(component).__base__
    return whole(**{name: getattr(component, name) for name in type(component).model_fields})


def point_with(layer: Layer, shape, *, first=False, regularizers=()) -> Point:
    """Check a network in which a layer stands behind a dense one, or comes first."""
    rng = np.random.default_rng(0)
    tokens = layer.vocabulary()
    before = () if first or tokens else (Dense(units=shape[-1]),)
    layers = (*before, layer, Layer.parse("flatten"), Dense(units=3))
    network = Network(Layout(layers, shape), dtype=np.float64, seed=1)
    network.theta += rng.normal(0, 0.1, network.theta.shape)
    loss = Loss.parse("cross_entropy")
    x, y = rng.normal(size=(8, *shape)), rng.integers(0, 3, 8)
    if tokens:
        x = rng.integers(0, tokens, (8, *shape)).astype(float)
    batch = Batch(x, loss.encode(y, 3, np.float64), None, 0, len(x))
    return check_point("now", network, loss, regularizers, batch, lambda _: None)


def verdicts(point: Point) -> set[str]:
    return {line.verdict for line in (point.loss_line, *point.lines, *(line for _, line in point.penalties))}


def test_there_are_more_than_thirty_bugs_in_backward_passes():
    assert len(BACKWARD) > 30
    assert len(BACKWARD) + len(LOSS_BUGS) + len(PENALTY_BUGS) > 50


@every_layer_bug
def test_a_broken_layer_fails_alone_and_unbroken_passes(bug: Bug, monkeypatch):
    for layer, verdict in ((bug.layer, "fail"), (unbroken(bug.layer), "pass")):
        monkeypatch.setitem(examples.LAYERS, "dense", [(layer, bug.shape)])
        assert check_component("layer", "dense").verdict == verdict


@every_layer_bug
def test_a_broken_layer_fails_in_a_network_and_unbroken_passes(bug: Bug):
    first = bug.caught_by is NO_DX  # a bug of a layer whose dx nobody needs
    assert "fail" in verdicts(point_with(bug.layer, bug.shape, first=first))
    assert verdicts(point_with(unbroken(bug.layer), bug.shape, first=first)) == {"pass"}


@every_layer_bug
def test_the_broken_layer_is_the_one_to_blame(bug: Bug):
    first = bug.caught_by is NO_DX or bug.layer.vocabulary()
    blamed = {culprit.path for culprit in point_with(bug.layer, bug.shape, first=first).culprits}
    assert blamed == {f"{0 if first else 1}.{bug.layer.name}"}


@pytest.mark.parametrize("bug", LOSS_BUGS.values(), ids=LOSS_BUGS)
def test_a_broken_loss_fails_and_no_layer_is_blamed(bug: Loss, monkeypatch):
    monkeypatch.setitem(examples.LOSSES, bug.name, [bug])
    assert check_component("loss", bug.name).verdict == "fail"


def test_a_broken_loss_in_a_network_is_told_before_what_it_makes_wrong():
    rng = np.random.default_rng(0)
    bug = LOSS_BUGS["the factor two forgotten"]
    network = Network(Layout((Dense(units=2),), (3,)), dtype=np.float64)
    x, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    point = check_point("now", network, bug, (), Batch(x, t, None, 0, len(x)), lambda _: None)
    assert point.loss_line.verdict == "fail"
    assert point.loss_line.comparison.ratio == pytest.approx(0.5)
    assert "one half" in point.loss_line.suspect
    assert not point.culprits


@pytest.mark.parametrize("bug", PENALTY_BUGS, ids=lambda bug: bug.name)
def test_a_broken_penalty_fails_and_unbroken_passes(bug: Regularizer, monkeypatch):
    for penalty, verdict in ((bug, "fail"), (unbroken(bug), "pass")):
        monkeypatch.setitem(examples.PENALTIES, "l2", [penalty])
        assert check_component("penalty", "l2").verdict == verdict
        point = point_with(Layer.parse("tanh"), (4,), regularizers=[penalty])
        assert [line.verdict for _, line in point.penalties] == [verdict]
        assert {line.verdict for line in point.lines} == {"pass"}


def test_a_spec_with_a_broken_layer_fails_and_names_layer_parameter_numbers_and_suspect(spec_file):
    experiment = Experiment(load_spec(spec_file()))
    first, *others = experiment.spec.architecture
    broken = BiasGradientAveraged(units=first.units)
    report = gradcheck_experiment(experiment.variant(architecture=(broken, *others)))
    assert report.verdict == "fail"
    told = report.first
    assert told.rule == "wrong-gradient"
    assert told.where == "0.biasgradientaveraged, alone"
    assert "the gradient of b" in told.message
    assert "ratio 0.03125 everywhere" in told.message
    assert "a mean over the rows taken once too often: the ratio is 1/32" in told.message
    (wrong,) = [row for row in report.figures["points"][0]["tensors"] if row["verdict"] == "fail"]
    assert wrong["name"] == "0.biasgradientaveraged.b"
    assert wrong["analytic"] == pytest.approx(wrong["numeric"] / 32)


def test_dropout_that_is_not_rescaled_is_suspected_by_name():
    (culprit,) = {c.path: c for c in point_with(NotRescaledInBackward(rate=0.2), (4,)).culprits}.values()
    assert culprit.line.comparison.ratio == pytest.approx(0.8, rel=1e-3)


def test_a_broken_component_is_the_first_finding_of_the_registry(monkeypatch):
    bug = BACKWARD["InputGradientWithTheWrongSign"]
    monkeypatch.setitem(examples.LAYERS, "dense", [(bug.layer, bug.shape)])
    report = gradcheck_registry()
    assert report.verdict == "fail"
    assert report.first.where == "layer dense"
    assert "a sign" in report.first.message
    assert "dense" in report.headline
