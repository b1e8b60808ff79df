"""The layer contract as functions that raise AssertionError; see nnctl/nn/layer.py for its terms.

`test_contract` holds every registered layer to it, `test_seeded_bugs` shows that broken layers fail it.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from math import prod
from unittest.mock import patch

import numpy as np

from nnctl.checks.gradients.differences import PASS, Evaluation, Ruler, Tensor
from nnctl.core.arrays import Array, Float, Shape
from nnctl.nn.dense import Dense
from nnctl.nn.global_pool import GlobalAvgPool
from nnctl.nn.layer import Context, Layer
from nnctl.nn.layout import Layout
from nnctl.nn.network import Network

BATCH = 5


class Rig:
    """A layer bound alone, with random parameters and statistics, and random batches for it."""

    def __init__(self, layer: Layer, shape: Shape, *, dtype: type = np.float64, need_dx: bool = True) -> None:
        self.layer, self.shape, self.dtype = layer, shape, dtype
        self.network = Network(Layout((layer,), shape), dtype=np.float64, seed=3)
        rng = np.random.default_rng(1)
        theta = self.network.theta + rng.normal(0, 0.3, self.network.theta.shape)
        state = np.abs(self.network.state + rng.normal(0, 0.3, self.network.state.shape)) + 0.1
        self.network = Network(Layout((layer,), shape), dtype=dtype, seed=3)
        self.network.theta[...] = theta
        self.network.state[...] = state
        self.replica = self.network.replica(need_dx=need_dx)
        self.grad = self.replica.grad

    def x(self, batch: int = BATCH) -> Float:
        """Return inputs that keep away from the kinks at zero, or tokens."""
        tokens = self.layer.vocabulary()
        if tokens is not None:
            return np.random.default_rng(2).integers(0, tokens, (batch, *self.shape)).astype(self.dtype)
        z = np.random.default_rng(2).normal(size=(batch, *self.shape))
        return (z + 0.05 * np.sign(z)).astype(self.dtype)

    def dy(self, batch: int = BATCH) -> Float:
        shape = self.layer.out_shape(self.shape)
        return np.random.default_rng(4).normal(size=(batch, *shape)).astype(self.dtype)

    def forward(self, x: Float, *, training: bool = True, step: int = 7) -> Float:
        return self.replica.forward(x, training=training, step=step)

    def backward(self, dy: Float) -> Float:
        """Run backward on a copy of dy and return a copy of dx."""
        dx = self.replica.backward(dy.copy())
        assert dx is not None, "backward returned no dx though it is needed"
        return dx.copy()

    def contexts(self) -> list[Context]:
        return [bound.ctx for bound in self.replica.bound()]


def forward_leaves_its_input_alone(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    for training in (True, False):
        x = rig.x()
        rig.forward(x, training=training)
        assert np.array_equal(x, rig.x()), "forward wrote to x"


def backward_destroys_dy_and_nothing_else(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    for training in (True, False):
        x = rig.x()
        y = rig.forward(x, training=training)
        theta, state, y_before = rig.network.theta.copy(), rig.network.state.copy(), y.copy()
        dx = rig.backward(rig.dy())
        grad = rig.grad.copy()
        assert np.array_equal(x, rig.x()), "backward wrote to x"
        assert np.array_equal(y, y_before), "backward wrote to y"
        assert np.array_equal(rig.network.theta, theta), "backward wrote to theta"
        assert np.array_equal(rig.network.state, state), "backward wrote to state"
        assert np.array_equal(rig.backward(rig.dy()), dx), "a second backward gives another dx"
        assert np.array_equal(rig.grad, grad), "a second backward gives another gradient"


def backward_overwrites_every_gradient(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    rig.forward(rig.x())
    found = []
    for junk in (np.nan, 1e3):
        rig.grad.fill(junk)
        rig.backward(rig.dy())
        found.append(rig.grad.copy())
    assert np.isfinite(found[0]).all(), "a gradient was not overwritten"
    assert np.array_equal(found[0], found[1]), "a gradient was added to what was there"


def buffers_are_reused(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)

    def outcome(rig: Rig, batch: int) -> tuple[Float, Float, Float]:
        y = rig.forward(rig.x(batch)).copy()
        return y, rig.backward(rig.dy(batch)), rig.grad.copy()

    outcome(rig, BATCH)
    held = [{name: id(buffer) for name, buffer in ctx._backing.items()} for ctx in rig.contexts()]
    for batch in (BATCH, BATCH - 2, BATCH):
        for found, expected in zip(outcome(rig, batch), outcome(Rig(layer, shape), batch), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=f"batch of {batch}")
        now = [{name: id(buffer) for name, buffer in ctx._backing.items()} for ctx in rig.contexts()]
        assert now == held, "a buffer was allocated anew"


def no_large_temporary_is_allocated(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    batch = -(-(2**17) // prod(shape))
    x, dy = rig.x(batch), rig.dy(batch)
    peak = 0
    for _ in range(2):
        tracemalloc.start()
        rig.forward(x)
        rig.replica.backward(dy)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < x.nbytes / 2, f"the second pass allocated {peak} bytes for an input of {x.nbytes}"


def gradients_are_the_adjoint(layer: Layer, shape: Shape) -> None:
    """Compare <J' dy, v> with <dy, J v> by central differences, for the input and every parameter."""
    rig = Rig(layer, shape)
    for training in (True, False):
        x, dy = rig.x(), rig.dy()
        rig.forward(x, training=training)
        gradients = {"x": rig.backward(dy), **rig.network.tensors(rig.grad)}
        places = {"x": x, **rig.network.tensors()}
        tensors = [Tensor(name, places[name], g.copy()) for name, g in gradients.items()]
        ruler = Ruler(partial(_along, rig, x, dy, training), tensors)
        for tensor in tensors:
            found = ruler.compare(tensor)
            mode = "training" if training else "inference"
            assert found.judged, f"d{tensor.name} in {mode}: every derivative lies on a corner"
            assert found.error < PASS, f"d{tensor.name} in {mode}: {found}"


