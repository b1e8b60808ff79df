"""Composites: the shortcut's projection, layers side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import Rig

from nnctl.core.arrays import Float, Shape
from nnctl.nn.compose import Residual
from nnctl.nn.layer import Context, Layer, ShapeError, Views
from nnctl.nn.layout import Layout
from nnctl.nn.network import Network


def tensors(rig: Rig) -> dict[str, Float]:
    """Return the parameters by what stands after the composite's own name."""
    return {name.split("/", 1)[1]: tensor for name, tensor in rig.network.tensors().items()}


def projected(*layers: Any) -> Layer:
    return Layer.parse({"residual": {"layers": list(layers), "projection": True}})


def test_a_projection_brings_the_input_to_the_width_of_the_output() -> None:
    rig = Rig(projected({"dense": 3}), (5, 4))
    x, dy = rig.x(), rig.dy()
    p = tensors(rig)
    y = rig.forward(x)
    np.testing.assert_allclose(y, x @ p["projection.W"] + x @ p["0.dense.W"] + p["0.dense.b"], rtol=1e-12)
    np.testing.assert_allclose(rig.backward(dy), dy @ (p["projection.W"] + p["0.dense.W"]).T, rtol=1e-12)
    gradient = rig.network.tensors(rig.grad)["0.residual/projection.W"]
    np.testing.assert_allclose(gradient, np.einsum("btd,bte->de", x, dy), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(6, 6), (5, 7), (1, 2)])
def test_a_projection_of_an_image_is_a_convolution_with_a_kernel_of_one_and_the_same_stride(
    size: tuple[int, int],
) -> None:
    conv = {"conv2d": {"channels": 3, "kernel": 3, "stride": 2, "padding": "same"}}
    shortcut = {"conv2d": {"channels": 3, "kernel": 1, "stride": 2, "bias": False}}
    one = Rig(projected(conv), (*size, 2))
    other = Rig(Layer.parse({"parallel": {"layers": [shortcut, conv], "merge": "sum"}}), (*size, 2))
    for name, tensor in tensors(other).items():
        ours = name.replace("0.conv2d", "projection").replace("1.conv2d", "0.conv2d")
        tensor[...] = tensors(one)[ours].reshape(tensor.shape)
    np.testing.assert_allclose(one.forward(one.x()), other.forward(other.x()), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(one.backward(one.dy()), other.backward(other.dy()), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.sort(one.grad), np.sort(other.grad), rtol=1e-12, atol=1e-12)


def test_where_the_shapes_are_alike_there_is_no_projection() -> None:
    layer = projected({"dense": 4}, "relu")
    assert isinstance(layer, Residual)
    assert [part.label for part in layer.parts((4,))] == ["0.dense", "1.relu"]


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        ({"residual": [{"dense": 3}]}, (4,), "the two must be alike. With 'projection: true'"),
        (projected("flatten"), (3, 4), "no projection leads"),
        (projected({"conv2d": {"channels": 2, "padding": 2}}), (4, 4, 2), "no projection leads"),
        (projected({"conv1d": {"channels": 2, "kernel": 2}}), (4, 2), "no projection leads"),
    ],
)
def test_a_residual_that_cannot_be_added_is_refused(layer: Any, shape: Shape, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        Layer.parse(layer).out_shape(shape)


def test_branches_lie_side_by_side_in_their_order() -> None:
    rig = Rig(Layer.parse({"parallel": [{"dense": 3}, "linear", {"dense": 1}]}), (2, 4))
    x, dy, p = rig.x(), rig.dy(), tensors(rig)
    outputs = [x @ p["0.dense.W"] + p["0.dense.b"], x, x @ p["2.dense.W"] + p["2.dense.b"]]
    np.testing.assert_allclose(rig.forward(x), np.concatenate(outputs, axis=-1), rtol=1e-12)
    expected = dy[..., :3] @ p["0.dense.W"].T + dy[..., 3:7] + dy[..., 7:] @ p["2.dense.W"].T
    np.testing.assert_allclose(rig.backward(dy), expected, rtol=1e-12, atol=1e-12)


def test_branches_are_added_where_the_spec_says_sum() -> None:
    rig = Rig(Layer.parse({"parallel": {"layers": ["linear", "linear", {"dense": 4}], "merge": "sum"}}), (4,))
    x, dy, p = rig.x(), rig.dy(), tensors(rig)
    np.testing.assert_allclose(rig.forward(x), 2 * x + x @ p["2.dense.W"] + p["2.dense.b"], rtol=1e-12)
    np.testing.assert_allclose(rig.backward(dy), 2 * dy + dy @ p["2.dense.W"].T, rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape", "said", "path"),
    [
        ({"parallel": ["linear", "flatten"]}, (3, 4), "all other axes must be alike", ()),
        ({"parallel": {"layers": ["linear", {"dense": 3}], "merge": "sum"}}, (4,), "they must be alike", ()),
        ({"parallel": ["linear", {"sequential": ["relu", {"conv2d": 3}]}]}, (4,), "needs images",
         ("layers", 1, "sequential", "layers", 1, "conv2d")),
    ],
)  # fmt: skip
def test_branches_that_do_not_fit_are_refused_with_their_place(
    layer: Any, shape: Shape, said: str, path: tuple[Any, ...]
) -> None:
    with pytest.raises(ShapeError, match=said) as caught:
        Layer.parse(layer).out_shape(shape)
    assert caught.value.path == path


def test_outputs_are_settled_within_branches() -> None:
    layer = Layer.parse({"parallel": {"layers": [{"dense": "outputs"}, {"dense": "outputs"}], "merge": "sum"}})
    assert layer.with_outputs(7).out_shape((4,)) == (7,)


class Halver(Layer):
    """Take every second position, and leave the mask of those."""

    def out_shape(self, shape: Shape) -> Shape:
        return (-(-shape[0] // 2), *shape[1:])

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        assert ctx.mask is not None
        assert ctx.mask.shape == x.shape[:2]
        ctx.mask = ctx.mask[:, ::2]
        return x[:, ::2]

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float:
        return np.repeat(dy, 2, axis=1)


Halver.name = "halver"


@pytest.mark.parametrize("composite", ["parallel", "residual"])
def test_every_branch_sees_the_mask_of_the_input_and_the_next_layer_that_of_the_output(composite: str) -> None:
    halver = Halver()
    fields: dict[str, Any] = {"layers": (halver, halver)} if composite == "parallel" else {
        "layers": (halver, Layer.parse({"dense": 5})), "projection": True
    }  # fmt: skip
    layer = Layer.parse({composite: fields})
    replica = Network(Layout((layer,), (6, 4)), dtype=np.float64).replica()
    replica.forward(np.ones((2, 6, 4)), training=True, mask=np.arange(6) < np.array([6, 3])[:, None])
    assert replica.now.mask is not None
    assert replica.now.mask.tolist() == [[True, True, True], [True, True, False]]
