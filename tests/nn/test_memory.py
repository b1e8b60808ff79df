"""What a layer says it holds is what it allocates: counted, for every layer, batch and use."""

from __future__ import annotations

import numpy as np
import pytest
from contract import Rig

from nnctl.checks.gradients.examples import LAYERS, layer_examples
from nnctl.core.arrays import Array, Shape
from nnctl.nn.layer import Layer
from nnctl.nn.layout import EVALUATED, Layout
from nnctl.nn.memory import Use, borrowed, held
from nnctl.nn.network import Network

CASES = [
    pytest.param(layer, shape, id=f"{name}-{i}")
    for name in LAYERS
    for i, (layer, shape) in enumerate(layer_examples(name))
]


def counted(layer: Layer, shape: Shape, use: Use, mask: Array | None) -> tuple[float, float]:
    """Return the numbers in the buffers after a pass, and those in the scratch."""
    rig = Rig(layer, shape, dtype=np.float32)
    with np.errstate(all="ignore"):
        rig.replica.forward(rig.x(use.rows), training=use.training, mask=mask)
        if use.training:
            rig.replica.backward(rig.dy(use.rows))
    scratch = rig.replica.now.scratch
    return rig.replica.root.ctx.nbytes() / 4, 0 if scratch is None else scratch.nbytes() / 4


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_the_buffers_of_a_layer_are_those_that_it_says(layer: Layer, shape: Shape, training: bool) -> None:
    sequence = len(shape) == 2 and layer.vocabulary() is None
    for rows in (1, 7):
        for padded in (False, True) if sequence else (False,):
            lengths = np.maximum(1, shape[0] - np.arange(rows) % shape[0])
            mask = np.arange(shape[0]) < lengths[:, None] if padded else None
            use = Use(rows, training=training, padded=padded)
            buffers, scratch = counted(layer, shape, use, mask)
            assert held(layer, shape, use) == pytest.approx(buffers, rel=0.01, abs=2.5)
            assert borrowed(layer, shape, use) == pytest.approx(scratch, rel=0.3, abs=1)


LARGE = [
    ({"conv2d": {"channels": 16, "padding": "same"}}, (64, 64, 8)),
    ({"conv2d": {"channels": 8, "padding": "same"}}, (300, 300, 8)),
    ({"conv2d": {"channels": 64, "padding": "same", "groups": 64}}, (32, 32, 64)),
    ({"conv2d": {"channels": 32, "stride": 2, "groups": 2}}, (64, 64, 32)),
    ({"conv2d_transpose": {"channels": 16, "stride": 2, "padding": "same"}}, (32, 32, 16)),
    ({"max_pool": {"kernel": 3, "stride": 2, "padding": "same"}}, (256, 256, 16)),
    ({"attention": {"heads": 4}}, (200, 16)),
]


@pytest.mark.parametrize(("spelling", "shape"), LARGE, ids=str)
def test_scratch_is_bounded_whatever_the_batch_and_priced_as_it_is(spelling: object, shape: Shape) -> None:
    layer = Layer.parse(spelling)
    found = []
    for rows in (4, 12):
        use = Use(rows, training=True)
        _, scratch = counted(layer, shape, use, None)
        found.append(scratch)
        assert borrowed(layer, shape, use) == pytest.approx(scratch, rel=0.25)
    assert found[1] < 1.6 * found[0], "it grows with the batch"


def test_the_gradient_of_the_first_input_is_neither_computed_nor_priced() -> None:
    layout = Layout((Layer.parse({"dense": 8}), Layer.parse("relu"), Layer.parse({"dense": 3})), (100,))
    replica = Network(layout).replica()
    replica.forward(np.ones((5, 100), np.float32), training=True)
    replica.backward(np.ones((5, 3), np.float32))
    assert layout.held(Use(5, training=True, dx=False)) == replica.root.ctx.nbytes() // 4


@pytest.mark.parametrize("net", [[{"dense": 5}], [{"lstm": 64}], [{"dense": 3000}, "relu", {"dense": 3000}]])
def test_a_block_of_inference_holds_a_bounded_amount(net: list[object]) -> None:
    layout = Layout(tuple(map(Layer.parse, net)), (100, 8))
    rows = layout.evaluation_rows
    assert 1 <= rows <= 1024
    assert rows == 1 or layout.held(Use(rows)) <= 1.05 * EVALUATED
