"""Schedules at their end points, against values made by hand, and behind a warm-up."""

from math import cos, nan, pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from nnctl.core.mistakes import problems_of
from nnctl.optim.clock import Clock, Length, PositiveLength, steps_in
from nnctl.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    Schedule,
    Step,
)

CLOCK = Clock(total_steps=100, steps_per_epoch=10)

CURVES = {
    "constant": Constant(),
    "step": Step(every=3),
    "multi_step": MultiStep(at=(2, "45 steps")),
    "exponential": Exponential(gamma=0.8),
    "cosine": Cosine(min_lr=0.01),
    "cosine with restarts": Cosine(cycle="7 steps", cycle_factor=2.0),
    "polynomial": Polynomial(power=2.0, min_lr=0.01),
    "reduce_on_plateau": ReduceOnPlateau(patience=2),
}


def rates(schedule, steps, clock=CLOCK, base_lr=1.0):
    return [schedule.lr_at(step, base_lr, clock) for step in steps]


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Constant(), {0: 1, 57: 1, 100: 1}),
        (Step(every=3, factor=0.5), {0: 1, 29: 1, 30: 0.5, 59: 0.5, 60: 0.25, 99: 0.125}),
        (Step(every="25 steps"), {24: 1, 25: 0.1, 75: 1e-3}),
        (MultiStep(at=(5, "80 steps"), factor=0.1), {0: 1, 49: 1, 50: 0.1, 79: 0.1, 80: 0.01, 99: 0.01}),
        (MultiStep(at=(0.5, 0.75)), {49: 1, 50: 0.1, 75: 0.01}),
        (Exponential(gamma=0.5), {0: 1, 5: sqrt(0.5), 10: 0.5, 20: 0.25, 100: 2**-10}),
        (Cosine(), {0: 1, 25: (1 + cos(pi / 4)) / 2, 50: 0.5, 100: 0, 150: 0}),
        (Cosine(min_lr=0.2), {0: 1, 50: 0.6, 100: 0.2}),
        (Cosine(cycle="20 steps"), {0: 1, 10: 0.5, 20: 1, 30: 0.5, 80: 1}),
        (Cosine(cycle=1, cycle_factor=2.0), {0: 1, 5: 0.5, 10: 1, 20: 0.5, 30: 1, 50: 0.5, 70: 1}),
        (OneCycle(), {0: 1 / 25, 15: (1 + 1 / 25) / 2, 30: 1, 65: (1 + 4e-6) / 2, 100: 4e-6, 120: 4e-6}),
        (OneCycle(warmup="50 steps", div_factor=10.0, final_div_factor=10.0), {0: 0.1, 50: 1, 100: 0.01}),
        (Polynomial(), {0: 1, 50: 0.5, 100: 0, 101: 0}),
        (Polynomial(power=2.0, min_lr=0.1), {0: 1, 50: 0.1 + 0.9 / 4, 100: 0.1}),
        (ReduceOnPlateau(), {0: 1, 99: 1}),
    ],
    ids=lambda value: value.name if isinstance(value, Schedule) else "",
)
def test_a_schedule_goes_through_the_points_made_by_hand(schedule, points):
    assert rates(schedule, points) == pytest.approx(list(points.values()), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("schedule", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("warmup", [2, "20 steps", "2 epochs", 0.2])
def test_a_warm_up_rises_in_a_straight_line_and_then_the_curve_has_the_rest(schedule, warmup):
    warmed = schedule.model_copy(update={"warmup": warmup})
    assert rates(warmed, range(20)) == pytest.approx([(t + 1) / 21 for t in range(20)])
    assert rates(warmed, range(20, 100)) == rates(schedule, range(80), Clock(80, 10))
    assert warmed.lr_at(20, 1.0, CLOCK) == pytest.approx(1.0)


def test_a_warm_up_longer_than_the_training_only_rises():
    warmed = rates(Cosine(warmup="200 steps"), range(100))
    assert warmed == sorted(warmed)
    assert rates(Cosine(warmup="100 steps"), [100]) == [1.0]


@given(
    step=st.integers(0, 10**6),
    total=st.integers(1, 10**6),
    epoch=st.integers(1, 1000),
    warmup=st.one_of(st.just(0), st.floats(0.01, 0.99), st.integers(0, 5)),
    name=st.sampled_from(sorted({*CURVES, "one_cycle"})),
)
def test_a_rate_is_never_negative_and_never_above_its_peak(step, total, epoch, warmup, name):
    schedule = {**CURVES, "one_cycle": OneCycle()}[name].model_copy(update={"warmup": warmup})
    assert 0 <= schedule.lr_at(step, 0.3, Clock(total, epoch)) <= 0.3 * (1 + 1e-12)


def reductions(history, **fields):
    return ReduceOnPlateau(**{"patience": 2, **fields}).reductions(history)


def test_a_plateau_of_as_many_evaluations_as_the_patience_lowers_the_rate():
    plateau = ReduceOnPlateau(factor=0.5, patience=2)
    falling = [3.0, 2.0, 1.0]
    assert plateau.lr_at(50, 0.1, CLOCK, ()) == 0.1
    assert plateau.lr_at(50, 0.1, CLOCK, falling) == 0.1
    assert plateau.lr_at(50, 0.1, CLOCK, [*falling, 1.0]) == 0.1
    assert plateau.lr_at(50, 0.1, CLOCK, [*falling, 1.0, 1.5]) == 0.05
    assert plateau.lr_at(50, 0.1, CLOCK, [*falling, 1.0, 1.5, 1.0]) == 0.05
    assert plateau.lr_at(50, 0.1, CLOCK, [*falling, 1.0, 1.5, 1.0, 1.0]) == 0.025
    assert reductions([1.0, 1.0, 0.9, 0.9, 0.8]) == 0


def test_a_plateau_knows_direction_margin_rest_and_floor():
    assert reductions([0.1, 0.2, 0.3], mode="max") == 0
    assert reductions([0.3, 0.2, 0.1], mode="max") == 1
    assert reductions([1.0, 0.99, 0.98], min_delta=0.1) == 1
    assert reductions([1.0, 0.8, 0.6], min_delta=0.1) == 0
    assert reductions([1.0] * 7) == 3
    assert reductions([1.0] * 7, cooldown=1) == 2
    assert reductions([1.0] * 7, cooldown=100) == 1
    assert reductions([nan, nan, nan]) == 1
    assert reductions([1.0, nan, 0.5, 0.4]) == 0
    floor = ReduceOnPlateau(patience=1, min_lr=0.02)
    assert floor.lr_at(0, 0.1, CLOCK, [1.0] * 9) == 0.02
    assert floor.lr_at(0, 0.01, CLOCK, [1.0] * 9) == 0.01
    warm = ReduceOnPlateau(factor=0.5, patience=1, warmup="9 steps")
    assert warm.lr_at(4, 0.1, CLOCK, [1.0, 1.0]) == pytest.approx(0.1 * 0.5 * 5 / 10)


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        *[(0, 0), (3, 30), (0.1, 10), (0.001, 1), ("500 steps", 500), ("1 step", 1), ("0 steps", 0)],
        *[("3 epochs", 30), ("1 epoch", 10), ("1.5 epochs", 15), ("0.01 epochs", 1), ("0 epochs", 0)],
    ],
)
def test_a_length_is_a_number_of_steps(length, steps):
    assert steps_in(TypeAdapter(Length).validate_python(length), CLOCK) == steps


