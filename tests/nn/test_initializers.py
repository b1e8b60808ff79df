"""Initializers: their variance, their limits, and how they are spelled."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

from nnctl.nn.initializers import Initializer

FAN_IN, FAN_OUT = 300, 100


def draw(spelling: Any, shape: tuple[int, ...] = (FAN_IN, FAN_OUT)) -> np.ndarray:
    return Initializer.parse(spelling).sample(np.random.default_rng(0), shape, shape[0], shape[-1])


VARIANCES = {
    "normal": 0.01**2,
    "uniform": 0.05**2 / 3,
    "xavier_normal": 2 / (FAN_IN + FAN_OUT),
    "xavier_uniform": 2 / (FAN_IN + FAN_OUT),
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "orthogonal": 1 / FAN_IN,
    "auto": 2 / (FAN_IN + FAN_OUT),
}


def test_every_initializer_is_tried_here() -> None:
    assert {*VARIANCES, "zeros", "constant"} == set(Initializer.members())


@pytest.mark.parametrize(("name", "variance"), VARIANCES.items())
def test_an_initializer_has_mean_zero_and_its_variance(name: str, variance: float) -> None:
    w = draw(name)
    assert w.dtype == np.float64
    assert abs(w.mean()) < 5 * sqrt(variance / w.size)
    assert abs(w.var() / variance - 1) < 5 * sqrt(2 / w.size)


@pytest.mark.parametrize("name", [name for name in VARIANCES if name.endswith("uniform")])
def test_a_uniform_initializer_fills_its_interval_and_no_more(name: str) -> None:
    limit = sqrt(3 * VARIANCES[name])
    w = np.abs(draw(name))
    assert limit * 0.999 < w.max() <= limit


@pytest.mark.parametrize("name", ["xavier_normal", "xavier_uniform", "he_normal", "he_uniform", "lecun_normal",
                                  "lecun_uniform", "orthogonal"])  # fmt: skip
def test_gain_scales_the_same_draw(name: str) -> None:
    np.testing.assert_allclose(draw({name: {"gain": 3.0}}), 3 * draw(name), rtol=1e-12, atol=1e-15)


def test_constants_are_constant() -> None:
    assert np.array_equal(draw("zeros", (2, 3)), np.zeros((2, 3)))
    assert np.array_equal(draw({"constant": 0.01}, (3,)), np.full(3, 0.01))


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (5, 5), (2, 3, 4), (6,)])
def test_orthogonal_keeps_lengths_on_its_shorter_side(shape: tuple[int, ...]) -> None:
    w = draw({"orthogonal": 2.0}, shape)
    assert w.shape == shape
    matrix = w.reshape(-1, shape[-1])
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_draws_evenly_from_all_rotations_and_reflections() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([Initializer.parse("orthogonal").sample(rng, (2, 2), 2, 2) for _ in range(4000)])
    assert np.abs(drawn.mean(0)).max() < 5 * sqrt(0.5 / 4000)  # without the sign it would be far from zero
    assert 0.45 < (np.linalg.det(drawn) > 0).mean() < 0.55


def test_the_names_of_other_frameworks_lead_to_ours() -> None:
    with pytest.raises(ValueError, match="xavier_uniform"):
        Initializer.parse("glorot_uniform")


@pytest.mark.parametrize(
    "spelling", [{"normal": 0.0}, {"normal": -1.0}, {"uniform": 0.0}, {"he_normal": {"gain": 0.0}}]
)
def test_a_width_that_is_not_positive_is_refused(spelling: Any) -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        Initializer.parse(spelling)
