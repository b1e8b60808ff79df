"""Optimizers against their scalar textbook recurrences, on two test functions, and through a checkpoint."""

from functools import partial
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nnctl.core.errors import DataError
from nnctl.core.mistakes import problems_of
from nnctl.optim import blocks as blocks_module
from nnctl.optim import optimizers
from nnctl.optim import slots as slots_module
from nnctl.optim.blocks import blocks
from nnctl.optim.optimizers import SGD, Adam, AdamW, Momentum, Optimizer, RMSprop

# Each recurrence as a textbook writes it, for one parameter: the gradients in, the parameter after every step out.


def sgd(w, gradients, lr):
    for g in gradients:
        w = w - lr * g
        yield w


def momentum(w, gradients, lr, *, beta, form, nesterov):
    v = 0.0
    weight = 1 if form == "classical" else 1 - beta
    for g in gradients:
        v = beta * v + weight * g
        w = w - lr * (beta * v + weight * g if nesterov else v)
        yield w


def rmsprop(w, gradients, lr, *, beta, eps):
    v = 0.0
    for g in gradients:
        v = beta * v + (1 - beta) * g**2
        w = w - lr * g / (sqrt(v) + eps)
        yield w


def adam(w, gradients, lr, *, beta1, beta2, eps, amsgrad=False, weight_decay=0.0):
    m = v = highest = 0.0
    for t, g in enumerate(gradients, start=1):
        w = w - lr * weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        highest = max(highest, v)
        m_hat = m / (1 - beta1**t)
        v_hat = (highest if amsgrad else v) / (1 - beta2**t)
        w = w - lr * m_hat / (sqrt(v_hat) + eps)
        yield w


CASES = {
    "sgd": (SGD(), sgd),
    "momentum": (Momentum(), partial(momentum, beta=0.9, form="classical", nesterov=False)),
    "averaged": (
        Momentum(beta=0.8, form="averaged"),
        partial(momentum, beta=0.8, form="averaged", nesterov=False),
    ),
    "nesterov": (
        Momentum(beta=0.7, nesterov=True),
        partial(momentum, beta=0.7, form="classical", nesterov=True),
    ),
    "averaged nesterov": (
        Momentum(form="averaged", nesterov=True),
        partial(momentum, beta=0.9, form="averaged", nesterov=True),
    ),
    "rmsprop": (RMSprop(beta=0.99, eps=1e-3), partial(rmsprop, beta=0.99, eps=1e-3)),
    "adam": (Adam(), partial(adam, beta1=0.9, beta2=0.999, eps=1e-8)),
    "adam, large eps": (Adam(beta1=0.5, beta2=0.9, eps=0.1), partial(adam, beta1=0.5, beta2=0.9, eps=0.1)),
    "amsgrad": (
        Adam(beta2=0.5, amsgrad=True),
        partial(adam, beta1=0.9, beta2=0.5, eps=1e-8, amsgrad=True),
    ),
    "adamw": (AdamW(weight_decay=0.1), partial(adam, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.1)),
}
EVERY = pytest.mark.parametrize("optimizer", [case[0] for case in CASES.values()], ids=CASES)


@pytest.mark.parametrize("case", CASES)
def test_every_optimizer_follows_its_textbook_recurrence(case):
    optimizer, textbook = CASES[case]
    rng = np.random.default_rng(1)
    n, steps = 5, 60
    theta, gradients = rng.standard_normal(n), rng.standard_normal((steps, n))
    expected = np.array([list(textbook(w, g, 0.05)) for w, g in zip(theta.tolist(), gradients.T.tolist(), strict=True)])
    slots = optimizer.start(n, np.float64)
    for t in range(steps):
        optimizer.step(theta, gradients[t], 0.05, slots, decayed=n)
        np.testing.assert_allclose(theta, expected[:, t], rtol=1e-12, atol=1e-12)


@EVERY
def test_a_step_leaves_the_gradient_unchanged(optimizer):
    grad = np.linspace(-1, 1, 9)
    before = grad.copy()
    slots = optimizer.start(9, np.float64)
    optimizer.step(np.ones(9), grad, 0.1, slots, decayed=4)
    np.testing.assert_array_equal(grad, before)


def minimise(optimizer, gradient, start, lr, steps):
    theta = np.array(start, np.float64)
    slots = optimizer.start(len(theta), np.float64)
    for t in range(steps):
        optimizer.step(theta, gradient(theta), lr * (1 - t / steps), slots)
    return theta


@EVERY
def test_every_optimizer_finds_the_bottom_of_a_parabola(optimizer):
    if isinstance(optimizer, AdamW):
        optimizer = AdamW(weight_decay=0.0)
    curvature, bottom = np.array([1.0, 5.0, 0.5]), np.array([1.0, -2.0, 3.0])
    found = minimise(optimizer, lambda w: curvature * (w - bottom), [0, 0, 0], 0.05, 1500)
    np.testing.assert_allclose(found, bottom, atol=1e-3)


def rosenbrock_gradient(w):
    x, y = w
    return np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


