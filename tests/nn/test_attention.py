"""Attention: the textbook over many shapes, what is hidden, memory, rotary positions, replicas, and bad shapes."""

from __future__ import annotations

import numpy as np
import pytest
import reference_attention as reference
from contract import Rig
from hypothesis import given, settings
from hypothesis import strategies as st

from nnctl.core.arrays import Array, Float
from nnctl.nn import dot_product
from nnctl.nn.attention import Attention
from nnctl.nn.cross_attention import CrossAttention
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team


def outcome(rig: Rig, x: Float, dy: Float, mask: Array | None = None) -> tuple[Float, Float, Float]:
    """Return y, dx and all parameters' gradients, in inference so that nothing is dropped."""
    y = rig.replica.forward(x, training=False, mask=mask).copy()
    return y, rig.backward(dy), rig.grad.copy()


def tensors(rig: Rig, vector: Float | None = None) -> dict[str, Float]:
    return {name.split(".")[-1]: tensor for name, tensor in rig.network.tensors(vector).items()}


masks = st.sampled_from(["none", "right", "left", "random", "all of one"])


def drawn_mask(kind: str, B: int, T: int) -> Array | None:
    rng = np.random.default_rng(5)
    lengths = rng.integers(1, T + 1, (B, 1))
    mask = np.arange(T) < lengths
    if kind == "left":
        return mask[:, ::-1]
    if kind == "random":
        return rng.random((B, T)) < 0.6
    if kind == "all of one":
        mask[0] = False
    return None if kind == "none" else mask


