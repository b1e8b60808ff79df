"""Metrics: equal to scikit-learn's, with and without weights, and not a second slower than they need be."""

import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sk

from nnctl.nn.losses import Loss
from nnctl.train.metrics import Metric, check_task


def classified(classes, weighted, rows=200, seed=0, dtype=np.float64):
    """Return labels, probabilities, predicted labels and weights."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    z = rng.normal(size=(rows, classes)) + 2 * np.eye(classes)[y] * rng.integers(0, 2, (rows, 1))
    loss = Loss.parse("cross_entropy")
    return y, loss.predict(z.astype(dtype)), loss.labels(z), rng.uniform(0, 2, rows) if weighted else None


def score(spelling, y, prediction, labels, weight=None):
    found = Metric.parse(spelling).score(y, prediction, labels, weight)
    assert type(found) is float
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_of_labels_equal_scikit_learns(classes, weighted):
    y, p, labels, w = classified(classes, weighted)
    average = "binary" if classes == 2 else "macro"
    assert score("accuracy", y, p, labels, w) == pytest.approx(sk.accuracy_score(y, labels, sample_weight=w), rel=1e-12)
    expected = sk.balanced_accuracy_score(y, labels, sample_weight=w)
    assert score("balanced_accuracy", y, p, labels, w) == pytest.approx(expected, rel=1e-12)
    for name, function in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        for kind, theirs in (("auto", average), ("macro", "macro"), ("micro", "micro"), ("weighted", "weighted")):
            expected = function(y, labels, average=theirs, sample_weight=w)
            assert score({name: kind}, y, p, labels, w) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_probabilities_equal_scikit_learns(weighted):
    y, p, labels, w = classified(2, weighted)
    area = sk.roc_auc_score(y, p[:, 1], sample_weight=w)
    log_loss = sk.log_loss(y, p, sample_weight=w)
    for prediction in (p, p[:, 1:]):  # two columns, or that of class 1 alone
        assert score("roc_auc", y, prediction, labels, w) == pytest.approx(area, rel=1e-12)
        assert score("log_loss", y, prediction, labels, w) == pytest.approx(log_loss, rel=1e-12)
    y, p, labels, w = classified(4, weighted)
    area = sk.roc_auc_score(y, p, multi_class="ovr", sample_weight=w)
    assert score("roc_auc", y, p, labels, w) == pytest.approx(area, rel=1e-12)
    log_loss = sk.log_loss(y, p, sample_weight=w)
    assert score("log_loss", y, p, labels, w) == pytest.approx(log_loss, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 10])
def test_float32_probabilities_are_taken_without_a_warning(classes):
    y, p, labels, _ = classified(classes, weighted=False, rows=2000, dtype=np.float32)
    assert score("log_loss", y, p, labels) == pytest.approx(
        sk.log_loss(y, p.astype(float) / p.sum(1, dtype=float)[:, None])
    )
    assert 0 < score("roc_auc", y, p, labels) < 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [1, 3])
def test_metrics_of_values_equal_scikit_learns(columns, weighted):
    rng = np.random.default_rng(1)
    y = rng.normal(3, 2, size=(100, columns))
    p = y + rng.normal(size=y.shape)
    w = rng.uniform(0, 2, 100) if weighted else None
    for name, function in (
        ("mse", sk.mean_squared_error),
        ("rmse", sk.root_mean_squared_error),
        ("mae", sk.mean_absolute_error),
        ("r2", sk.r2_score),
    ):
        assert score(name, y, p, p, w) == pytest.approx(function(y, p, sample_weight=w), rel=1e-12)
        if columns == 1:  # targets may come as a plain vector
            assert score(name, y[:, 0], p, p, w) == score(name, y, p, p, w)


def test_metrics_of_values_are_taken_in_float64():
    y = np.full((100_000, 1), 0.1, np.float32)
    assert score("mae", y, y * 2, y * 2) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_r2_of_a_constant_target_is_one_or_zero_and_of_one_row_nan():
    ones = np.ones((3, 1))
    assert score("r2", ones, ones, ones) == sk.r2_score(ones, ones) == 1
    assert score("r2", ones, ones * 2, ones) == sk.r2_score(ones, ones * 2) == 0
    assert math.isnan(score("r2", ones[:1], ones[:1], ones[:1]))


@pytest.mark.parametrize("value", [0.1, 0.3, 1e6 + 0.1])
@pytest.mark.parametrize("rows", [2, 3, 7, 10])
def test_r2_of_a_constant_target_does_not_hang_on_the_rounding_of_its_mean(value, rows):
    y = np.full((rows, 1), value)
    assert score("r2", y, y + 1, y) == 0
    assert score("r2", y, y, y) == 1
    w = np.r_[np.zeros(2), np.ones(rows)]  # rows that vary and weigh nothing change nothing
    y = np.r_[[[5.0]], [[6.0]], y]
    assert score("r2", y, y + 1, y, w) == 0


def test_a_class_whose_rows_weigh_nothing_is_not_there():
    y, labels, w = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), np.array([1.0, 1.0, 0.0, 0.0])
    p = np.array([[0.3], [0.6], [0.7], [0.2]])
    assert score("balanced_accuracy", y, p, labels, w) == 0.5
    assert math.isnan(score("roc_auc", y, p, labels, w))


@pytest.mark.parametrize("y", [[0, 0, 0], [1, 1, 1]])
def test_the_area_is_nan_where_a_split_has_one_class(y):
    p = np.array([[0.1], [0.5], [0.7]])
    assert math.isnan(score("roc_auc", np.array(y), p, (p[:, 0] > 0.5).astype(int)))


def test_the_area_is_nan_where_a_split_lacks_one_of_several_classes():
    y, p, labels, _ = classified(4, weighted=False)
    assert math.isnan(score("roc_auc", np.where(y == 3, 0, y), p, labels))


def test_scores_will_do_for_the_area():
    y, p, labels, _ = classified(4, weighted=False)
    assert score("roc_auc", y, 10 * p - 3, labels) == pytest.approx(score("roc_auc", y, p, labels))


@pytest.mark.parametrize("name", Metric.members())
def test_predictions_that_are_not_finite_give_no_crash(name):
    member = Metric.members()[name]
    y, nothing = np.array([0, 1, 2, 0]), np.full((4, 3), np.nan)
    if member.task == "regression":
        assert math.isnan(score(name, y.astype(float), nothing[:, :1], nothing))
    elif name in {"roc_auc", "log_loss", "perplexity"}:
        assert math.isnan(score(name, y, nothing, nothing.argmax(axis=1)))
    else:  # they read the labels alone
        assert 0 <= score(name, y, nothing, nothing.argmax(axis=1)) <= 0.5


def test_one_class_predicted_for_all_gives_no_warning():
    y, p = np.array([0, 1, 1, 0]), np.tile([[0.9, 0.1]], (4, 1))
    for name, expected in (("precision", 0), ("recall", 0), ("f1", 0), ("balanced_accuracy", 0.5), ("accuracy", 0.5)):
        assert score(name, y, p, np.zeros(4, int)) == expected
    assert score("balanced_accuracy", np.array([0, 0]), p[:2], np.array([0, 1])) == 0.5


def test_a_certain_and_wrong_probability_costs_a_finite_log_loss():
    assert score("log_loss", np.array([0, 1]), np.array([[0.0], [0.0]], np.float32), None) == pytest.approx(
        18.02, abs=0.01
    )


def test_a_metric_that_does_not_fit_is_told_with_its_place():
    def told(*names, loss):
        metrics = [Metric.parse(name) for name in names]
        of = Loss.parse(loss)
        return list(check_task(metrics, of.task, probabilities=of.output is not None))

    assert told("accuracy", "f1", "roc_auc", "log_loss", loss="cross_entropy") == []
    assert told("mse", "r2", loss="huber") == []
    fitting = "accuracy, balanced_accuracy, f1, log_loss, perplexity, precision, recall, roc_auc"
    said = f"r2 is for regression, and the loss is for classification. Use one of {fitting}."
    assert told("accuracy", "r2", loss="cross_entropy") == [(1, said)]
    assert [i for i, _ in told("accuracy", "mse", "f1", loss="mse")] == [0, 2]
    [(place, said)] = told("roc_auc", "log_loss", loss="hinge")
    assert (place, said) == (
        1,
        "log_loss needs probabilities, and the loss gives scores. Use cross_entropy, or roc_auc.",
    )
    [(place, said)] = told("f1", {"f1": "micro"}, loss="cross_entropy")
    assert place == 1
    assert "twice" in said


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_perplexity_is_the_exponential_of_the_log_loss_and_of_chance_the_number_of_classes(classes, weighted):
    y, p, labels, w = classified(classes, weighted)
    for prediction in (p, p[:, 1:]) if classes == 2 else (p,):
        log_loss = score("log_loss", y, prediction, labels, w)
        assert score("perplexity", y, prediction, labels, w) == pytest.approx(math.exp(log_loss))
    assert score("perplexity", y, np.full_like(p, 1 / classes), labels, w) == pytest.approx(classes)


def test_errors_are_better_small_and_agreements_better_large():
    smaller = {name for name, member in Metric.members().items() if not member.greater_is_better}
    assert smaller == {"log_loss", "perplexity", "mse", "rmse", "mae"}


def test_the_plain_metrics_import_no_scikit_learn():
    program = """
import sys, numpy as np
from nnctl.train.metrics import Metric
y = np.array([0, 1, 1, 0])
p = np.array([[.2], [.7], [.4], [.1]])
for name in set(Metric.members()) - {"roc_auc"}:
    Metric.parse(name).score(y, p, (p[:, 0] > .5).astype(int), np.ones(4))
sys.exit(any(module.split(".")[0] in {"sklearn", "scipy"} for module in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", Metric.members())
def test_a_metric_says_its_formula_and_its_fields(name):
    member = Metric.members()[name]
    assert "formula:" in member.__doc__
    assert "Source:" in member.__doc__
    assert set(member.field_docs()) == set(member.model_fields)
    assert Metric.parse(member().spelled()) == member()


@pytest.mark.parametrize("word", Metric.synonyms)
def test_a_synonym_leads_to_a_metric_that_is_there(word):
    assert word not in Metric.members()
    assert Metric.synonyms[word] in Metric.members()
