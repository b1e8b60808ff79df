"""The dense layer on more than plain matrices, and the ways of naming it."""

from __future__ import annotations

import numpy as np
import pytest
from contract import Rig

from nnctl.nn.dense import Dense
from nnctl.nn.layer import Layer, ShapeError


def test_a_sequence_is_mapped_step_by_step() -> None:
    rig = Rig(Dense(units=3), (5, 4))
    x, dy = rig.x(), rig.dy()
    y, dx = rig.forward(x).copy(), rig.backward(dy)
    flat = Rig(Dense(units=3), (4,))
    flat.network.theta[...] = rig.network.theta
    np.testing.assert_allclose(flat.forward(x.reshape(-1, 4)), y.reshape(-1, 3), rtol=1e-12)
    np.testing.assert_allclose(flat.backward(dy.reshape(-1, 3)), dx.reshape(-1, 4), rtol=1e-12)
    np.testing.assert_allclose(flat.grad, rig.grad, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 5, 4)])
def test_inputs_and_gradients_that_are_not_contiguous_give_the_same(shape: tuple[int, ...]) -> None:
    rig = Rig(Dense(units=3), shape)
    x, dy = rig.x(), rig.dy()
    y, dx, grad = rig.forward(x).copy(), rig.backward(dy), rig.grad.copy()
    scattered = [np.asfortranarray(a) for a in (x, dy)]
    assert np.array_equal(rig.forward(scattered[0]), y) or np.allclose(rig.forward(scattered[0]), y, rtol=1e-12)
    np.testing.assert_allclose(rig.replica.backward(scattered[1]), dx, rtol=1e-12)
    np.testing.assert_allclose(rig.grad, grad, rtol=1e-12)


def test_the_first_layer_computes_no_gradient_of_the_data() -> None:
    rig = Rig(Dense(units=3), (4,), need_dx=False)
    rig.forward(rig.x())
    assert rig.replica.backward(rig.dy()) is None
    assert all("dx" not in ctx._backing for ctx in rig.contexts())


def test_a_dense_layer_as_wide_as_the_data_asks_gets_its_width() -> None:
    layer = Layer.parse({"dense": "outputs"})
    assert layer.with_outputs(7).out_shape((4,)) == (7,)
    with pytest.raises(ShapeError, match="outputs"):
        layer.out_shape((4,))


def test_every_composite_passes_the_width_of_the_outputs_on() -> None:
    layer = Layer.parse({"sequential": [{"repeat": {"layers": [{"dense": "outputs"}], "times": 1}}]})
    assert layer.with_outputs(7).out_shape((4,)) == (7,)


def test_a_single_number_per_sample_is_refused() -> None:
    with pytest.raises(ShapeError, match="features"):
        Dense(units=3).out_shape(())


@pytest.mark.parametrize("units", [0, -1, 2.5, "many", True])
def test_a_width_that_is_none_is_refused(units: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        Layer.parse({"dense": units})
