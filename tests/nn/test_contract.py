"""Every registered layer, in several shapes and settings, against every term of the layer contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import contract
import numpy as np
import pytest
from contract import Rig

from nnctl.checks.gradients.examples import FLAT, LAYERS, SEQUENCE, layer_examples
from nnctl.core.arrays import Float, Shape
from nnctl.nn.compose import Repeat, Residual, Sequential
from nnctl.nn.embedding import TiedEmbedding
from nnctl.nn.layer import Context, Layer, Views
from nnctl.nn.parallel import Parallel
from nnctl.nn.segment import Segment
from nnctl.nn.weight_norm import WeightNorm

CASES = [
    pytest.param(layer, shape, id=f"{name}-{i}")
    for name in LAYERS
    for i, (layer, shape) in enumerate(layer_examples(name))
]
OF_SEQUENCES = [case for case in CASES if len(case.values[1]) == (1 if case.values[0].vocabulary() is not None else 2)]
every_layer = pytest.mark.parametrize(("layer", "shape"), CASES)


def test_every_registered_layer_has_examples_here() -> None:
    assert sorted(LAYERS) == sorted(Layer.members())


@every_layer
def test_forward_leaves_its_input_alone(layer: Layer, shape: Shape) -> None:
    contract.forward_leaves_its_input_alone(layer, shape)


@every_layer
def test_backward_destroys_dy_and_nothing_else(layer: Layer, shape: Shape) -> None:
    contract.backward_destroys_dy_and_nothing_else(layer, shape)


@every_layer
def test_backward_overwrites_every_gradient(layer: Layer, shape: Shape) -> None:
    contract.backward_overwrites_every_gradient(layer, shape)


@every_layer
def test_buffers_are_reused_and_a_smaller_batch_sees_exact_views(layer: Layer, shape: Shape) -> None:
    contract.buffers_are_reused(layer, shape)


@every_layer
def test_no_large_temporary_is_allocated_at_the_second_call(layer: Layer, shape: Shape) -> None:
    contract.no_large_temporary_is_allocated(layer, shape)


@every_layer
def test_gradients_are_the_adjoint_of_the_jacobian(layer: Layer, shape: Shape) -> None:
    contract.gradients_are_the_adjoint(layer, shape)


@every_layer
def test_a_layer_survives_being_written_and_read(layer: Layer, shape: Shape) -> None:
    contract.spec_round_trips(layer, shape)


@every_layer
def test_out_shape_tells_the_shape_of_the_output(layer: Layer, shape: Shape) -> None:
    contract.out_shape_is_true(layer, shape)


@every_layer
def test_a_batch_of_one_works(layer: Layer, shape: Shape) -> None:
    contract.batch_of_one_works(layer, shape)


@every_layer
def test_inference_is_deterministic_and_draws_nothing(layer: Layer, shape: Shape) -> None:
    contract.inference_is_deterministic(layer, shape)


@every_layer
def test_training_repeats_at_the_same_step(layer: Layer, shape: Shape) -> None:
    contract.training_repeats_at_the_same_step(layer, shape)


@pytest.mark.parametrize(("layer", "shape"), OF_SEQUENCES)
def test_what_stands_in_the_padding_of_sequences_changes_nothing(layer: Layer, shape: Shape) -> None:
    contract.padding_changes_nothing(layer, shape)


@every_layer
def test_float32_stays_float32(layer: Layer, shape: Shape) -> None:
    contract.float32_stays_float32(layer, shape)


@every_layer
def test_parameter_gradients_do_not_need_dx(layer: Layer, shape: Shape) -> None:
    contract.gradients_do_not_need_dx(layer, shape)


class Wrecker(Layer):
    """Double the input, and wreck the dy that is handed in, as every layer may."""

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        return np.multiply(x, 2, out=ctx.out("y", x.shape))

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        dx = np.multiply(dy, 2, out=ctx.out("dx", dy.shape))
        dy.fill(np.nan)
        return dx


Wrecker.name = "wrecker"  # so it can be a part, and yet is not registered

WRECKED: dict[str, Callable[..., Layer]] = {
    "parallel": Parallel,
    "repeat": Repeat,
    "residual": Residual,
    "segment": Segment,
    "sequential": Sequential,
    "tied_embedding": partial(TiedEmbedding, width=4, size=3),
    "weight_norm": WeightNorm,
}


def test_every_composite_of_layers_of_ones_own_is_tried_with_a_wrecker() -> None:
    composites = {name for name in LAYERS for layer, _ in layer_examples(name)[:1] if _holds_layers(layer)}
    assert composites == set(WRECKED)


def _holds_layers(layer: Layer) -> bool:
    return any(isinstance(value, tuple) and isinstance(value[0], Layer) for _, value in layer)


@pytest.mark.parametrize("composite", WRECKED.values(), ids=WRECKED)
@pytest.mark.parametrize(
    "parts",
    [
        ["wrecker"],
        ["wrecker", {"dense": 4}, "wrecker"],
        ["linear", "wrecker", "linear"],
        [{"dense": 4}, "wrecker", "batch_norm"],
    ],
    ids=lambda parts: "-".join(str(part) for part in parts),
)
@pytest.mark.parametrize("check", contract.CONTRACT, ids=lambda check: check.__name__)
def test_a_composite_with_a_layer_that_wrecks_its_dy_keeps_the_contract(
    composite: Callable[..., Layer], parts: list[Any], check: contract.Check
) -> None:
    layers = tuple(Wrecker() if part == "wrecker" else Layer.parse(part) for part in parts)
    check(composite(layers=layers), SEQUENCE)


def test_a_composite_of_identities_returns_neither_a_changed_input_nor_a_shared_gradient() -> None:
    rig = Rig(Layer.parse({"residual": [{"residual": ["linear"]}]}), FLAT)
    x, dy = rig.x(), rig.dy()
    assert np.array_equal(rig.forward(x), 3 * rig.x())
    np.testing.assert_allclose(rig.backward(dy), 3 * rig.dy(), rtol=1e-15)
