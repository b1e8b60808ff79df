"""A network has to beat itself without its inputs, and a linear model."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.checks import short_run
from nnctl.checks.baselines import against_linear_model, without_inputs
from nnctl.checks.short_run import ShortRun
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec

MOONS = """
data: {source: {moons: {samples: 400, noise: 0.15}}}
architecture: [dense: 16, relu, dense: outputs]
loss: binary_cross_entropy
optimizer: {adam: 1e-2}
training: {epochs: 20}
"""
NOISE = """
data: {source: {csv: {path: noise.csv, target: y}}}
architecture: [dense: 64, relu, dense: outputs]
loss: binary_cross_entropy
optimizer: {adam: 1e-2}
training: {epochs: 60}
"""


SAID = {"good": "yes", "bad": "no"}


@pytest.fixture
def experiment(spec_file):
    return lambda text=MOONS, *overrides: Experiment(load_spec(spec_file(text), overrides))


def blind(experiment: Experiment):
    return without_inputs(experiment, ShortRun.of(experiment)).findings[0]


def linear(experiment: Experiment):
    return against_linear_model(experiment, ShortRun.of(experiment))


def test_a_network_that_learns_beats_itself_without_inputs(experiment):
    finding = blind(experiment())
    assert finding.verdict == "pass"
    assert finding.value > 0.5


REWRITTEN = """
data:
  source: {texts: texts.csv}
  split: {validation: 0, test: 0}
  augment: [{synonyms: {table: words.csv, share: 0.5}}]
