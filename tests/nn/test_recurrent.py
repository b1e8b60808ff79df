"""Recurrent layers: their textbook versions, masks, initial weights, errors, and bugs that must be caught."""

from __future__ import annotations

from functools import partial
from typing import Any

import contract
import numpy as np
import pytest
from contract import Rig
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from reference_recurrence import CELLS, walk

from nnctl.core.arrays import Float
from nnctl.nn.direction import STEPS, Direction, Walk
from nnctl.nn.gru import Gru, GruAfter, GruBefore
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.lstm import Lstm, LstmDirection
from nnctl.nn.network import Network
from nnctl.nn.recurrent import Recurrent
from nnctl.nn.rnn import Rnn, RnnDirection
from nnctl.nn.team import Team

KINDS = [
    ("rnn", {}),
    ("rnn", {"activation": "relu"}),
    ("lstm", {}),
    ("gru", {}),
    ("gru", {"reset": "before"}),
]
every_kind = pytest.mark.parametrize(("name", "fields"), KINDS, ids=[f"{n}-{'-'.join(f.values())}" for n, f in KINDS])


@st.composite
def layers(draw: Any) -> Layer:
    name, fields = draw(st.sampled_from(KINDS))
    return Layer.parse({
        name: {
            "units": draw(st.integers(1, 4)),
            "layers": draw(st.integers(1, 3)),
            "bidirectional": draw(st.sampled_from([False, "concat", "sum"])),
            "returns": draw(st.sampled_from(["last", "sequence", "mean"])),
            **fields,
        }
    })  # fmt: skip


def own(rig: Rig, vector: Float | None = None) -> dict[str, Float]:
    """Return the tensors by the names of the layer's parts."""
    return {name.partition("/")[2]: tensor for name, tensor in rig.network.tensors(vector).items()}


def masked(lengths: list[int], T: int) -> Any:
    return np.arange(T) < np.array(lengths)[:, None]


def of_the_textbook(rig: Rig, x: Float, dy: Float, lengths: list[int]) -> tuple[Float, Float, dict[str, Float]]:
    y, dx = np.zeros_like(dy), np.zeros_like(x)
    total = {name: np.zeros_like(tensor) for name, tensor in own(rig).items()}
    for row, n in enumerate(lengths):
        there = slice(0, n) if rig.layer.returns == "sequence" else slice(None)
        y[row, there], dx[row, :n], found = walk(rig.layer, own(rig), x[row, :n], dy[row, there])
        for name, gradient in found.items():
            total[name] += gradient
    return y, dx, total


def assert_equals_the_textbook(rig: Rig, x: Float, dy: Float, lengths: list[int], mask: Any) -> None:
    y, dx, gradients = of_the_textbook(rig, x, dy, lengths)
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    close(rig.replica.forward(x, training=True, mask=mask), y)
    close(rig.replica.backward(dy.copy()), dx)
    for name, found in own(rig, rig.grad).items():
        close(found, gradients[name], err_msg=name)


@settings(deadline=None, max_examples=60)
@given(
    layer=layers(),
    T=st.sampled_from([1, 2, 5, STEPS, STEPS + 1, 2 * STEPS + 3]),
    D=st.integers(1, 4),
    B=st.integers(1, 4),
)
def test_a_recurrent_layer_equals_its_textbook_version(layer: Layer, T: int, D: int, B: int) -> None:
    rig = Rig(layer, (T, D))
    assert_equals_the_textbook(rig, rig.x(B), rig.dy(B), [T] * B, None)


@settings(deadline=None, max_examples=60)
@given(layer=layers(), T=st.sampled_from([2, 5, STEPS + 2]), data=st.data())
def test_a_padded_sequence_is_what_it_is_without_padding(layer: Layer, T: int, data: Any) -> None:
    """Outputs, states, gradients: those of the sequence cut to its length, whatever stands behind it."""
    lengths = data.draw(st.lists(st.integers(1, T), min_size=1, max_size=4))
    junk = data.draw(st.sampled_from([0.0, 1e6, np.nan]))
    rig, mask = Rig(layer, (T, 3)), masked(lengths, T)
    x, dy = rig.x(len(lengths)), rig.dy(len(lengths))
    x[~mask] = junk
    if layer.returns == "sequence":
        dy[~mask] = 1e6
    assert_equals_the_textbook(rig, x, dy, lengths, mask)


@every_kind
def test_a_mask_of_ones_changes_no_bit(name: str, fields: dict[str, str]) -> None:
    layer = Layer.parse({name: {"units": 3, "layers": 2, "bidirectional": "concat", **fields}})
    plain, shown = Rig(layer, (6, 2)), Rig(layer, (6, 2))
    mask = np.ones((5, 6), bool)
    assert np.array_equal(plain.forward(plain.x()), shown.replica.forward(shown.x(), training=True, mask=mask))
    assert np.array_equal(plain.backward(plain.dy()), shown.backward(shown.dy()))
    assert np.array_equal(plain.grad, shown.grad)


