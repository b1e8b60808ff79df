"""Activations: their values, their limits, and what they let through at zero."""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
import pytest
from contract import Rig
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnctl.nn.activations import Activation
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Layer

ACTIVATIONS = [*sorted(set(Activation.members()) - {"swiglu"}), {"gelu": "erf"}]
"""All that bend every number by itself, and softmax; swiglu multiplies two, and grows with their product."""

BOTH = (np.float32, np.float64)


def rig(spelling: object, dtype: type = np.float64, features: int = 4) -> Rig:
    return Rig(Layer.parse(spelling), (features,), dtype=dtype)


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_finite_and_silent_up_to_ten_thousand(name: object, dtype: type) -> None:
    z = np.array([[-1e4, -1e2, -1e-4, 0.0], [1e-4, 1.0, 1e2, 1e4], [-1e4, -1e4, 1e4, 1e4]], dtype)
    found = rig(name, dtype)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y = found.forward(z)
        dx = found.backward(np.ones_like(z))
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
@settings(max_examples=40, deadline=None)
@given(z=arrays(np.float32, (3, 4), elements=st.floats(-(2.0**14), 2.0**14, width=32)))
def test_no_input_within_range_gives_a_value_or_a_slope_out_of_range(name: object, z: np.ndarray) -> None:
    found = rig(name, np.float32)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y = found.forward(z)
        dx = found.backward(np.ones_like(z))
    assert np.all(np.abs(y) <= 1.0508 * np.abs(z) + 1)  # selu's slope; softmax reaches 1, softplus log 2 at zero
    assert np.all(np.abs(dx) <= 1.7581)


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_relu_lets_no_gradient_through_at_either_zero(zero: float, dtype: type) -> None:
    found = rig("relu", dtype)
    y = found.forward(np.full((2, 4), zero, dtype))
    assert not np.signbit(y).any()
    assert np.array_equal(found.backward(np.ones((2, 4), dtype)), np.zeros((2, 4)))


@pytest.mark.parametrize("dtype", BOTH)
def test_relu_lets_the_smallest_positive_number_through(dtype: type) -> None:
    found = rig("relu", dtype)
    found.forward(np.full((1, 4), np.nextafter(dtype(0), dtype(1))))
    assert np.array_equal(found.backward(np.full((1, 4), -3.0, dtype)), np.full((1, 4), -3.0))


@pytest.mark.parametrize("dtype", BOTH)
def test_relu_takes_a_gradient_that_is_not_contiguous(dtype: type) -> None:
    found = rig("relu", dtype)
    found.forward(found.x(5))
    dy = np.ones((5, 8), dtype)[:, ::2]
    assert np.array_equal(found.replica.backward(dy), found.x(5) > 0)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sigmoid", 0.0, 1.0),
        ("tanh", -1.0, 1.0),
        ("relu", 0.0, 1e4),
        ("leaky_relu", -1e2, 1e4),
        ("elu", -1.0, 1e4),
        ("selu", -1.7580993408473768, 10507.009873554805),
        ("softplus", 0.0, 1e4),
        ("swish", 0.0, 1e4),
        ("gelu", 0.0, 1e4),
    ],
)
def test_an_activation_has_its_limits_far_out(name: str, low: float, high: float) -> None:
    y = rig(name).forward(np.array([[-1e4, 1e4, 0, 0]]))[0]
    np.testing.assert_allclose(y[:2], [low, high], rtol=1e-12, atol=1e-300)


def test_the_two_forms_of_gelu_differ_by_less_than_5e_4() -> None:
    z = np.linspace(-8, 8, 1604).reshape(-1, 4)
    difference = np.abs(rig("gelu").forward(z) - rig({"gelu": "erf"}).forward(z)).max()
    assert 4e-4 < difference < 5e-4


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-15), (np.float32, 2e-7)])
def test_the_exact_form_of_gelu_is_exact_to_rounding(dtype: type, error: float) -> None:
    z = np.linspace(-40, 40, 8004, dtype=dtype).reshape(-1, 4)
    exact = np.array([value * 0.5 * erfc(-value / sqrt(2)) for value in z.astype(np.float64).flat]).reshape(z.shape)
    y = rig({"gelu": "erf"}, dtype).forward(z)
    assert np.all(np.abs(y - exact) <= error * np.maximum(1, np.abs(exact)))


def test_softmax_gives_probabilities_that_do_not_depend_on_a_shift() -> None:
    found = rig("softmax")
    z = found.x()
    y = found.forward(z).copy()
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-14)
    np.testing.assert_allclose(found.forward(z + 1e3), y, rtol=1e-12)


def test_selu_keeps_mean_zero_and_variance_one() -> None:
    z = np.random.default_rng(0).normal(size=(200_000, 1))
    y = rig("selu", features=1).forward(z)
    assert abs(y.mean()) < 0.01
    assert abs(y.var() - 1) < 0.01


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_prelu_learns_one_slope_per_feature_or_one_for_all(shape: tuple[int, ...]) -> None:
    each, shared = Layer.parse("prelu"), Layer.parse({"prelu": {"shared": True}})
    assert each.params(shape)["alpha"].shape == (4,)
    assert shared.params(shape)["alpha"].shape == (1,)
    assert not each.params(shape)["alpha"].decayed
    assert np.array_equal(each.params(shape)["alpha"].init.sample(None, (2,), 1, 1), [0.25, 0.25])


@pytest.mark.parametrize("name", Activation.members())
def test_what_suits_an_activation_is_an_initializer(name: str) -> None:
    assert Activation.members()[name].suits in Initializer.members()
