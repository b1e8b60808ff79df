"""Group, instance and RMS norm, and alpha dropout: their statistics, their limits, their padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference_norm
from contract import Rig
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.arrays import Float, Shape
from nnctl.nn.activations import Activation
from nnctl.nn.alpha_dropout import AlphaDropout
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.network import Network, Replica


def replica(*layers: Any, shape: Shape, dtype: type = np.float64) -> Replica:
    parsed = tuple(Layer.parse(layer) for layer in layers)
    return Network(Layout(parsed, shape), dtype=dtype).replica(need_dx=True)


def normal(*shape: int) -> Float:
    return np.random.default_rng(0).normal(5, 3, shape)


@given(
    channels=st.sampled_from([(6, 1), (6, 2), (6, 3), (4, 4), (1, 1), (5, "each")]),
    positions=st.sampled_from([(2,), (5,), (1, 3), (3, 2)]),
    rows=st.integers(1, 4),
)
def test_groups_of_any_shape_agree_with_a_plain_loop(
    channels: tuple[int, Any], positions: tuple[int, ...], rows: int
) -> None:
    C, groups = channels
    layer = Layer.parse("instance_norm" if groups == "each" else {"group_norm": groups})
    rig = Rig(layer, (*positions, C))
    p = {name.split(".")[-1]: tensor for name, tensor in rig.network.tensors().items()}
    x, dy = rig.x(rows), rig.dy(rows)
    np.testing.assert_allclose(rig.forward(x), reference_norm.group_norm(layer, p, x), rtol=1e-12, atol=1e-12)
    dx, gradients = reference_norm.group_norm_backward(layer, p, x, dy)
    np.testing.assert_allclose(rig.backward(dy), dx, rtol=1e-12, atol=1e-12)
    for name, found in rig.network.tensors(rig.grad).items():
        np.testing.assert_allclose(found, gradients[name.split(".")[-1]], rtol=1e-12, atol=1e-12)


def test_every_group_of_every_image_gets_mean_zero_and_variance_one() -> None:
    y = replica({"group_norm": 2}, shape=(3, 4, 6)).forward(normal(5, 3, 4, 6), training=True)
    by_group = y.reshape(5, 12, 2, 3)
    np.testing.assert_allclose(by_group.mean((1, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(by_group.var((1, 3)), 1, rtol=1e-4)


def test_one_group_on_rows_of_features_is_layer_norm() -> None:
    x = normal(5, 6)
    one, other = (replica(layer, shape=(6,)).forward(x, training=True) for layer in ({"group_norm": 1}, "layer_norm"))
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_instance_norm_is_a_group_for_every_channel() -> None:
    x = normal(5, 3, 4, 6)
    layers = ("instance_norm", {"group_norm": 6})
    one, other = (replica(layer, shape=(3, 4, 6)).forward(x, training=True) for layer in layers)
    assert np.array_equal(one, other)


def test_instance_norm_takes_contrast_and_brightness_out_of_an_image() -> None:
    network = replica("instance_norm", shape=(8, 8, 3))
    x = normal(5, 8, 8, 3)
    plain = network.forward(x, training=False).copy()
    np.testing.assert_allclose(network.forward(4 * x + 7, training=False), plain, atol=1e-5)


def test_rms_norm_gives_mean_square_one_and_keeps_the_direction() -> None:
    x = normal(5, 6)
    y = replica("rms_norm", shape=(6,)).forward(x, training=True)
    np.testing.assert_allclose((y**2).mean(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(y / np.linalg.norm(y, axis=1, keepdims=True), x / np.linalg.norm(x, axis=1)[:, None])


def test_a_large_mean_costs_float32_no_digits_but_those_of_the_input() -> None:
    x = (np.random.default_rng(0).normal(size=(20, 64, 4)) + 1e4).astype(np.float32)
    single = replica({"group_norm": 2}, shape=(64, 4), dtype=np.float32).forward(x, training=True)
    exact = replica({"group_norm": 2}, shape=(64, 4)).forward(x.astype(np.float64), training=True)
    np.testing.assert_allclose(single, exact, atol=5e-3)


@pytest.mark.parametrize("layer", [{"group_norm": 2}, "instance_norm"])
def test_what_stands_in_the_padding_changes_no_output_and_no_gradient(layer: Any) -> None:
    mask = np.arange(6) < np.array([6, 1, 4, 3])[:, None]
    dy = np.where(mask[..., None], np.random.default_rng(3).normal(size=(4, 6, 4)), 0)
    found = []
    for junk in (0.0, 1e3):
        rig = Rig(Layer.parse(layer), (6, 4))
        x = np.where(mask[..., None], rig.x(4), junk * np.random.default_rng(5).normal(size=(4, 6, 4)))
        y = rig.replica.forward(x, training=True, mask=mask)
        found.append((y[mask].copy(), rig.backward(dy), rig.grad.copy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    _, dx, _ = found[0]
    assert not dx[~mask].any()


@pytest.mark.parametrize("layer", [{"group_norm": 2}, "instance_norm"])
def test_masked_groups_agree_with_a_plain_loop_over_what_is_there(layer: Any) -> None:
    mask = np.arange(6) < np.array([6, 2, 4])[:, None]
    rig = Rig(Layer.parse(layer), (6, 4))
    p = {name.split(".")[-1]: tensor for name, tensor in rig.network.tensors().items()}
    x, dy = rig.x(3), rig.dy(3)
    y = rig.replica.forward(x, training=True, mask=mask)
    expected = reference_norm.group_norm(rig.layer, p, x, mask)
    np.testing.assert_allclose(y[mask], expected[mask], rtol=1e-12, atol=1e-12)
    dx, gradients = reference_norm.group_norm_backward(rig.layer, p, x, dy, mask)
    np.testing.assert_allclose(rig.backward(dy), dx, rtol=1e-12, atol=1e-12)
    for name, found in rig.network.tensors(rig.grad).items():
        np.testing.assert_allclose(found, gradients[name.split(".")[-1]], rtol=1e-12, atol=1e-12)


def test_a_sequence_of_padding_alone_is_no_division_by_zero() -> None:
    rig = Rig(Layer.parse({"group_norm": 2}), (3, 4))
    mask = np.array([[True] * 3, [False] * 3])
    assert np.isfinite(rig.replica.forward(rig.x(2), training=True, mask=mask)).all()
    assert np.isfinite(rig.backward(rig.dy(2))).all()


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        ({"group_norm": 4}, (8, 8, 6), "groups must divide the 6 channels: 1, 2, 3, 6. Got 4."),
        ({"group_norm": 6}, (6,), "one value each"),
        ("instance_norm", (6,), "one value each"),
        ("instance_norm", (1, 1, 6), "one value each"),
        ("rms_norm", (), "needs an axis of features"),
        ({"group_norm": 1}, (), "needs an axis of features"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(layer: Any, shape: Shape, said: str) -> None:
    with pytest.raises(ShapeError, match=said.replace(".", r"\.")):
        Layer.parse(layer).out_shape(shape)


def test_a_mask_of_another_length_is_refused() -> None:
    rig = Rig(Layer.parse({"group_norm": 2}), (3, 4))
    with pytest.raises(ShapeError, match="the mask must say of each"):
        rig.replica.forward(rig.x(2), training=True, mask=np.ones((2, 5), bool))


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
def test_alpha_dropout_keeps_mean_zero_and_variance_one(rate: float) -> None:
    rig = Rig(AlphaDropout(rate=rate), (100,))
    x = np.random.default_rng(0).normal(size=(2000, 100))
    y = rig.forward(x)
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1) < 0.03


def test_alpha_dropout_puts_the_lowest_value_of_selu_where_it_drops() -> None:
    rate, floor = 0.25, -1.0507009873554805 * 1.6732632423543772
    rig = Rig(AlphaDropout(rate=rate), (200,))
    x, dy = rig.x(), rig.dy()
    y, dx = rig.forward(x).copy(), rig.backward(dy)
    kept = dx != 0
    a = 1 / np.sqrt((1 - rate) + floor**2 * (1 - rate) * rate)
    b = -a * rate * floor
    np.testing.assert_allclose(y, np.where(kept, a * x + b, a * floor + b), rtol=1e-12)
    np.testing.assert_allclose(dx, np.where(kept, a * dy, 0), rtol=1e-12)
    assert 0.15 < 1 - kept.mean() < 0.35


def test_alpha_dropout_drops_as_dropout_does() -> None:
    masks = []
    for name in ("dropout", "alpha_dropout"):
        rig = Rig(Layer.parse({name: 0.4}), (50,))
        rig.forward(rig.x())
        masks.append(rig.backward(np.ones((5, 50))) != 0)
    assert abs(masks[0].mean() - masks[1].mean()) < 0.15


def test_prelu_has_a_slope_for_every_channel_of_an_image() -> None:
    layer = Activation.parse("prelu")
    rig = Rig(layer, (2, 3, 4))
    [alpha] = rig.network.tensors().values()
    assert alpha.shape == (4,)
    x, dy = rig.x(), rig.dy()
    np.testing.assert_allclose(rig.forward(x), np.where(x > 0, x, x * alpha), rtol=1e-12)
    rig.backward(dy)
    np.testing.assert_allclose(rig.grad, (dy * np.minimum(x, 0)).sum((0, 1, 2)), rtol=1e-12)
