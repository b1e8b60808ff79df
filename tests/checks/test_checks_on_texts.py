"""The checks on texts: labelled ones of different lengths, and a target for every position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnctl.checks.baselines import against_linear_model, without_inputs
from nnctl.checks.data import check_data
from nnctl.checks.frozen import FrozenBatch
from nnctl.checks.goal import Goal
from nnctl.checks.gradcheck import gradcheck_experiment
from nnctl.checks.learning_rate import pace
from nnctl.checks.learning_rate.trials import starts
from nnctl.checks.lr_find import lr_find
from nnctl.checks.overfit import overfit_batch
from nnctl.checks.short_run import ShortRun
from nnctl.checks.start import check_start
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec

MODEL = """\
name: model
data: {source: {text: {path: text.txt, context: 12}}}
architecture: [{embedding: 8}, {gru: {units: 24, returns: sequence}}, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.02}
training: {epochs: 2, batch_size: 16}
"""
REVIEWS = """\
name: reviews
data: {source: {texts: text.csv}, split: {validation: 0.2, test: 0}}
architecture: [{embedding: 8}, {gru: {units: 8}}, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.02}
training: {epochs: 10, batch_size: 16}
"""


def experiment(folder: Path, spec: str, text: str | None = None) -> Experiment:
    (folder / "text.txt").write_text(text or "the cats sat on the mat; a dog ran off with the hat. " * 20)
    words = ["a", "so", "very", "film", "plot", "scene", "quite", "long"]
    rng = np.random.default_rng(0)
    rows = [
        (" ".join([*rng.choice(words, rng.integers(1, 8)), ("bad", "good")[k % 2]]), ("neg", "pos")[k % 2])
        for k in range(120)
    ]
    (folder / "text.csv").write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in rows))
    (folder / "spec.yaml").write_text(spec)
    return Experiment(load_spec(folder / "spec.yaml"))


@pytest.fixture(params=[MODEL, REVIEWS], ids=["model", "reviews"])
def either(request, tmp_path) -> Experiment:
    return experiment(tmp_path, request.param)


def test_gradients_are_right_where_tokens_go_in(either):
    report = gradcheck_experiment(either)
    assert report.verdict == "pass"
    assert "0.embedding.W" in {tensor["name"] for tensor in report.figures["points"][0]["tensors"]}


def test_a_batch_is_learned_by_heart(either):
    assert overfit_batch(either).verdict == "pass"


def test_the_size_of_a_token_s_number_is_never_to_blame(tmp_path):
    many = "".join(map(chr, range(ord("!"), ord("~")))) * 12
    slow = experiment(tmp_path, MODEL.replace("0.02", "1e-7"), many)
    found = [finding.rule for finding in overfit_batch(slow, steps=20).findings]
    assert "overfit-lr-too-low" in found
    assert "overfit-unscaled-inputs" not in found


def test_a_fresh_network_knows_nothing(either):
    report = check_start(either)
    assert report.verdict == "pass"
    classes = len(either.data.classes)
    assert report.figures["reference"] == pytest.approx(np.log(classes))
    assert report.figures["expected"] == f"log {classes}"


def test_the_inputs_are_used_and_a_linear_model_is_an_opponent_where_there_is_one(either):
    run = ShortRun.of(either)
    assert without_inputs(either, run).verdict == "pass"
    report = against_linear_model(either, run)
    linear = report.figures["linear"]
    assert np.isnan(linear) if either.spec.name == "model" else linear == 1.0  # the words alone tell


def test_trials_of_learning_rates_train_as_the_training_does(either):
    (start,) = starts(either, 1)
    losses = list(start.losses([0.02] * 20))
    assert losses[-1] < losses[0]
    assert losses[0] < 1.5 * np.log(len(either.data.classes))


def test_the_data_are_looked_at_as_tokens(either):
    report = check_data(either)
    assert report.figures["tokens"]["vocabulary"] == len(either.data.preprocessing.tokens)
    assert report.figures["tokens"]["parts"]["train"]["tokens"] == (
        either.data.train.lengths.sum() if either.data.train.lengths is not None else either.data.train.x.size
    )
    assert {"unknown-tokens", "duplicate-rows"} <= {finding.rule for finding in report.findings}


def test_words_that_were_never_seen_in_training_are_warned_of(tmp_path):
    text = "abcdefgh " * 100 + "zyxw " * 20
    report = check_data(experiment(tmp_path, MODEL, text))
    (finding,) = [finding for finding in report.findings if finding.rule == "unknown-tokens"]
    assert finding.verdict == "warn"
    assert finding.value > 0.5


def test_equal_beginnings_with_different_ends_set_the_floor_of_a_language_model(tmp_path):
    spec = MODEL.replace("batch_size: 16", "batch_size: 2").replace("context: 12", "context: 2")
    found = experiment(tmp_path, spec, "abaccb" * 40)
    frozen = FrozenBatch.of(found, 40)
    assert frozen.seen.shape == (40, 3)
    seen = {(tuple(row), int(y)) for row, y in zip(frozen.seen.tolist(), frozen.y, strict=True)}
    shared = [row for row, _ in seen]
    assert len(shared) > len(set(shared))  # `a` is followed by `b` and by `c`
    floor = Goal(frozen).floor
    expected = 0.0
    for row in set(shared):
        follows = frozen.y[(frozen.seen == row).all(axis=1)]
        p = np.unique(follows, return_counts=True)[1] / len(follows)
        expected -= len(follows) / 40 * (p * np.log(p)).sum()
    assert floor.loss == pytest.approx(expected)
    assert floor.loss > 0


def test_windows_of_a_text_that_repeats_itself_are_no_rows_to_remove(tmp_path):
    line = "all work and no play makes jack a dull boy. "
    found = {f.rule: f for f in check_data(experiment(tmp_path, MODEL, line * 30)).findings}
    assert found["duplicate-rows"].verdict == "pass"
    assert "the text repeats itself" in found["duplicate-rows"].message
    assert found["shared-rows"].verdict == "warn"  # all that judges was seen in training
    assert "split.group" not in found["shared-rows"].fix


def test_steps_that_take_long_are_saved_and_said_to_be(tmp_path, monkeypatch):
    model = experiment(tmp_path, MODEL)
    assert lr_find(model, steps=20, sweeps=2).figures["pace"] == ""
    monkeypatch.setattr(pace, "WORK", 1e8)
    monkeypatch.setattr(pace, "FEW_ANSWERS", 2 * model.data.train.y.shape[1])
    report = lr_find(model)
    assert len(report.figures["sweeps"]) == 1
    assert "rough answer" in report.findings[-1].message
    assert "batches of 2 rows" in report.findings[-1].message
