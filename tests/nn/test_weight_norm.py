"""Weight normalization: the same start, the same function of g and v, penalties that act on the length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import Rig

from nnctl.core.arrays import Float, Shape
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.network import Network
from nnctl.optim.gradients import Regularizer

LAYERS: list[tuple[list[Any], Shape]] = [
    ([{"dense": 3}], (4,)),
    ([{"conv2d": {"channels": 3, "kernel": 2}}, "relu", {"dense": {"units": 2, "init": "orthogonal"}}], (4, 3, 2)),
    ([{"residual": [{"dense": 4}, "batch_norm"]}], (4,)),
    ([{"lstm": {"units": 3, "layers": 2, "bidirectional": "sum"}}], (5, 2)),
    ([{"attention": 2}, {"transformer_block": 1}], (3, 4)),
    ([{"parallel": [{"dense": 2}, "tanh"]}], (4,)),
]


def network(layer: Any, shape: Shape, **more: Any) -> Network:
    return Network(Layout((Layer.parse(layer),), shape, **more), dtype=np.float64, seed=1)


def lengths(W: Float) -> Float:
    return np.sqrt((W.reshape(-1, W.shape[-1]) ** 2).sum(0))


@pytest.mark.parametrize(("layers", "shape"), LAYERS)
def test_it_starts_with_lengths_and_directions_of_what_the_layers_init_draws(layers: list[Any], shape: Shape) -> None:
    found = network({"weight_norm": layers}, shape).tensors()
    directions = {name: v for name, v in found.items() if name.endswith("_v")}
    assert directions
    for name, v in directions.items():
        np.testing.assert_allclose(found[name[:-2] + "_g"][0], lengths(v), rtol=1e-12)


@pytest.mark.parametrize(("layers", "shape"), LAYERS)
def test_it_computes_what_the_layers_compute_with_the_weights_that_it_stands_for(
    layers: list[Any], shape: Shape
) -> None:
    normed = Rig(Layer.parse({"weight_norm": layers}), shape)
    plain = Rig(Layer.parse({"sequential": layers}), shape)
    parameters = {name.replace("weight_norm", "sequential"): a for name, a in normed.network.tensors().items()}
    for name, tensor in plain.network.tensors().items():
        if f"{name}_v" in parameters:
            v = parameters[f"{name}_v"]
            tensor[...] = parameters[f"{name}_g"] * v / lengths(v)
        else:
            tensor[...] = parameters[name]
    np.testing.assert_allclose(normed.forward(normed.x()), plain.forward(plain.x()), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(normed.backward(normed.dy()), plain.backward(plain.dy()), rtol=1e-10, atol=1e-11)
    gradients = {
        name.replace("weight_norm", "sequential"): a for name, a in normed.network.tensors(normed.grad).items()
    }
    for name, dW in plain.network.tensors(plain.grad).items():
        if f"{name}_v" not in gradients:
            np.testing.assert_allclose(gradients[name], dW, rtol=1e-10, atol=1e-11)
            continue
        v, g = parameters[f"{name}_v"], parameters[f"{name}_g"]
        for unit in range(v.shape[-1]):  # equation 3 of the source, unit by unit
            along, slope, length = v[..., unit], dW[..., unit], lengths(v)[unit]
            dg = (slope * along).sum() / length
            dv = g[0, unit] / length * slope - g[0, unit] * dg / length**2 * along
            np.testing.assert_allclose(gradients[f"{name}_g"][0, unit], dg, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(gradients[f"{name}_v"][..., unit], dv, rtol=1e-9, atol=1e-11)


def test_it_draws_the_same_kernels_for_the_same_activation() -> None:
    layout = Layout((Layer.parse({"weight_norm": [{"dense": 5}, "relu"]}),), (4,))
    assert {slot.name.split(".")[-1]: slot.init.name for slot in layout.slots}["W_v"] == "he_normal"


def test_l2_on_the_lengths_is_what_it_is_on_the_weights() -> None:
    normed, plain = (network({kind: [{"dense": 3}]}, (4,)) for kind in ("weight_norm", "sequential"))
    plain.tensors()["0.sequential/0.dense.W"][...] = normed.tensors()["0.weight_norm/0.dense.W_v"]
    values = [Regularizer.parse({"l2": 0.1}).penalty(one.theta, one.layout.decayed) for one in (normed, plain)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape"), [({"dense": 3}, (4,)), ({"conv2d": {"channels": 3, "kernel": 2}}, (3, 3, 2))]
)
def test_max_norm_limits_the_lengths_as_it_limits_the_weights(layer: Any, shape: Shape) -> None:
    outputs, limit = [], Regularizer.parse({"max_norm": 0.4})
    for kind in ("weight_norm", "sequential"):
        one = network({kind: [layer]}, shape)
        if kind == "weight_norm":
            start = next(v.copy() for name, v in one.tensors().items() if name.endswith("W_v"))
        else:
            one.kernels()[0][...] = start
        before = one.predict(np.ones((1, *shape))).copy()
        limit.after_update(one.theta, one.kernels(), 1.0, one.layout.decayed)
        outputs.append(one.predict(np.ones((1, *shape))))
        assert np.abs(outputs[-1] - before).max() > 0.01
    np.testing.assert_allclose(*outputs, rtol=1e-10)


def test_only_lengths_have_weight_decay() -> None:
    layout = network({"weight_norm": [{"dense": 3}]}, (4,)).layout
    assert [slot.name for slot in layout.slots if slot.param.decayed] == ["0.weight_norm/0.dense.W_g"]
    assert layout.decayed == 3


def test_a_direction_of_zero_gives_zero_and_no_gradient() -> None:
    one = network({"weight_norm": [{"dense": {"units": 3, "init": "zeros", "bias": False}}]}, (4,))
    replica = one.replica()
    assert not replica.forward(np.ones((2, 4)), training=True).any()
    replica.backward(np.ones((2, 3)))
    assert not replica.grad.any()


def test_work_is_counted_as_without_it() -> None:
    normed, plain = (
        network({kind: [{"conv2d": 3}, {"dense": 5}]}, (6, 6, 2)).layout for kind in ("weight_norm", "sequential")
    )
    assert plain.flop(1) <= normed.flop(1) < 1.25 * plain.flop(1)
    assert normed.sharded
