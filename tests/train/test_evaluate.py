"""What a split comes to, also where its rows weigh nothing."""

import math

import numpy as np
import pytest

from nnctl.nn.losses import Loss
from nnctl.train.evaluate import Examples, Judge
from nnctl.train.metrics import Metric


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_rows_that_weigh_nothing_have_no_loss_and_no_metrics(loss):
    found = Loss.parse(loss)
    names = [name for name, metric in Metric.members().items() if metric.task == found.task]
    y = np.array([0, 1, 2]) if loss == "cross_entropy" else np.array([0.5, 1.0, 2.0])
    z = np.random.default_rng(0).normal(size=(3, 3 if loss == "cross_entropy" else 1))
    examples = Examples(z, y, found.encode(y, z.shape[1], float), np.zeros(3), np.zeros(3))
    told = Judge(found, [Metric.parse(name) for name in names]).outputs(z, examples)
    assert told.pop("loss") == 0
    assert set(told) == set(names)
    assert all(math.isnan(value) for value in told.values())
