"""The ruler of gradcheck: smooth functions, corners, rounding, single wrong entries; and the usual suspects."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.checks.gradients.differences import FAIL, PASS, Evaluation, Ruler, Tensor
from nnctl.checks.gradients.suspects import Sizes, suspect


def compared(f, gradient, x, branches=lambda _: ()):
    """Compare a gradient with the differences of f, which returns addends."""
    x = np.array(x, float)
    tensor = Tensor("x", x, gradient(x))
    return Ruler(lambda: Evaluation(np.atleast_1d(f(x)), branches(x)), [tensor]).compare(tensor)


def test_a_right_gradient_passes_and_has_no_wrong_entry():
    found = compared(np.sin, np.cos, np.linspace(-2, 2, 50))
    assert found.error < 1e-9
    assert found.index is None
    assert (found.judged, found.kinks) == (8, 0)


def test_small_tensors_are_measured_entry_by_entry_too():
    assert compared(np.sin, np.cos, np.linspace(-2, 2, 5)).judged == 8 + 5


@pytest.mark.parametrize("size", [5, 1000])
def test_one_wrong_entry_is_found_with_both_numbers_and_their_ratio(size):
    place = size // 3

    def gradient(x):
        g = np.cos(x)
        g[place] *= -1
        return g

    found = compared(np.sin, gradient, np.linspace(0.1, 1, size))
    assert found.error > FAIL
    assert found.index == (place,)
    assert found.numeric == pytest.approx(-found.analytic)
    assert found.ratio == pytest.approx(-1)
    assert not found.everywhere


def test_a_factor_that_is_everywhere_is_told_as_such():
    found = compared(np.sin, lambda x: 2 * np.cos(x), np.linspace(0.1, 1, 100))
    assert found.ratio == pytest.approx(2)
    assert found.everywhere


@pytest.mark.parametrize(("factor", "low", "high"), [(1 + 1e-9, 0, PASS), (1 + 1e-5, PASS, FAIL), (1.001, FAIL, 1)])
def test_the_error_is_relative_to_the_norm(factor, low, high):
    assert low <= compared(np.sin, lambda x: factor * np.cos(x), np.linspace(0, 1, 100)).error < high


def test_a_gradient_that_is_not_finite_fails():
    found = compared(np.sin, lambda x: np.full_like(x, np.nan), np.linspace(0, 1, 10))
    assert found.error == np.inf


def test_a_corner_next_to_the_point_is_stepped_around():
    x = np.array([3e-6, 1.0, -1.0])  # nearer to the corner than the first step
    found = compared(np.abs, np.sign, x, branches=lambda x: (x > 0,))
    assert found.error < PASS
    assert found.kinks == 0


def test_a_corner_at_the_point_is_counted_as_a_kink_and_not_as_an_error():
    found = compared(lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, [0.0, 1.0], branches=lambda x: (x > 0,))
    assert found.error < PASS
    assert found.kinks == 8 + 1  # every direction moves the first entry, and so does one of the two axes
    assert found.judged == 1


def test_without_the_branches_the_corner_would_be_an_error():
    assert compared(lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, [0.0, 1.0]).error > FAIL


def test_an_error_is_not_hidden_by_kinks_elsewhere():
    found = compared(
        lambda x: np.maximum(x, 0), lambda _: np.array([0.0, 2.0]), [0.0, 1.0], branches=lambda x: (x > 0,)
    )
    assert found.error > FAIL
    assert found.index == (1,)


def test_a_gradient_that_is_zero_passes_though_the_value_is_rounded():
    noise = np.random.default_rng(0)

    def rounded(x):
        return 1.0 + 1e-16 * noise.choice([0, 2, 4]) + 0 * x.sum()

    assert compared(rounded, lambda x: np.full_like(x, 1e-17), np.ones(5)).error < PASS


def test_a_gradient_far_below_the_value_is_still_measured():
    size = 1e-11  # the first step leaves its derivative to rounding, a wider one does not
    right = compared(lambda x: 1 + size * np.sin(x), lambda x: size * np.cos(x), np.linspace(0, 1, 30))
    wrong = compared(lambda x: 1 + size * np.sin(x), lambda x: 2 * size * np.cos(x), np.linspace(0, 1, 30))
    assert right.error < PASS
    assert wrong.error > FAIL
    assert wrong.ratio == pytest.approx(2, rel=0.1)


def test_a_strong_bend_is_extrapolated_away():
    found = compared(lambda x: np.sin(3e3 * x), lambda x: 3e3 * np.cos(3e3 * x), np.ones(40))
    assert found.error < PASS


def test_the_tensor_is_put_back():
    x = np.linspace(0, 1, 7)
    tensor = Tensor("x", x, np.cos(x))
    Ruler(lambda: Evaluation(np.sin(x)), [tensor]).compare(tensor)
    assert np.array_equal(x, np.linspace(0, 1, 7))


SIZES = Sizes({"rows": 32, "outputs": 10}, kept=(0.7,))


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        (-1, "a sign"),
        (2, "a factor of two"),
        (0.5, "one half"),
        (0, "a missing term"),
        (32, "a mean over the rows that was forgotten"),
        (1 / 32, "a mean over the rows taken once too often"),
        (10, "a mean over the outputs"),
        (0.7, "dropout's scale"),
        (1 / 0.7, "dropout's scale"),
    ],
)
def test_the_ratio_names_the_usual_suspect(ratio, word):
    assert word in suspect(ratio * 0.3, ratio, SIZES)


def test_other_ratios_name_nobody():
    assert suspect(0.4, 4 / 3, SIZES) == ""


def test_a_gradient_without_dependence_and_one_that_is_no_number_are_told():
    assert "a term too many" in suspect(0.3, None, SIZES)
    assert "never wrote" in suspect(np.nan, np.nan, SIZES)
