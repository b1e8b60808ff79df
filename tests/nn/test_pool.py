"""Pooling equals its textbook loops in every setting, ties go to the first, and padding never counts."""

from __future__ import annotations

import re

import numpy as np
import pytest
import reference_convolution
from contract import Rig
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_conv import agrees_with_the_loops, fits, pairs

from nnctl.nn.dropout import SpatialDropout
from nnctl.nn.global_pool import GlobalAvgPool, GlobalMaxPool
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.pool import AvgPool, MaxPool
from nnctl.nn.shape import Reshape

kinds = pytest.mark.parametrize("kind", [MaxPool, AvgPool])
margins = st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 1))


@kinds
@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 6), st.integers(1, 6)), pairs, st.one_of(st.none(), pairs), margins)
def test_pools_of_images_equal_the_loops(kind, size, kernel, stride, padding):
    layer = kind(kernel=kernel, stride=stride, padding=padding)
    assume(fits(layer, (*size, 2)))
    agrees_with_the_loops(layer, (*size, 2))


@kinds
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 5)), margins)
def test_pools_of_sequences_equal_the_loops(kind, time, kernel, stride, padding):
    layer = kind(kernel=kernel, stride=stride, padding=padding)
    assume(fits(layer, (time, 3)))
    agrees_with_the_loops(layer, (time, 3))


@pytest.mark.parametrize("layer", [GlobalAvgPool(), GlobalMaxPool()])
@pytest.mark.parametrize("shape", [(3, 2), (1, 4), (2, 3, 2)])
def test_global_pools_equal_the_loops(layer, shape):
    agrees_with_the_loops(layer, shape, rows=4)


@pytest.mark.parametrize("layer", [MaxPool(kernel=3, stride=1), MaxPool(kernel=2, padding="same"), GlobalMaxPool()])
def test_of_equal_values_the_first_gets_the_gradient(layer):
    rig = Rig(layer, (4, 5, 2))
    x = np.random.default_rng(0).integers(0, 3, (2, 4, 5, 2)).astype(np.float64)
    rig.forward(x)
    dy = rig.dy(2)
    dx, _ = reference_convolution.LAYERS[layer.name][1](layer, {}, x, dy)
    np.testing.assert_allclose(rig.backward(dy), dx, rtol=1e-12)


def test_a_batch_larger_than_a_block_is_pooled_block_by_block(monkeypatch):
    monkeypatch.setattr("nnctl.nn.pool.BLOCK", 50)
    monkeypatch.setattr("nnctl.nn.global_pool.BLOCK", 50)
    for layer in (MaxPool(), AvgPool(kernel=3, stride=2, padding="same"), GlobalMaxPool()):
        agrees_with_the_loops(layer, (4, 5, 2), rows=5)


LENGTHS = [9, 6, 4, 3]
MASK = np.arange(9) < np.array(LENGTHS)[:, None]


@pytest.mark.parametrize(
    "layer",
    [
        kind(kernel=kernel, stride=stride, padding=padding)
        for kind in (MaxPool, AvgPool)
        for kernel, stride, padding in ((2, None, "valid"), (3, 1, "same"), (3, 2, "same"), (3, 2, 1))
    ]
    + [GlobalAvgPool(), GlobalMaxPool()],
    ids=lambda layer: str(layer.spelled(full=False)),
)
def test_padding_of_short_sequences_changes_no_output_and_no_gradient(layer):
    rig = Rig(layer, (9, 2))
    x = rig.x(4)
    rng = np.random.default_rng(5)
    found = []
    for junk in (0.0, 100.0):
        noisy = np.where(MASK[:, :, None], x, junk * rng.standard_normal(x.shape))
        y = rig.replica.forward(noisy, training=True, mask=MASK).copy()
        left = rig.replica.now.mask
        assert np.isfinite(y).all()
        there = np.ones(y.shape) if left is None else left[:, :, None]
        found.append((y * there, rig.backward(rig.dy(4) * there)))
    for clean, dirty in zip(*found, strict=True):
        np.testing.assert_array_equal(clean, dirty)
    y, dx = found[0]
    assert not dx[~MASK].any()
    for row, length in enumerate(LENGTHS):
        alone = Rig(layer, (length, 2))
        expected = alone.forward(x[row : row + 1, :length])[0]
        np.testing.assert_allclose(expected, y[row] if left is None else y[row, left[row]], rtol=1e-12)
        dx_alone = alone.backward((rig.dy(4)[row] if left is None else rig.dy(4)[row, left[row]])[None])
        np.testing.assert_allclose(dx_alone[0], dx[row, :length], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("layer", [GlobalAvgPool(), GlobalMaxPool()])
def test_a_sequence_of_nothing_but_padding_comes_to_zero_and_leaves_no_mask(layer):
    rig = Rig(layer, (3, 2))
    y = rig.replica.forward(rig.x(2), training=True, mask=np.array([[True, True, False], [False] * 3]))
    assert not y[1].any()
    assert y[0].all()
    assert rig.replica.now.mask is None
    assert not rig.backward(rig.dy(2))[1].any()


@pytest.mark.parametrize(
    ("spelling", "shape", "message"),
    [
        ("max_pool", (4,), "needs images (height, width, channels) or sequences (time, channels)"),
        ("global_avg_pool", (4,), "Got samples of shape (4,)"),
        ({"max_pool": 5}, (4, 9, 1), "the kernel reaches over 5 positions, and the input has 4"),
        ({"avg_pool": [2, 2]}, (8, 3), "on sequences takes one number for time"),
        ({"max_pool": {"kernel": 2, "padding": 2}}, (8, 8, 3), "padding 2 is more than half of the window of 2"),
        ({"reshape": [8, 9]}, (64,), "64 values, of shape (64,), cannot be read as [8, 9]"),
        ({"reshape": [-1, 9]}, (64,), "cannot be read as [-1, 9]"),
        ("spatial_dropout", (4,), "Write dropout"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(spelling, shape, message):
    with pytest.raises(ShapeError, match=re.escape(message)):
        Layer.parse(spelling).out_shape(shape)


@pytest.mark.parametrize("shape", [[], [-1, -1], [0, 4], [-2, 2]])
def test_a_new_shape_has_positive_lengths_and_at_most_one_left_open(shape):
    with pytest.raises(ValueError, match="shape"):
        Layer.parse({"reshape": shape})


def test_a_row_of_pixels_becomes_an_image():
    assert Reshape(shape=(8, 8, 1)).out_shape((64,)) == (8, 8, 1)
    assert Reshape(shape=(28, -1, 1)).out_shape((28, 28)) == (28, 28, 1)
    rig = Rig(Reshape(shape=(2, 3)), (6,))
    assert np.array_equal(rig.forward(np.arange(6.0)[None]), [[[0, 1, 2], [3, 4, 5]]])


@pytest.mark.parametrize("shape", [(4, 5, 20), (6, 20)])
def test_spatial_dropout_drops_whole_channels_and_keeps_the_mean(shape):
    rig = Rig(SpatialDropout(rate=0.3), shape)
    x = np.ones((50, *shape))
    y = np.stack([rig.forward(x, step=step).copy() for step in range(20)])
    positions = y.reshape(20, 50, -1, 20)
    assert (positions == positions[:, :, :1]).all()
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert y.mean() == pytest.approx(1, abs=0.02)
    assert np.array_equal(rig.forward(x, training=False), x)
