"""The transformer block and its positions: what the block is short for, padding, causality, and bad shapes."""

from __future__ import annotations

from typing import Any

import contract
import numpy as np
import pytest
from contract import Rig
from test_contract import Wrecker

from nnctl.nn.compose import Sequential
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.network import Network
from nnctl.nn.transformer import TransformerBlock

ATTENTION = {"attention": {"heads": 2, "causal": True, "rotary": True, "dropout": 0.1}}
NETWORK = [{"dense": 10}, "relu", {"dense": 8}]
FIELDS = {"heads": 2, "ff": 10, "activation": "relu", "causal": True, "rotary": True, "dropout": 0.1}
SPELLED = {
    "pre": [
        {"residual": ["layer_norm", ATTENTION, {"dropout": 0.1}]},
        {"residual": ["layer_norm", *NETWORK, {"dropout": 0.1}]},
    ],
    "post": [
        {"residual": [ATTENTION, {"dropout": 0.1}]},
        "layer_norm",
        {"residual": [*NETWORK, {"dropout": 0.1}]},
        "layer_norm",
    ],
}


@pytest.mark.parametrize("placement", SPELLED)
def test_a_block_is_the_layers_that_it_is_short_for(placement: str) -> None:
    short = Rig(Layer.parse({"transformer_block": {**FIELDS, "placement": placement}}), (5, 8))
    spelled = Rig(Layer.parse({"sequential": SPELLED[placement]}), (5, 8))
    names = [[name.split("/", 1)[1] for name in rig.network.tensors()] for rig in (short, spelled)]
    assert names[0] == names[1]
    layers = [[row.layer for row in rig.network.layout.rows[2:]] for rig in (short, spelled)]
    assert layers[0] == layers[1]
    found = []
    for rig in (short, spelled):
        rig.network.theta[...] = np.random.default_rng(0).normal(0, 0.3, rig.network.theta.shape)
        found.append((rig.forward(rig.x(), training=False).copy(), rig.backward(rig.dy()), rig.grad))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def units(fields: dict[str, Any]) -> tuple[int, int]:
    layout = Layout((Layer.parse({"transformer_block": {"heads": 1, **fields}}),), (2, 12))
    first, second = (slot.param.shape for slot in layout.slots if slot.name.endswith("dense.W"))
    return first[1], second[0]


