from __future__ import annotations

import numpy as np
import pytest

from nnctl.data.batches import Batch
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.optim.gradients import Clip, Regularizer
from nnctl.optim.optimizers import Optimizer
from nnctl.train.step import Learner, NotFinite, first_not_finite, train_step

LAYERS = ({"dense": 5}, "tanh", {"dense": 3})


def learner(layers=LAYERS, optimizer="sgd", dtype=np.float64, **settings) -> Learner:
    network = Network(Layout(tuple(Layer.parse(layer) for layer in layers), (4,)), dtype=dtype)
    return Learner(network, Loss.parse("cross_entropy"), Optimizer.parse(optimizer), **settings)


def batch(rows: int = 12, dtype=np.float64) -> Batch:
    rng = np.random.default_rng(0)
    t = np.eye(3, dtype=dtype)[rng.integers(3, size=rows)]
    return Batch(rng.standard_normal((rows, 4)).astype(dtype), t, None, 0, rows)


def test_a_step_of_sgd_follows_the_numerical_gradient_of_loss_and_penalty():
    student = learner(regularizers=[Regularizer.parse({"l2": 0.1})])
    theta = student.network.theta
    data, start, h = batch(), theta.copy(), 1e-6

    def total() -> float:
        z = student.network.predict(data.x)
        return student.loss.value(z, data.t, None, len(z)) + student.penalty()

    numerical = np.empty_like(theta)
    for i in range(len(theta)):
        theta[i] = start[i] + h
        up = total()
        theta[i] = start[i] - h
        numerical[i] = (up - total()) / (2 * h)
        theta[i] = start[i]
    norm = train_step(student, data, 0.5)
    np.testing.assert_allclose(theta, start - 0.5 * numerical, atol=1e-8)
    assert norm == pytest.approx(np.linalg.norm(numerical), rel=1e-6)


def test_accumulated_micro_batches_take_the_step_of_the_whole_batch():
    whole, pieces = learner(), learner(micro_rows=5)
    outputs = [np.empty((12, 3)), np.empty((12, 3))]
    for student, out in zip((whole, pieces), outputs, strict=True):
        train_step(student, batch(), 0.5, out)
    np.testing.assert_allclose(pieces.network.theta, whole.network.theta, rtol=1e-12)
    np.testing.assert_allclose(*outputs, rtol=1e-12)


def test_every_micro_batch_draws_dropout_of_its_own_also_after_a_shorter_batch(monkeypatch):
    student, positions = learner(micro_rows=4), []
    gradient = student.team.gradient

    def noted(*arguments, step, **named):
        positions.append(step)
        return gradient(*arguments, step=step, **named)

    monkeypatch.setattr(student.team, "gradient", noted)
    for rows in (16, 16, 16, 16, 16, 8, 16, 16):  # the last batch of an epoch is half of the others
        train_step(student, batch(rows), 0.1)
    assert len(positions) == len(set(positions)) == 30


def test_the_norm_is_recorded_before_clipping_and_the_step_taken_after():
    free, clipped = learner(), learner(clip=Clip.parse({"norm": 1e-3}))
    start = free.network.theta.copy()
    norms = [train_step(student, batch(), 1.0) for student in (free, clipped)]
    assert norms[0] == norms[1] > 0.1
    assert np.linalg.norm(clipped.network.theta - start) == pytest.approx(1e-3, rel=1e-2)


def test_l1_leaves_weights_at_exactly_zero_and_biases_alone():
    student = learner(optimizer={"adam": 0.01}, regularizers=[Regularizer.parse({"l1": 0.05})])
    for _ in range(300):
        train_step(student, batch(), 0.01)
    kernels = student.network.theta[: student.decayed]
    assert (kernels == 0).mean() > 0.3
    assert (student.network.theta[student.decayed :] != 0).all()


def test_max_norm_holds_after_every_step():
    student = learner(optimizer={"sgd": 1.0}, regularizers=[Regularizer.parse({"max_norm": 0.5})])
    for _ in range(5):
        train_step(student, batch(), 1.0)
        assert all(np.linalg.norm(kernel, axis=0).max() <= 0.5 + 1e-12 for kernel in student.kernels)


def test_adamw_decays_kernels_and_not_biases_or_norms():
    student = learner(
        layers=({"dense": 5}, "batch_norm", {"dense": 3}), optimizer={"adamw": {"lr": 0.1, "weight_decay": 0.5}}
    )
    before = student.network.theta.copy()
    student.optimizer.step(student.network.theta, np.zeros_like(before), 0.1, student.slots, student.decayed)
    moved = student.network.theta != before
    assert moved[: student.decayed].all()
    assert not moved[student.decayed :].any()


@pytest.mark.parametrize(
    ("planted", "where"),
    [
        (lambda _, data: data.x.__setitem__((0, 0), np.nan), "the inputs of the batch"),
        (lambda student, _: student.network.theta.__setitem__(0, np.nan), "the weights 0.dense.W"),
        (lambda _, data: data.t.__setitem__((0, 0), np.nan), "the gradient of the loss"),
    ],
)
def test_a_value_that_is_not_finite_stops_the_step_and_is_found(planted, where):
    student, data = learner(), batch()
    planted(student, data)
    before = student.network.theta.copy()
    with pytest.raises(NotFinite) as caught:
        train_step(student, data, 0.1)
    assert caught.value.step == 1
    assert np.array_equal(student.network.theta, before, equal_nan=True)
    assert first_not_finite(student, caught.value.batch).startswith(where)


def test_an_overflow_in_float32_is_not_finite_and_raises_no_warning():
    student, data = learner(dtype=np.float32, layers=({"dense": 5}, {"dense": 3})), batch(dtype=np.float32)
    student.network.theta[:] = 1e30
    with pytest.raises(NotFinite):
        train_step(student, data, 0.1)


def test_a_batch_that_fails_leaves_no_trace_in_the_statistics_nor_does_looking_for_the_cause():
    student, data = learner(layers=({"dense": 5}, "batch_norm", {"dense": 3})), batch()
    train_step(student, data, 0.1)
    before = student.network.state.copy()
    data.x[0, 0] = np.nan
    with pytest.raises(NotFinite) as caught:
        train_step(student, data, 0.1)
    assert np.array_equal(student.network.state, before)
    assert first_not_finite(student, caught.value.batch) == "the inputs of the batch"
    assert np.array_equal(student.network.state, before)
