"""The doctor: every planted fault is named first, no healthy spec is, and nothing is changed by looking."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from planted import SPECS, Planted, faults_of, lay_out

from nnctl.checks.causal_order import CAUSES, in_causal_order
from nnctl.checks.doctor import STEPS, diagnose, diagnose_unusable
from nnctl.checks.rulebook import rules
from nnctl.core.errors import DataError
from nnctl.core.finding import Finding, Report
from nnctl.experiment.assembly import Experiment, set_blas_threads
from nnctl.spec.lint.advice import lint
from nnctl.spec.load import load_spec
from nnctl.train.step import train_step

HEALTHY = sorted(SPECS.glob("**/healthy/*.yaml"))
FAULTY = sorted(SPECS.glob("**/faults/*.yaml"))
QUICK = ["csv-leak", "csv-conflicts", "init-constant", "sgd-lr-1e-6", "targets-unscaled", "csv-shuffled-labels"]


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> dict[str, Planted]:
    return {each.name: each for each in lay_out(tmp_path_factory.mktemp("planted"))}


@cache
def examined(path) -> Report:
    loaded = load_spec(path)
    try:
        experiment = Experiment(loaded)
    except DataError as error:
        return diagnose_unusable(loaded, error)
    set_blas_threads(experiment.threads)
    return diagnose(experiment)


def finding(rule: str, verdict: str) -> Finding:
    return Finding(rule, verdict, "said.", "fix.")


# ------------------------------------------------------------------ the folder of specs


def test_there_are_enough_specs():
    assert len(HEALTHY) >= 20
    assert len(FAULTY) >= 40


@pytest.mark.parametrize("spec", FAULTY, ids=lambda path: path.stem)
def test_a_planted_fault_names_rules_that_there_are(spec):
    assert faults_of(spec)
    assert set(faults_of(spec)) <= set(rules())


@pytest.mark.parametrize("spec", HEALTHY, ids=lambda path: path.stem)
def test_lint_finds_nothing_in_a_healthy_spec(spec):
    assert lint(load_spec(spec)).verdict == "pass"


@pytest.mark.parametrize("name", QUICK)
def test_a_fault_is_named_first(planted, name):
    report = examined(planted[name].path)
    assert report.first is not None
    assert report.first.rule in planted[name].faults
    verb = "mend first" if report.verdict == "fail" else "look first at"
    assert report.headline.startswith(f"{verb}: {report.first.rule}")


def test_a_healthy_spec_gets_no_warning(planted):
    report = examined(planted["xor-noise"].path)
    assert [f for f in report.findings if f.verdict != "pass"] == []
    assert report.headline.endswith("Train it.")
    assert [step["step"] for step in report.figures["steps"]] == list(STEPS)
    assert all(step["seconds"] >= 0 and step["headline"] for step in report.figures["steps"])


@pytest.mark.slow
def test_nine_faults_in_ten_are_named_first(planted):
    faulty = [each for each in planted.values() if each.faults]
    named = [(report := examined(each.path)).first and report.first.rule in each.faults for each in faulty]
    missed = [each.name for each, right in zip(faulty, named, strict=True) if not right]
    assert sum(map(bool, named)) >= 0.9 * len(faulty), missed


@pytest.mark.slow
def test_no_healthy_spec_gets_a_warning(planted):
    alarms = {each.name: examined(each.path).first for each in planted.values() if not each.faults}
    assert {name: first for name, first in alarms.items() if first is not None} == {}


# ------------------------------------------------------------------ the order of causes


def test_every_rule_of_every_check_has_one_place_in_the_order():
    placed = [rule for group in CAUSES for rule in group]
    assert len(placed) == len(set(placed))
    assert set(placed) == set(rules())


def test_a_warning_that_explains_a_failure_is_one_and_stands_first():
    found = in_causal_order([finding("overfit-batch", "fail"), finding("input-scaling", "warn")])
    assert [(f.rule, f.verdict) for f in found] == [("input-scaling", "fail"), ("overfit-batch", "fail")]


def test_advice_and_what_fails_no_training_stay_warnings():
    found = in_causal_order(
        [finding("no-test", "warn"), finding("overfit-batch", "fail"), finding("shared-rows", "warn")]
    )
    assert [(f.rule, f.verdict) for f in found] == [
        ("overfit-batch", "fail"),
        ("shared-rows", "warn"),
        ("no-test", "warn"),
    ]


def test_passes_stand_last():
    found = in_causal_order([finding("unusable-data", "pass"), finding("no-test", "warn")])
    assert [f.rule for f in found] == ["no-test", "unusable-data"]


# ------------------------------------------------------------------ what it leaves alone, and what it cannot do


def test_a_training_after_it_has_the_same_bits(planted):
    def trained() -> np.ndarray:
        learner = experiment.learner()
        batches = experiment.batches(experiment.examples(experiment.data.train))
        for batch in batches.epoch(0):
            train_step(learner, batch, 1e-2)
        learner.team.close()
        return learner.network.theta.copy()

    experiment = Experiment(load_spec(planted["iris-tanh"].path))
    before = trained()
    diagnose(experiment)
    assert np.array_equal(before, trained())


def test_data_that_are_refused_are_looked_at_all_the_same(spec_file, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,a\n2,a\n3,a\n4,a\n")
    text = "data: {source: {csv: {path: a.csv, target: y}}}\narchitecture: [dense: outputs]\nloss: cross_entropy\n"
    report = examined(spec_file(text))
    assert report.first.rule == "unusable-data"
    assert [step["step"] for step in report.figures["steps"]] == ["lint", "data"]
    assert report.figures["left_out"] == list(STEPS[2:])


def test_a_symptom_of_a_network_that_learns_is_no_alarm(planted, monkeypatch):
    import nnctl.checks.doctor as module

    dead = Report("gradient-flow", "dead units", (finding("dead-relu", "warn"),))
    monkeypatch.setattr(module, "gradient_flow", lambda *_args, **_kwargs: dead)
    experiment = Experiment(load_spec(planted["moons"].path))
    report = diagnose(experiment)
    assert report.first is None
    assert {step["verdict"] for step in report.figures["steps"]} == {"pass"}
    lost = Report("linear-model", "worse", (finding("linear-baseline", "warn"),))
    monkeypatch.setattr(module, "against_linear_model", lambda *_args: lost)
    assert diagnose(experiment).first.rule == "dead-relu"


def test_a_rate_beyond_the_usual_range_is_no_alarm_where_it_does_well(spec_file):
    text = """
    data: {source: xor, split: {validation: 0, test: 0}, scaling: none}
    architecture: [dense: 8, tanh, dense: outputs]
    loss: binary_cross_entropy
    optimizer: {adam: 0.05}
    training: {epochs: 200, batch_size: full}
    """
    loaded = load_spec(spec_file(text))
    assert lint(loaded).first.rule == "learning-rate-range"
    report = diagnose(Experiment(loaded))
    assert report.first is None
    assert [f.message for f in report.findings if f.rule == "learning-rate-range"] == [
        "0.05 lies above 1e-05 to 0.03, the usual range of adam; the network learns all the same."
    ]
