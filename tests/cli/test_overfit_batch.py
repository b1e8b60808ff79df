"""`nnctl overfit-batch`, called as a person or a program does."""

from __future__ import annotations

import json

import pytest

STRAIGHT = """\
name: straight
data: {source: xor, split: {validation: 0, test: 0}, scaling: none}
architecture: [dense: outputs]
loss: binary_cross_entropy
training: {batch_size: full}
"""

LANGUAGE_MODEL = """\
data: {source: {text: {path: book.txt, context: 32}}}
architecture: [{embedding: 8}, {lstm: {units: 16, returns: sequence}}, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.02}
"""


@pytest.fixture
def straight(here):
    path = here / "straight.yaml"
    path.write_text(STRAIGHT)
    return path


def test_a_network_that_learns_ends_with_0_and_is_shown_with_its_rows(nnctl, spec):
    answer = nnctl("overfit-batch")
    assert answer.code == 0, answer.err
    assert "The network learns 16 rows by heart" in answer.out
    assert "16/16" in answer.out
    assert answer.out.count("virginica") >= 4  # five rows of each class, or six
    assert "wrong" not in answer.out


def test_of_a_language_model_positions_are_counted(nnctl, here):
    (here / "book.txt").write_text("A book of few words. " * 80)
    (here / "book.yaml").write_text(LANGUAGE_MODEL)
    answer = nnctl("overfit-batch", "book.yaml", "--size", "16")
    assert answer.code == 0, answer.err
    assert "batch   1 training row of 32 positions;" in answer.out
    assert "32/32" in answer.out
    assert "for the 16 of 32 positions with the highest loss:" in answer.out


def test_a_network_that_cannot_learn_ends_with_5_and_the_cause(nnctl, straight):
    answer = nnctl("overfit-batch", straight)
    assert answer.code == 5
    assert "no hidden layer" in answer.err
    assert "overfit-too-small" in answer.out
    assert "wrong" in answer.out


def test_the_figures_and_a_picture_are_kept_in_a_directory_of_their_own(nnctl, here, spec):
    nnctl("overfit-batch", "--size", 8, "--runs-dir", "kept")
    [folder] = (here / "kept").iterdir()
    kept = json.loads((folder / "check.json").read_text())
    assert kept["status"] == "done"
    assert len(kept["figures"]["rows"]) == 8
    assert (folder / "spec.yaml").read_text() == spec.read_text()
    assert (folder / "overfit.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("change", ["optimizer.lr=0.01", "optimizer.lr=1e30", "loss.label_smoothing=0.1"])
def test_json_is_one_document_whatever_comes_out(nnctl, spec, change):
    answer = nnctl("overfit-batch", "--json", "--steps", 20, change)
    document = json.loads(answer.out)
    assert document["verdict"] in {"pass", "warn", "fail"}
    assert answer.code == (5 if document["verdict"] == "fail" else 0)
    assert document["figures"]["rungs"][0]["factor"] == 1


def test_overrides_change_what_is_checked(nnctl, straight):
    answer = nnctl("overfit-batch", straight, "architecture=[dense: 8, tanh, dense: outputs]", "optimizer.lr=0.05")
    assert answer.code == 0, answer.out + answer.err


def test_what_is_switched_off_is_said(nnctl, spec):
    answer = nnctl("overfit-batch", "regularizers=[{l2: 1e-3}]", "schedule=cosine")
    assert "l2, the schedule cosine" in answer.out


def test_answers_in_inference_mode_are_shown_where_they_differ(nnctl, spec):
    layers = "architecture=[dense: 16, {batch_norm: {momentum: 1e-4}}, relu, dense: outputs]"
    answer = nnctl("overfit-batch", layers, "data.scaling=none")
    assert answer.code == 5
    assert "overfit-inference-gap" in answer.out
    assert "in inference" in answer.out


def test_a_batch_of_one_row_is_refused(nnctl, spec):
    assert nnctl("overfit-batch", "--size", 1).code == 2


def test_without_a_spec_it_says_what_to_type(nnctl):
    answer = nnctl("overfit-batch")
    assert answer.code == 2
    assert "nnctl overfit-batch SPEC" in answer.err
