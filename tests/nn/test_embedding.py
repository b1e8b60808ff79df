"""Embedding and tied embedding: one-hot products, padding, tokens that are none, and sizes that come from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import Rig
from hypothesis import given, settings
from hypothesis import strategies as st

from nnctl.core.arrays import Float
from nnctl.core.errors import DataError
from nnctl.nn.embedding import Embedding, TiedEmbedding
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team


def tensors(rig: Rig, vector: Float | None = None) -> dict[str, Float]:
    return {name.split(".")[-1]: tensor for name, tensor in rig.network.tensors(vector).items()}


def one_hot(tokens: Float, size: int) -> Float:
    return np.eye(size)[tokens.astype(int)]


@settings(max_examples=40, deadline=None)
@given(B=st.integers(1, 6), T=st.integers(1, 5), width=st.integers(1, 5), size=st.integers(1, 9))
def test_an_embedding_is_a_product_with_one_hot_rows(B: int, T: int, width: int, size: int) -> None:
    rig = Rig(Embedding(width=width, size=size), (T,))
    x, dy = rig.x(B), rig.dy(B)
    np.testing.assert_array_equal(rig.forward(x), one_hot(x, size) @ tensors(rig)["W"])
    rig.backward(dy)
    exact = one_hot(x, size).reshape(-1, size).T @ dy.reshape(-1, width)
    np.testing.assert_allclose(tensors(rig, rig.grad)["W"], exact, rtol=1e-12, atol=1e-12)


def test_the_sums_run_in_the_order_of_the_positions() -> None:
    rig = Rig(Embedding(width=3, size=4), (50,), dtype=np.float32)
    x, dy = rig.x(), rig.dy()
    rig.forward(x)
    rig.backward(dy)
    exact = np.zeros((4, 3), np.float32)
    for token, row in zip(x.flat, dy.reshape(-1, 3), strict=True):
        exact[int(token)] += row
    np.testing.assert_array_equal(tensors(rig, rig.grad)["W"], exact)


def test_padding_is_zero_and_has_no_gradient() -> None:
    rig = Rig(Embedding(width=3, size=4, padding=2), (6,))
    x = rig.x()
    y = rig.forward(x)
    assert (x == 2).any()
    assert not y[x == 2].any()
    assert y[x != 2].all()
    rig.backward(rig.dy())
    dW = tensors(rig, rig.grad)["W"]
    assert not dW[2].any()
    assert dW[[0, 1, 3]].all()


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_tokens_may_come_in_any_type(dtype: type) -> None:
    rig = Rig(Embedding(width=3, size=200), (4,))
    x = np.array([[0, 7, 199, 3]])
    np.testing.assert_array_equal(rig.forward(x.astype(dtype)), tensors(rig)["W"][x])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([0, 5, 2], "takes the tokens 0 to 4, whole numbers. Got 5. .*scaling: none"),
        ([-1, 0, 2], r"Got -1\. "),
        ([-1, 5, 2], "Got -1 and 1 more of this batch"),
        ([0.5, 1, 2], r"Got 0\.5"),
        ([np.nan, 1, 2], "Got nan"),
    ],
)
@pytest.mark.parametrize(
    "layer", [Embedding(width=3, size=5), TiedEmbedding(width=3, size=5, layers=(Layer.parse("linear"),))]
)
def test_what_is_no_token_is_told(layer: Layer, wrong: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Rig(layer, (3,)).forward(np.array([wrong], np.float32))


def test_an_embedding_starts_with_variance_one_and_says_that_its_input_is_tokens() -> None:
    network = Network(Layout((Layer.parse({"embedding": {"width": 50, "size": 400}}),), (3,)))
    assert abs(network.theta.std() - 1) < 0.02
    assert Layer.parse({"sequential": [{"embedding": {"width": 5, "size": 40}}, "relu"]}).vocabulary() == 40
    assert Layer.parse({"sequential": ["relu"]}).vocabulary() is None


def test_looking_up_multiplies_nothing() -> None:
    assert Embedding(width=3, size=5).flop((4,)) == 0


def test_the_size_may_come_from_the_data() -> None:
    layer = Layer.parse({"repeat": {"layers": [{"embedding": 3}], "times": 1}})
    with pytest.raises(ShapeError, match="'vocabulary' has no number"):
        layer.out_shape((4,))
    settled = layer.with_vocabulary(7)
    assert settled.out_shape((4,)) == (4, 3)
    assert settled.vocabulary() == 7
    fixed = Layer.parse({"embedding": {"width": 3, "size": 5}})
    assert fixed.with_vocabulary(7) == fixed


def tied(**fields: Any) -> TiedEmbedding:
    layers = (Layer.parse({"dense": 4}), Layer.parse("tanh"), Layer.parse({"dense": 3}))
    return TiedEmbedding(**{"width": 3, "size": 5, "layers": layers} | fields)


def test_tied_embedding_is_an_embedding_then_the_layers_then_a_product_with_the_same_matrix() -> None:
    rig = Rig(tied(), (4,))
    p = rig.network.tensors()
    W = p["0.tied_embedding.W"]
    h = np.tanh(
        np.sqrt(3) * one_hot(rig.x(), 5) @ W @ p["0.tied_embedding/0.dense.W"] + p["0.tied_embedding/0.dense.b"]
    )
    h = h @ p["0.tied_embedding/2.dense.W"] + p["0.tied_embedding/2.dense.b"]
    np.testing.assert_allclose(rig.forward(rig.x()), h @ W.T + p["0.tied_embedding.b"], rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_tied_matrix_is_that_of_its_two_uses_together() -> None:
    rig = Rig(tied(padding=1), (4,), need_dx=False)  # as the first layer of a network
    x, dy = rig.x(), rig.dy()
    W = rig.network.tensors()["0.tied_embedding.W"]
    rig.forward(x)
    rig.replica.backward(dy.copy())
    found = rig.network.tensors(rig.grad)["0.tied_embedding.W"].copy()
    exact = np.zeros_like(W)
    for place in np.ndindex(W.shape):
        values = []
        for step in (1e-5, -1e-5):
            W[place] += step
            values.append(float((dy * rig.forward(x)).sum()))
            W[place] -= step
        exact[place] = (values[0] - values[1]) / 2e-5
    np.testing.assert_allclose(found, exact, rtol=1e-7, atol=1e-7)


def test_tied_embedding_is_as_large_as_the_outputs() -> None:
    layer = tied(size="outputs", layers=(Layer.parse({"attention": 1}),))
    with pytest.raises(ShapeError, match="'outputs' has no number yet"):
        layer.out_shape((4,))
    assert layer.with_outputs(9).out_shape((4,)) == (4, 9)
    assert tied().with_outputs(9).size == 5


def test_layers_that_change_the_width_cannot_be_tied() -> None:
    with pytest.raises(ShapeError, match=r"give back its width 3. Got \(4, 8\)") as caught:
        tied(layers=(Layer.parse({"dense": 8}),)).out_shape((4,))
    assert caught.value.path == ()
    with pytest.raises(ShapeError) as caught:
        tied(layers=(Layer.parse("tanh"), Layer.parse({"attention": 2}))).out_shape((4,))
    assert caught.value.path == ("layers", 1, "attention")


def test_tied_logits_of_a_normalized_output_start_with_variance_one() -> None:
    layer = Layer.parse({"tied_embedding": {"width": 64, "size": 300, "layers": ["layer_norm"]}})
    network = Network(Layout((layer,), (40,)), dtype=np.float64)
    x = np.random.default_rng(0).integers(0, 300, (30, 40))
    scores = network.predict(x)
    own = np.take_along_axis(scores, x[..., None], axis=-1)
    others = (scores.sum() - own.sum()) / (scores.size - own.size)
    assert abs(scores.std() - 1) < 0.2
    assert abs(others) < 0.1


def test_two_replicas_give_the_gradient_of_one() -> None:
    layers = (tied(), Layer.parse("flatten"), Layer.parse({"dense": 2}))
    x, t = np.random.default_rng(0).integers(0, 5, (7, 4)), np.random.default_rng(1).normal(size=(7, 2))
    found = []
    for size in (1, 2):
        team = Team(Network(Layout(layers, (4,)), dtype=np.float64), size)
        found.append(team.gradient(Loss.parse("mse"), x, t, None, divisor=7.0, step=0).copy())
        team.close()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10, atol=1e-12)
