"""What the probe measures is what a textbook would compute, and the training does not notice."""

from __future__ import annotations

import json
from math import isnan

import numpy as np
import pytest

from nnctl.core.errors import DataError
from nnctl.data.batches import Batch
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.optim.gradients import Clip, Regularizer
from nnctl.optim.optimizers import Optimizer
from nnctl.train import flow
from nnctl.train.evaluate import Examples
from nnctl.train.flow import Probe, Sample, next_look
from nnctl.train.step import Learner, train_step


def learner(*layers, optimizer="sgd", dtype=np.float64, **settings) -> Learner:
    network = Network(Layout(tuple(Layer.parse(layer) for layer in (*layers, {"dense": 3})), (4,)), dtype=dtype)
    return Learner(network, Loss.parse("cross_entropy"), Optimizer.parse(optimizer), **settings)


def examples(rows: int = 40, dtype=np.float64) -> Examples:
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=rows)
    return Examples(rng.standard_normal((rows, 4)).astype(dtype), y, np.eye(3, dtype=dtype)[y])


def measured(student: Learner, train: Examples, lr: float = 0.5, probe: Probe | None = None) -> Sample:
    """Take one step on all rows and return its sample."""
    probe = probe or Probe(student, train)
    norm = train_step(student, Batch(train.x, train.t, None, 0, len(train.x)), lr, look=probe.look)
    return probe.sample(epoch=1, lr=lr, grad_norm=norm, jump=0.0)


def test_looks_are_dense_at_the_start_and_include_the_last_step():
    looks, step = [], 0
    while step < 1730:
        looks.append(step := next_look(step, 1730))
    assert looks == [1, 10, 100, 500, 1000, 1500, 1730]
    assert next_look(7, 8) == 8
    assert next_look(8, 8) == 8


def test_gradient_and_update_of_every_tensor_are_those_of_the_definition():
    train, student, twin = examples(), learner({"dense": 5}, "tanh"), learner({"dense": 5}, "tanh")
    before = {name: tensor.copy() for name, tensor in student.network.tensors().items()}
    grad = twin.network.tensors(twin.gradient(Batch(train.x, train.t, None, 0, 40)).copy())
    sample = measured(student, train)
    for name, tensor in student.network.tensors().items():
        assert sample.mean_grad[name] == pytest.approx(np.abs(grad[name]).mean(), rel=1e-12)
        assert sample.tensor_norm[name] == pytest.approx(np.linalg.norm(grad[name]), rel=1e-12)
        if before[name].any():
            ratio = np.linalg.norm(tensor - before[name]) / np.linalg.norm(before[name])
            assert sample.update_ratio[name] == pytest.approx(ratio, rel=1e-12)
    assert isnan(sample.update_ratio["0.dense.b"]), "biases start at zero"
    assert sample.grad_norm == pytest.approx(np.linalg.norm(list(sample.tensor_norm.values())), rel=1e-12)
    loss = student.loss.value(student.network.predict(train.x), train.t, None, 40)
    assert sample.loss == pytest.approx(loss, rel=1e-12)


def test_the_gradient_is_that_of_the_loss_without_penalties_and_clipping():
    plain = measured(learner({"dense": 5}), examples())
    bent = measured(
        learner({"dense": 5}, regularizers=[Regularizer.parse({"l2": 1.0})], clip=Clip.parse({"norm": 1e-3})),
        examples(),
    )
    assert bent.mean_grad == plain.mean_grad
    assert bent.update_ratio["0.dense.W"] < plain.update_ratio["0.dense.W"] / 10


def test_accumulated_micro_batches_are_measured_as_one_batch():
    whole, pieces = (
        measured(learner({"dense": 5}), examples()),
        measured(learner({"dense": 5}, micro_rows=7), examples()),
    )
    for name, value in whole.mean_grad.items():
        assert pieces.mean_grad[name] == pytest.approx(value, rel=1e-9)


def test_large_tensors_are_estimated_from_rows_spread_over_them(monkeypatch):
    train = examples()
    exact = measured(learner({"dense": 64}, {"dense": 64}), train)
    monkeypatch.setattr(flow, "SPREAD", 2048)
    estimated = measured(learner({"dense": 64}, {"dense": 64}), train)
    assert estimated.mean_grad != exact.mean_grad
    for figure in ("mean_grad", "tensor_norm"):
        for name, value in getattr(exact, figure).items():
            assert getattr(estimated, figure)[name] == pytest.approx(value, rel=0.25), name
    assert estimated.update_ratio["1.dense.W"] == pytest.approx(exact.update_ratio["1.dense.W"], rel=0.25)


def test_dead_units_are_those_that_are_zero_for_every_row():
    train, student = examples(), learner({"dense": 4}, "relu")
    probe = Probe(student, train)
    student.network.tensors()["0.dense.b"][:] = -1e3, 0, 0, -1e3
    assert measured(student, train, lr=1e-9, probe=probe).dead == {"1.relu": 0.5}


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_saturated_is_where_the_slope_is_under_a_twentieth_of_the_steepest(kind):
    train, student = examples(), learner({"dense": 30}, kind)
    student.network.tensors()["0.dense.W"][:] *= 8
    sample = measured(student, train, lr=0.0)
    a = train.x @ student.network.tensors()["0.dense.W"]
    y = np.tanh(a) if kind == "tanh" else 1 / (1 + np.exp(-a))
    slope = 1 - y**2 if kind == "tanh" else 4 * y * (1 - y)
    assert sample.saturated == {f"1.{kind}": pytest.approx((slope < 0.05).mean(), abs=1e-12)}
    assert 0.05 < (slope < 0.05).mean() < 0.95


def test_what_never_changes_is_told_by_its_bits():
    train, student = examples(), learner({"dense": 4}, "relu")
    student.network.tensors()["0.dense.b"][:] = -1e3
    assert set(measured(student, train).unchanged) == {"0.dense.W", "0.dense.b", "2.dense.W"}


def test_rows_of_all_parts_of_the_training_set_are_looked_at():
    train = examples(5000)
    assert measured(learner(), train).rows == 512
    rows = flow._evenly(512, 5000)
    assert (rows[0], len(set(rows)), rows[-1] > 4980) == (0, 512, True)


def test_a_sample_survives_json_and_what_is_not_finite_is_nan():
    train, student = examples(dtype=np.float32), learner({"dense": 5}, dtype=np.float32)
    with np.errstate(all="ignore"):
        sample = measured(student, train, lr=3e38)
    assert isnan(sample.loss)
    kept = json.loads(json.dumps(sample.record()).replace("NaN", "null"))
    again = Sample.from_record(kept)
    assert repr(again) == repr(sample)
    del kept["loss"]
    with pytest.raises(DataError, match="loss"):
        Sample.from_record(kept)


def test_a_network_without_weights_can_be_measured():
    network = Network(Layout((Layer.parse("tanh"),), (3,)))
    student = Learner(network, Loss.parse("mse"), Optimizer.parse("sgd"))
    x = np.ones((4, 3), np.float32)
    assert Probe(student, Examples(x, x, x)).sample(epoch=1, lr=1.0, grad_norm=0.0, jump=0.0).mean_grad == {}
