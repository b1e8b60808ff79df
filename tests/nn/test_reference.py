"""The fast layers equal their slow textbook versions."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import reference_attention
import reference_convolution
import reference_norm
import reference_recurrence
from contract import Rig
from test_contract import CASES

from nnctl.core.arrays import Shape
from nnctl.nn.layer import Layer
from nnctl.nn.preset import Preset

TEXTBOOK = reference.LAYERS | reference_attention.LAYERS | reference_convolution.LAYERS | reference_norm.LAYERS
FORMULAS = [c for c in CASES if c.values[0].name in TEXTBOOK and not getattr(c.values[0], "dropout", 0)]
every_formula = pytest.mark.parametrize(("layer", "shape"), FORMULAS)


def test_every_layer_but_dropout_and_the_composites_has_a_textbook_version() -> None:
    assert set(Layer.members()) - set(TEXTBOOK) - set(reference_recurrence.CELLS) == {
        *("dropout", "spatial_dropout", "alpha_dropout"),
        *("sequential", "residual", "repeat", "parallel", "weight_norm"),
        *(name for name, layer in Layer.members().items() if issubclass(layer, Preset)),
        *("segment", "tied_embedding", "transformer_block"),
    }


@every_formula
def test_a_layer_equals_its_textbook_version(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    forward, backward = TEXTBOOK[layer.name]
    x, dy = rig.x(), rig.dy()
    p = {name.split(".")[-1]: tensor for name, tensor in rig.network.tensors().items()}
    np.testing.assert_allclose(rig.forward(x), forward(layer, p, x), rtol=1e-12, atol=1e-12)
    dx, gradients = backward(layer, p, x, dy)
    np.testing.assert_allclose(rig.backward(dy), dx, rtol=1e-12, atol=1e-12)
    for name, found in rig.network.tensors(rig.grad).items():
        np.testing.assert_allclose(found, gradients[name.split(".")[-1]], rtol=1e-12, atol=1e-12)
