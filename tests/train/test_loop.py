"""The loop with a probe and without: the same bits, and what it notes of the gradient's norm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec
from nnctl.train.flow import Probe, Sample
from nnctl.train.loop import Epoch, Progress, Training, fit
from nnctl.train.stopping import Patience

WATCHED = """
data: {source: iris}
architecture: [{dense: 8}, batch_norm, relu, {dropout: 0.3}, {dense: 8}, tanh, {dense: outputs}]
loss: cross_entropy
optimizer: {adamw: 1e-2}
regularizers: [{l2: 1e-3}]
clip: {norm: 0.5}
training: {epochs: 15, batch_size: 16, accumulate: 2}
"""


@pytest.fixture
def training(spec_file) -> Training:
    experiment = Experiment(load_spec(spec_file(WATCHED)))
    learner, train = experiment.learner(), experiment.examples(experiment.data.train)
    batches = experiment.batches(train)
    validation = experiment.examples(experiment.data.validation)
    plan, progress = experiment.plan(batches), experiment.progress(batches)
    return Training(learner, batches, experiment.judge, train, validation, plan, progress)


def test_a_probe_changes_no_bit_of_weights_statistics_and_records(training, spec_file):
    watched = Experiment(load_spec(spec_file(WATCHED)))
    learner, batches = watched.learner(), watched.batches(training.train)
    other = replace(
        training,
        learner=learner,
        batches=batches,
        progress=watched.progress(batches),
        probe=Probe(learner, training.train),
    )
    ends = []
    for each in (training, other):
        events = list(fit(each))
        epochs = [event.metrics | {"norm": event.grad_norm} for event in events if isinstance(event, Epoch)]
        ends.append((each.learner.network.theta.tobytes(), each.learner.network.state.tobytes(), epochs))
    assert ends[0] == ends[1]
    assert [event.step for event in events if isinstance(event, Sample)] == [1, 10, 60]


def counted(norms) -> Progress:
    progress = Progress(Patience(), np.zeros((1, 1)))
    for step, norm in enumerate(norms, 1):
        progress.count(norm, step)
    return progress


def test_the_running_median_follows_the_norms_and_outliers_hardly_move_it():
    rng = np.random.default_rng(0)
    norms = rng.lognormal(0.0, 0.5, 2000)
    norms[::20] *= 1e4
    assert counted(norms).norm_median == pytest.approx(np.median(norms), rel=0.15)
    assert counted([*norms[:1000], *norms[:1000] / 50]).norm_median == pytest.approx(np.median(norms) / 50, rel=0.25)


def test_the_jump_is_the_largest_norm_in_multiples_of_the_median_before_it():
    progress = counted([1.0] * 200 + [30.0] + [1.0] * 5)
    assert progress.take_jump() == pytest.approx(30, rel=0.03)
    assert progress.take_jump() == 0
    assert counted([0.0, 0.0, 1.0, 1.0]).take_jump() == 1, "a gradient of zero is no measure"