@pytest.mark.parametrize(
    ("optimizer", "lr", "steps"),
    [
        (SGD(), 2e-3, 12_000),
        (Momentum(), 4e-4, 6_000),
        (Momentum(form="averaged"), 4e-3, 6_000),
        (Momentum(nesterov=True), 4e-4, 6_000),
        (RMSprop(), 1e-2, 6_000),
        (Adam(), 5e-2, 6_000),
        (Adam(amsgrad=True), 5e-2, 6_000),
        (AdamW(weight_decay=0.0), 5e-2, 6_000),
    ],
    ids=lambda value: value.name if isinstance(value, Optimizer) else "",
)
def test_every_optimizer_walks_down_the_valley_of_rosenbrock(optimizer, lr, steps):
    found = minimise(optimizer, rosenbrock_gradient, [-1.2, 1.0], lr, steps)
    np.testing.assert_allclose(found, [1, 1], atol=0.02)


@EVERY
def test_work_in_blocks_gives_the_same_bits_as_work_on_the_whole(optimizer, monkeypatch):
    n, decayed = 1003, 500
    rng = np.random.default_rng(2)
    start, gradients = rng.standard_normal(n).astype(np.float32), rng.standard_normal((6, n)).astype(np.float32)

    def trained():
        theta, slots = start.copy(), optimizer.start(n)
        for grad in gradients:
            optimizer.step(theta, grad, 0.01, slots, decayed)
        return theta, slots

    whole, whole_slots = trained()
    monkeypatch.setattr(blocks_module, "LONG", 100)
    monkeypatch.setattr(blocks_module, "BLOCK", 64)
    cut, cut_slots = trained()
    assert [len(lane) for lane in whole_slots.lanes] == [1]
    assert [len(lane) for lane in cut_slots.lanes] == [16]
    assert len(cut_slots.scratch) == 64
    np.testing.assert_array_equal(whole, cut)
    for name, moment in whole_slots.moments.items():
        np.testing.assert_array_equal(moment, cut_slots.moments[name])


@EVERY
def test_work_divided_among_the_cores_gives_the_same_bits(optimizer, monkeypatch):
    n, decayed = 1003, 800
    rng = np.random.default_rng(2)
    start, gradients = rng.standard_normal(n).astype(np.float32), rng.standard_normal((6, n)).astype(np.float32)

    def trained(threads):
        theta, slots = start.copy(), optimizer.start(n, threads=threads)
        for grad in gradients:
            optimizer.step(theta, grad, 0.01, slots, decayed)
        slots.flush_denormals()
        return theta, slots

    monkeypatch.setattr(slots_module, "SHARED", n)
    alone, alone_slots = trained(1)
    divided, divided_slots = trained(3)
    assert len(alone_slots.lanes) == 1
    assert len(divided_slots.lanes) == 3
    np.testing.assert_array_equal(alone, divided)
    for name, moment in alone_slots.moments.items():
        np.testing.assert_array_equal(moment, divided_slots.moments[name])


@given(n=st.integers(0, 300), size=st.integers(1, 70))
def test_blocks_cover_a_vector_once_and_in_order(n, size):
    covered = [i for part in blocks(n, size) for i in range(n)[part]]
    assert covered == list(range(n))
    assert all(0 < part.stop - part.start <= size for part in blocks(n, size))


@EVERY
@settings(max_examples=10)
@given(cut=st.integers(0, 12))
def test_training_goes_on_with_the_same_bits_from_saved_slots(optimizer, cut):
    n, steps = 33, 12
    rng = np.random.default_rng(3)
    gradients = rng.standard_normal((steps, n)).astype(np.float32)
    theta = rng.standard_normal(n).astype(np.float32)
    slots = optimizer.start(n)
    for t in range(steps):
        if t == cut:
            resumed = theta.copy()
            saved = {name: array.copy() for name, array in slots.arrays().items()}
        optimizer.step(theta, gradients[t], 0.01, slots, decayed=20)
    if cut == steps:
        return
    fresh = optimizer.start(n)
    fresh.restore(saved)
    for t in range(cut, steps):
        optimizer.step(resumed, gradients[t], 0.01, fresh, decayed=20)
    np.testing.assert_array_equal(resumed, theta)
    assert fresh.steps == slots.steps == steps


def test_slots_of_another_optimizer_or_network_are_refused():
    slots = Adam().start(4)
    with pytest.raises(DataError, match=r"must hold steps, m, v\. Got steps, v\. It was saved by another optimizer"):
        slots.restore(RMSprop().start(4).arrays())
    with pytest.raises(DataError, match=r"m must have shape \(4,\) and dtype float32\. Got \(5,\) and float32"):
        slots.restore(Adam().start(5).arrays())
    with pytest.raises(DataError, match="dtype float32"):
        slots.restore(Adam().start(4, np.float64).arrays())
    assert slots.steps == 0


@EVERY
def test_float32_stays_float32(optimizer):
    theta, grad = np.ones(7, np.float32), np.full(7, 0.5, np.float32)
    slots = optimizer.start(7, np.float32)
    optimizer.step(theta, grad, np.float64(0.1), slots, decayed=3)
    size = optimizer.step_size(0.1, slots)
    assert theta.dtype == np.float32
    assert all(moment.dtype == np.float32 for moment in slots.moments.values())
    assert slots.scratch.dtype == np.float32
    assert isinstance(size, float) or size.dtype == np.float32


