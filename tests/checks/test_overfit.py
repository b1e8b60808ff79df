"""overfit-batch passes what can learn, and names what was planted to keep a network from learning."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.checks import ladder
from nnctl.checks.frozen import FrozenBatch, bare, choose
from nnctl.checks.overfit import overfit_batch
from nnctl.experiment.assembly import Experiment
from nnctl.nn.dropout import Dropout
from nnctl.spec.load import load_spec
from nnctl.train.step import train_step

DIGITS = "data: {source: digits}\nloss: cross_entropy\n"
CANCER = "data: {source: breast_cancer}\nloss: binary_cross_entropy\n"
FRIEDMAN = "data: {source: {friedman: {samples: 300}}, target_scaling: standard}\nloss: mse\n"
XOR = "data: {source: xor, split: {validation: 0, test: 0}, scaling: none}\ntraining: {batch_size: full}\n"
RELU = "architecture: [dense: 32, relu, dense: outputs]\n"
MANY = "architecture: [dense: 32, relu, {repeat: {layers: [dense: 16, dropout: 0.5], times: 2}}, dense: outputs]\n"


@pytest.fixture
def experiment(spec_file):
    def load(text: str) -> Experiment:
        return Experiment(load_spec(spec_file(text)))

    return load


HEALTHY = {
    "digits": DIGITS + RELU,
    "two classes": CANCER + "architecture: [dense: 16, tanh, dropout: 0.5, dense: outputs, sigmoid]\n",
    "regression": FRIEDMAN + RELU + "optimizer: {adam: 0.01}\n",
    "mae": FRIEDMAN.replace("mse", "mae") + RELU + "optimizer: {adam: 0.01}\n",
    "hinge": DIGITS.replace("cross_entropy", "hinge") + RELU,
    "perceptron": DIGITS.replace("cross_entropy", "perceptron") + RELU,
    "smoothing": DIGITS.replace("cross_entropy", "{cross_entropy: {label_smoothing: 0.1}}") + RELU,
    "batch norm": DIGITS + "architecture: [dense: 32, batch_norm, relu, dense: outputs]\noptimizer: {adam: 0.01}\n",
    "weights": CANCER.replace("loss: b", "loss: {b").replace("entropy\n", "entropy: {class_weight: balanced}}\n")
    + RELU,
    "clipped": DIGITS + RELU + "clip: {norm: 1.0}\noptimizer: {momentum: 0.05}\n",
    "sigmoid that reaches": FRIEDMAN.replace("standard", "minmax")
    + "architecture: [dense: 32, relu, dense: outputs, sigmoid]\noptimizer: {adam: 0.01}\n",
    "xor": XOR
    + "architecture: [dense: 8, tanh, dense: outputs]\nloss: binary_cross_entropy\noptimizer: {adam: 0.05}\n",
}


@pytest.mark.parametrize("text", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_network_learns_its_batch(text, experiment):
    report = overfit_batch(experiment(text))
    assert report.verdict == "pass", report.plain()


def test_a_batch_that_the_last_of_the_steps_learns_is_learned(experiment):
    steps = overfit_batch(experiment(DIGITS + RELU)).figures["rungs"][0]["steps"]
    report = overfit_batch(experiment(DIGITS + RELU), steps=steps - 1)
    assert [rung["outcome"] for rung in report.figures["rungs"]] == ["learned"]
    assert report.verdict == "pass"


FAULTS = {
    "overfit-unscaled-inputs": "data: {source: wine, scaling: none}\nloss: cross_entropy\n" + RELU,
    "overfit-loss-and-output": CANCER + "architecture: [dense: 32, relu, dense: outputs, relu, dropout: 0.1]\n",
    "overfit-target-range": FRIEDMAN + "architecture: [dense: 32, relu, dense: outputs, sigmoid]\n",
    "overfit-identical-units": DIGITS + RELU + "init: zeros\n",
    "overfit-not-finite": DIGITS + RELU + "init: {normal: 1e20}\n",
    "overfit-saturated": DIGITS
    + "architecture: [{repeat: {layers: [dense: 32, tanh], times: 3}}, dense: outputs]\n"
    + "init: {normal: 500.0}\noptimizer: {sgd: 1e-4}\n",
    "overfit-dead-units": DIGITS + RELU + "bias_init: {constant: -50}\n",
    "overfit-vanishing-gradient": DIGITS
    + "architecture: [{repeat: {layers: [dense: 16, sigmoid], times: 12}}, dense: outputs]\n",
    "overfit-too-small": XOR + "architecture: [dense: outputs]\nloss: binary_cross_entropy\n",
    "overfit-lr-too-high": DIGITS + RELU + "optimizer: {sgd: 1e3}\n",
    "overfit-lr-too-low": DIGITS + RELU + "optimizer: {adam: 1e-6}\n",
    "overfit-inference-gap": "data: {source: digits, scaling: none}\nloss: cross_entropy\n"
    "architecture: [dense: 32, {batch_norm: {momentum: 1e-4}}, relu, dense: outputs]\noptimizer: {adam: 0.01}\n",
}


@pytest.mark.parametrize(("rule", "text"), FAULTS.items(), ids=FAULTS)
def test_a_planted_fault_is_named_first(rule, text, experiment):
    report = overfit_batch(experiment(text))
    assert report.verdict != "pass"
    assert report.first is not None
    assert report.first.rule == rule, [f.message for f in report.findings]
    assert report.first.fix


MORE_FAULTS = {
    "inputs next to constant": (
        "overfit-unscaled-inputs",
        DIGITS.replace("digits", "digits, scaling: {pixels: 1e5}") + RELU + "optimizer: {sgd: 0.01}\n",
    ),
    "a softmax before mse": (
        "overfit-loss-and-output",
        FRIEDMAN + "architecture: [dense: 32, relu, dense: outputs, softmax]\n",
    ),
    "layer norm of one output": (
        "overfit-loss-and-output",
        CANCER + "architecture: [dense: 32, relu, dense: outputs, layer_norm]\n",
    ),
    "targets far from zero": (
        "overfit-target-range",
        "data: {source: diabetes}\nloss: mse\noptimizer: {adam: 1e-4}\n" + RELU,
    ),
    "a layer of one unit": (
        "overfit-too-small",
        DIGITS + "architecture: [dense: 64, relu, dense: 1, relu, dense: 64, relu, dense: outputs]\n",
    ),
    "no activation": ("overfit-too-small", XOR + "architecture: [dense: 8, dense: outputs]\nloss: hinge\n"),
    "a rate far above all others": ("overfit-lr-too-high", DIGITS + RELU + "optimizer: {sgd: 1e6}\n"),
    "steps lost in rounding": ("overfit-lr-too-low", DIGITS + RELU + "optimizer: {sgd: 1e-12}\n"),
    "steps still falling": ("overfit-lr-too-low", DIGITS + RELU + "optimizer: {sgd: 1e-5}\n"),
    "all units alike, and learned": (
        "overfit-identical-units",
        "data: {source: iris}\nloss: cross_entropy\noptimizer: {adam: 0.05}\n" + RELU + "init: {constant: 0.1}\n",
    ),
}


@pytest.mark.parametrize(("rule", "text"), MORE_FAULTS.values(), ids=MORE_FAULTS)
def test_another_planted_fault_is_named_first(rule, text, experiment):
    report = overfit_batch(experiment(text))
    assert report.first is not None
    assert report.first.rule == rule, [f.message for f in report.findings]


def test_a_layer_that_never_changes_is_named(experiment):
    report = overfit_batch(experiment(DIGITS + RELU + "init: zeros\n"))
    [finding] = [f for f in report.findings if f.rule == "overfit-unchanged-layer"]
    assert "0.dense.W" in finding.message


def test_a_rate_that_suits_is_named_where_the_specs_does_not(experiment):
    report = overfit_batch(experiment(DIGITS + RELU + "optimizer: {sgd: 1e3}\n"))
    learned = report.figures["rungs"][report.figures["shown"]]
    assert learned["outcome"] == "learned"
    assert report.first is not None
    assert f"{learned['lr']:.3g}" in report.first.fix


def test_a_rate_that_leads_nowhere_fails_unless_it_is_warmed_up(experiment):
    text = DIGITS + RELU + "optimizer: {sgd: 1e3}\n"
    assert overfit_batch(experiment(text)).verdict == "fail"
    assert overfit_batch(experiment(text + "schedule: one_cycle\n")).verdict == "warn"


def test_a_loss_of_zero_is_not_enough_where_rows_are_wrong(experiment):
    # Rosenblatt's criterion is zero where all scores are, and there it stays on XOR taken as one batch.
    report = overfit_batch(experiment(XOR + "architecture: [dense: outputs]\nloss: perceptron\ninit: zeros\n"))
    assert report.figures["rungs"][0]["training"]["loss"] == 0
    assert report.verdict == "fail"


LINEAR = {
    "linear regression": "data: {source: diabetes, target_scaling: standard}\nloss: mse\n",
    "median regression": "data: {source: diabetes, target_scaling: standard}\nloss: mae\n",
    "logistic regression": "data: {source: moons}\nloss: binary_cross_entropy\n",
    "softmax regression": "data: {source: moons}\nloss: cross_entropy\n",
    "support vectors": "data: {source: moons}\nloss: hinge\n",
    "perceptron": "data: {source: moons}\nloss: perceptron\ninit: zeros\n",
}
LINE = "architecture: [dense: outputs]\n"


@pytest.mark.parametrize("text", LINEAR.values(), ids=LINEAR)
def test_a_linear_network_has_to_fit_its_batch_no_better_than_a_line_can(text, experiment):
    report = overfit_batch(experiment(text + LINE + "optimizer: {adam: 0.1}\n"))
    assert report.verdict == "pass", [f.message for f in report.findings]
    assert "as well as a straight line can" in report.headline
    assert report.figures["straight"] is not None


def test_what_is_asked_of_a_linear_regression_is_what_least_squares_reaches(experiment):
    from sklearn.linear_model import LinearRegression

    small = experiment(LINEAR["linear regression"] + LINE + "optimizer: {adam: 0.1}\n")
    frozen = FrozenBatch.of(small, 16)
    x, t = frozen.batch.x.astype(float), frozen.t.astype(float)
    asked = overfit_batch(small).figures["straight"]
    assert asked["r2"] == pytest.approx(LinearRegression().fit(x, t).score(x, t), abs=1e-6)


@pytest.mark.parametrize("bend", ["relu", "tanh"])
def test_a_network_of_fewer_weights_than_numbers_is_asked_for_no_more_than_a_line(bend, experiment):
    text = LINEAR["linear regression"] + f"architecture: [dense: 1, {bend}, dense: outputs]\noptimizer: {{adam: 0.1}}\n"
    assert overfit_batch(experiment(text)).verdict == "pass"


SMALL_FAULTS = {
    "overfit-lr-too-low": "optimizer: {adam: 1e-5}\n",
    "overfit-lr-too-high": "optimizer: {sgd: 5.0}\n",
    "overfit-target-range": "data: {source: diabetes, target_scaling: none}\noptimizer: {adam: 1e-3}\n",
}


@pytest.mark.parametrize(("rule", "change"), SMALL_FAULTS.items(), ids=SMALL_FAULTS)
def test_a_fault_of_a_linear_regression_is_found_all_the_same(rule, change, experiment):
    data = "" if "data:" in change else "data: {source: diabetes, target_scaling: standard}\n"
    report = overfit_batch(experiment(f"{data}{change}loss: mse\n{LINE}"))
    assert report.verdict != "pass"
    assert report.first.rule == rule, [f.message for f in report.findings]


def test_a_regression_whose_rows_are_near_no_line_is_warned_of_being_too_small(experiment, tmp_path):
    rows = [f"{x},{x % 2}" for x in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *rows]))
    text = "data: {source: {csv: {path: a.csv, target: y}}, target_scaling: standard}\nloss: mse\n"
    report = overfit_batch(experiment(text + LINE + "optimizer: {adam: 0.1}\n"), size=64)
    assert report.first.rule == "overfit-too-small"
    assert report.verdict == "warn"


def test_running_statistics_are_given_time_to_settle(experiment):
    text = "data: {source: digits, scaling: none}\nloss: cross_entropy\noptimizer: {adam: 0.03}\n"
    layers = "architecture: [dense: 32, {batch_norm: {momentum: 0.01}}, relu, dense: outputs]\n"
    report = overfit_batch(experiment(text + layers))
    assert report.figures["rungs"][0]["steps"] < 100
    assert report.verdict == "pass", [f.message for f in report.findings]


def test_an_output_layer_may_start_at_zero(experiment):
    text = DIGITS + "architecture: [dense: outputs]\ninit: zeros\noptimizer: {sgd: 0.1}\n"
    assert overfit_batch(experiment(text)).verdict == "pass"


def test_outliers_that_a_robust_loss_leaves_aside_are_a_warning(experiment, tmp_path):
    x = np.linspace(-2, 2, 60)
    y = np.where(np.arange(60) % 20 == 7, 40.0, np.sin(x))
    (tmp_path / "d.csv").write_text("x,y\n" + "\n".join(f"{a},{b}" for a, b in zip(x, y, strict=True)))
    text = "data: {source: {csv: {path: d.csv, target: y}}}\narchitecture: [dense: 32, tanh, dense: outputs]\n"
    report = overfit_batch(experiment(text + "loss: {huber: {delta: 0.1}}\noptimizer: {adam: 1e-3}\n"), steps=600)
    assert report.verdict == "warn"
    assert report.first is not None
    assert report.first.rule == "overfit-outlying-targets"


def conflicting(tmp_path, target: str) -> str:
    rows = [f"{i % 10},{i * i % 7},{target.format(i=i, k=i % 2 if i < 10 else (i + 1) % 2)}" for i in range(20)]
    rows = [f"{i % 10},{(i % 10) ** 2},{row.rsplit(',', 1)[1]}" for i, row in enumerate(rows)]
    (tmp_path / "d.csv").write_text("a,b,y\n" + "\n".join(rows))
    return (
        "data: {source: {csv: {path: d.csv, target: y}}, split: {validation: 0, test: 0}}\n"
        "architecture: [dense: 64, relu, dense: outputs]\noptimizer: {adam: 0.01}\ntraining: {batch_size: 4}\n"
    )


def test_rows_that_contradict_each_other_are_judged_above_their_floor(experiment, tmp_path):
    report = overfit_batch(experiment(conflicting(tmp_path, "c{k}") + "loss: cross_entropy\n"), size=20)
    assert report.verdict == "pass", report.plain()
    assert report.figures["floor"] == pytest.approx(np.log(2))
    assert report.figures["can_be_right"] == 10
    assert report.figures["mixed_rows"] == 20


def test_targets_that_contradict_each_other_are_judged_by_their_mean(experiment, tmp_path):
    report = overfit_batch(experiment(conflicting(tmp_path, "{i}") + "loss: mse\n"), size=20)
    assert report.verdict == "pass", report.plain()
    assert report.figures["floor"] == pytest.approx(25)  # each pair is 10 apart


def test_what_keeps_from_overfitting_is_off_and_said_to_be(experiment):
    text = (
        DIGITS
        + MANY
        + "optimizer: {adamw: {weight_decay: 0.1}}\nregularizers: [{l2: 1e-3}]\nschedule: cosine\n"
        + "early_stopping: {}\ntraining: {accumulate: 2}\n"
    )
    bared, off = bare(experiment(text), 16)
    assert not any(row.layer.rate for row in bared.layout.rows if isinstance(row.layer, Dropout))
    assert not bared.spec.regularizers
    assert bared.spec.optimizer.weight_decay == 0
    assert bared.spec.early_stopping is None
    for word in ("dropout", "l2", "weight decay", "cosine", "early stopping", "accumulation"):
        assert any(word in said for said in off), word


def test_without_dropout_the_network_starts_with_the_same_weights(experiment):
    loaded = experiment(DIGITS + MANY)
    bared, _ = bare(loaded, 16)
    np.testing.assert_array_equal(bared.learner().network.theta, loaded.learner().network.theta)


def test_the_rows_cover_the_classes_and_follow_from_the_seed():
    y = np.repeat(np.arange(5), [200, 100, 50, 3, 1])
    rows = choose(y, 16, seed=3)
    assert np.bincount(y[rows]).tolist() == [4, 4, 4, 3, 1]
    assert len(set(rows)) == 16
    np.testing.assert_array_equal(rows, choose(y, 16, seed=3))
    assert not np.array_equal(rows, choose(y, 16, seed=4))


def test_the_rows_cover_the_targets_of_a_regression():
    y = np.random.default_rng(0).permutation(160.0 * np.arange(1, 161))[:, None]
    parts = np.sort(y[choose(y, 16, seed=0), 0]) // 1600.0001
    assert parts.astype(int).tolist() == list(range(16))


def test_a_set_smaller_than_the_batch_is_taken_whole(experiment):
    frozen = FrozenBatch.of(experiment(HEALTHY["xor"]), 16)
    assert frozen.rows.tolist() == [0, 1, 2, 3]


def test_predictions_stand_beside_the_labels_of_the_source(experiment):
    loaded = experiment(DIGITS + RELU)
    from sklearn.datasets import load_digits

    y = load_digits().target
    for row in overfit_batch(loaded).figures["predictions"]:
        assert row["target"] == row["says"] == str(y[row["row"]])
        assert row["sure"] > 0.9


def test_predictions_of_a_regression_are_in_the_units_of_the_target(experiment):
    from sklearn.datasets import load_diabetes

    y = load_diabetes().target
    text = "data: {source: diabetes, target_scaling: standard}\nloss: mse\noptimizer: {adam: 0.01}\n" + RELU
    for row in overfit_batch(experiment(text)).figures["predictions"]:
        assert row["target"] == pytest.approx([y[row["row"]]], rel=1e-5)
        assert row["says"] == pytest.approx(row["target"], abs=40)


def trained(experiment: Experiment) -> np.ndarray:
    learner = experiment.learner()
    batches = experiment.batches(experiment.examples(experiment.data.train))
    for batch in batches.epoch(0):
        train_step(learner, batch, 0.01)
    return learner.network.theta


def test_a_training_after_the_check_has_the_same_bits(experiment):
    text = DIGITS + MANY
    checked = experiment(text)
    overfit_batch(checked, steps=20)
    np.testing.assert_array_equal(trained(checked), trained(experiment(text)))


def test_a_training_after_an_interrupted_check_has_the_same_bits(experiment):
    text = DIGITS + MANY
    checked = experiment(text)

    def interrupt(share: float, _what: str) -> None:
        if share:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        overfit_batch(checked, tell=interrupt)
    np.testing.assert_array_equal(trained(checked), trained(experiment(text)))


def test_the_check_says_the_same_twice(experiment):
    text = DIGITS + RELU
    assert overfit_batch(experiment(text)).plain() == overfit_batch(experiment(text)).plain()


def test_all_steps_are_those_of_training(experiment, monkeypatch):
    taken = []

    def counted(learner, batch, lr, outputs):
        taken.append(lr)
        return train_step(learner, batch, lr, outputs)

    monkeypatch.setattr(ladder, "train_step", counted)
    report = overfit_batch(experiment(DIGITS + RELU), steps=5)
    assert len(taken) == sum(rung["steps"] for rung in report.figures["rungs"])
    assert taken[:5] == [1e-3] * 5  # the spec's own rate first
    assert max(rung["steps"] for rung in report.figures["rungs"]) == 5