@every_kind
def test_a_sequence_that_is_all_padding_gives_zeros(name: str, fields: dict[str, str]) -> None:
    for returns in ("last", "mean", "sequence"):
        rig = Rig(Layer.parse({name: {"units": 3, "bidirectional": "concat", "returns": returns, **fields}}), (4, 2))
        mask = masked([4, 0, 0, 0, 0], 4)
        assert not rig.replica.forward(rig.x(), training=True, mask=mask)[1:].any()
        assert not rig.backward(rig.dy())[1:].any()


def test_a_mask_of_another_length_is_refused() -> None:
    rig = Rig(Layer.parse({"lstm": 2}), (4, 3))
    with pytest.raises(ShapeError, match=r"each of \(5, 4\) positions .* Got bool of shape \(5, 3\)"):
        rig.replica.forward(rig.x(), training=True, mask=np.ones((5, 3), bool))


def test_two_replicas_with_masks_give_the_gradient_of_one() -> None:
    layout = Layout(
        tuple(Layer.parse(layer) for layer in [{"gru": {"units": 4, "bidirectional": "sum"}}, {"dense": 2}]), (7, 3)
    )
    network, loss = Network(layout, dtype=np.float64), Loss.parse("mse")
    rng = np.random.default_rng(0)
    x, t, mask = rng.normal(size=(5, 7, 3)), rng.normal(size=(5, 2)), masked([7, 1, 4, 2, 6], 7)
    found = []
    for size in (1, 2):
        team = Team(network, size)
        found.append(team.gradient(loss, x, t, None, divisor=5, step=0, mask=mask).copy())
        team.close()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-14)


def test_last_is_where_each_direction_ends() -> None:
    fields = {"units": 2, "bidirectional": "concat"}
    whole = Rig(Layer.parse({"lstm": {**fields, "returns": "sequence"}}), (6, 3))
    last = Rig(Layer.parse({"lstm": fields}), (6, 3))
    sequence, end = whole.forward(whole.x()), last.forward(last.x())
    assert np.array_equal(end, np.concatenate([sequence[:, -1, :2], sequence[:, 0, 2:]], axis=1))


def test_dropout_stands_between_the_layers_and_nowhere_else() -> None:
    def paths(**fields: Any) -> list[str]:
        layout = Layout((Layer.parse({"rnn": {"units": 2, "dropout": 0.5, **fields}}),), (3, 2))
        return [row.path.partition("/")[2] for row in layout.rows[2:]]

    assert paths() == ["0.forward"]
    assert paths(layers=2) == ["0.forward", "1.dropout", "1.forward"]
    rig = Rig(Layer.parse({"rnn": {"units": 50, "layers": 2, "dropout": 0.5}}), (3, 2))
    one, other = rig.forward(rig.x(), step=1).copy(), rig.forward(rig.x(), step=2).copy()
    assert not np.array_equal(one, other)
    assert np.array_equal(rig.forward(rig.x(), training=False), rig.forward(rig.x(), training=False, step=3))


# Initial weights


def tensors(spelling: Any, init: str = "xavier_normal", D: int = 30) -> dict[str, Float]:
    network = Network(Layout((Layer.parse(spelling),), (4, D), Initializer.parse(init)), dtype=np.float64)
    return {name.partition("forward.")[2]: tensor for name, tensor in network.tensors().items()}


