from __future__ import annotations

import numpy as np
import pytest

from nnctl.nn.losses import Loss
from nnctl.train.evaluate import Examples, Judge
from nnctl.train.metrics import Metric

Z = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])  # right, right, wrong, right
Y = np.array([0, 0, 1, 1])
WEIGHT = np.array([0.5, 0.5, 1.5, 1.5])


def judged(w, sample_weight) -> dict[str, float]:
    loss = Loss.parse("cross_entropy")
    judge = Judge(loss, [Metric.parse("accuracy")])
    return judge.outputs(Z, Examples(np.empty((4, 1)), Y, loss.encode(Y, 2, np.float64), w, sample_weight))


def test_class_weights_change_the_loss_and_not_the_metrics():
    plain, weighted = judged(None, None), judged(WEIGHT, None)
    assert plain["accuracy"] == weighted["accuracy"] == 0.75
    assert weighted["loss"] > 1.3 * plain["loss"]


def test_weights_of_rows_change_both():
    assert judged(WEIGHT, WEIGHT)["accuracy"] == pytest.approx(2.5 / 4)
