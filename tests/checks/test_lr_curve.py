"""The curve of a range test, and what each rule reads off curves whose answer is known."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from nnctl.checks.learning_rate.curve import (
    Curve,
    has_diverged,
    last_before_divergence,
    median_curve,
    minimum_tenth,
    most_of_the_drop,
    steepest,
    still_steps,
    valley,
)

RATES = np.geomspace(1e-7, 10, 161)
X = np.log10(RATES)


def curve(losses, whole=True) -> Curve:
    losses = np.asarray(losses, float)
    return Curve(RATES[: len(losses)], losses, float(losses[0]), 0.0, whole)


def falling(centre: float, to: float = 0.0):
    """A loss that falls from 1 to `to`, steepest per decade at 10^centre."""
    return to + (1 - to) / (1 + np.exp(4 * (X - centre)))


@pytest.mark.parametrize("last", [nan, inf, -inf])
def test_a_loss_that_is_not_finite_ends_a_sweep_at_any_step(last):
    assert has_diverged([last], still=10)
    assert has_diverged([1.0] * 20 + [last], still=10)


def test_a_sweep_ends_when_the_loss_has_risen_beyond_three_times_its_drop():
    fallen = [2.0] * 10 + [1.5, 1.0]
    assert not has_diverged([*fallen, 3.9], still=10)
    assert has_diverged([*fallen, 4.1], still=10)


def test_the_drop_decides_where_losses_are_negative_too():
    fallen = [-10.0] * 10 + [-20.0]
    assert not has_diverged([*fallen, 9.0], still=10)
    assert has_diverged([*fallen, 11.0], still=10)


def test_a_loss_that_moves_in_its_last_digits_alone_ends_no_sweep():
    still = [2.302585] * 10
    assert not has_diverged([*still, 2.3026], still=10)
    assert has_diverged([*still, 2.32], still=10)


def test_noise_alone_ends_no_sweep():
    rng = np.random.default_rng(0)
    losses = (2 + 0.3 * rng.standard_normal(100)).tolist()
    assert not any(has_diverged(losses[: i + 1], still_steps(100)) for i in range(100))


def test_one_wild_sweep_of_three_does_not_move_the_curve():
    calm = falling(-2.0).tolist()
    wild = (np.asarray(calm) + 50).tolist()
    found = median_curve(RATES, [calm, wild, calm])
    alone = median_curve(RATES, [calm])
    assert found is not None
    assert alone is not None
    np.testing.assert_allclose(found.losses, alone.losses)


def test_the_curve_ends_where_half_of_the_sweeps_have_ended():
    losses = falling(-2.0).tolist()
    found = median_curve(RATES, [losses[:100], losses[:120], losses])
    assert found is not None
    assert len(found.rates) == 120
    assert not found.whole
    assert last_before_divergence(found) == RATES[119]


def test_sweeps_without_a_point_have_no_curve():
    assert median_curve(RATES, [[], [], [1.0]]) is None


def test_smoothing_averages_noise_away_and_keeps_the_place_of_the_fall():
    rng = np.random.default_rng(1)
    sweeps = [(falling(-2.0) + 0.2 * rng.standard_normal(len(X))).tolist() for _ in range(3)]
    found = median_curve(RATES, sweeps)
    assert found is not None
    assert np.abs(found.losses - falling(-2.0))[5:-5].max() < 0.15
    assert found.noise < 0.15
    assert abs(np.log10(most_of_the_drop(found)) + 1.45) < 0.4


def test_the_steepest_slope_is_per_decade_and_not_per_unit():
    found = curve(falling(-3.0))
    assert steepest(found) == pytest.approx(1e-3, rel=0.2)
    per_unit = RATES[np.gradient(found.losses, RATES).argmin()]
    assert per_unit < 5e-4  # what the same rule finds on the wrong axis


def test_only_slopes_before_the_minimum_count():
    losses = np.where(X < -1, falling(-3.0), 5 - 2 * (X + 1))  # jumps up, then falls steeply
    assert steepest(curve(losses)) == pytest.approx(1e-3, rel=0.2)


def test_a_curve_that_only_rises_has_no_steepest_slope_and_no_valley():
    rising = curve(np.exp(X))
    assert steepest(rising) is None
    assert valley(rising) is None


def test_the_minimum_rule_takes_a_tenth_of_the_place_of_the_lowest_loss():
    assert minimum_tenth(curve((X + 1) ** 2)) == pytest.approx(1e-2)


def test_the_valley_is_the_middle_of_the_longest_fall():
    losses = np.concatenate([np.full(40, 1.0), np.linspace(0.99, 0.5, 40), np.linspace(0.6, 2, 20)])
    assert valley(curve(losses)) == pytest.approx(RATES[59], rel=0.1)


def test_nine_tenths_of_the_drop_are_found_where_they_are():
    losses = np.interp(X, [-7, -4, -2, 1], [1.0, 1.0, 0.0, 0.0])
    assert most_of_the_drop(curve(losses)) == pytest.approx(10**-2.2, rel=0.15)


def test_a_whole_curve_has_no_last_rate_before_divergence():
    assert last_before_divergence(curve(falling(-2.0))) is None
