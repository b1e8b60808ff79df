"""Targets of every position, and sequences of different lengths: padding weighs nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.data.batches import Batches
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team
from nnctl.optim import Optimizer
from nnctl.train.evaluate import Examples, Judge, Mean
from nnctl.train.loop import Plan, Progress, Training, fit
from nnctl.train.metrics import Metric
from nnctl.train.step import Learner
from nnctl.train.stopping import Patience

N, T, D, K = 23, 6, 3, 4


def network() -> Network:
    return Network(
        Layout((Layer.parse({"dense": 5}), Layer.parse("tanh"), Layer.parse({"dense": K})), (T, D)), dtype=float
    )


def sequences() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((N, T, D)), rng.integers(K, size=(N, T)), rng.integers(1, T + 1, size=N)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("replicas", [1, 2])
def test_the_gradient_is_that_of_the_positions_that_are_there(smoothing, replicas):
    x, y, lengths = sequences()
    loss = Loss.parse({"cross_entropy": {"label_smoothing": smoothing}})
    batch = next(Batches(x, loss.encode(y, K, float), None, 16, lengths=lengths, shuffle=False).epoch(0))
    net = network()
    learner = Learner(net, loss, Optimizer.parse("sgd"), team=Team(net, replicas))
    found = learner.gradient(batch).copy()
    learner.team.close()

    there = np.arange(T) < lengths[:16, None]
    flat = Network(Layout(net.layout.layers, (D,)), dtype=float)
    t = loss.encode(y[:16][there], K, float)
    expected = Team(flat).gradient(loss, x[:16][there], t, None, divisor=there.sum(), step=0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_a_batch_is_as_long_as_its_longest_row_and_rows_of_like_length_come_together():
    x, y, lengths = sequences()
    seen: list[int] = []
    padded = 0
    batches = Batches(x, y, None, 4, lengths=lengths, seed=3)
    for batch in batches.epoch(1):
        rows = batches.order(1)[batch.start : batch.stop]
        longest = lengths[rows].max()
        assert batch.x.shape == (len(rows), longest, D)
        assert np.array_equal(batch.x, x[rows, :longest])
        assert np.array_equal(batch.t, y[rows, :longest])
        if batch.mask is None:
            assert (lengths[rows] == longest).all()
        else:
            assert np.array_equal(batch.mask.sum(1), lengths[rows])
        padded += longest * len(rows) - lengths[rows].sum()
        seen += rows.tolist()
    assert sorted(seen) == list(range(N))
    assert padded < 0.2 * (T * N - lengths.sum())
    assert batches.order(1).tolist() != batches.order(2).tolist()


def test_an_epoch_is_judged_by_all_its_positions():
    x, y, lengths = sequences()
    loss, net = Loss.parse("cross_entropy"), network()
    t = loss.encode(y, K, float)
    judge = Judge(loss, (Metric.parse("accuracy"),))
    examples = Examples(x, y, t, lengths=lengths)
    before = judge.network(net, examples)
    learner = Learner(net, loss, Optimizer.parse({"sgd": 1e-12}))
    batches = Batches(x, t, None, 4, lengths=lengths)
    progress = Progress(Patience(), np.zeros((4, T, K)))
    (epoch,) = fit(Training(learner, batches, judge, examples, examples, Plan(len(batches)), progress))
    for name, value in before.items():
        assert epoch.metrics[f"train_{name}"] == pytest.approx(value, rel=1e-9)
        assert epoch.metrics[f"val_{name}"] == pytest.approx(value, rel=1e-9)

    there = np.arange(T) < lengths[:, None]
    log_p = np.log(loss.predict(net.predict(x)[there]))
    assert before["loss"] == pytest.approx(-log_p[np.arange(len(log_p)), y[there]].mean())
    assert before["accuracy"] == (log_p.argmax(1) == y[there]).mean()


def test_a_mean_can_be_taken_up_again():
    mean = Mean()
    mean.add({"loss": 1.0}, 3)
    again = Mean(**vars(mean))
    again.add({"loss": 2.0}, 1)
    assert again.value == {"loss": 1.25}