def test_the_network_at_every_position_is_four_times_as_wide_or_as_wide_as_asked() -> None:
    assert units({}) == (48, 48)
    assert units({"ff": 7}) == (7, 7)
    assert units({"activation": "swiglu"}) == (64, 32)
    assert units({"activation": "swiglu", "ff": 7}) == (14, 7)


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("check", contract.CONTRACT, ids=lambda check: check.__name__)
def test_a_block_with_a_norm_that_wrecks_its_dy_keeps_the_contract(placement: Any, check: contract.Check) -> None:
    norm = Sequential(layers=(Wrecker(), Layer.parse("layer_norm"), Wrecker()))
    check(TransformerBlock(heads=2, ff=3, norm=norm, placement=placement), (3, 4))


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("causal", [True, False])
def test_padding_changes_nothing_through_a_stack_of_blocks(placement: str, causal: bool) -> None:
    block = {"heads": 2, "ff": 6, "activation": "swiglu", "placement": placement, "causal": causal, "dropout": 0.2}
    layers = [{"position": "learned"}, {"repeat": {"layers": [{"transformer_block": block}], "times": 2}}, "layer_norm"]
    rig = Rig(Layer.parse({"sequential": layers}), (6, 4))
    mask = np.arange(6) < np.array([[6], [3], [1], [4], [5]])
    found = []
    for junk in (0.0, 10.0):
        x = np.where(mask[..., None], rig.x(), junk * np.random.default_rng(9).normal(size=(5, 6, 4)))
        y = rig.replica.forward(x, training=True, step=3, mask=mask)[mask].copy()
        found.append((y, rig.backward(rig.dy() * mask[..., None])[mask], rig.grad.copy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_causal_stack_predicts_from_what_came_before() -> None:
    layers = [
        "position",
        {"repeat": {"layers": [{"transformer_block": {"heads": 2, "causal": True}}], "times": 2}},
        "layer_norm",
    ]
    rig = Rig(Layer.parse({"sequential": layers}), (6, 4))
    x = rig.x()
    before = rig.forward(x, training=False).copy()
    x[:, 3, 0] += 1
    after = rig.forward(x, training=False)
    np.testing.assert_array_equal(after[:, :3], before[:, :3])
    assert not np.isclose(after[:, 3:], before[:, 3:]).all(-1).any()


DECODER = {"transformer_block": {"heads": 2, "ff": 5, "causal": True, "memory": 3}}
ENCODER_DECODER = [
    {"segment": {"layers": [{"transformer_block": {"heads": 2, "ff": 5}}, "layer_norm"], "stop": 3}},
    {"repeat": {"layers": [DECODER], "times": 2}},
    {"segment": {"layers": ["layer_norm"], "start": 3, "alone": True}},
]


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_a_decoder_block_leaves_its_memory_as_it_is_and_looks_at_all_of_it(placement: str) -> None:
    block = DECODER["transformer_block"] | {"placement": placement}
    rig = Rig(Layer.parse({"transformer_block": block}), (5, 4))
    x = rig.x()
    y = rig.forward(x, training=False).copy()
    np.testing.assert_array_equal(y[:, :3], x[:, :3])
    for position in range(3):
        other = x.copy()
        other[:, position, 0] += 1
        assert not np.isclose(rig.forward(other, training=False)[:, 3:], y[:, 3:]).all((1, 2)).any()
    later = x.copy()
    later[:, 4, 0] += 1
    np.testing.assert_array_equal(rig.forward(later, training=False)[:, 3], y[:, 3])


def test_an_encoder_and_a_decoder_share_one_sequence_and_ignore_its_padding() -> None:
    rig = Rig(Layer.parse({"sequential": ENCODER_DECODER}), (7, 4))
    mask = np.array([[1] * 7, [1, 1, 0, 1, 1, 1, 0], [1, 0, 0, 1, 0, 0, 0], [0] * 7, [1, 1, 1, 1, 1, 0, 0]], bool)
    assert rig.layer.out_shape((7, 4)) == (4, 4)
    found = []
    for junk in (0.0, 10.0):
        x = np.where(mask[..., None], rig.x(), junk * np.random.default_rng(9).normal(size=(5, 7, 4)))
        y = rig.replica.forward(x, training=True, step=3, mask=mask)[mask[:, 3:]].copy()
        found.append((y, rig.backward(rig.dy() * mask[:, 3:, None])[mask], rig.grad.copy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(rig.replica.now.mask, mask[:, 3:])


def test_sinusoidal_positions_have_no_parameters_and_all_differ() -> None:
    network = Network(Layout((Layer.parse("position"),), (50, 6)), dtype=np.float64)
    places = network.predict(np.zeros((1, 50, 6)))[0]
    assert network.theta.size == 0
    assert len(np.unique(places.round(9), axis=0)) == 50
    np.testing.assert_allclose((places**2).sum(1), 3)


def test_learned_positions_are_not_decayed_and_take_shorter_batches() -> None:
    network = Network(Layout((Layer.parse({"position": "learned"}),), (5, 4)), dtype=np.float64)
    assert network.layout.decayed == 0
    replica = network.replica()
    y = replica.forward(np.zeros((2, 3, 4)), training=True)
    np.testing.assert_array_equal(y[1], network.theta.reshape(5, 4)[:3])
    replica.grad.fill(np.nan)
    replica.backward(np.ones((2, 3, 4)))
    np.testing.assert_array_equal(replica.grad.reshape(5, 4), [[2] * 4] * 3 + [[0] * 4] * 2)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        ({"transformer_block": 3}, (5, 8), "the heads must divide the width 8"),
        ({"transformer_block": 2}, (8,), r"transformer_block needs a sequence \(T, D\)"),
        ({"transformer_block": {"heads": 2, "norm": {"dense": 3}}}, (5, 8), "must be alike|must divide"),
        ("position", (8,), r"position needs a sequence \(T, D\)"),
        ("swiglu", (5, 7), "give it an even number"),
        ({"transformer_block": {"heads": 2, "memory": 5}}, (5, 8), "no positions 5 to 5"),
        ({"segment": {"layers": ["relu"], "start": 3, "stop": 9}}, (5, 8), "no positions 3 to 9"),
        ({"segment": {"layers": [{"dense": 3}]}}, (5, 8), "the two must be alike"),
    ],
)
def test_a_shape_that_does_not_fit_is_told(layer: Any, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError, match=said) as caught:
        Layer.parse(layer).out_shape(shape)
    assert caught.value.path == ()