@pytest.mark.parametrize(
    "wrong", [-1, 1.0, 0.0, 2.5, -0.5, True, "5", "five epochs", "1.5 steps", "-3 steps", None, [5]]
)
def test_what_is_no_length_is_refused_with_what_would_be_one(wrong):
    with pytest.raises(ValidationError) as caught:
        Cosine(warmup=wrong)
    ((path, said),) = problems_of(caught.value)
    assert path == ("warmup",)
    assert said == (
        'must be a number of epochs (5), "5 epochs", "500 steps", or a share of the training between 0 and 1 (0.1). '
        f"Got {wrong!r}."
    )


@pytest.mark.parametrize("nothing", [0, "0 steps", "0 epochs"])
def test_an_interval_of_no_length_is_refused(nothing):
    for wrong in ({"step": nothing}, {"multi_step": [nothing]}, {"cosine": {"cycle": nothing}}):
        with pytest.raises(ValidationError, match="must be longer than nothing"):
            Schedule.parse(wrong)
    with pytest.raises(ValidationError):
        TypeAdapter(PositiveLength).validate_python(nothing)


def test_schedules_are_spelled_in_yaml_in_three_ways():
    assert Schedule.parse("cosine") == Cosine()
    assert Schedule.parse({"one_cycle": 0.2}) == OneCycle(warmup=0.2)
    assert Schedule.parse({"one_cycle": {"warmup": 0.3}}) == OneCycle()
    assert Schedule.parse({"step": "100 steps"}) == Step(every="100 steps")
    assert Schedule.parse({"multi_step": [30, "4000 steps", 0.9]}) == MultiStep(at=(30, "4000 steps", 0.9))
    assert Schedule.parse({"cosine": {"warmup": 5, "cycle": 10}}) == Cosine(warmup=5, cycle=10)
    assert Schedule.parse({"polynomial": 2.0}) == Polynomial(power=2.0)
    for schedule in (*CURVES.values(), OneCycle()):
        assert Schedule.parse(schedule.spelled()) == schedule
        assert Schedule.parse(schedule.spelled(full=False)) == schedule


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("onecycle", "Did you mean 'one_cycle'?"),
        ("ReduceLROnPlateau", "Did you mean 'reduce_on_plateau'?"),
        ("CosineAnnealingLR", "Did you mean 'cosine'?"),
        ({"constant": 5}, "takes no value"),
        ({"cosine": {"eta_min": 0.1}}, "Did you mean 'min_lr'?"),
        ({"step": {"every": 5, "gamma": 0.5}}, "Did you mean 'factor'?"),
        ({"step": {"every": 5, "factor": 2.0}}, "must be <= 1. Got 2.0."),
        ({"multi_step": []}, "must have at least 1 item(s)."),
        ({"reduce_on_plateau": {"mode": "up"}}, "must be 'min' or 'max'. Got 'up'."),
    ],
)
def test_what_is_wrong_in_a_spec_is_told_with_what_was_meant(spelling, message):
    with pytest.raises(ValidationError) as caught:
        Schedule.parse(spelling)
    ((_, said),) = problems_of(caught.value)
    assert message in said
