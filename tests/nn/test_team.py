"""A network seen through several replicas computes what it computes through one."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team


def network(*layers, seed: int = 0) -> Network:
    return Network(Layout(tuple(Layer.parse(layer) for layer in layers), (6,)), dtype=np.float64, seed=seed)


def batch(rows: int):
    rng = np.random.default_rng(1)
    t = np.eye(3)[rng.integers(3, size=rows)]
    return rng.standard_normal((rows, 6)), t, rng.random(rows)


NORMED = ({"dense": 5}, "batch_norm", "relu", {"residual": [{"dense": 5}, "tanh"]}, {"dense": 3})


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("rows", [1, 2, 7, 12])
def test_replicas_agree_with_one_on_gradient_outputs_and_statistics(size, rows):
    x, t, w = batch(rows)
    results = []
    for replicas in (1, size):
        net = network(*NORMED)
        team = Team(net, replicas)
        outputs = np.empty((rows, 3))
        grad = team.gradient(Loss.parse("cross_entropy"), x, t, w, divisor=rows, step=0, outputs=outputs).copy()
        team.close()
        results.append((grad, outputs, net.state.copy()))
    for alone, together in zip(*results, strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-14)


def test_the_same_team_gives_the_same_bits():
    x, t, w = batch(12)
    team = Team(network(*NORMED, {"dropout": 0.5}), 2)
    grads = [team.gradient(Loss.parse("cross_entropy"), x, t, w, divisor=12, step=5).tobytes() for _ in range(5)]
    team.close()
    assert len(set(grads)) == 1


def test_replicas_drop_different_units():
    net = network({"dropout": 0.5}, {"dense": 3})
    team = Team(net, 2)
    x, t, _ = batch(8)
    x[4:] = x[:4] = 1.0
    team.gradient(Loss.parse("cross_entropy"), x, t, None, divisor=8, step=0)
    masks = [replica.root.ctx.parts[0].forward(x[:4]).copy() for replica in team.replicas]
    team.close()
    assert not np.array_equal(*masks)


def test_an_error_in_one_replica_reaches_the_caller_and_the_team_survives():
    net = network(*NORMED)
    team = Team(net, 2)
    x, t, w = batch(12)

    def fail(bound, direction, values):
        if bound.ctx.path == "0.dense" and direction == "forward":
            raise RuntimeError("planted")

    team.replicas[1].now.watch = fail
    with pytest.raises(RuntimeError, match="planted"):
        team.gradient(Loss.parse("cross_entropy"), x, t, w, divisor=12, step=0)
    team.replicas[1].now.watch = None
    assert np.isfinite(team.gradient(Loss.parse("cross_entropy"), x, t, w, divisor=12, step=0)).all()
    team.close()


def test_no_replica_is_given_a_shard_without_rows():
    x, t, w = batch(2)
    team = Team(network(*NORMED), 3)
    seen: list[int] = []
    for replica in team.replicas:
        replica.now.watch = lambda _bound, _direction, values: seen.append(1 if values is None else len(values))
    team.gradient(Loss.parse("cross_entropy"), x, t, w, divisor=2, step=0)
    team.close()
    assert seen
    assert min(seen) > 0
