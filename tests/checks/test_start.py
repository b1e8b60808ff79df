"""The loss at the start: what it should be is known for every loss, and what throws it off is told."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from nnctl.checks.outlying import judge_outlying, measure_outlying
from nnctl.checks.start import check_start
from nnctl.core.finding import Finding
from nnctl.experiment.assembly import Experiment
from nnctl.nn.losses import CrossEntropy
from nnctl.spec.load import load_spec

IRIS = """
data: {source: iris}
architecture: [dense: 16, relu, dense: outputs]
loss: cross_entropy
"""
FRIEDMAN = """
data: {source: {friedman: {samples: 300}}, target_scaling: standard}
architecture: [dense: 16, relu, dense: outputs]
loss: mse
"""


@pytest.fixture
def start(spec_file):
    def look(text: str, *overrides: str):
        return check_start(Experiment(load_spec(spec_file(text), overrides)))

    return look


def found(report, rule: str) -> Finding:
    [finding] = [finding for finding in report.findings if finding.rule == rule]
    return finding


SILENT = "architecture=[dense: 16, relu, dense: {units: outputs, init: zeros}]"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("loss=cross_entropy", log(3)),
        ("loss={cross_entropy: {label_smoothing: 0.3}}", log(3)),
        ("loss={cross_entropy: {class_weight: [1, 5, 0.2]}}", log(3)),
        ("loss=hinge", 1.0),
    ],
)
def test_a_network_that_says_nothing_loses_what_is_expected(start, loss, expected):
    report = start(IRIS, SILENT, loss)
    assert report.figures["loss"] == pytest.approx(expected, rel=1e-6)
    assert report.figures["reference"] == pytest.approx(expected, rel=1e-6)
    assert report.verdict == "pass"


def test_two_classes_lose_log_2(start):
    report = start(IRIS, SILENT, "data.source=breast_cancer", "loss={binary_cross_entropy: {class_weight: balanced}}")
    assert report.figures["loss"] == pytest.approx(log(2))
    assert report.figures["expected"] == "log 2"


def test_a_regression_loses_the_variance_of_its_targets(start):
    raw = start(FRIEDMAN, "data.target_scaling=none")
    report = start(FRIEDMAN)
    assert report.figures["reference"] == pytest.approx(1.0, rel=1e-5)
    assert report.figures["expected"] == "the variance of the targets"
    assert raw.figures["reference"] == pytest.approx(raw.figures["target_spread"] ** 2, rel=1e-5)


def test_a_fresh_network_of_ordinary_weights_passes(start):
    for text in (IRIS, FRIEDMAN):
        assert start(text).verdict == "pass"


@pytest.mark.parametrize("text", [IRIS, FRIEDMAN])
@pytest.mark.parametrize("seed", range(5))
def test_the_spread_of_healthy_outputs_has_no_say_in_the_loss_of_one_answer(start, text, seed):
    report = start(text, f"seed={seed}")
    assert report.figures["ratio"] == pytest.approx(1.0, abs=0.01)
    assert found(report, "loss-at-start").verdict == "pass"
    assert found(report, "first-outputs").verdict == "pass"


def test_wild_outputs_are_told_with_their_size_and_are_not_the_fault_of_the_loss(start):
    report = start(IRIS, "init={normal: 1.2}")
    finding = found(report, "first-outputs")
    assert finding.verdict == "warn"
    assert finding.value > 3
    assert found(report, "loss-at-start").verdict == "pass"
    assert found(start(IRIS, "init={normal: 100.0}"), "first-outputs").verdict == "fail"


def test_the_size_of_the_outputs_explains_what_the_loss_is_more_than_the_reference(start):
    figures = start(FRIEDMAN, "init={normal: 0.8}").figures
    assert figures["unrelated"] == pytest.approx(1 + figures["size"] ** 2, rel=0.1)
    assert figures["loss"] == pytest.approx(figures["unrelated"], rel=0.3)


BENT = "architecture=[dense: 16, relu, dense: {units: outputs, bias_init: {constant: %s}}]"


def test_a_bias_that_puts_the_first_answer_a_tenth_off_is_told(start):
    assert found(start(FRIEDMAN, BENT % 0.3), "loss-at-start").verdict == "pass"
    finding = found(start(FRIEDMAN, BENT % 0.35), "loss-at-start")
    assert finding.verdict == "warn"
    assert finding.value == pytest.approx(1 + 0.35**2, rel=1e-4)
    assert "bias_init" in finding.fix
    assert found(start(FRIEDMAN, BENT % 4), "loss-at-start").verdict == "fail"


@pytest.mark.parametrize("factor", [0.5, 1.2])
def test_a_loss_that_is_scaled_wrongly_is_told_by_its_value_alone(start, monkeypatch, factor):
    value = CrossEntropy.value
    monkeypatch.setattr(CrossEntropy, "value", lambda *parts: factor * value(*parts))
    finding = found(start(IRIS), "loss-at-start")
    assert finding.verdict == "warn"
    assert "labels" in finding.fix


def test_a_bias_that_knows_how_frequent_the_classes_are_is_no_fault(start, tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *(f"{i % 7},{'b' if i % 20 else 'a'}" for i in range(400))]))
    spec = "data: {source: {csv: {path: a.csv, target: y}}, split: {validation: 0, test: 0}}"
    text = (
        f"{spec}\narchitecture: [dense: {{units: outputs, bias_init: {{constant: %s}}}}]\nloss: binary_cross_entropy\n"
    )
    finding = found(start(text % log(19)), "loss-at-start")
    assert finding.verdict == "pass"
    assert finding.value < 0.5
    assert found(start(text % -log(19)), "loss-at-start").verdict == "warn"


def test_outputs_that_are_not_finite_fail(start):
    report = start(IRIS, "init={normal: 1e30}")
    assert found(report, "loss-at-start").verdict == "fail"
    assert "not finite" in found(report, "loss-at-start").message


def test_targets_far_from_zero_are_told(start):
    assert found(start(FRIEDMAN), "targets-off-centre").verdict == "pass"
    finding = found(start(FRIEDMAN, "data.target_scaling=none"), "targets-off-centre")
    assert finding.verdict == "warn"
    assert finding.value > 2
    assert "target_scaling" in found(start(FRIEDMAN, "data.target_scaling=none"), "loss-at-start").fix


def test_one_target_that_outweighs_all_others_is_told(start, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    rows = [f"{x:.3f},{t:.3f}" for x, t in zip(rng.normal(size=200), y, strict=True)]
    spec = "data: {source: {csv: {path: a.csv, target: y}}, target_scaling: standard, split: {validation: 0, test: 0}}"
    text = f"{spec}\narchitecture: [dense: outputs]\nloss: mse"
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *rows]))
    assert found(start(text), "outlying-targets").verdict == "pass"
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *rows[1:], "0.5,4000"]))
    assert found(start(text), "outlying-targets").verdict == "warn"


def test_a_tenth_of_the_targets_that_lies_apart_is_told_unless_the_loss_bears_it(start, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 200)
    y = 1.5 * x + 0.2 * rng.normal(size=200) + np.where(np.arange(200) % 10 == 0, rng.uniform(10, 20, 200), 0)
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *(f"{a:.3f},{b:.3f}" for a, b in zip(x, y, strict=True))]))
    text = "data: {source: {csv: {path: a.csv, target: y}}, split: {validation: 0, test: 0}}\n"
    text += "architecture: [dense: outputs]\nloss: "
    finding = found(start(f"{text}mse"), "outlying-targets")
    assert finding.verdict == "warn"
    assert "10% of the rows" in finding.message
    assert found(start(f"{text}huber"), "outlying-targets").verdict == "pass"


RNG = np.random.default_rng(0)
LONG = {
    "exponential": RNG.exponential(size=1000),
    "lognormal": RNG.lognormal(size=1000),
    "Student's t": RNG.standard_t(4, 1000),
    "mostly zero": np.where(RNG.random(1000) < 0.85, 0, RNG.normal(10, 1, 1000)),
}


@pytest.mark.parametrize("y", LONG.values(), ids=LONG)
def test_targets_with_long_tails_are_no_outliers(y):
    assert judge_outlying(measure_outlying(y, None)).verdict == "pass"


def test_a_handful_of_targets_has_no_outliers(start, tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *(f"{i % 3},{2 * i}" for i in range(4))]))
    spec = "data: {source: {csv: {path: a.csv, target: y}}, split: {validation: 0, test: 0}}"
    text = f"{spec}\narchitecture: [dense: outputs]\nloss: mse\ntraining: {{batch_size: full}}"
    finding = found(start(text), "outlying-targets")
    assert (finding.verdict, finding.value) == ("pass", None)


def test_rows_come_from_the_whole_of_a_sorted_part(start, tmp_path):
    rows = [f"{i % 7},{'a' if i < 3000 else 'b'}" for i in range(6000)]
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *rows]))
    text = "data: {source: {csv: {path: a.csv, target: y}}, split: {validation: 0, test: 0}}\n"
    text += "architecture: [dense: {units: outputs, bias_init: {constant: 1.0}}]\nloss: binary_cross_entropy\n"
    report = start(text, "init=zeros")
    assert report.figures["loss"] == pytest.approx((log(1 + np.exp(1)) + log(1 + np.exp(-1))) / 2, rel=1e-3)
