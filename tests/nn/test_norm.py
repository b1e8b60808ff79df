"""Batch and layer normalization: statistics, running statistics, and replicas that agree on the whole batch."""

from __future__ import annotations

import numpy as np
import pytest
from contract import Rig

from nnctl.core.arrays import Shape
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.norm import BatchNorm, LayerNorm
from nnctl.nn.team import Team


def fresh(layer: Layer, shape: Shape, dtype: type = np.float64) -> Network:
    return Network(Layout((layer,), shape), dtype=dtype)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_batch_norm_gives_every_channel_mean_zero_and_variance_one(shape: Shape) -> None:
    x = np.random.default_rng(0).normal(5, 3, size=(50, *shape))
    y = fresh(BatchNorm(), shape).replica().forward(x, training=True).reshape(-1, 4)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), 1, rtol=1e-5)


@pytest.mark.parametrize("shape", [(40,), (3, 40)])
def test_layer_norm_gives_every_sample_mean_zero_and_variance_one(shape: Shape) -> None:
    x = np.random.default_rng(0).normal(5, 3, size=(6, *shape))
    y = fresh(LayerNorm(), shape).replica().forward(x, training=True)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-5)


def test_running_statistics_follow_the_batch_with_the_unbiased_variance() -> None:
    network = fresh(BatchNorm(momentum=0.3), (4,))
    x = np.random.default_rng(0).normal(5, 3, size=(10, 4))
    network.replica().forward(x, training=True)
    running = network.tensors()
    np.testing.assert_allclose(running["0.batch_norm.running_mean"], 0.3 * x.mean(0))
    np.testing.assert_allclose(running["0.batch_norm.running_var"], 0.7 + 0.3 * x.var(0, ddof=1))


def test_a_batch_of_one_says_nothing_about_the_variance() -> None:
    network = fresh(BatchNorm(), (4,))
    replica = network.replica()
    for _ in range(100):
        replica.forward(np.full((1, 4), 3.0), training=True)
    np.testing.assert_array_equal(network.tensors()["0.batch_norm.running_var"], 1)
    np.testing.assert_allclose(network.tensors()["0.batch_norm.running_mean"], 3, rtol=1e-4)


def test_inference_comes_to_what_training_normalized_with() -> None:
    network = fresh(BatchNorm(momentum=1.0), (4,))
    replica = network.replica()
    x = np.random.default_rng(0).normal(5, 3, size=(2000, 4))
    trained = replica.forward(x, training=True).copy()
    np.testing.assert_allclose(replica.forward(x, training=False), trained, rtol=1e-3)


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()])
def test_a_large_mean_costs_float32_no_digits_but_those_of_the_input(layer: Layer) -> None:
    x = np.random.default_rng(0).normal(size=(500, 64)) + 1e4
    single = fresh(layer, (64,), np.float32).replica().forward(x.astype(np.float32), training=True)
    exact = fresh(layer, (64,)).replica().forward(x.astype(np.float32).astype(np.float64), training=True)
    np.testing.assert_allclose(single, exact, atol=5e-3)


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()])
def test_constant_features_are_normalized_to_zero(layer: Layer) -> None:
    y = fresh(layer, (4,)).replica().forward(np.full((5, 4), 3.0), training=True)
    assert np.array_equal(y, np.zeros((5, 4)))


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()])
def test_gamma_and_beta_start_at_one_and_zero_and_are_not_decayed(layer: Layer) -> None:
    network = fresh(layer, (4,))
    assert network.layout.decayed == 0
    start = network.tensors()
    assert np.array_equal(start[f"0.{layer.name}.gamma"], np.ones(4))
    assert np.array_equal(start[f"0.{layer.name}.beta"], np.zeros(4))


@pytest.mark.parametrize("replicas", [2, 3])
@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_several_replicas_give_the_statistics_and_gradients_of_one(shape: Shape, replicas: int) -> None:
    layers = [{"dense": 4}, "batch_norm", "tanh", "flatten", "batch_norm", {"dense": 2}]
    x = np.random.default_rng(0).normal(2, 3, size=(11, *shape))
    t = np.random.default_rng(1).normal(size=(11, 2))
    gradients, states = [], []
    for size in (1, replicas):
        network = Network(Layout(tuple(Layer.parse(layer) for layer in layers), shape), dtype=np.float64)
        team = Team(network, size)
        gradients.append(team.gradient(Loss.parse("mse"), x, t, None, divisor=11.0, step=0).copy())
        states.append(network.state.copy())
        team.close()
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(states[1], states[0], rtol=1e-12)


MASK = np.arange(6) < np.array([6, 2, 1, 5, 3])[:, None]


def test_padding_counts_in_no_statistic_of_the_batch() -> None:
    """As if the positions that are there were rows of a table."""
    x, junk = np.random.default_rng(0).normal(2, 3, size=(5, 6, 4)), 1e6 * np.random.default_rng(1).normal(size=4)
    dy = np.random.default_rng(2).normal(size=x.shape)
    table, sequences = Rig(BatchNorm(), (4,)), Rig(BatchNorm(), (6, 4))
    y = sequences.replica.forward(np.where(MASK[:, :, None], x, junk), training=True, mask=MASK)
    np.testing.assert_allclose(y[MASK], table.forward(x[MASK]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sequences.network.state, table.network.state, rtol=1e-12)
    np.testing.assert_allclose(sequences.backward(dy)[MASK], table.backward(dy[MASK]), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sequences.grad, table.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_count_together_what_is_there(replicas: int) -> None:
    layers = [{"dense": 4}, "batch_norm", "tanh", "batch_norm", "global_avg_pool", {"dense": 2}]
    x = np.random.default_rng(0).normal(2, 3, size=(5, 6, 4))
    t = np.random.default_rng(1).normal(size=(5, 2))
    gradients, states = [], []
    for size in (1, replicas):
        network = Network(Layout(tuple(Layer.parse(layer) for layer in layers), (6, 4)), dtype=np.float64)
        team = Team(network, size)
        gradients.append(team.gradient(Loss.parse("mse"), x, t, None, divisor=5.0, step=0, mask=MASK).copy())
        states.append(network.state.copy())
        team.close()
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(states[1], states[0], rtol=1e-12)


def test_a_mask_of_another_length_is_refused() -> None:
    rig = Rig(BatchNorm(), (6, 4))
    with pytest.raises(ShapeError, match="the mask must say of each"):
        rig.replica.forward(rig.x(5), training=True, mask=MASK[:, 1:])


def test_batch_norm_without_training_is_an_affine_map_with_its_gradient() -> None:
    rig = Rig(BatchNorm(), (4,))
    p = {name.split(".")[-1]: tensor for name, tensor in rig.network.tensors().items()}
    rig.forward(rig.x(), training=False)
    scale = p["gamma"] / np.sqrt(p["running_var"] + 1e-5)
    np.testing.assert_allclose(rig.backward(rig.dy()), rig.dy() * scale, rtol=1e-12)
