"""Convolution equals its textbook loops in every setting, and refuses what does not fit."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import reference_convolution
from contract import Rig
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nnctl.core.arrays import Shape
from nnctl.nn import correlation, depthwise
from nnctl.nn.conv import Conv1d, Conv2d, Conv2dTranspose
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team, replicas_for

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
margins = st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 3))


def agrees_with_the_loops(layer: Layer, shape: Shape, rows: int = 2, **options: Any) -> None:
    forward, backward = reference_convolution.LAYERS[layer.name]
    rig = Rig(layer, shape, **options)
    x, dy = rig.x(rows), rig.dy(rows)
    p = {name.split(".")[-1]: tensor for name, tensor in rig.network.tensors().items()}
    np.testing.assert_allclose(rig.forward(x), forward(layer, p, x), rtol=1e-12, atol=1e-12)
    dx, gradients = backward(layer, p, x, dy)
    found = rig.replica.backward(dy.copy())
    if found is not None:
        np.testing.assert_allclose(found, dx, rtol=1e-12, atol=1e-12)
    for name, gradient in rig.network.tensors(rig.grad).items():
        np.testing.assert_allclose(gradient, gradients[name.split(".")[-1]], rtol=1e-12, atol=1e-12)


def fits(layer: Layer, shape: Shape) -> bool:
    try:
        layer.out_shape(shape)
    except ShapeError:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)), pairs, pairs, pairs, margins, st.integers(1, 3),
    st.integers(1, 2), st.integers(1, 2), st.booleans(), st.booleans(),
)  # fmt: skip
def test_conv2d_equals_the_loops(size, kernel, stride, dilation, padding, groups, c, o, bias, need_dx):
    layer = Conv2d(
        channels=groups * o, kernel=kernel, stride=stride, dilation=dilation, padding=padding, groups=groups, bias=bias
    )
    shape = (*size, groups * c)
    assume(fits(layer, shape))
    agrees_with_the_loops(layer, shape, need_dx=need_dx)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), margins, st.integers(1, 3),
    st.integers(1, 2),
)  # fmt: skip
def test_conv1d_equals_the_loops(time, kernel, stride, dilation, padding, groups, c):
    layer = Conv1d(channels=2 * groups, kernel=kernel, stride=stride, dilation=dilation, padding=padding, groups=groups)
    assume(fits(layer, (time, groups * c)))
    agrees_with_the_loops(layer, (time, groups * c))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)), pairs, pairs, pairs, margins, st.integers(2, 3), st.booleans(),
    st.sampled_from([1, 20, 1000]),
)  # fmt: skip
def test_a_kernel_for_every_channel_equals_the_loops(size, kernel, stride, dilation, padding, c, need_dx, most):
    layer = Conv2d(channels=c, kernel=kernel, stride=stride, dilation=dilation, padding=padding, groups=c)
    assume(fits(layer, (*size, c)))
    with patch.object(depthwise, "BLOCK", most):
        agrees_with_the_loops(layer, (*size, c), rows=3, need_dx=need_dx)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), margins, st.integers(2, 3))
def test_a_kernel_for_every_channel_of_a_sequence_equals_the_loops(time, kernel, stride, dilation, padding, c):
    layer = Conv1d(channels=c, kernel=kernel, stride=stride, dilation=dilation, padding=padding, groups=c)
    assume(fits(layer, (time, c)))
    agrees_with_the_loops(layer, (time, c))


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), pairs, pairs, pairs, margins, st.integers(1, 2))
def test_conv2d_transpose_equals_the_loops(size, kernel, stride, dilation, padding, c):
    layer = Conv2dTranspose(channels=2, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    assume(fits(layer, (*size, c)))
    agrees_with_the_loops(layer, (*size, c))


@pytest.mark.parametrize("most", [1, 20, 100, 1000])
@pytest.mark.parametrize(
    "spelling",
    [
        {"conv2d": {"channels": 4, "padding": "same"}},
        {"conv2d": {"channels": 4, "kernel": 1}},
        {"conv2d": {"channels": 4, "stride": 2, "groups": 2, "padding": 1}},
        {"conv2d": {"channels": 8, "kernel": [5, 3], "padding": "same"}},
        {"conv2d_transpose": {"channels": 3, "stride": 2}},
    ],
    ids=str,
)
def test_blocks_of_any_size_come_to_the_same(spelling, most, monkeypatch):
    monkeypatch.setattr(correlation, "BLOCK", most)
    agrees_with_the_loops(Layer.parse(spelling), (5, 6, 4), rows=3)


def test_many_channels_and_few_are_laid_out_in_different_ways_and_agree():
    for channels in (1, 5, 16, 17):
        agrees_with_the_loops(Conv2d(channels=channels, padding="same"), (4, 5, channels))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_same_keeps_the_size_divided_by_the_stride_rounded_up(size, stride):
    for kernel, dilation in ((1, 1), (2, 1), (3, 2), (5, 1)):
        layer = Conv2d(channels=1, kernel=kernel, stride=stride, dilation=dilation, padding="same")
        assert layer.out_shape((size, size, 1))[0] == -(-size // stride)
        turned = Conv2dTranspose(channels=1, kernel=kernel, stride=stride, dilation=dilation, padding="same")
        assert turned.out_shape((size, size, 1))[0] == size * stride


def test_a_transposed_convolution_is_the_adjoint_of_the_convolution():
    conv = Rig(Conv2d(channels=3, kernel=3, stride=2, padding=1, bias=False), (7, 9, 2))
    back = Rig(Conv2dTranspose(channels=2, kernel=3, stride=2, padding=1, bias=False), (4, 5, 3))
    back.network.theta[...] = conv.network.theta
    x, y = conv.x(), back.x()
    np.testing.assert_allclose(np.vdot(conv.forward(x), y), np.vdot(x, back.forward(y)), rtol=1e-12)


def test_a_kernel_is_started_by_what_a_unit_sees():
    network = Network(Layout((Conv2d(channels=64, kernel=5),), (8, 8, 16)), dtype=np.float64)
    assert network.tensors()["0.conv2d.W"].std() == pytest.approx(np.sqrt(2 / (25 * 16 + 25 * 64)), rel=0.02)
    [W, _] = Conv2d(channels=6, kernel=3, groups=2).params((5, 5, 4)).values()
    assert W.fans == (9 * 2, 9 * 3)
    assert Conv2dTranspose(channels=6, kernel=4, stride=2).params((5, 5, 4))["W"].fans == (16 * 4 // 4, 16 * 6)


def test_the_work_of_a_convolution_is_counted_window_by_window():
    assert Conv2d(channels=8, kernel=3, stride=2, groups=2).flop((9, 9, 4)) == 2 * 16 * 9 * 2 * 8
    assert Conv1d(channels=8, kernel=3, padding="same").flop((10, 4)) == 2 * 10 * 3 * 4 * 8
    assert Conv2dTranspose(channels=8, kernel=4, stride=2).flop((5, 5, 3)) == 2 * 25 * 16 * 3 * 8


def conv_net() -> Layout:
    layers = [
        {"conv2d": {"channels": 32, "padding": "same"}},
        "batch_norm",
        "relu",
        "max_pool",
        "flatten",
        {"dense": 3},
    ]
    return Layout(tuple(Layer.parse(layer) for layer in layers), (28, 28, 16))


def test_a_convolution_gets_a_replica_on_every_core_once_there_is_enough_to_do(monkeypatch):
    monkeypatch.setattr("nnctl.nn.team.cores", lambda: 2)
    assert replicas_for(conv_net(), 64) == 2
    assert replicas_for(conv_net(), 1) == 1


def test_replicas_of_a_convolutional_network_agree_with_one():
    rng = np.random.default_rng(1)
    x, t = rng.standard_normal((5, 28, 28, 16)), np.eye(3)[rng.integers(3, size=5)]
    found = []
    for size in (1, 2):
        team = Team(Network(conv_net(), dtype=np.float64), size)
        found.append(team.gradient(Loss.parse("cross_entropy"), x, t, None, divisor=5, step=0).copy())
        team.close()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-12)


def test_all_layers_of_a_replica_share_the_memory_of_their_columns():
    def bytes_beside_outputs(layers: int) -> int:
        convolution = Conv2d(channels=8, padding="same")
        replica = Network(Layout((convolution,) * layers, (10, 10, 8)), dtype=np.float64).replica(need_dx=True)
        replica.backward(replica.forward(np.ones((4, 10, 10, 8)), training=True).copy())
        assert replica.now.scratch is not None
        assert {name for part in replica.bound() for name in part.ctx._backing} <= {"y", "dx"}
        return replica.now.scratch.nbytes()

    assert bytes_beside_outputs(1) == bytes_beside_outputs(5) > 0


def test_inference_on_several_cores_has_the_bits_of_one(monkeypatch):
    x = np.random.default_rng(1).standard_normal((700, 28, 28, 16), dtype=np.float32)
    network = Network(conv_net())
    assert len(x) > 2 * network.layout.evaluation_rows
    found = []
    for cores in (1, 2, 3):
        monkeypatch.setattr("nnctl.nn.layout.cores", lambda cores=cores: cores)
        found.append(network.predict(x))
    assert found[0].any()
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_what_overflows_in_a_replica_is_as_quiet_as_the_caller_wants_it():
    x, t = np.full((4, 28, 28, 16), 1e30), np.eye(3)[[0, 1, 2, 0]]
    network = Network(conv_net(), dtype=np.float32)
    team = Team(network, 2)
    with np.errstate(all="ignore"):  # warnings are errors here
        team.gradient(Loss.parse("cross_entropy"), x.astype(np.float32), t, None, divisor=4, step=0)
    team.close()


PADDED = [
    Conv1d(channels=3, kernel=3, padding="same"),
    Conv1d(channels=3, kernel=4, padding="same", stride=2, dilation=2),
    Conv1d(channels=3, kernel=2),
    Conv1d(channels=3, kernel=3, padding=2, stride=2),
]


@pytest.mark.parametrize("layer", PADDED, ids=lambda layer: str(layer.spelled(full=False)))
def test_padding_of_short_sequences_changes_no_output_and_no_gradient(layer):
    lengths = [9, 6, 4, 2]
    rig = Rig(layer, (9, 2))
    x = rig.x(4)
    mask = np.arange(9) < np.array(lengths)[:, None]
    rng = np.random.default_rng(5)
    found = []
    for junk in (0.0, 100.0):
        noisy = np.where(mask[:, :, None], x, junk * rng.standard_normal(x.shape))
        y = rig.replica.forward(noisy, training=True, mask=mask).copy()
        left = rig.replica.now.mask.copy()
        dy = rig.dy(4) * left[:, :, None]
        found.append((y * left[:, :, None], rig.backward(dy), rig.grad.copy()))
    for clean, dirty in zip(*found, strict=True):
        np.testing.assert_array_equal(clean, dirty)
    y, dx, _ = found[0]
    assert not dx[~mask].any()
    for row, length in enumerate(lengths):
        assert left[row].sum() == layer.out_shape((length, 2))[0]
        alone = Rig(layer, (length, 2))
        alone.network.theta[...] = rig.network.theta
        np.testing.assert_allclose(alone.forward(x[row : row + 1, :length])[0], y[row, left[row]], rtol=1e-12)


@pytest.mark.parametrize(
    ("spelling", "shape", "message"),
    [
        ({"conv2d": 3}, (64,), "needs images (height, width, channels). Got samples of shape (64,)"),
        ({"conv2d": 3}, (28, 28), "Put '- reshape: [28, 28, 1]' before it"),
        (
            {"conv2d": {"channels": 3, "kernel": 5}},
            (4, 9, 1),
            "kernel reaches over 5 positions, and the input has 4",
        ),
        (
            {"conv2d": {"channels": 3, "kernel": 5, "dilation": 3}},
            (9, 9, 1),
            "13 positions, and the input has 9",
        ),
        ({"conv2d": {"channels": 3, "kernel": 7, "padding": 1}}, (4, 9, 1), "the input has 4, with its padding 6"),
        ({"conv2d": {"channels": 4, "groups": 2}}, (9, 9, 3), "2 groups must divide"),
        ({"conv2d": {"channels": 3, "groups": 2}}, (9, 9, 4), "Got 4 and 3"),
        ({"conv1d": 3}, (9, 9, 3), "needs sequences (time, channels). Got samples of shape (9, 9, 3)"),
        ({"conv1d": 3}, (2, 3), "the kernel reaches over 3 positions, and the input has 2"),
        ({"conv2d": "outputs"}, (9, 9, 3), "'outputs' has no width yet"),
        ({"conv2d_transpose": 3}, (9, 3), "needs images"),
        ({"conv2d_transpose": {"channels": 3, "padding": 2}}, (1, 2, 3), "Of 1 x 2 pixels -1 x 0 would be left"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(spelling, shape, message):
    with pytest.raises(ShapeError, match=re.escape(message)):
        Layer.parse(spelling).out_shape(shape)


@pytest.mark.parametrize(
    "fields", [{"kernel": 0}, {"kernel": [3]}, {"stride": 0}, {"padding": -1}, {"padding": "full"}, {"groups": 0}]
)
def test_settings_that_make_no_sense_are_refused(fields):
    with pytest.raises(ValidationError):
        Layer.parse({"conv2d": {"channels": 3, **fields}})


def test_a_network_can_end_in_a_convolution_with_as_many_channels_as_there_are_classes():
    layer = Layer.parse({"conv2d": {"channels": "outputs", "kernel": 1}}).with_outputs(10)
    assert layer.out_shape((4, 4, 8)) == (4, 4, 10)
