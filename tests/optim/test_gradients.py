"""The gradient's norm, clipping, and penalties."""

from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from nnctl.core.mistakes import problems_of
from nnctl.optim.gradients import L1, L2, Clip, ClipNorm, ClipValue, MaxNorm, Regularizer, global_norm
from nnctl.optim.optimizers import SGD, Adam, Momentum, RMSprop

GRADIENTS = st.sampled_from([np.float32, np.float64]).flatmap(
    lambda dtype: arrays(dtype, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False))
)


def exact_norm(grad):
    return float(np.linalg.norm(grad.astype(np.longdouble)))


@given(GRADIENTS)
def test_the_global_norm_is_the_euclidean_norm(grad):
    assert global_norm(grad) == pytest.approx(exact_norm(grad), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.0, -0.5, -0.9])
def test_the_global_norm_neither_overflows_nor_vanishes(dtype, share):
    size = 10.0 ** (share * np.log10(float(np.finfo(dtype).max)))
    assert global_norm(np.full(100, size, dtype)) == pytest.approx(10 * size, rel=1e-5, abs=0)


def test_what_is_not_finite_is_seen_in_the_global_norm():
    for dtype in (np.float32, np.float64):
        assert global_norm(np.array([1, -inf, 2], dtype)) == inf
        assert isnan(global_norm(np.array([1, nan, 2], dtype)))
        assert isnan(global_norm(np.array([inf, nan, 2], dtype)))
        assert global_norm(np.zeros(3, dtype)) == 0
        assert global_norm(np.zeros(0, dtype)) == 0


@given(GRADIENTS, st.floats(1e-3, 1e3))
def test_clipping_by_norm_bounds_the_norm_and_keeps_the_direction(grad, limit):
    before, norm = grad.copy(), global_norm(grad)
    ClipNorm(max_norm=limit).apply(grad, norm)
    after = global_norm(grad)
    if norm <= limit:
        np.testing.assert_array_equal(grad, before)
    else:
        assert after == pytest.approx(limit, rel=1e-3)
        assert after <= limit * (1 + 1e-5)
        scale = limit / (norm + 1e-6)
        np.testing.assert_allclose(grad, before * scale, rtol=1e-5, atol=1e-12)


def test_clipping_by_norm_follows_the_formula():
    grad = np.array([3.0, 4.0])
    ClipNorm(max_norm=1.0).apply(grad, 5.0)
    np.testing.assert_array_equal(grad, np.array([3.0, 4.0]) * (1 / (5 + 1e-6)))


def test_clipping_by_norm_leaves_a_gradient_that_is_not_finite():
    for bad in (inf, nan):
        grad = np.array([1.0, bad])
        ClipNorm(max_norm=1.0).apply(grad, global_norm(grad))
        np.testing.assert_array_equal(grad, [1.0, bad])


def test_clipping_by_norm_tames_a_gradient_whose_square_overflows():
    grad = np.full(4, 1e30, np.float32)
    ClipNorm(max_norm=1.0).apply(grad, global_norm(grad))
    np.testing.assert_allclose(grad, 0.5, rtol=1e-5)


@given(GRADIENTS, st.floats(1e-3, 1e3))
def test_clipping_by_value_bounds_each_entry_and_keeps_its_sign(grad, limit):
    before, norm = grad.copy(), global_norm(grad)
    ClipValue(max_value=limit).apply(grad, norm)
    bound = grad.dtype.type(limit)
    np.testing.assert_array_equal(grad, np.sign(before) * np.minimum(np.abs(before), bound))
    assert global_norm(grad) <= norm * (1 + 1e-6)


@pytest.mark.parametrize("clip", [ClipNorm(max_norm=0.1), ClipValue(max_value=0.1)], ids=lambda c: c.name)
def test_clipping_keeps_float32(clip):
    grad = np.ones(5, np.float32)
    clip.apply(grad, global_norm(grad))
    assert grad.dtype == np.float32
    assert global_norm(grad) < 1


def test_l2_has_the_gradient_of_its_penalty_on_the_kernels_only():
    rng = np.random.default_rng(0)
    theta, decayed, h = rng.standard_normal(12), 8, 1e-6
    for l2 in (L2(rate=0.3), L2(rate=0.3, biases=True)):
        for scratch in (np.empty(12), np.empty(5), np.empty(1)):
            grad = np.ones(12)
            l2.add_gradient(theta, grad, decayed, scratch)
            numeric = np.empty(12)
            for i in range(12):
                e = np.eye(12)[i] * h
                numeric[i] = (l2.penalty(theta + e, decayed) - l2.penalty(theta - e, decayed)) / (2 * h)
            np.testing.assert_allclose(grad - 1, numeric, atol=1e-8)
            np.testing.assert_allclose((grad - 1)[8:], 0.3 * theta[8:] if l2.biases else 0, atol=1e-12)
    assert L2(rate=0.5).penalty(np.array([1.0, 2.0, 5.0]), 2) == 0.5 / 2 * (1 + 4)


def test_l1_penalises_the_sizes_of_the_kernels_only():
    theta = np.array([1.0, -2.0, 5.0])
    assert L1(rate=0.5).penalty(theta, 2) == 1.5
    assert L1(rate=0.5, biases=True).penalty(theta, 2) == 4.0


def test_l1_moves_weights_towards_zero_and_stops_there():
    theta = np.array([1.0, -1.0, 0.03, -0.03, 0.0, 0.02])
    L1(rate=0.5).after_update(theta, (), 0.1, 5)
    np.testing.assert_allclose(theta, [0.95, -0.95, 0, 0, 0, 0.02])
    assert (theta[2:5] == 0).all()
    L1(rate=0.5, biases=True).after_update(theta, (), np.array([0.0, 0.2, 1, 1, 1, 1]), 5)
    np.testing.assert_allclose(theta, [0.95, -0.85, 0, 0, 0, 0])


