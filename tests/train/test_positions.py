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
from nnctl.train.evaluate import Examples, Judge, Tally
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


def test_a_batch_is_no_shorter_than_a_kernel_that_reads_it():
    x, y, _ = sequences()
    lengths = np.full(N, 2)
    for batch in Batches(x, y, None, 4, lengths=lengths, shortest=5).epoch(0):
        assert batch.x.shape[1] == batch.t.shape[1] == 5
        assert np.array_equal(batch.mask, np.tile([True, True, False, False, False], (len(batch.x), 1)))


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


METRICS = ["accuracy", "balanced_accuracy", {"precision": "macro"}, {"recall": "micro"}, {"f1": "weighted"}, "log_loss"]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_weight_of_a_row_counts_at_its_positions_in_the_loss_and_in_every_metric_of_train_and_validation(task):
    x, y, lengths = sequences()
    weight = np.random.default_rng(1).integers(0, 4, N).astype(float)  # some rows weigh nothing
    loss, names = Loss.parse("cross_entropy"), METRICS
    if task == "regression":
        loss, names, y = (
            Loss.parse("mse"),
            ["mse", "rmse", "mae", "r2"],
            np.random.default_rng(2).normal(size=(N, T, K)),
        )
    net, t = network(), loss.encode(y, K, float)
    judge = Judge(loss, [Metric.parse(name) for name in names])
    w = loss.weights(y, weight, float)
    examples = Examples(x, y, t, w, weight, lengths)
    progress = Progress(Patience(), np.zeros((4, T, K)))
    learner, batches = Learner(net, loss, Optimizer.parse({"sgd": 1e-12})), Batches(x, t, w, 4, lengths=lengths)
    (epoch,) = fit(Training(learner, batches, judge, examples, examples, Plan(len(batches)), progress))

    there = np.arange(T) < lengths[:, None]
    z, each = net.predict(x, examples.mask)[there], np.repeat(weight, lengths)
    expected = {"loss": loss.value(z, t[there], each, each.sum())}
    expected |= {m.name: m.score(y[there], loss.predict(z), loss.labels(z) if task == "classification" else z, each)
                 for m in judge.metrics}  # fmt: skip
    for name, value in expected.items():
        assert epoch.metrics[f"train_{name}"] == pytest.approx(value, rel=1e-6), name
        assert epoch.metrics[f"val_{name}"] == pytest.approx(value, rel=1e-6), name


def test_metrics_over_positions_are_those_of_all_positions_together_whatever_the_blocks(monkeypatch):
    x, y, lengths = sequences()
    loss, net = Loss.parse("cross_entropy"), network()
    judge = Judge(loss, [Metric.parse(spelling) for spelling in [*METRICS, "perplexity"]])
    examples = Examples(x, y, loss.encode(y, K, float), lengths=lengths)
    there = np.arange(T) < lengths[:, None]
    z = net.predict(x, examples.mask)[there]
    labels, prediction = loss.labels(z), loss.predict(z)
    expected = {metric.name: metric.score(y[there], prediction, labels) for metric in judge.metrics}
    for rows in (N, 5, 1):
        monkeypatch.setattr(type(net.layout), "evaluation_rows", rows)
        found = judge.network(net, examples)
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))


@pytest.mark.parametrize("rows", [N, 7, 1])
def test_values_over_positions_are_measured_exactly_whatever_the_blocks(rows):
    rng = np.random.default_rng(0)
    y = 1e6 + rng.normal(size=(N, T, 2))
    z = y + rng.normal(size=(N, T, 2))
    judge = Judge(Loss.parse("mse"), [Metric.parse(name) for name in ("r2", "rmse", "mae", "mse")])
    tally = Tally()
    for start in range(0, N, rows):
        block = slice(start, start + rows)
        judge.add(tally, z[block], Examples(np.zeros((N, T, D))[block], y[block], y[block]))
    said, true = z.reshape(-1, 2), y.reshape(-1, 2)
    expected = {metric.name: metric.score(true, said, said) for metric in judge.metrics}
    found = judge.of_tally(tally)
    assert found.pop("loss") == pytest.approx(expected["mse"])
    assert found == pytest.approx(expected, rel=1e-9)


def test_sums_can_be_taken_up_again():
    x, y, lengths = sequences()
    loss, net = Loss.parse("cross_entropy"), network()
    judge = Judge(loss, [Metric.parse("f1")])
    blocks = [Examples(x[i::3], y[i::3], loss.encode(y[i::3], K, float), lengths=lengths[i::3]) for i in range(3)]
    whole, begun = Tally(), Tally()
    for block in blocks:
        judge.add(whole, net.predict(block.x, block.mask), block)
    judge.add(begun, net.predict(blocks[0].x, blocks[0].mask), blocks[0])
    again = Tally({name: sums.copy() for name, sums in begun.sums.items()}, begun.blocks)
    for block in blocks[1:]:
        judge.add(again, net.predict(block.x, block.mask), block)
    assert judge.of_tally(again) == judge.of_tally(whole)