def _along(rig: Rig, x: Float, dy: Float, training: bool) -> Evaluation:
    return Evaluation(dy * rig.forward(x, training=training))


def spec_round_trips(layer: Layer, shape: Shape) -> None:
    for full in (True, False):
        written = json.loads(json.dumps(layer.spelled(full=full)))
        assert Layer.parse(written) == layer, f"written as {written}"


def out_shape_is_true(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    for training in (True, False):
        y = rig.forward(rig.x(), training=training)
        assert y.shape == (BATCH, *layer.out_shape(shape)), "out_shape told another shape"
        assert rig.backward(rig.dy()).shape == (BATCH, *shape), "dx has not the shape of x"


def batch_of_one_works(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    for training in (True, False):
        y = rig.forward(rig.x(1), training=training)
        assert y.shape == (1, *layer.out_shape(shape))
        assert np.isfinite(y).all()
        assert np.isfinite(rig.backward(rig.dy(1))).all()
        assert np.isfinite(rig.grad).all()


def inference_is_deterministic(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    state = rig.network.state.copy()
    with patch.object(Context, "bits", side_effect=AssertionError("inference asked for random bits")):
        first = rig.forward(rig.x(), training=False, step=1).copy()
        second = rig.forward(rig.x(), training=False, step=2).copy()
    assert np.array_equal(first, second), "two inference passes differ"
    assert np.array_equal(rig.network.state, state), "inference changed the statistics"
    alone = np.concatenate([rig.forward(row[None], training=False).copy() for row in rig.x()])
    np.testing.assert_allclose(alone, first, rtol=1e-12, atol=1e-12, err_msg="a sample's output depends on its batch")


def training_repeats_at_the_same_step(layer: Layer, shape: Shape) -> None:
    rig = Rig(layer, shape)
    first = rig.forward(rig.x(), step=7).copy()
    rig.forward(rig.x(), step=8)
    assert np.array_equal(rig.forward(rig.x(), step=7), first), "the same step gives another output"


def float32_stays_float32(layer: Layer, shape: Shape) -> None:
    single, double = Rig(layer, shape, dtype=np.float32), Rig(layer, shape)
    for training in (True, False):
        y, exact = single.forward(single.x(), training=training), double.forward(double.x(), training=training)
        assert y.dtype == np.float32, f"y is {y.dtype}"
        dx, exact_dx = single.replica.backward(single.dy()), double.backward(double.dy())
        assert dx is not None
        assert dx.dtype == np.float32, f"dx is {dx.dtype}"
        for found, expected in ((y, exact), (dx, exact_dx), (single.grad, double.grad)):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg="float32 and float64 differ")
    for ctx in single.contexts():
        wide = [name for name, buffer in ctx._backing.items() if buffer.dtype == np.float64]
        assert not wide, f"float64 buffers: {wide}"


def gradients_do_not_need_dx(layer: Layer, shape: Shape) -> None:
    whole, spared = Rig(layer, shape), Rig(layer, shape, need_dx=False)
    for rig in (whole, spared):
        rig.forward(rig.x())
        rig.replica.backward(rig.dy())
    np.testing.assert_allclose(
        spared.grad, whole.grad, rtol=1e-12, atol=1e-12, err_msg="without dx the gradients are others"
    )


def dropout_drops_and_keeps_the_mean(layer: Layer, shape: Shape) -> None:
    """Hold dropout to its statistics, over 400 steps: the share dropped, the expected value, independence."""
    rig, rate = Rig(layer, shape), layer.rate
    x, steps = np.ones((50, *shape)), 400
    y = np.stack([rig.forward(x, step=step).copy() for step in range(steps)])
    deviations = 5 / np.sqrt(y.size)  # five standard deviations of a mean of values with variance one
    dropped = (y == 0).mean()
    assert abs(dropped - rate) < deviations * np.sqrt(rate * (1 - rate)), f"dropped {dropped}"
    assert abs(y.mean() - 1) < deviations * np.sqrt(rate / (1 - rate)), f"the mean became {y.mean()}"
    noise = y - y.mean()
    for axis in range(noise.ndim):
        together = (noise * np.roll(noise, 1, axis)).mean() / max(noise.var(), 1e-12)
        assert abs(together) < deviations, f"neighbours along axis {axis} are dropped together: {together}"


Check = Callable[[Layer, Shape], None]

CONTRACT: tuple[Check, ...] = (
    forward_leaves_its_input_alone,
    backward_destroys_dy_and_nothing_else,
    backward_overwrites_every_gradient,
    buffers_are_reused,
    no_large_temporary_is_allocated,
    gradients_are_the_adjoint,
    out_shape_is_true,
    batch_of_one_works,
    inference_is_deterministic,
    training_repeats_at_the_same_step,
    float32_stays_float32,
    gradients_do_not_need_dx,
)
"""All but the spec's round trip, which only registered layers can make."""


def padding_changes_nothing(layer: Layer, shape: Shape) -> None:
    """Hold a layer of sequences to the mask, with layers around it that give padding a value and change the mask."""
    tokens = layer.vocabulary()
    before = () if tokens is not None else (Dense(units=shape[1]),)
    after = (GlobalAvgPool(),) if len(layer.out_shape(shape)) == 2 else ()
    for layers in ((*before, layer), (*before, layer, *after)):
        network = Network(Layout(layers, shape), dtype=np.float64, seed=3)
        network.theta += np.random.default_rng(1).normal(0, 0.3, network.theta.shape)
        lengths = np.array([shape[0], max(1, shape[0] - 2), max(1, shape[0] - 1), 1])
        mask = np.arange(shape[0]) < lengths[:, None]
        start, found = network.state.copy(), []
        for junk in (0, 1, 1e9):
            np.copyto(network.state, start)
            replica = network.replica(need_dx=True)
            y = replica.forward(_with_junk(mask, shape, tokens, junk), training=True, step=7, mask=mask)
            left = replica.now.mask
            dy = np.random.default_rng(4).normal(size=y.shape)
            if left is not None:
                assert left.shape == y.shape[:2], "the mask that is left is not that of the output"
                dy[~left] = 0
                y = y[left]
            y = y.copy()
            dx = replica.backward(dy)
            assert dx is not None
            assert not dx[~mask].any(), "padding has a gradient"
            found.append((y, dx, replica.grad.copy(), network.state.copy()))
        for what, one, *others in zip(("output", "dx", "gradient", "statistics"), *found, strict=True):
            for other in others:
                np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12, err_msg=f"padding changes the {what}")


def _with_junk(mask: Array, shape: Shape, tokens: int | None, junk: float) -> Array:
    rng, other = np.random.default_rng(2), np.random.default_rng(int(junk))
    size = (len(mask), *shape)
    if tokens is not None:
        return np.where(mask, rng.integers(0, tokens, size), other.integers(0, tokens, size)).astype(np.float64)
    return np.where(mask[..., None], rng.normal(size=size), junk * other.normal(size=size))
