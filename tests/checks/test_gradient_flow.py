"""gradient_flow names planted faults and finds nothing in healthy specs."""

from __future__ import annotations

import json

import pytest

from nnctl.checks.flow import gradient_flow
from nnctl.cli.pictures import gradient_flow as picture
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec

DIGITS = """
data: {source: digits}
architecture: [{dense: 64}, relu, {dense: 64}, relu, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 1e-3}
training: {epochs: 5, batch_size: 32}
"""


@pytest.fixture
def flow(spec_file):
    def run(*overrides: str, text: str = DIGITS, steps: int = 100):
        return gradient_flow(Experiment(load_spec(spec_file(text), overrides)), steps)

    return run


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optimizer={sgd: 0.1}",),
        ("architecture=[{dense: 64}, batch_norm, relu, {dense: outputs}]",),
        ("architecture=[{dense: 64}, tanh, {dense: 64}, sigmoid, {dense: outputs}]",),
        ("schedule={one_cycle: {warmup: 0.3}}",),
        ("architecture=[{dense: outputs}]",),
    ],
)
def test_a_healthy_spec_passes_with_figures(flow, overrides):
    report = flow(*overrides)
    assert report.verdict == "pass", report.findings
    assert {"vanishing-gradient", "update-ratio", "unchanged-weights"} <= {f.rule for f in report.findings}
    assert [sample["step"] for sample in report.figures["samples"]] == [1, 10, 100]


@pytest.mark.parametrize(
    ("overrides", "rule", "verdict"),
    [
        (["architecture=[{repeat: {layers: [{dense: 9}, sigmoid], times: 8}}, {dense: outputs}]", "init={normal: .01}"],
         "vanishing-gradient", "warn"),
        (["optimizer.lr=0.3"], "dead-relu", "fail"),
        (["optimizer={sgd: 300}"], "exploding-gradient", "fail"),
        (["init=zeros", "architecture=[{dense: 64}, tanh, {dense: outputs}]"], "unchanged-weights", "warn"),
        (["bias_init={constant: -20}"], "dead-relu", "fail"),
        (["init={normal: 5}", "architecture=[{dense: 64}, tanh, {dense: outputs}]"], "saturated-units", "fail"),
        (["optimizer.lr=1e-8"], "update-ratio", "warn"),
        (["optimizer.lr=1e-14"], "unchanged-weights", "warn"),
    ],
)  # fmt: skip
def test_a_planted_fault_is_named(flow, overrides, rule, verdict):
    assert verdict in {finding.verdict for finding in flow(*overrides).findings if finding.rule == rule}


def test_a_layer_that_forgets_its_gradient_is_named(flow, monkeypatch):
    from nnctl.nn.dense import Dense

    backward = Dense.backward

    def frozen(self, p, g, dy, ctx):
        dx = backward(self, p, g, dy, ctx)
        if ctx.path == "2.dense":
            g.W[...] = 0
        return dx

    monkeypatch.setattr(Dense, "backward", frozen)
    findings = [finding for finding in flow().findings if finding.verdict != "pass"]
    assert [(finding.rule, finding.where) for finding in findings] == [("unchanged-weights", "2.dense.W")]


def test_numbers_that_overflow_at_once_are_a_finding_and_not_a_crash(flow):
    report = flow("optimizer={sgd: 1e30}")
    assert report.first.rule == "exploding-gradient"
    assert "not finite at step 2" in report.first.message
    assert "layer" in report.first.message or "weights" in report.first.message


def test_the_experiment_is_left_as_it_was_and_the_check_repeats_itself(spec_file):
    experiment = Experiment(load_spec(spec_file(DIGITS)))
    before = experiment.learner().network.theta.tobytes()
    one, other = (gradient_flow(experiment, 20).plain() for _ in range(2))
    assert json.dumps(one) == json.dumps(other)
    assert experiment.learner().network.theta.tobytes() == before


def test_a_training_shorter_than_the_steps_is_enough(flow):
    report = flow("training={steps: 5, batch_size: 32}")
    assert [sample["step"] for sample in report.figures["samples"]] == [1, 5]


@pytest.mark.parametrize("overrides", [(), ("architecture=[{dense: outputs}]",), ("init=zeros",)])
def test_the_flow_is_drawn(flow, overrides):
    figures = json.loads(json.dumps(dict(flow(*overrides).figures)).replace("NaN", "null"))
    assert picture.draw(figures).startswith(b"\x89PNG")


def test_a_flow_of_no_look_is_drawn_too():
    assert picture.draw({"kernels": ["0.dense.W"], "samples": []}).startswith(b"\x89PNG")
