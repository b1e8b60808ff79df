"""What short runs come to: the suggestion, and what is not suggested."""

from __future__ import annotations

from math import inf

from nnctl.checks.learning_rate.outcome import choose, outcome
from nnctl.checks.learning_rate.trials import Trial


def test_the_smaller_of_two_rates_wins_a_tie_and_only_a_tie():
    assert choose({0.1: 1.005, 1.0: 1.0}, start=2.0) == 0.1
    assert choose({0.1: 1.02, 1.0: 1.0}, start=2.0) == 1.0


def test_a_rate_next_to_one_that_diverged_is_not_suggested():
    near = [Trial(0.1, (1.0, 1.0)), Trial(0.5, (0.5, 0.5)), Trial(0.9, (inf,))]
    far = [*near[:2], Trial(1.0, (inf,))]
    assert outcome(near, 2.0)["suggestion"] == 0.1
    assert outcome(far, 2.0)["suggestion"] == 0.5
    assert outcome(near, 2.0)["diverges"] == 0.9


def test_a_rate_at_which_one_start_fails_is_not_suggested():
    uneven = [Trial(0.1, (1.0, 1.0)), Trial(1.0, (1.6, 0.1))]
    assert outcome(uneven, 2.0)["suggestion"] == 0.1
    assert outcome([uneven[0], Trial(1.0, (0.9, 0.8))], 2.0)["suggestion"] == 1.0


def test_a_run_that_ends_well_above_its_start_counts_as_diverged():
    found = outcome([Trial(0.1, (1.0,)), Trial(1.0, (2.2,))], 2.0)
    assert found["diverges"] == 1.0
    assert [trial["diverged"] for trial in found["trials"]] == [False, True]


def test_the_interval_is_what_each_start_would_choose():
    found = outcome([Trial(0.1, (0.5, 1.0)), Trial(1.0, (0.6, 0.4))], 2.0)
    assert found["suggestion"] == 1.0
    assert found["interval"] == [0.1, 1.0]


def test_short_runs_whose_drop_is_within_the_noise_say_nothing():
    assert "suggestion" not in outcome([Trial(0.1, (1.9,))], 2.0, noise=0.2)
    assert outcome([Trial(0.1, (1.7,))], 2.0, noise=0.2)["suggestion"] == 0.1
