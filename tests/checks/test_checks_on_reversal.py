"""The checks on rows that hold a source and an answer, with a target for each of the last positions alone."""

from __future__ import annotations

import numpy as np
import pytest

from nnctl.checks.data import check_data
from nnctl.checks.frozen import FrozenBatch
from nnctl.checks.overfit import overfit_batch
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec

SPEC = """\
name: reversal
data: {source: {reversal: {samples: 200, length: 4, symbols: 9}}, scaling: none}
architecture:
  - dense: 16
  - position: learned
  - segment: {stop: 4, layers: [{transformer_block: {heads: 2}}]}
  - transformer_block: {heads: 2, memory: 4, causal: true}
  - segment: {start: 4, alone: true, layers: [layer_norm]}
  - dense: outputs
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 16}
"""


@pytest.fixture
def reversal(tmp_path) -> Experiment:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return Experiment(load_spec(tmp_path / "spec.yaml"))


def test_the_inputs_of_the_parts_are_compared_though_no_row_has_one_target(reversal):
    drift = check_data(reversal).figures["drift"]
    assert drift.keys() == {"validation", "test"}
    assert all(part["target"] is None and part["distance"] < part["critical"] for part in drift.values())


def test_an_answer_goes_by_the_source_and_by_what_was_written_before_it(reversal):
    frozen = FrozenBatch.of(reversal, 4)
    x = frozen.batch.x.reshape(8, -1)
    seen = frozen.seen.reshape(4, 1 + x.size)
    for position, row in enumerate(seen):
        np.testing.assert_array_equal(row[1:].reshape(x.shape)[: 5 + position], x[: 5 + position])
        assert not row[1:].reshape(x.shape)[5 + position :].any()


def test_a_batch_of_reversals_is_learned_by_heart(reversal):
    assert overfit_batch(reversal, size=8).verdict == "pass"
