"""Random correct networks raise no alarm, at the start and after some training."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.checks.gradients.network import check_point
from nnctl.data.batches import Batch
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.optim.gradients import Regularizer
from nnctl.optim.optimizers import Optimizer
from nnctl.train.step import Learner, NotFinite, train_step

SHAPES = [(1,), (5,), (20,), (3, 4), (6, 2), (2, 3, 2), (4, 4, 1)]
BENDS = ["relu", "leaky_relu", "prelu", "elu", {"elu": 0.5}, "selu", "gelu", {"gelu": "erf"}, "sigmoid", "tanh"]
BENDS += ["softplus", "swish", "softmax", "linear", {"prelu": {"shared": True}}]
INITS = ["auto", "he_normal", "xavier_uniform", "orthogonal", {"normal": 1.0}, {"normal": 0.01}]
LOSSES = ["mse", "mae", "huber", {"huber": 0.1}, "cross_entropy", {"cross_entropy": {"label_smoothing": 0.1}}]
LOSSES += ["binary_cross_entropy", "hinge", "perceptron"]
PENALTIES = [[], [{"l2": 1e-3}], [{"l1": 1e-3}], [{"l2": {"rate": 0.1, "biases": True}}, {"max_norm": 2.0}]]
OPTIMIZERS = [{"sgd": 0.05}, {"adam": 0.01}, {"momentum": 0.01}, {"rmsprop": 0.005}]
SCALES = [1.0, 1.0, 0.01, 100.0]


def pick(rng, options):
    return options[rng.integers(len(options))]


def random_block(rng, width):
    dense = {"dense": {"units": width, "bias": bool(rng.random() < 0.8)}}
    norm = pick(rng, [[], [], ["batch_norm"], ["layer_norm"]])
    drop = pick(rng, [[], [], [{"dropout": float(rng.uniform(0, 0.7))}]])
    return [dense, *norm, pick(rng, BENDS), *drop]


def random_layers(rng, shape, outputs):
    width = int(rng.integers(1, 12))
    layers = random_block(rng, width)
    for _ in range(rng.integers(0, 4)):
        block = random_block(rng, width)
        layers += pick(rng, [block, [{"residual": block}], [{"repeat": {"layers": block, "times": 2}}]])
    layers += [{"sequential": ["flatten"]}] if len(shape) > 1 else []
    return tuple(Layer.parse(layer) for layer in [*layers, {"dense": outputs}])


def random_batch(rng, shape, loss):
    rows, classes = int(rng.integers(2, 33)), int(rng.integers(2, 6))
    if loss.name == "binary_cross_entropy":
        classes = 2
    outputs = loss.outputs(classes if loss.task == "classification" else None, int(rng.integers(1, 4)))
    y = rng.normal(size=(rows, outputs)) if loss.task == "regression" else rng.integers(0, classes, rows)
    w = rng.uniform(0.1, 2, rows) if rng.random() < 0.3 else None
    x = rng.normal(size=(rows, *shape)) * pick(rng, SCALES) + pick(rng, [0.0, 0.0, 1.0])
    return x, loss.encode(y, outputs, np.float64), w


def alarms(seed):
    """Return the verdicts that are not "pass", of a network drawn by a seed and trained for 20 steps."""
    rng = np.random.default_rng(seed)
    shape, loss = pick(rng, SHAPES), Loss.parse(pick(rng, LOSSES))
    x, t, w = random_batch(rng, shape, loss)
    layout = Layout(random_layers(rng, shape, t.shape[1]), shape, Initializer.parse(pick(rng, INITS)))
    network = Network(layout, dtype=np.float64, seed=seed)
    penalties = [Regularizer.parse(spelling) for spelling in pick(rng, PENALTIES)]
    learner = Learner(network, loss, Optimizer.parse(pick(rng, OPTIMIZERS)), regularizers=penalties)
    found = []
    for when in ("at the start", "trained"):
        point = check_point(when, network, loss, penalties, Batch(x, t, w, 0, len(x)), lambda _: None)
        lines = [point.loss_line, *point.lines, *(line for _, line in point.penalties)]
        found += [(when, line.name, line.words()) for line in lines if line.verdict != "pass"]
        try:
            for _ in range(20):
                train_step(learner, Batch(x, t, w, 0, len(x)), learner.optimizer.lr)
        except NotFinite:
            break
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_random_correct_network_raises_no_alarm(seed):
    assert not alarms(seed)


@pytest.mark.slow
def test_two_hundred_random_correct_networks_raise_no_alarm():
    assert {seed: found for seed in range(1000, 1200) if (found := alarms(seed))} == {}