def test_float32_follows_float64_closely():
    rng = np.random.default_rng(4)
    gradients = rng.standard_normal((200, 50))
    ends = []
    for dtype in (np.float32, np.float64):
        theta, slots, optimizer = np.zeros(50, dtype), Adam().start(50, dtype), Adam()
        for grad in gradients.astype(dtype):
            optimizer.step(theta, grad, 1e-2, slots)
        ends.append(theta)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decayed", [0, 1, 64, 65, 130, 200])
def test_decoupled_decay_acts_on_its_slice_only(decayed, monkeypatch):
    monkeypatch.setattr(blocks_module, "LONG", 100)
    monkeypatch.setattr(blocks_module, "BLOCK", 64)
    theta = np.ones(200)
    optimizer = AdamW(weight_decay=0.5)
    optimizer.step(theta, np.zeros(200), 0.1, optimizer.start(200, np.float64), decayed)
    np.testing.assert_array_equal(theta[:decayed], 0.95)
    np.testing.assert_array_equal(theta[decayed:], 1)


def test_adam_has_no_decay_of_its_own():
    theta = np.ones(3)
    Adam().step(theta, np.zeros(3), 0.1, Adam().start(3, np.float64), decayed=3)
    np.testing.assert_array_equal(theta, 1)


def test_the_two_forms_of_momentum_differ_in_the_learning_rate_alone():
    rng = np.random.default_rng(5)
    gradients = rng.standard_normal((30, 8))
    ends = []
    for form, lr in (("classical", 0.01), ("averaged", 0.1)):
        optimizer, theta = Momentum(form=form), np.zeros(8)
        slots = optimizer.start(8, np.float64)
        for grad in gradients:
            optimizer.step(theta, grad, lr, slots)
        ends.append(theta)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)


def test_moments_without_gradient_never_become_denormal(monkeypatch):
    tiny = float(np.finfo(np.float32).tiny)

    def denormals():
        optimizer, theta, grad = Adam(), np.zeros(4, np.float32), np.full(4, 1e-3, np.float32)
        slots = optimizer.start(4)
        optimizer.step(theta, grad, 1e-3, slots)
        grad[:2] = 0
        for _ in range(1023):
            optimizer.step(theta, grad, 1e-3, slots)
        m = slots.moments["m"]
        assert (m[2:] > 1e-3).all()
        return int(((m != 0) & (np.abs(m) < tiny)).sum())

    assert denormals() == 0
    monkeypatch.setattr(optimizers, "FLUSH_EVERY", 10**9)
    assert denormals() == 2


@EVERY
def test_a_lasting_gradient_moves_the_parameters_by_the_step_size_times_it(optimizer):
    if isinstance(optimizer, AdamW):
        optimizer = AdamW(weight_decay=0.0)
    theta, grad = np.zeros(3), np.array([0.3, -2.0, 1e-3])
    slots = optimizer.start(3, np.float64)
    for _ in range(3000):
        optimizer.step(theta, grad, 0.01, slots)
    before = theta.copy()
    optimizer.step(theta, grad, 0.01, slots)
    np.testing.assert_allclose(before - theta, optimizer.step_size(0.01, slots) * grad, rtol=1e-4)


def test_optimizers_are_spelled_in_yaml_in_three_ways():
    assert Optimizer.parse("adam") == Adam()
    assert Optimizer.parse({"sgd": 0.1}) == SGD(lr=0.1)
    assert Optimizer.parse({"adamw": {"lr": 3e-4, "weight_decay": 0.1}}) == AdamW(lr=3e-4, weight_decay=0.1)
    assert Optimizer.parse({"momentum": {"nesterov": True, "form": "averaged"}}).nesterov
    for name, member in Optimizer.members().items():
        assert Optimizer.parse(member().spelled()) == member(), name


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("adam_w", "Did you mean 'adamw'?"),
        ("nesterov", "Did you mean 'momentum'?"),
        ({"adam": {"learning_rate": 0.1}}, "Did you mean 'lr'?"),
        ({"adam": {"betas": [0.9, 0.99]}}, "Did you mean 'beta1'?"),
        ({"momentum": {"momentum": 0.9}}, "Did you mean 'beta'?"),
        ({"rmsprop": {"alpha": 0.9}}, "Did you mean 'beta'?"),
        ({"sgd": -1}, "must be > 0. Got -1."),
        ({"adam": {"beta2": 1.0}}, "must be < 1. Got 1.0."),
        ({"adam": {"eps": 0.0}}, "must be >= 1e-30. Got 0.0."),
        ({"momentum": {"form": "heavy"}}, "must be 'classical' or 'averaged'. Got 'heavy'."),
    ],
)
def test_what_is_wrong_in_a_spec_is_told_with_what_was_meant(spelling, message):
    with pytest.raises(ValidationError) as caught:
        Optimizer.parse(spelling)
    ((_, said),) = problems_of(caught.value)
    assert message in said