@every_kind
def test_every_gate_starts_with_a_rotation_of_the_state(name: str, fields: dict[str, str]) -> None:
    U = tensors({name: {"units": 20, **fields}})["U"]
    for k in range(U.shape[1] // 20):
        block = U[:, 20 * k : 20 * (k + 1)]
        np.testing.assert_allclose(block.T @ block, np.eye(20), atol=1e-12)


@every_kind
def test_the_kernel_starts_as_wide_as_for_one_gate(name: str, fields: dict[str, str]) -> None:
    W = tensors({name: {"units": 100, **fields}}, D=100)["W"]
    assert W.std() == pytest.approx(np.sqrt(2 / 200), rel=0.05)


def test_the_recurrent_kernel_may_start_otherwise() -> None:
    U = tensors({"lstm": {"units": 50, "recurrent_init": {"normal": 0.01}}})["U"]
    assert U.std() == pytest.approx(0.01, rel=0.05)


def test_the_forget_gate_starts_open() -> None:
    assert tensors({"lstm": 2})["b"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert tensors({"lstm": {"units": 1, "forget_bias": -2.0}})["b"].tolist() == [0, -2, 0, 0]


def test_both_kernels_are_decayed_and_biases_are_not() -> None:
    layout = Layout((Layer.parse({"gru": {"units": 3, "layers": 2, "bidirectional": "concat"}}),), (4, 2))
    assert {slot.name.rpartition(".")[2] for slot in layout.slots if slot.param.decayed} == {"W", "U"}
    assert layout.decayed == 2 * (2 * 9 + 3 * 9) + 2 * (6 * 9 + 3 * 9)


# Work and errors


def test_the_work_is_that_of_both_kernels_at_every_step() -> None:
    layout = Layout((Layer.parse({"lstm": {"units": 128, "bidirectional": "sum"}}),), (100, 32))
    assert layout.flop(1) == 2 * 100 * 2 * (32 + 128) * 4 * 128
    assert layout.sharded
    assert layout.largest_product(64) == 0  # many small ones


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (), (0, 3)])
def test_what_is_no_sequence_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"gru needs sequences, \(steps, features\) a sample\. Got"):
        Layer.parse({"gru": 3}).out_shape(shape)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": 0}, "must be > 0"),
        ({"units": 2, "bidirectional": "mean"}, "must be False, 'concat' or 'sum'"),
        ({"units": 2, "return": "sequence"}, "returns"),
        ({"units": 2, "return_sequences": True}, "Write 'returns: sequence'"),
        ({"hidden_size": 2}, "units"),
        ({"units": 2, "num_layers": 2}, "layers"),
    ],
)
def test_a_wrong_field_is_told_with_the_right_one(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Layer.parse({"lstm": fields})


# Bugs that the contract must catch


class NoGradientThroughTime(LstmDirection):
    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        super().step_back(walk, t, dstates, da)
        dstates[0].fill(0)


class CellGradientDropped(LstmDirection):
    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        super().step_back(walk, t, dstates, da)
        dstates[1].fill(0)


class GatesSwapped(LstmDirection):
    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        super().step_back(walk, t, dstates, da)
        da[...] = da.reshape(4, self.units, -1)[[1, 0, 2, 3]].reshape(da.shape)


class StateOfTheWrongStep(LstmDirection):
    def add_recurrent(self, dU: Float, g: Any, walk: Walk, steps: slice, da: Float, ctx: Any) -> None:
        super().add_recurrent(dU, g, walk, slice(steps.start + 1, steps.stop + 1), da, ctx)


class KeptShareForgotten(GruAfter):
    def begin_back(self, walk: Walk, t: int, dh: Float, da: Float) -> None:
        whole = dh.copy()
        super().begin_back(walk, t, dh, da)
        dh[...] = whole


class ResetForgotten(GruBefore):
    def add_recurrent(self, dU: Float, g: Any, walk: Walk, steps: slice, da: Float, ctx: Any) -> None:
        Direction.add_recurrent(self, dU, g, walk, steps, da, ctx)


class BiasOfQForgotten(GruAfter):
    def add_recurrent(self, dU: Float, g: Any, walk: Walk, steps: slice, da: Float, ctx: Any) -> None:
        super().add_recurrent(dU, g, walk, steps, da, ctx)
        g.c.fill(0)


class SlopeForgotten(RnnDirection):
    def step_back(self, walk: Walk, t: int, dstates: tuple[Float, ...], da: Float) -> None:
        np.copyto(da, dstates[0])
        np.matmul(walk.p.U, da, out=dstates[0])


WHOLE: dict[type[Direction], tuple[type[Recurrent], dict[str, Any]]] = {
    NoGradientThroughTime: (Lstm, {"forget_bias": 1.0}),
    CellGradientDropped: (Lstm, {"forget_bias": 1.0}),
    GatesSwapped: (Lstm, {"forget_bias": 1.0}),
    StateOfTheWrongStep: (Lstm, {"forget_bias": 1.0}),
    KeptShareForgotten: (Gru, {}),
    ResetForgotten: (Gru, {}),
    BiasOfQForgotten: (Gru, {}),
    SlopeForgotten: (Rnn, {"activation": "tanh"}),
}
for bug in WHOLE:
    bug.name = bug.__name__


@pytest.mark.parametrize("bug", WHOLE, ids=lambda bug: bug.__name__)
def test_a_bug_in_the_way_back_is_caught(bug: type[Direction], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, fields = WHOLE[bug]
    layer = whole(units=3, returns="sequence")
    contract.gradients_are_the_adjoint(layer, (4, 2))

    def broken(self: Recurrent, *, backwards: bool) -> Direction:
        return bug(backwards=backwards, **fields, **self.shared())

    monkeypatch.setattr(whole, "direction", broken)
    with pytest.raises(AssertionError):
        contract.gradients_are_the_adjoint(layer, (4, 2))


def test_every_recurrent_layer_has_a_textbook_version() -> None:
    assert set(Recurrent.members()) == set(CELLS)