architecture: [{embedding: 8}, global_avg_pool, {dense: outputs}]
loss: binary_cross_entropy
optimizer: {adam: 0.05}
training: {epochs: 20, batch_size: 10}
"""
HEARD = """
data: {source: {tones: {samples: 60}}, split: {validation: 0, test: 0}, augment: [{white_noise: [20, 30]}]}
architecture: [global_max_pool, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.05}
training: {epochs: 10, batch_size: 10}
"""


@pytest.mark.parametrize(("text", "classes"), [(REWRITTEN, 2), (HEARD, 6)], ids=["texts", "sounds"])
def test_what_augmentation_makes_of_texts_and_sounds_is_no_way_to_the_inputs(experiment, tmp_path, text, classes):
    rows = [f"the {('film', 'plot')[i % 2]} was {word},{label}" for i in range(20) for word, label in SAID.items()]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (tmp_path / "words.csv").write_text("word,synonym\ngood,fine\nbad,poor\n")
    whole = experiment(text)
    report = without_inputs(whole, ShortRun.of(whole))
    assert report.verdict == "pass"
    assert report.figures["blind"]["loss"] == pytest.approx(np.log(classes), abs=0.05)


def test_a_network_that_cannot_learn_is_told(experiment):
    finding = blind(experiment(MOONS, "optimizer.lr=1e-9"))
    assert (finding.rule, finding.verdict) == ("inputs-ignored", "fail")
    assert blind(experiment(MOONS, "init=zeros")).verdict == "fail"


WORDS = """
data: {source: {pydoc_topics: {context: 16}}}
architecture: [embedding: 8, {lstm: {units: 16, returns: sequence}}, dense: outputs]
loss: cross_entropy
clip: {norm: 1}
optimizer: {adam: 2e-3}
training: {steps: %d}
"""


@pytest.mark.parametrize(("planned", "verdict"), [(2000, "pass"), (30, "warn")])
def test_a_network_that_has_only_begun_to_fall_is_not_said_to_ignore_its_inputs(
    experiment, monkeypatch, planned, verdict
):
    monkeypatch.setattr(short_run, "WORK", 0)
    monkeypatch.setattr(short_run, "LEAST_STEPS", 30)
    monkeypatch.setattr(short_run, "ANSWERS", 2000)
    finding = blind(experiment(WORDS % planned))
    assert (finding.rule, finding.verdict) == ("inputs-ignored", verdict)
    assert "too early to tell" in finding.message


def test_a_little_that_is_sure_is_something(experiment, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = 0.2 * x + rng.normal(size=4000)
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *(f"{a:.4f},{b:.4f}" for a, b in zip(x, y, strict=True))]))
    text = "data: {source: {csv: {path: a.csv, target: y}}, target_scaling: standard}\narchitecture: [dense: outputs]\n"
    finding = blind(experiment(text + "loss: mse\noptimizer: {adam: 0.05}\ntraining: {epochs: 5}\n"))
    assert finding.verdict == "pass"
    assert finding.value < 0.05
    assert "standard errors" in finding.message


def test_work_is_bounded_by_what_layers_really_do(experiment, monkeypatch):
    monkeypatch.setattr(short_run, "MOST_WORK", 1e6)
    moons = experiment()
    assert ShortRun.of(moons).steps == int(1e6 / (3 * moons.layout.flop(moons.batch_rows)))


def test_labels_of_other_rows_are_learned_by_heart_and_nothing_else(experiment, tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{b:.3f},{c}" for a, b, c in zip(*rng.normal(size=(2, 300)), rng.integers(2, size=300), strict=True)
    ]
    (tmp_path / "noise.csv").write_text("\n".join(["a,b,y", *rows]))
    finding = blind(experiment(NOISE))
    assert (finding.rule, finding.verdict) == ("learned-by-heart", "warn")
    assert finding.value < 0.05


@pytest.mark.parametrize(("elsewhere", "verdict"), [(0.70, "warn"), (0.68, "pass")])
def test_a_little_on_the_training_part_is_nothing_where_others_are_no_better(
    experiment, monkeypatch, elsewhere, verdict
):
    def run(loss: float, validation_loss: float) -> ShortRun:
        rows = np.random.default_rng(int(1000 * loss)).normal(loss, 1e-3, 500)
        return ShortRun(100, 100, 0.7, loss, rows, validation_loss, 0.5, 0.5)

    monkeypatch.setattr(ShortRun, "of", lambda _: run(0.693, 0.693))
    [finding] = without_inputs(experiment(), run(0.68, elsewhere)).findings
    assert finding.verdict == verdict


def test_a_training_that_diverges_is_told_as_that(experiment):
    finding = blind(experiment(MOONS, "data={source: diabetes}", "loss=mse", "optimizer={sgd: 1.0}"))
    assert finding.verdict == "fail"
    assert "diverges" in finding.message


def test_the_perceptron_is_judged_by_its_mistakes(experiment):
    gate = ["architecture=[dense: outputs]", "loss=perceptron", "init=zeros", "optimizer={sgd: 1.0}"]
    gate += ["training={epochs: 20, batch_size: 1, shuffle: false}", "data.split={validation: 0, test: 0}"]
    assert blind(experiment(MOONS, "data.source=and", *gate)).verdict == "pass"
    assert blind(experiment(MOONS, "data.source=xor", *gate)).verdict == "fail"


def test_a_network_that_bends_beats_a_line(experiment):
    report = linear(experiment())
    assert report.verdict == "pass"
    assert report.figures["network"] > report.figures["linear"] > 0.7
    assert report.figures["part"] == "validation"


def test_a_network_that_is_not_trained_loses_against_a_line(experiment):
    report = linear(experiment(MOONS, "data.source=breast_cancer", "optimizer.lr=1e-7"))
    assert (report.findings[0].rule, report.findings[0].verdict) == ("linear-baseline", "warn")
    assert report.figures["linear"] > 0.9


def test_a_regression_is_judged_by_r2(experiment):
    report = linear(experiment(MOONS, "data={source: diabetes, target_scaling: standard}", "loss=mse"))
    assert report.figures["metric"] == "r2"
    assert 0.2 < report.figures["linear"] < 0.8


def test_without_a_validation_part_the_training_part_is_judged(experiment):
    assert linear(experiment(MOONS, "data.split.validation=0")).figures["part"] == "training"


def test_the_work_bounds_the_steps_and_the_schedule_is_fitted_to_them(experiment):
    run = ShortRun.of(experiment(MOONS, "training.epochs=100000", "schedule=cosine", "training.batch_size=full"))
    assert run.steps <= 4000
    assert run.train > 0.9


def test_a_short_run_changes_nothing_of_the_experiment(experiment):
    moons = experiment()
    before = moons.data.train.x.copy(), moons.learner().network.theta
    without_inputs(moons, ShortRun.of(moons))
    assert np.array_equal(before[0], moons.data.train.x)
    assert np.array_equal(before[1], moons.learner().network.theta)
