"""Dead and saturated units: the check of a batch and the watch over a training count them alike."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.checks.frozen import FrozenBatch
from nnctl.checks.symptoms import symptoms
from nnctl.experiment.assembly import Experiment
from nnctl.nn.activations import Sigmoid, Softmax, Tanh
from nnctl.nn.rectifiers import Relu
from nnctl.spec.load import load_spec
from nnctl.train.flow import Probe
from nnctl.train.units import dead, saturated

TEXT = """
data: {source: wine, scaling: none}
architecture: [dense: 16, relu, dense: 16, tanh, dense: 8, sigmoid, dense: outputs]
loss: cross_entropy
"""


def test_a_batch_and_a_training_find_the_same_units_dead_and_saturated(spec_file):
    experiment = Experiment(load_spec(spec_file(TEXT)))
    learner, frozen = experiment.learner(), FrozenBatch.of(experiment, 16)
    places = np.flatnonzero(np.isin(experiment.data.train.rows, frozen.rows))
    probe = Probe(learner, experiment.examples(experiment.data.train)[places])
    probe.look(np.zeros_like(learner.network.theta))
    sample = probe.sample(epoch=1, lr=0.1, grad_norm=1.0, jump=1.0)
    found = {unit.path: unit for unit in symptoms(learner.network, learner.loss, frozen.batch).activations}
    learner.team.close()
    assert sample.dead == {path: unit.dead for path, unit in found.items() if unit.kind == "relu"}
    assert sample.saturated == {path: unit.saturated for path, unit in found.items() if unit.kind != "relu"}
    assert max(sample.saturated.values()) > 0.5


@pytest.mark.parametrize("layer", [Tanh(), Sigmoid(), Softmax(), Relu()])
def test_flat_and_dead_are_told_of_what_can_be_so(layer):
    y = np.array([[0.0, 0.999], [0.0, 0.999]])
    assert dead(layer, y) == (0.5 if isinstance(layer, Relu) else None)
    share = {"tanh": 0.5, "sigmoid": 1.0, "softmax": 1.0, "relu": None}[layer.name]
    assert saturated(layer, y) == share
