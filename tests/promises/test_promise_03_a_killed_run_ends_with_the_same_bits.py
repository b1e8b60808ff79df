"""Promise 3: killed and resumed, a run ends with the bits of the one that was never stopped."""

from __future__ import annotations

import numpy as np
import pytest
from faults import KILLED, answer_of, end_of, finish, forked, resumed, start
from PIL import Image
from scipy.io import wavfile

from nnctl.core.errors import Interrupted
from nnctl.experiment import session as module
from nnctl.runs.store import Run

IRIS = "data: {source: iris}\nloss: cross_entropy\ntraining: {epochs: 4, batch_size: 16}\n"
DIGITS = """
data:
  source: {images: {path: digits, color: grey, keep: disk}}
  scaling: pixels
  augment: [flip, {random_crop: 1}, mixup]
loss: cross_entropy
training: {epochs: 3, batch_size: 8}
"""
SINE = "data: {source: {adding: {samples: 80, length: 9}}}\nloss: mse\ntraining: {epochs: 3, batch_size: 8}\n"
TEXT = """
data: {source: {text: {path: text.txt, context: 12}}}
loss: cross_entropy
training: {epochs: 2, batch_size: 8}
"""
SOUNDS = """
data:
  source: {audio: {path: sounds, features: {log_mel: {mels: 8}}}}
  augment: [{white_noise: [10, 20]}]
loss: cross_entropy
training: {epochs: 3, batch_size: 8}
"""
SPECS = {
    "dense with everything": IRIS.replace("16}", "16, accumulate: 2}")
    + """
architecture: [dense: 8, batch_norm, prelu, dropout: 0.3, {residual: [dense: 8, tanh]}, dense: outputs]
optimizer: {adamw: {lr: 1e-2, amsgrad: true}}
schedule: {cosine: {warmup: 5 steps}}
regularizers: [{l2: 1e-3}, {max_norm: 2}]
clip: {norm: 0.5}
early_stopping: {patience: 5}
""",
    "weight norm, noise, one cycle": IRIS.replace("{source: iris}", "{source: iris, augment: [{noise: 0.1}]}")
    + "architecture: [{weight_norm: [dense: 8, relu, dense: outputs]}]\n"
    + "optimizer: {momentum: {lr: 0.05, nesterov: true}}\nschedule: {one_cycle: {warmup: 0.3}}\n",
    "plateau, alpha dropout": IRIS
    + "architecture: [dense: 8, selu, alpha_dropout: 0.1, dense: outputs]\n"
    + "optimizer: {rmsprop: 0.05}\nschedule: {reduce_on_plateau: {patience: 1, factor: 0.5, min_delta: 9}}\n",
    "images on disk, mixed": DIGITS
    + "architecture: [{conv2d: {channels: 4, kernel: 3}}, batch_norm, relu, {max_pool: 2}, flatten, dense: outputs]\n",
    "a bidirectional lstm": SINE + "architecture: [{lstm: {units: 5, bidirectional: concat}}, dense: outputs]\n",
    "sequences of many lengths": SOUNDS + "architecture: [{gru: {units: 5}}, dropout: 0.2, dense: outputs]\n",
    "a transformer with tied embeddings": TEXT
    + "architecture: [{tied_embedding: {width: 8, layers: [position, "
    + "{transformer_block: {heads: 2, causal: true, dropout: 0.1}}]}}]\n",
}


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("zero", "one"):
        (tmp_path / "digits" / kind).mkdir(parents=True)
        for i in range(25):
            picture = rng.integers(0, 255, (8, 8)).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / "digits" / kind / f"{i}.png")
    for kind in ("noise", "silence"):
        (tmp_path / "sounds" / kind).mkdir(parents=True)
        for i in range(40):
            wave = rng.integers(-9000, 9000, rng.integers(800, 3000)) * (kind == "noise")
            wavfile.write(tmp_path / "sounds" / kind / f"{i}.wav", 8000, wave.astype(np.int16))
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 30)


def kill_at(session, step: int) -> None:
    """Train, and vanish before a step."""
    import os
    import signal

    def signalled() -> None:
        if session.learner.step >= step:
            os.kill(os.getpid(), signal.SIGKILL)

    finish_with(session, signalled)


def finish_with(session, signal) -> Run:
    for _ in session.epochs(signal):
        pass
    return session.run


@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SPECS)
def test_it_ends_with_the_same_weights_metrics_and_memory_of_the_optimizer(
    spec_file, tmp_path, files, monkeypatch, name, kills
):
    spec = spec_file(SPECS[name])
    whole, steps = answer_of(lambda: trained(spec, tmp_path / "whole"), tmp_path)
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)  # before every step
    rng = np.random.default_rng(len(name))
    assert forked(lambda: kill_at(start(spec, tmp_path / "runs"), int(rng.integers(2, steps)))) == KILLED
    (path,) = (tmp_path / "runs").iterdir()
    for _ in range(kills - 1):
        step = int(rng.integers(1, steps))
        assert forked(lambda step=step: kill_at(resumed(Run.open(path)), step)) == KILLED
    assert answer_of(lambda: end_of(finish(resumed(Run.open(path)))), tmp_path) == whole


def trained(spec, root) -> tuple:
    session = start(spec, root)
    run = finish(session)
    return end_of(run), session.learner.step


def test_replicas_are_those_that_the_run_began_with_whatever_the_cores(spec_file, tmp_path, monkeypatch):
    spec = spec_file(SPECS["a bidirectional lstm"])
    monkeypatch.setattr("nnctl.experiment.assembly.replicas_for", lambda *_: 3)
    whole = end_of(finish(start(spec, tmp_path / "whole")))
    session = start(spec, tmp_path / "runs")
    with pytest.raises(Interrupted):
        finish_with(session, lambda: 2 if session.learner.step >= 11 else None)
    monkeypatch.setattr("nnctl.experiment.assembly.replicas_for", lambda *_: 1)
    again = resumed(session.run)
    assert again.learner.team.size == 3
    assert end_of(finish(again)) == whole


def test_the_best_weights_and_the_patience_spent_since_them_are_taken_up(spec_file, tmp_path):
    spec = spec_file(
        IRIS.replace("epochs: 4", "epochs: 9")
        + "architecture: [dense: 8, batch_norm, relu, dense: outputs]\n"
        + "early_stopping: {patience: 3, min_delta: 9}\n"  # so that nothing is better than the first epoch
    )
    whole = finish(start(spec, tmp_path / "whole"))
    assert (whole.record["summary"]["best_epoch"], whole.record["summary"]["epochs"]) == (1, 4)
    session = start(spec, tmp_path / "runs")
    with pytest.raises(Interrupted):
        finish_with(session, lambda: 2 if session.learner.step >= 17 else None)
    assert end_of(finish(resumed(session.run))) == end_of(whole)