@settings(max_examples=60, deadline=None)
@given(
    B=st.integers(1, 4), T=st.integers(1, 6), heads=st.integers(1, 3), pairs=st.integers(1, 3),
    causal=st.booleans(), rotary=st.booleans(), bias=st.booleans(), kind=masks,
)  # fmt: skip
def test_attention_equals_the_textbook_for_every_shape_and_mask(
    B: int, T: int, heads: int, pairs: int, causal: bool, rotary: bool, bias: bool, kind: str
) -> None:
    layer = Attention(heads=heads, causal=causal, rotary=rotary, bias=bias)
    rig = Rig(layer, (T, 2 * pairs * heads))
    x, dy, mask = rig.x(B), rig.dy(B), drawn_mask(kind, B, T)
    y, dx, grad = outcome(rig, x, dy, mask)
    np.testing.assert_allclose(y, reference.attention(layer, tensors(rig), x, mask), rtol=1e-12, atol=1e-12)
    exact_dx, gradients = reference.attention_backward(layer, tensors(rig), x, dy, mask)
    np.testing.assert_allclose(dx, exact_dx, rtol=1e-12, atol=1e-12)
    for name, found in tensors(rig, grad).items():
        np.testing.assert_allclose(found, gradients[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scores", [1, 2 * 25, 5 * 25, 10**6], ids=["a head", "two heads", "a sequence", "all"])
@pytest.mark.parametrize("causal", [True, False])
def test_the_blocks_make_no_difference(scores: int, causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, shape = Attention(heads=3, causal=causal), (5, 6)
    mask = drawn_mask("right", 7, 5)
    rig = Rig(layer, shape)
    expected = outcome(rig, rig.x(7), rig.dy(7), mask)
    monkeypatch.setattr(dot_product, "SCORES", scores)
    for found, whole in zip(outcome(Rig(layer, shape), rig.x(7), rig.dy(7), mask), expected, strict=True):
        np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("T", [10, 300])
def test_the_scores_held_are_bounded_whatever_the_batch(T: int) -> None:
    rig = Rig(Attention(heads=2), (T, 4), dtype=np.float32)
    rig.forward(rig.x(40))
    rig.backward(rig.dy(40))
    scratch = rig.replica.now.scratch
    assert scratch is not None
    for name in ("scores", "slope"):
        assert scratch._backing[name].size <= max(dot_product.SCORES, T * T)


@pytest.mark.parametrize("layer", [Attention(heads=2), CrossAttention(heads=2, memory=6)])
def test_kernels_side_by_side_start_as_if_each_were_alone(layer: Layer) -> None:
    network = Network(Layout((layer,), (16, 64)))
    for name, kernel in network.tensors().items():
        if ".W" in name:
            assert abs(kernel.std() * 8 - 1) < 0.05, name  # xavier: the variance is 2 / (64 + 64)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kind", ["right", "left", "random"])
def test_padding_changes_no_output_and_no_gradient(kind: str, causal: bool) -> None:
    rig = Rig(Attention(heads=2, causal=causal, dropout=0.3), (6, 4))
    mask = drawn_mask(kind, 5, 6)
    assert mask is not None
    dy = rig.dy() * mask[..., None]
    found = []
    for junk in (0.0, 1.0, 1e3):
        x = np.where(mask[..., None], rig.x(), junk * np.random.default_rng(9).normal(size=(5, 6, 4)))
        y = rig.replica.forward(x, training=True, step=3, mask=mask)[mask].copy()
        dx = rig.backward(dy)
        assert not dx[~mask].any(), "padding has a gradient"
        found.append((y, dx, rig.grad.copy()))
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            np.testing.assert_allclose(another, one, rtol=1e-12, atol=1e-13)


def test_a_sequence_of_padding_alone_gives_the_bias_and_no_gradient_but_its() -> None:
    rig = Rig(Attention(heads=2), (3, 4))
    mask = np.zeros((5, 3), bool)
    y, dx, grad = outcome(rig, rig.x(), rig.dy(), mask)
    np.testing.assert_array_equal(y, np.broadcast_to(tensors(rig)["b_o"], y.shape))
    assert not dx.any()
    assert all(np.any(g) == (name == "b_o") for name, g in tensors(rig, grad).items())


def test_a_causal_position_sees_nothing_that_comes_later() -> None:
    rig = Rig(Attention(heads=2, causal=True, rotary=True), (6, 4))
    x = rig.x()
    before = rig.forward(x, training=False).copy()
    x[:, 4:] += 1
    after = rig.forward(x, training=False)
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    assert not np.allclose(after[:, 4:], before[:, 4:])


def test_without_positions_the_order_of_a_sequence_does_not_matter() -> None:
    rig = Rig(Attention(heads=2), (6, 4))
    order = np.random.default_rng(0).permutation(6)
    y = rig.forward(rig.x(), training=False).copy()
    np.testing.assert_allclose(rig.forward(rig.x()[:, order], training=False), y[:, order], rtol=1e-12)


def test_rotary_positions_tell_distances_and_not_places() -> None:
    rig = Rig(Attention(heads=2, rotary=True), (8, 4))
    x, mask = rig.x(), np.zeros((5, 8), bool)
    mask[:, :5] = True
    early = rig.replica.forward(x, training=False, mask=mask)[:, :5].copy()
    late = rig.replica.forward(np.roll(x, 3, axis=1), training=False, mask=np.roll(mask, 3, axis=1))[:, 3:]
    np.testing.assert_allclose(late, early, rtol=1e-12)
    reversed_ = rig.replica.forward(x[:, 4::-1], training=False)[:, ::-1]
    assert not np.allclose(reversed_, early)


def test_huge_scores_neither_overflow_nor_lose_the_largest() -> None:
    rig = Rig(Attention(heads=1), (4, 4), dtype=np.float32)
    x = 1e4 * rig.x()
    y = rig.forward(x, training=False)
    assert np.isfinite(y).all()
    assert np.isfinite(rig.backward(rig.dy())).all()


def test_dropout_keeps_the_mean_of_the_output() -> None:
    rig = Rig(Attention(heads=2, dropout=0.4), (5, 4))
    still = rig.forward(rig.x(), training=False).copy()
    drawn = np.stack([rig.forward(rig.x(), step=step).copy() for step in range(2000)])
    assert drawn.std(0).min() > 0.01
    assert np.all(np.abs(drawn.mean(0) - still) < 5 * drawn.std(0) / np.sqrt(2000))


def test_two_replicas_give_the_gradient_of_one_with_padding() -> None:
    layers = tuple(Layer.parse(each) for each in [{"attention": {"heads": 2, "causal": True}}, "flatten", {"dense": 2}])
    x, t = np.random.default_rng(0).normal(size=(7, 4, 6)), np.random.default_rng(1).normal(size=(7, 2))
    found = []
    for size in (1, 2):
        team = Team(Network(Layout(layers, (4, 6)), dtype=np.float64), size)
        mask = drawn_mask("right", 7, 4)
        found.append(team.gradient(Loss.parse("mse"), x, t, None, divisor=7.0, step=0, mask=mask).copy())
        team.close()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10, atol=1e-12)


def test_its_work_is_that_of_its_four_products_and_replicas_share_it() -> None:
    T, D = 64, 128
    layer = Attention(heads=4)
    assert layer.flop((T, D)) == 2 * T * D * 3 * D + 2 * T * T * D + 2 * T * T * D + 2 * T * D * D
    assert Layout((layer,), (T, D)).sharded


@settings(max_examples=30, deadline=None)
@given(
    B=st.integers(1, 4), S=st.integers(1, 5), T=st.integers(1, 4), heads=st.integers(1, 3), d=st.integers(1, 3),
    bias=st.booleans(), kind=masks,
)  # fmt: skip
def test_cross_attention_equals_the_textbook_for_every_shape_and_mask(
    B: int, S: int, T: int, heads: int, d: int, bias: bool, kind: str
) -> None:
    layer = CrossAttention(heads=heads, memory=S, bias=bias)
    rig = Rig(layer, (S + T, d * heads))
    x, dy, mask = rig.x(B), rig.dy(B), drawn_mask(kind, B, S + T)
    y, dx, grad = outcome(rig, x, dy, mask)
    np.testing.assert_allclose(y, reference.cross_attention(layer, tensors(rig), x, mask), rtol=1e-12, atol=1e-12)
    exact_dx, gradients = reference.cross_attention_backward(layer, tensors(rig), x, dy, mask)
    np.testing.assert_allclose(dx, exact_dx, rtol=1e-12, atol=1e-12)
    for name, found in tensors(rig, grad).items():
        np.testing.assert_allclose(found, gradients[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("fields", "shape", "said"),
    [
        ({"heads": 3}, (5, 8), "the heads must divide the width 8: 1, 2, 4, 8. Got 3"),
        ({"heads": 1}, (8,), r"needs a sequence \(T, D\)"),
        ({"heads": 1}, (4, 4, 8), r"needs a sequence \(T, D\)"),
        ({"heads": 1}, (0, 8), "at least one position"),
        ({"heads": 2, "rotary": True}, (5, 6), "rotary turns pairs of columns"),
    ],
)
def test_a_shape_that_does_not_fit_is_told(fields: dict[str, object], shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        Attention(**fields).out_shape(shape)


def test_a_memory_that_leaves_nobody_to_look_at_it_is_told() -> None:
    with pytest.raises(ShapeError, match="the first 5 positions are the memory, so 5 leave none"):
        CrossAttention(heads=1, memory=5).out_shape((5, 4))


def test_a_mask_of_another_length_is_an_error() -> None:
    rig = Rig(Attention(heads=1), (5, 4))
    with pytest.raises(ShapeError, match=r"each of \(5, 5\) positions .* Got bool of shape \(5, 6\)"):
        rig.replica.forward(rig.x(), training=False, mask=np.ones((5, 6), bool))
