"""A check changes nothing: training after it gives the bits of training without it, also where it was interrupted."""

from __future__ import annotations

import json
import signal
import sys

import pytest

import nnctl.checks.doctor
import nnctl.checks.lr_find
import nnctl.checks.overfit  # noqa: F401 - so that what they call can be interrupted
from nnctl.runs.store import Run
from nnctl.train.step import train_step

SPEC = """\
name: iris
data: {source: iris, split: {validation: 0.15, test: 0.15}}
architecture: [dense: 8, batch_norm, relu, dropout: 0.2, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
regularizers: [{l2: 1e-4}]
training: {epochs: 3}
"""

CHECKS = {
    "lr-find": ["--steps", "30"],
    "gradcheck": [],
    "overfit-batch": ["--steps", "50"],
    "data": [],
    "doctor": [],
    "lint": [],
}


@pytest.fixture
def weights(nnctl, here):
    """Train the spec and return its last weights and its records, times left out."""
    (here / "spec.yaml").write_text(SPEC)

    def train() -> tuple[dict[str, bytes], list[dict]]:
        answer = nnctl("train", "spec.yaml", "--json", "--no-plot", "--runs-dir", "trained")
        assert answer.code == 0, answer.err
        run = Run.open(here / json.loads(answer.out)["run"])
        tensors, _ = run.load_tensors("last")
        kept = {name: tensor.tobytes() for name, tensor in tensors.items()}
        times = {"seconds", "samples_per_second"}
        return kept, [{k: v for k, v in record.items() if k not in times} for record in run.records.read()]

    return train


@pytest.mark.parametrize("check", CHECKS)
def test_training_after_a_check_has_the_bits_of_training_without_it(check, nnctl, weights, here):
    before = weights()
    answer = nnctl(check, "spec.yaml", *CHECKS[check], "--json")
    assert answer.code in {0, 5}, answer.err
    assert json.loads(answer.out)
    assert (here / "spec.yaml").read_text() == SPEC
    assert weights() == before


@pytest.mark.parametrize("check", ["lr-find", "overfit-batch", "doctor"])
def test_so_has_training_after_a_check_that_was_interrupted(check, nnctl, weights, here):
    before = weights()
    steps = 0

    def interrupted(*arguments, **options):
        nonlocal steps
        steps += 1
        if steps == 20:
            signal.raise_signal(signal.SIGINT)
        return train_step(*arguments, **options)

    users = [found for name, found in sys.modules.items() if name.startswith("nnctl.checks")]
    with pytest.MonkeyPatch.context() as patch:
        for user in users:
            if hasattr(user, "train_step"):
                patch.setattr(user, "train_step", interrupted)
        answer = nnctl(check, "spec.yaml", *CHECKS[check])
    assert answer.code == 130, answer
    assert steps == 20
    assert [json.loads(path.read_text())["status"] for path in (here / "runs").glob("*/check.json")] == ["interrupted"]
    assert weights() == before
