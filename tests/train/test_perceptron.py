"""Rosenblatt's perceptron is dense + perceptron loss + sgd, one row at a time."""

from __future__ import annotations

import numpy as np

from nnctl.data.batches import Batch
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.optim.optimizers import Optimizer
from nnctl.train.step import Learner, train_step

POINTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, XOR = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0])


class Rosenblatt:
    """The classical rule, as in his paper: w += lr (y - step(w x + b)) x."""

    def __init__(self, inputs: int) -> None:
        self.w, self.b = np.zeros(inputs), 0.0

    def update(self, x, y, lr) -> None:
        # At w x + b = 0 his step function says 0; the loss, whose labels are -1 and +1, counts 0 as a mistake for both
        # labels, so the two are compared with a threshold that says the wrong thing there.
        z = x @ self.w + self.b
        said = 1 - y if z == 0 else int(z > 0)
        self.w += lr * (y - said) * x
        self.b += lr * (y - said)


def ours(inputs: int) -> Learner:
    layout = Layout((Layer.parse({"dense": {"units": 1, "init": "zeros"}}),), (inputs,))
    network = Network(layout, dtype=np.float64)
    return Learner(network, Loss.parse("perceptron"), Optimizer.parse({"sgd": 1.0}))


def train(labels, epochs: int, lr: float = 1.0) -> tuple[Learner, Rosenblatt]:
    student, classic = ours(2), Rosenblatt(2)
    t = student.loss.encode(labels, 1, np.float64)
    for _ in range(epochs):
        for i in range(4):
            train_step(student, Batch(POINTS[i : i + 1], t[i : i + 1], None, 0, 1), lr)
            classic.update(POINTS[i], labels[i], lr)
            tensors = student.network.tensors()
            assert tensors["0.dense.W"][:, 0].tolist() == classic.w.tolist()
            assert tensors["0.dense.b"][0] == classic.b
    return student, classic


def accuracy(student: Learner, labels) -> float:
    return float((student.loss.labels(student.network.predict(POINTS)) == labels).mean())


def test_it_follows_the_classical_rule_update_by_update_and_learns_and():
    student, _ = train(AND, epochs=20)
    assert accuracy(student, AND) == 1.0


def test_it_cannot_learn_xor():
    student, _ = train(XOR, epochs=200)
    assert accuracy(student, XOR) <= 0.75
    best = max(accuracy(train(XOR, epochs=n)[0], XOR) for n in range(1, 20))
    assert best <= 0.75
