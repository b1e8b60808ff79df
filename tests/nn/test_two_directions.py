"""Two directions side by side: the bits of one after the other, and cores that are not counted twice."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nnctl.core.arrays import Float
from nnctl.experiment import assembly
from nnctl.experiment.assembly import blas_threads
from nnctl.nn import recurrent, team
from nnctl.nn.direction import Walk
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.lstm import LstmDirection
from nnctl.nn.network import Network
from nnctl.nn.team import Team, replicas_for

BOTH = {"lstm": {"units": 8, "layers": 2, "dropout": 0.3, "bidirectional": "concat", "returns": "mean"}}


def layout(*layers: object, shape: tuple[int, ...] = (9, 5)) -> Layout:
    return Layout(tuple(Layer.parse(layer) for layer in layers), shape)


def gradient_of(lanes: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Float, set[str]]:
    network, loss = Network(layout(BOTH, {"dense": 3})), Loss.parse("mse")
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((6, 9, 5), dtype=np.float32), rng.standard_normal((6, 3), dtype=np.float32)
    mask = np.arange(9) < np.array([9, 1, 4, 7, 2, 9])[:, None]
    names, plain = set(), LstmDirection.step

    def noted(self: LstmDirection, walk: Walk, t: int) -> None:
        names.add(threading.current_thread().name.partition("_")[0])
        plain(self, walk, t)

    crew = Team(network)
    crew.replicas[0].now.lanes = lanes
    with monkeypatch.context() as patched:
        patched.setattr(LstmDirection, "step", noted)
        for step in range(2):
            found = crew.gradient(loss, x, t, None, divisor=6, step=step, mask=mask)
    return found, names


def test_side_by_side_they_have_the_bits_of_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "WORTH_MEETING", 0)
    (alone, one_thread), (beside, two_threads) = (gradient_of(lanes, monkeypatch) for lanes in (1, 2))
    assert np.array_equal(alone, beside)
    assert one_thread == {"MainThread"}
    assert two_threads == {"MainThread", "piece"}


def test_what_is_short_has_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gradient_of(2, monkeypatch)[1] == {"MainThread"}


def test_who_watches_sees_one_layer_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "WORTH_MEETING", 0)
    replica = Network(layout(BOTH)).replica()
    replica.now.lanes = 2
    seen = []
    replica.now.watch = lambda *_: seen.append(threading.current_thread().name)
    replica.backward(replica.forward(np.ones((2, 9, 5), np.float32), training=True).copy())
    assert set(seen) == {"MainThread"}


def test_an_error_of_the_second_direction_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "WORTH_MEETING", 0)
    replica = Network(layout(BOTH)).replica()
    replica.now.lanes = 2
    backward = next(bound for bound in replica.bound() if bound.ctx.path.endswith("backward"))
    monkeypatch.setattr(backward, "layer", None)
    with pytest.raises(AttributeError):
        replica.forward(np.ones((2, 9, 5), np.float32), training=True)


def test_a_replica_of_two_directions_has_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    large = {"lstm": {"units": 64, "bidirectional": "sum"}}
    one_way = {"lstm": {"units": 64}}
    for cores, both, one in ((1, 1, 1), (2, 1, 2), (4, 2, 4), (5, 2, 5)):
        monkeypatch.setattr(team, "cores", lambda found=cores: found)
        assert replicas_for(layout(large, {"dense": 3}, shape=(50, 16)), 64) == both
        assert replicas_for(layout(one_way, {"dense": 3}, shape=(50, 16)), 64) == one
        crew = Team(Network(layout(large, shape=(50, 16))), both)
        assert {replica.now.lanes for replica in crew.replicas} == {2 if cores > 1 else 1}
        crew.close()
    # Where another layer has work of its own, the cores go to replicas.
    mixed = layout(large, {"dense": 3000}, {"dense": 3}, shape=(5, 16))
    assert not mixed.two_ways
    assert Team(Network(mixed)).replicas[0].now.lanes == 1


def test_blas_has_one_thread_beside_two_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (team, assembly):
        monkeypatch.setattr(module, "cores", lambda: 2)
    large = {"lstm": {"units": 64, "bidirectional": "concat"}}
    assert blas_threads(layout(large, {"dense": 1000}, shape=(50, 16)), 64) == 1