def lasso_by_coordinates(x, y, rate):
    """Minimise ‖x w - y‖² / 2B + rate Σ |w| one coordinate at a time: slow, exact, and another method."""
    w = np.zeros(x.shape[1])
    for _ in range(500):
        for j in range(len(w)):
            rest = y - x @ w + x[:, j] * w[j]
            pull = x[:, j] @ rest / len(x)
            w[j] = np.sign(pull) * max(abs(pull) - rate, 0) / (x[:, j] @ x[:, j] / len(x))
    return w


@pytest.mark.parametrize(
    "optimizer",
    [SGD(), Momentum(), Momentum(form="averaged"), Momentum(nesterov=True), RMSprop(), Adam(), Adam(amsgrad=True)],
    ids=lambda o: f"{o.name} {getattr(o, 'form', '')}",
)
def test_l1_ends_at_the_lasso_solution_with_exact_zeros_whatever_the_optimizer(optimizer):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 12))
    y = x @ np.array([2.0, -1, 0.5, *np.zeros(9)]) + 0.1 * rng.standard_normal(50)
    expected = lasso_by_coordinates(x, y, 0.1)
    l1, w, slots = L1(rate=0.1), rng.standard_normal(12), optimizer.start(12, np.float64)
    steps, top = 3000, 0.02
    for t in range(steps):
        lr = top * (1 - t / steps)
        optimizer.step(w, x.T @ (x @ w - y) / len(x), lr, slots)
        l1.after_update(w, (), optimizer.step_size(lr, slots), 12)
    np.testing.assert_array_equal(w == 0, expected == 0)
    assert (w == 0).sum() >= 6
    np.testing.assert_allclose(w, expected, atol=2e-3)


def test_max_norm_shortens_long_columns_and_leaves_the_others():
    theta = np.array([3.0, 0.1, 0.0, 4.0, 0.2, 0.0, 9.0])
    kernel = theta[:6].reshape(2, 3)
    MaxNorm(limit=1.0).after_update(theta, [kernel], 0.1, 6)
    np.testing.assert_allclose(theta, [0.6, 0.1, 0, 0.8, 0.2, 0, 9])
    np.testing.assert_array_equal(kernel[:, 1], [0.1, 0.2])


@given(arrays(np.float32, (4, 5), elements=st.floats(-100, 100, width=32, allow_subnormal=False)), st.floats(0.1, 10))
def test_max_norm_bounds_every_unit_and_keeps_float32(W, limit):
    MaxNorm(limit=limit).after_update(W.reshape(-1), [W], 0.1, 20)
    assert W.dtype == np.float32
    assert (np.linalg.norm(W.astype(np.float64), axis=0) <= limit * (1 + 1e-5)).all()


def test_a_regularizer_does_only_what_it_is_for():
    for regularizer in (L1(rate=0.1), MaxNorm(limit=0.1)):
        assert regularizer.acts_after
        grad = np.ones(4)
        regularizer.add_gradient(np.ones(4), grad, 4, np.empty(4))
        np.testing.assert_array_equal(grad, 1)
    theta = np.ones(4)
    L2(rate=0.1).after_update(theta, [theta.reshape(2, 2)], 0.1, 4)
    np.testing.assert_array_equal(theta, 1)
    assert not L2(rate=0.1).acts_after
    assert MaxNorm(limit=0.1).penalty(theta, 4) == 0


@pytest.mark.parametrize("regularizer", [L1(rate=0.1), L2(rate=0.1)], ids=lambda r: r.name)
def test_penalties_keep_float32(regularizer):
    theta, grad = np.ones(4, np.float32), np.ones(4, np.float32)
    optimizer = Adam()
    slots = optimizer.start(4)
    regularizer.add_gradient(theta, grad, 4, slots.scratch)
    optimizer.step(theta, grad, 0.1, slots)
    regularizer.after_update(theta, (), optimizer.step_size(0.1, slots), 4)
    assert theta.dtype == grad.dtype == np.float32
    assert isinstance(regularizer.penalty(theta, 4), float)


def test_clips_and_regularizers_are_spelled_in_yaml_in_three_ways():
    assert Clip.parse({"norm": 1.0}) == ClipNorm(max_norm=1.0)
    assert Clip.parse({"value": {"max_value": 0.5}}) == ClipValue(max_value=0.5)
    assert Regularizer.parse({"l2": 1e-4}) == L2(rate=1e-4)
    assert Regularizer.parse({"l1": {"rate": 1e-3, "biases": True}}) == L1(rate=1e-3, biases=True)
    assert Regularizer.parse({"max_norm": 3}) == MaxNorm(limit=3.0)


@pytest.mark.parametrize(
    ("family", "spelling", "message"),
    [
        (Clip, "norm", "is required and missing."),
        (Clip, {"norm": 0}, "must be > 0. Got 0."),
        (Clip, {"clip_norm": 1}, "Did you mean 'norm'?"),
        (Clip, {"norm": {"threshold": 1}}, "Did you mean 'max_norm'?"),
        (Regularizer, {"weight_decay": 0.1}, "Did you mean 'l2'?"),
        (Regularizer, {"l2": {"lambda": 0.1}}, "Did you mean 'rate'?"),
        (Regularizer, {"l1": "strong"}, "must be a number. Got 'strong'."),
    ],
)
def test_what_is_wrong_in_a_spec_is_told_with_what_was_meant(family, spelling, message):
    with pytest.raises(ValidationError) as caught:
        family.parse(spelling)
    ((_, said),) = problems_of(caught.value)
    assert message in said
