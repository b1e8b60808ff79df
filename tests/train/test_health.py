"""Each rule tells of what it is about, once, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.train.flow import Sample
from nnctl.train.health import Health

LAYOUT = Layout(
    tuple(Layer.parse(layer) for layer in ({"dense": 40}, "relu", {"dense": 40}, "tanh", {"dense": 3})), (4,)
)
TENSORS = [f"{i}.dense.{p}" for p in "Wb" for i in (0, 2, 4)]
HEALTHY = Sample(
    step=1,
    epoch=1,
    lr=0.1,
    loss=1.0,
    grad_norm=1.0,
    jump=1.5,
    rows=512,
    mean_grad=dict.fromkeys(TENSORS, 1e-3),
    tensor_norm=dict.fromkeys(TENSORS, 1e-1),
    update_ratio=dict.fromkeys(TENSORS, 1e-3),
    unchanged=(),
    dead={"1.relu": 0.0},
    saturated={"3.tanh": 0.1},
)


def judged(*changes: dict, steps=(1, 10, 100, 500, 1000), clipped: bool = False) -> Health:
    """Judge a sample for each set of changes to a healthy one."""
    health = Health(LAYOUT, lr=0.1, clipped=clipped)
    for step, change in zip(steps, changes, strict=False):
        health.judge(replace(HEALTHY, step=step, **change))
    return health


def told(*changes: dict, **settings) -> list[tuple[str, str, str]]:
    return [(f.verdict, f.rule, f.where) for f in judged(*changes, **settings).findings]


def of(figure: str, name: str, value: float) -> dict:
    return {figure: {**getattr(HEALTHY, figure), name: value}}


def test_a_healthy_training_is_told_nothing_of():
    assert told({}, {}, {"loss": 0.3}, {"loss": 0.1}) == []


DEAD = [of("dead", "1.relu", share) for share in (0.0, 0.11, 0.2, 0.6)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([DEAD[2], DEAD[2]], ["warn"]),
        ([DEAD[2], DEAD[0], DEAD[2]], []),  # not in two looks in a row
        ([DEAD[1]] * 3, []),  # 11 % of 40 units without one of them
        ([DEAD[3]], ["fail"]),
        ([DEAD[2], DEAD[2], DEAD[3], DEAD[3]], ["warn", "fail"]),  # once, and once more where it gets worse
        ([DEAD[3], DEAD[2], DEAD[2]], ["fail"]),
    ],
)
def test_dead_units_warn_from_a_tenth_and_fail_from_half(changes, expected):
    assert told(*changes) == [(verdict, "dead-relu", "1.relu") for verdict in expected]


def test_a_finding_says_how_many_of_how_many():
    [finding] = judged(DEAD[3]).findings
    assert finding.message.startswith("24 of its 40 units (60%) are 0 for all of 512 training rows, at step 1")
    assert (finding.value, finding.threshold) == (0.6, 0.5)
    assert finding.fix


SATURATED = of("saturated", "3.tanh", 0.6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([SATURATED, SATURATED], ["warn"]),
        ([of("saturated", "3.tanh", 0.95)], ["fail"]),
        ([{}, SATURATED | {"loss": 0.4}, SATURATED | {"loss": 0.4}], []),  # it has learned, all the same
    ],
)
def test_saturated_units_are_told_of_while_there_is_something_to_learn(changes, expected):
    assert told(*changes) == [(verdict, "saturated-units", "3.tanh") for verdict in expected]


FAINT = of("mean_grad", "0.dense.W", 1e-9)


def test_a_vanishing_gradient_is_told_of_where_others_have_one_and_the_loss_is_not_small():
    assert told(FAINT) == [("warn", "vanishing-gradient", "0.dense.W")]
    assert told({}, FAINT | {"loss": 0.4}) == []
    everywhere = {"mean_grad": dict.fromkeys(TENSORS, 1e-9)}
    assert told(everywhere) == [], "a training at its end has no gradient anywhere"


def test_an_exploding_gradient_is_told_of_where_it_does_harm_and_is_not_clipped():
    long, longer = {"jump": 11.0, "loss": 1.5}, {"jump": 11.0, "loss": 0.9}
    assert told({}, long) == [("warn", "exploding-gradient", "")]
    assert told({}, {"jump": 11.0, "loss": nan}) == [("warn", "exploding-gradient", "")]
    assert told({}, longer) == []
    assert told({}, {"jump": 9.0, "loss": 1.5}) == []
    assert told({}, long, clipped=True) == []


@pytest.mark.parametrize(
    ("ratio", "more", "expected"),
    [
        (0.2, {}, ["update-ratio"]),
        (0.05, {}, []),
        (2e-5, {}, []),
        (5e-6, {}, ["update-ratio"]),
        (5e-6, {"loss": 0.4}, []),  # it has learned
        (5e-6, {"lr": 0.005}, []),  # the schedule asks for it
        (0.2, {"loss": 0.4, "lr": 0.005}, ["update-ratio"]),
        (nan, {}, []),
    ],
)
def test_the_update_ratio_is_held_to_its_range_in_two_looks_in_a_row(ratio, more, expected):
    out = of("update_ratio", "2.dense.W", ratio) | more
    assert [rule for _, rule, _ in told({}, out, out)] == expected
    assert told({}, out, {}, out) == []
    assert told(out, out) == [], "the first steps of a training are long"


def test_biases_and_weights_that_start_at_zero_have_no_update_ratio():
    assert told({}, *[of("update_ratio", "2.dense.b", 5.0)] * 2) == []
    zeros = Layout((Layer.parse({"dense": {"units": 3, "init": "zeros"}}),), (4,))
    health = Health(zeros, lr=0.1)
    for step in (1, 10, 100):
        health.judge(replace(HEALTHY, step=step, update_ratio={"0.dense.W": 1.0}, dead={}, saturated={}))
    assert not health.findings


def test_weights_that_never_changed_are_told_of_after_a_hundred_steps():
    still = {"unchanged": ("2.dense.W",)}
    assert told(still, still) == []
    assert told(still, still, still) == [("warn", "unchanged-weights", "2.dense.W")]
    assert told(still, {}, still) == [], "it has moved and come back"
    assert told(still, still, still | {"loss": 0.4}) != [], "the others have learned without it"
    right = {"unchanged": tuple(TENSORS), "loss": 0.0}
    assert told(right, right, right) == [], "there was nothing to learn"


def test_running_statistics_get_a_hundred_steps_before_units_are_judged():
    layout = Layout(tuple(Layer.parse(x) for x in ({"dense": 40}, "batch_norm", "relu", {"dense": 3})), (4,))
    health = Health(layout, lr=0.1)
    for step, count in ((1, 0), (10, 0), (100, 1)):
        kernels = dict.fromkeys(("0.dense.W", "3.dense.W"), 1e-3)
        health.judge(replace(HEALTHY, step=step, dead={"2.relu": 0.9}, mean_grad=kernels, update_ratio=kernels))
        assert len(health.findings) == count
