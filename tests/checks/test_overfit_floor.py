"""The floor is the least loss that one answer to equal inputs can have: held against a search over answers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from nnctl.checks.floor import best_of, floor_of
from nnctl.nn.losses import MAE, MSE, BinaryCrossEntropy, CrossEntropy, Hinge, Huber, Loss, Perceptron

LOSSES = {name: member() for name, member in Loss.members().items()}


def least(loss: Loss, t: np.ndarray) -> float:
    """Return the least mean loss over one z for all rows of t, by search from several places."""

    def mean_loss(z):
        return float(loss.per_sample(np.tile(z, (len(t), 1)), t).mean())

    k = t.shape[1]
    starts = [np.zeros(k), *np.eye(k), *-np.eye(k), t.mean(axis=0), *t]
    return min(minimize(mean_loss, z, method="Nelder-Mead", options={"maxiter": 4000}).fun for z in starts)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_has_a_floor(loss):
    y = np.array([0, 1, 1]) if loss.task == "classification" else np.array([0.3, -1.0, 2.5])
    t = loss.encode(y, loss.outputs(2, 1), np.float64)
    found, _, _ = best_of(loss, t)
    assert found == pytest.approx(least(loss, t), abs=1e-6)


@pytest.mark.parametrize("loss", [CrossEntropy(label_smoothing=0.2), Hinge(), Perceptron()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("y", [(0, 0, 1), (0, 1, 2), (0, 0, 1, 2), (2, 2, 2)])
def test_the_floor_of_three_classes_is_what_a_search_finds(loss, y):
    t = loss.encode(np.array(y), 3, np.float64)
    assert best_of(loss, t)[0] == pytest.approx(least(loss, t), abs=1e-4)


def test_label_smoothing_is_in_the_floor():
    loss = BinaryCrossEntropy(label_smoothing=0.2)
    t = loss.encode(np.array([1]), 1, np.float64)
    assert best_of(loss, t)[0] == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7), st.sampled_from([MSE(), MAE(), Huber(delta=0.7)]))
def test_no_answer_beats_the_best_answers_of_a_regression(targets, loss):
    t = np.array(targets)[:, None]
    found, low, high = best_of(loss, t)
    assert low <= high + 1e-9
    for z in (low, high, (low + high) / 2):
        assert loss.per_sample(np.tile(z, (len(t), 1)), t).mean() == pytest.approx(found, abs=1e-9)
    for z in np.linspace(-6, 6, 61):
        assert loss.per_sample(np.full_like(t, z), t).mean() >= found - 1e-9


def test_only_rows_with_equal_inputs_share_an_answer():
    x = np.array([[0.0], [1.0], [1.0], [2.0]])
    t = np.array([[5.0], [1.0], [3.0], [7.0]])
    floor = floor_of(MSE(), x, t)
    assert floor.loss == pytest.approx((0 + 1 + 1 + 0) / 4)
    assert floor.mixed.tolist() == [False, True, True, False]


def test_equal_inputs_with_equal_targets_are_not_mixed():
    floor = floor_of(MSE(), np.ones((3, 2)), np.full((3, 1), 4.0))
    assert floor.loss == 0
    assert not floor.mixed.any()


def test_of_equal_inputs_the_largest_class_can_be_right():
    x = np.array([[0.0], [0.0], [0.0], [1.0]])
    y = np.array([0, 0, 1, 1])
    floor = floor_of(CrossEntropy(), x, CrossEntropy().encode(y, 2, np.float64))
    assert floor.right(y) == 3


def test_without_equal_inputs_r2_is_the_usual_one():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(9, 2)), rng.normal(size=(9, 1))
    z = t + 0.1 * rng.normal(size=t.shape)
    usual = 1 - ((z - t) ** 2).sum() / ((t - t.mean()) ** 2).sum()
    assert floor_of(MSE(), x, t).r2(z) == pytest.approx(usual)


def test_r2_is_one_at_the_floor():
    x = np.array([[0.0], [0.0], [1.0]])
    t = np.array([[0.0], [2.0], [5.0]])
    assert floor_of(MSE(), x, t).r2(np.array([[1.0], [1.0], [5.0]])) == 1
    for z in (0.0, 0.7, 2.0):  # any answer between the two is the median
        assert floor_of(MAE(), x, t).r2(np.array([[z], [z], [5.0]])) == 1


def test_targets_that_do_not_vary_have_no_r2():
    assert np.isnan(floor_of(MSE(), np.eye(2), np.ones((2, 1))).r2(np.ones((2, 1))))


def test_rows_are_grouped_whatever_their_shape():
    x = np.array(list(product([0.0, 1.0], repeat=4))).reshape(16, 2, 2)
    assert len(np.unique(floor_of(MSE(), x, np.zeros((16, 1))).groups)) == 16
