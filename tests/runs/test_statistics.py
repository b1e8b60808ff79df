"""What a few seeds can tell, against slow textbook versions and SciPy."""

from itertools import product
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from nnctl.runs.statistics import ALPHA, bootstrap_interval, decimals, seeds_needed, sign_flip, spread

values = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=9)


@given(values)
def test_the_sign_flip_test_counts_all_ways_of_flipping(differences):
    reached = abs(sum(differences))
    ways = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    assert sign_flip(differences) == fmean(way >= reached for way in ways)


def test_it_agrees_with_scipy():
    chance = np.random.default_rng(0)
    for n in (2, 5, 8, 11):
        differences = chance.normal(0.5, size=n)
        theirs = permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
        assert sign_flip(differences.tolist()) == pytest.approx(theirs)


def test_thirty_pairs_are_exact_and_more_are_estimated_close_to_it():
    differences = np.random.default_rng(1).normal(0.3, size=30).tolist()
    assert sign_flip([1.0] * 30) == 2 / 2**30
    assert sign_flip([*differences, 1e-9]) == pytest.approx(sign_flip(differences), rel=0.2)


@pytest.mark.parametrize(("n", "p"), [(2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_value_is_two_over_two_to_the_n(n, p):
    assert sign_flip([-0.1 - i / 7 for i in range(n)]) == p


def test_differences_of_nothing_show_nothing():
    assert sign_flip([0.0, 0.0, 0.0]) == sign_flip([1.0, -1.0]) == sign_flip([]) == 1.0


def test_rounding_does_not_part_equal_sums():
    assert sign_flip([0.1, 0.2, -0.3]) == 1.0


@pytest.mark.parametrize("tests", [1, 3, 10])
def test_the_seeds_needed_are_the_first_that_can_reach_significance(tests):
    n = seeds_needed(tests)
    assert tests * sign_flip([1.0] * n) < ALPHA <= tests * sign_flip([1.0] * (n - 1))
    assert seeds_needed() == 6


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=5))
def test_the_interval_of_a_few_values_is_that_of_all_resamples(few):
    means = sorted(fmean(drawn) for drawn in product(few, repeat=len(few)))
    low, high = bootstrap_interval(few)
    assert low == pytest.approx(means[int(np.ceil(0.025 * len(means))) - 1], abs=1e-9)
    assert high == pytest.approx(means[int(np.ceil(0.975 * len(means))) - 1], abs=1e-9)


def test_of_more_values_it_is_close_to_the_normal_one_and_always_the_same():
    many = np.random.default_rng(0).normal(size=40).tolist()
    low, high = bootstrap_interval(many)
    width = 1.96 * stdev(many) / 40**0.5
    assert (high - low) / 2 == pytest.approx(width, rel=0.12)
    assert bootstrap_interval(many) == (low, high)


def test_of_five_values_it_covers_the_mean_in_84_of_100_cases():
    chance = np.random.default_rng(0)
    covered = [
        low <= 0 <= high for low, high in (bootstrap_interval(chance.normal(size=5).tolist()) for _ in range(4000))
    ]
    assert fmean(covered) == pytest.approx(0.84, abs=0.01)


def test_a_spread_is_mean_and_sample_deviation():
    found = spread([1.0, 2.0, 6.0])
    assert (found.count, found.mean, found.std) == (3, 3.0, pytest.approx(7**0.5))
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize(
    ("std", "digits"), [(0.0123, 3), (0.5, 2), (1.5, 1), (12.0, 0), (1234.0, 0), (0.0, None), (1e-17, None)]
)
def test_two_digits_of_the_spread_are_shown(std, digits):
    assert decimals(std, 1.0) == digits
