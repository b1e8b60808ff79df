"""A language model interrupted within an epoch: the sums behind its figures go on where they stood."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from nnctl.core.errors import Interrupted
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.spec.load import load_spec

SPEC = """
name: lm
data: {source: {text: {path: a.txt, context: 8}}}
architecture: [{embedding: 4}, {lstm: {units: 4, returns: sequence}}, {dense: outputs}]
loss: cross_entropy
metrics: [perplexity, f1, balanced_accuracy]
training: {epochs: 2, batch_size: 4}
"""


@pytest.mark.parametrize("steps", [1, 7])
def test_the_figures_of_an_epoch_are_those_of_the_run_that_was_never_stopped(spec_file, tmp_path, steps):
    path = spec_file(SPEC)
    (path.parent / "a.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    whole = Session.start(Experiment(load_spec(path)), tmp_path / "whole")
    expected = [epoch.metrics for epoch in whole.epochs()]
    session = Session.start(Experiment(load_spec(path)), tmp_path)
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: signal.SIGINT if session.learner.step >= steps else None):
            pass
    resumed = Session.resume(session.run)
    found = [epoch.metrics for epoch in resumed.epochs()]
    assert found == expected[-len(found) :]
    assert len(found) == 2
    np.testing.assert_array_equal(resumed.learner.network.theta, whole.learner.network.theta)
    assert found[-1]["val_perplexity"] == pytest.approx(np.exp(found[-1]["val_loss"]), rel=1e-6)
