"""Loops that a compiler runs: the bits of NumPy's passes, whatever they are given, and a choice that no run shows."""

import sys
from contextlib import contextmanager

import numpy as np
import pytest
from faults import end_of, finish, start
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnctl.core.compiled import Loop, compile_loops, compiler
from nnctl.experiment import assembly
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.nn import loops as layer_loops
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.network import Network
from nnctl.optim import loops as optimizer_loops
from nnctl.optim.optimizers import SGD, Adam, AdamW, Momentum, RMSprop
from nnctl.spec.load import load_spec

OPTIMIZERS = {
    "sgd": SGD(),
    "momentum": Momentum(),
    "nesterov": Momentum(nesterov=True, form="averaged"),
    "rmsprop": RMSprop(),
    "adam": Adam(),
    "amsgrad": Adam(amsgrad=True, beta2=0.5),
    "adamw": AdamW(weight_decay=0.1),
}
LAYERS = {
    "add_to_rows": {"dense": {"units": 7, "bias_init": "normal"}},
    "through_relu": "relu",
    "through_sigmoid": "sigmoid",
    "through_tanh": "tanh",
}


KEPT: dict[Loop, dict] = {}


@contextmanager
def machine_code():
    """Have the loops of both dtypes compiled; what was compiled is kept for the next time."""
    for loop in Loop.known:
        loop.compiled.update(KEPT.get(loop, {}))
    assert compile_loops(np.float32)
    assert compile_loops(np.float64)
    try:
        yield
    finally:
        for loop in Loop.known:
            KEPT[loop] = dict(loop.compiled)
            loop.compiled.clear()


def both_ways(work):
    """Return what some work comes to in passes of NumPy, and in loops that are compiled."""
    passes = work()
    with machine_code():
        return passes, work()


def same(one, other):
    """Whether two arrays have the same bits; of values that are no number, that they are none."""
    return all(
        a.dtype == b.dtype
        and np.array_equal(a, b, equal_nan=True)
        and (np.signbit(a) == np.signbit(b))[~np.isnan(a)].all()
        for a, b in zip(one, other, strict=True)
    )


def gradients(dtype):
    numbers = st.floats(width=8 * np.dtype(dtype).itemsize)
    return arrays(dtype, (3, 40), elements=numbers | st.sampled_from([0.0, -0.0, 1e-3, -2.5, 1e-30, 1e30]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_compiled_step_has_the_bits_of_the_passes(name, dtype):
    @given(grads=gradients(dtype))
    def holds(grads):
        def work():
            theta = np.random.default_rng(0).standard_normal(40).astype(dtype)
            slots = OPTIMIZERS[name].start(40, dtype)
            with np.errstate(all="ignore"):
                for grad in grads:
                    OPTIMIZERS[name].step(theta, grad, 1e-2, slots, decayed=20)
            return theta, *slots.moments.values()

        assert same(*both_ways(work))

    holds()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_compiled_layer_has_the_bits_of_the_passes(layer, dtype):
    @given(values=gradients(dtype))
    def holds(values):
        def work():
            network = Network(Layout((Layer.parse(layer), Layer.parse("flatten")), (8, 5)), dtype=dtype)
            replica = network.replica(need_dx=True)
            with np.errstate(all="ignore"):
                y = replica.forward(values.reshape(3, 8, 5).copy(), training=True).copy()
                return y, replica.backward(np.resize(values, y.shape))

        assert same(*both_ways(work))

    holds()


def test_a_gradient_with_gaps_in_memory_is_not_lost():
    network = Network(Layout((Layer.parse("relu"),), (4,)))
    replica = network.replica(need_dx=True)
    replica.forward(np.array([[1.0, -1, 1, -1]], np.float32), training=True)
    dy = np.ones((1, 8), np.float32)[:, ::2]
    with machine_code():
        assert replica.backward(dy).tolist() == [[1, 0, 1, 0]]


def test_every_loop_is_compared_with_its_passes():
    found = {loop.plain.__name__ for loop in Loop.known}
    assert found == (set(OPTIMIZERS) - {"adamw"}) | set(LAYERS)
    assert found == {*optimizer_loops.__all__, *layer_loops.__all__} - {"added", "ran"}


@pytest.mark.parametrize("override", ["optimizer=adam", "optimizer={momentum: 0.1}"])
def test_a_long_training_is_compiled_and_ends_with_the_same_bits(spec_file, tmp_path, monkeypatch, override):
    spec = spec_file()
    short = finish(start(spec, tmp_path, override, "architecture.1=relu"))
    monkeypatch.setattr(assembly, "COMPILED_UPDATES", 0)
    try:
        long = finish(start(spec, tmp_path, override, "architecture.1=relu"))
    finally:
        for loop in Loop.known:
            loop.compiled.clear()
    assert end_of(long) == end_of(short)
    assert short.record["environment"]["compiler"] is None
    assert long.record["environment"]["compiler"].startswith("numba ")


def test_where_memory_is_short_nothing_is_compiled(spec_file, tmp_path, monkeypatch):
    experiment = Experiment(load_spec(spec_file()))
    monkeypatch.setattr(assembly, "COMPILED_UPDATES", 0)
    monkeypatch.setattr(assembly, "available_memory", lambda: 100 << 20)
    assert Session.start(experiment, tmp_path).run.record["environment"]["compiler"] is None


def test_without_numba_numpy_trains(spec_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(assembly, "COMPILED_UPDATES", 0)
    assert not compile_loops(np.float32)
    run = finish(start(spec_file(), tmp_path))
    assert run.status == "done"
    assert run.record["environment"]["compiler"] is None
    assert compiler() is None
