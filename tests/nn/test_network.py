"""The flat network: where parameters lie, what they are called, and how they start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnctl.core.arrays import Shape
from nnctl.nn.initializers import Constant, Initializer
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.network import Network

DEEP = [
    {"dense": 5},
    "batch_norm",
    "prelu",
    {"residual": [{"dense": 5}, "relu", {"dropout": 0.3}]},
    {"repeat": {"layers": [{"dense": {"units": 5, "bias": False}}, "layer_norm", "tanh"], "times": 2}},
    {"dense": 3},
]


def layout(layers: list[Any], shape: Shape = (4,), **defaults: Initializer) -> Layout:
    return Layout(tuple(Layer.parse(layer) for layer in layers), shape, **defaults)


def network(layers: list[Any], shape: Shape = (4,), *, dtype: type = np.float64, seed: int = 0) -> Network:
    return Network(layout(layers, shape), dtype=dtype, seed=seed)


def inits(layers: list[Any], shape: Shape = (4,), **defaults: Initializer) -> dict[str, str]:
    return {slot.name: slot.init.name for slot in layout(layers, shape, **defaults).slots}


def test_kernels_come_first_and_are_the_decayed_slice() -> None:
    plan = layout(DEEP)
    trained = [slot for slot in plan.slots if slot.param.trainable]
    assert [slot.start for slot in trained] == list(np.cumsum([0, *(slot.param.size for slot in trained[:-1])]))
    assert trained[-1].stop == plan.size
    for slot in trained:
        assert (slot.param.role == "kernel") == (slot.stop <= plan.decayed), slot.name


def test_statistics_lie_in_a_vector_of_their_own() -> None:
    found = network(DEEP)
    assert found.layout.state_size == found.state.size == 10
    assert np.array_equal(found.state, [0] * 5 + [1] * 5)


def test_tensors_are_named_by_the_way_to_their_layer() -> None:
    assert list(network(DEEP).tensors()) == [
        "0.dense.W",
        "3.residual/0.dense.W",
        "4.repeat/0.dense.W",
        "4.repeat/3.dense.W",
        "5.dense.W",
        "0.dense.b",
        "1.batch_norm.gamma",
        "1.batch_norm.beta",
        "2.prelu.alpha",
        "3.residual/0.dense.b",
        "4.repeat/1.layer_norm.gamma",
        "4.repeat/1.layer_norm.beta",
        "4.repeat/4.layer_norm.gamma",
        "4.repeat/4.layer_norm.beta",
        "5.dense.b",
        "1.batch_norm.running_mean",
        "1.batch_norm.running_var",
    ]


def test_tensors_are_views_of_theta_and_of_a_vector_that_is_given() -> None:
    found = network(DEEP)
    found.theta.fill(2)
    assert all((tensor == 2).all() for name, tensor in found.tensors().items() if "running" not in name)
    vector = np.zeros_like(found.theta)
    views = found.tensors(vector)
    views["5.dense.b"][...] = 1
    assert vector.sum() == 3
    assert "1.batch_norm.running_mean" not in views


@pytest.mark.parametrize(
    ("following", "init"),
    [
        (["relu"], "he_normal"),
        (["selu"], "lecun_normal"),
        (["tanh"], "xavier_normal"),
        ([], "xavier_normal"),
        (["batch_norm", "relu"], "he_normal"),
        (["dropout", "layer_norm", "flatten", "relu"], "he_normal"),
        ([{"dense": 3}, "relu"], "xavier_normal"),
        ([{"sequential": ["batch_norm", "relu"]}], "he_normal"),
        ([{"residual": ["selu", "relu"]}], "lecun_normal"),
        ([{"residual": [{"dense": 5}, "relu"]}], "xavier_normal"),
    ],
)
def test_auto_takes_what_suits_the_next_activation_before_the_next_kernel(following: list[Any], init: str) -> None:
    assert inits([{"dense": 5}, *following])["0.dense.W"] == init


def test_auto_looks_out_of_a_composite_and_past_it() -> None:
    assert inits([{"residual": [{"dense": 4}]}, "relu"])["0.residual/0.dense.W"] == "he_normal"


def test_a_layers_own_init_goes_before_the_default_and_the_default_before_auto() -> None:
    layers = [{"dense": {"units": 3, "init": "orthogonal", "bias_init": {"constant": 0.1}}}, "relu", {"dense": 2}]
    found = inits(layers, init=Initializer.parse("normal"), bias_init=Constant(value=0.01))
    assert found == {
        "0.dense.W": "orthogonal",
        "2.dense.W": "normal",
        "0.dense.b": "constant",
        "2.dense.b": "constant",
    }


def test_auto_starts_biases_at_zero() -> None:
    assert inits([{"dense": {"units": 3, "bias_init": "auto"}}, "relu"])["0.dense.b"] == "zeros"


def test_defaults_reach_neither_scales_nor_statistics() -> None:
    found = inits(["batch_norm", "prelu"], init=Initializer.parse("normal"), bias_init=Initializer.parse("normal"))
    assert "normal" not in found.values()


def test_a_layer_added_elsewhere_changes_no_other_tensors_start() -> None:
    before = network([{"dense": 5}, "relu", {"dense": 5}], seed=3).tensors()
    after = network([{"dense": 5}, "relu", {"dense": 5}, "dropout", {"dense": 3}], seed=3).tensors()
    assert all(np.array_equal(after[name], tensor) for name, tensor in before.items())


def test_seeds_and_tensors_start_differently() -> None:
    a, b = network([{"dense": 4}, {"dense": 4}], seed=0), network([{"dense": 4}, {"dense": 4}], seed=1)
    assert not np.array_equal(a.theta, b.theta)
    assert not np.array_equal(a.tensors()["0.dense.W"], a.tensors()["1.dense.W"])


def test_float32_and_float64_start_alike() -> None:
    single, double = network(DEEP, dtype=np.float32), network(DEEP)
    assert single.theta.dtype == np.float32
    assert np.array_equal(single.theta, double.theta.astype(np.float32))


@pytest.mark.parametrize(
    ("layers", "shape", "path"),
    [
        ([{"dense": 3}, "softmax"], (), (0, "dense")),
        (["relu", {"residual": [{"dense": 3}]}], (4,), (1, "residual")),
        ([{"sequential": ["tanh", {"residual": [{"dense": 3}]}]}], (4,), (0, "sequential", "layers", 1, "residual")),
        ([{"repeat": {"layers": ["relu", "prelu"], "times": 2}}], (), (0, "repeat", "layers", 1, "prelu")),
    ],
)
def test_a_shape_that_does_not_fit_is_told_with_the_way_to_its_layer(
    layers: list[Any], shape: Shape, path: tuple[str | int, ...]
) -> None:
    with pytest.raises(ShapeError) as caught:
        layout(layers, shape)
    assert caught.value.path == path


def test_a_group_that_cannot_be_repeated_names_the_layer_of_the_group() -> None:
    with pytest.raises(ShapeError) as caught:
        layout([{"repeat": [{"residual": [{"dense": 4}]}, {"dense": 5}]}])  # the second round gets 5 features
    assert caught.value.path == (0, "repeat", "layers", 0, "residual")


def test_prediction_in_blocks_equals_one_block() -> None:
    found = network(DEEP)
    x = np.random.default_rng(0).normal(size=(2 * found.layout.evaluation_rows + 5, 4))
    whole = found.replica().forward(x, training=False)
    np.testing.assert_allclose(found.predict(x), whole, rtol=1e-10, atol=1e-12)


def test_a_block_of_inference_is_1024_rows_or_what_16_mb_hold() -> None:
    assert layout([{"dense": 4}]).evaluation_rows == 1024
    assert layout([{"dense": 2**18}, {"dense": 4}]).evaluation_rows == 15


def test_prediction_changes_neither_statistics_nor_the_training_in_progress() -> None:
    found = network(DEEP)
    x = np.random.default_rng(0).normal(size=(6, 4))
    replica = found.replica()
    y = replica.forward(x, training=True).copy()
    state = found.state.copy()
    found.predict(np.ones((3, 4)))
    assert np.array_equal(found.state, state)
    replica.backward(np.ones_like(y))
    grad = replica.grad.copy()
    replica.forward(x, training=True)
    replica.backward(np.ones_like(y))
    assert np.array_equal(replica.grad, grad)


def test_the_data_comes_through_a_network_of_identities_unharmed() -> None:
    found = network(["linear", {"residual": ["linear"]}, "dropout", "flatten", {"dense": 4}, "relu"])
    x = np.random.default_rng(0).normal(size=(6, 4))
    x.flags.writeable = False
    replica = found.replica(need_dx=True)
    y = replica.forward(x, training=True)
    replica.backward(np.ones_like(y))


def test_a_network_without_parameters_has_empty_vectors() -> None:
    found = network(["relu", "dropout"])
    assert found.theta.size == found.layout.decayed == 0
    assert found.predict(np.ones((2, 4))).shape == (2, 4)


def test_rows_count_trained_parameters_and_bound_layers_come_in_their_order() -> None:
    found = network(DEEP)
    rows = found.layout.rows
    assert [row.layer for row in rows] == [bound.layer for bound in found.replica().bound()]
    assert sum(row.params for row in rows) == found.layout.size
    assert {row.path: row.params for row in rows}["1.batch_norm"] == 10


STACKABLE = [{"dense": 4}, "relu", "tanh", "dropout", "batch_norm", "layer_norm", {"residual": [{"dense": 4}]}]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(STACKABLE), min_size=1, max_size=6))
def test_the_gradient_of_any_stack_is_that_of_finite_differences(layers: list[Any]) -> None:
    found = network(layers)
    replica = found.replica(need_dx=True)
    rng = np.random.default_rng(0)
    found.theta += rng.normal(0, 0.3, found.theta.shape)
    x, v, h = rng.normal(size=(7, 4)), rng.normal(size=(7, 4)), 1e-6
    dy = rng.normal(size=replica.forward(x, training=True).shape)
    dx = replica.backward(dy.copy())
    assert dx is not None
    found_slope = np.vdot(dx, v)
    ahead, behind = (np.vdot(dy, replica.forward(x + sign * h * v, training=True)) for sign in (1, -1))
    assert found_slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-3, abs=1e-2)


@pytest.mark.parametrize(
    ("layers", "shortest"),
    [
        ([{"lstm": 4}], 1),
        ([{"conv1d": {"channels": 4, "kernel": 5}}, "global_avg_pool"], 5),
        ([{"conv1d": {"channels": 4, "kernel": 5, "padding": "same"}}, {"max_pool": 3}, "global_max_pool"], 3),
        ([{"residual": [{"segment": {"stop": 7, "layers": ["tanh"]}}]}, {"gru": 4}], 7),
        ([{"conv1d": 4}, "flatten", {"dense": 2}], 12),
    ],
)
def test_the_shortest_sequence_is_the_one_that_every_layer_takes(layers, shortest) -> None:
    assert layout(layers, (12, 3)).shortest == shortest


VALID = {"conv1d": {"channels": 4, "kernel": 5}}
SAME = {"conv1d": {"channels": 4, "kernel": 5, "padding": "same"}}


@pytest.mark.parametrize(
    ("layers", "least", "path"),
    [
        ([VALID, "global_avg_pool"], 5, (0, "conv1d")),
        ([VALID, VALID, "flatten"], 9, (1, "conv1d")),
        ([SAME, {"max_pool": 2}, {"max_pool": 2}, {"lstm": 3}], 4, (2, "max_pool")),
        ([{"sequential": [SAME, VALID]}, {"gru": 3}], 5, (0, "sequential", "layers", 1, "conv1d")),
        ([{"lstm": 3}], 1, None),
        ([{"reshape": [6, 6]}, VALID], 1, None),
        ([{"parallel": [{"sequential": [VALID, "global_avg_pool"]}, "global_avg_pool"]}], 1, None),
        ([{"residual": [{"segment": {"stop": 7, "layers": ["tanh"]}}]}, {"gru": 4}], 1, None),
    ],
    ids=str,
)
def test_nothing_is_left_of_a_sequence_shorter_than_the_kernels_as_the_mask_says(layers, least, path) -> None:
    found = layout(layers, (12, 3))
    found.refuse_nothing_left(least)
    assert (path is None) == (least == 1)
    if path is not None:
        with pytest.raises(ShapeError) as refused:
            found.refuse_nothing_left(least - 1)
        assert refused.value.path == path
        x = np.random.default_rng(0).normal(size=(2, 12, 3))
        for positions, alike in ((least - 1, True), (least, False)):
            first, second = network(layers, (12, 3)).predict(x, np.tile(np.arange(12) < positions, (2, 1)))
            assert np.array_equal(first, second) == alike


@pytest.mark.parametrize(
    "wrong", [np.ones((4, 11), bool), np.ones((5, 12), bool), np.ones(4, bool), np.ones((4, 12), int)]
)
@pytest.mark.parametrize("layer", [{"max_pool": 2}, "global_avg_pool", "global_max_pool", {"attention": 1}, {"gru": 2}])
def test_a_mask_of_the_wrong_shape_or_type_is_refused_whatever_comes_first(layer, wrong) -> None:
    found = network([layer], (12, 3))
    with pytest.raises(ShapeError, match=r"the mask must say of each of \(4, 12\) positions whether it is there: bool"):
        found.predict(np.zeros((4, 12, 3)), wrong)
