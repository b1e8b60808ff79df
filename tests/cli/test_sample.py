"""`nnctl sample`, and what the other commands make of texts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import process

from nnctl.core.errors import Interrupted, UsageError
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.prediction import Predictor
from nnctl.experiment.sampling import Sampler, _drawn
from nnctl.experiment.session import Session
from nnctl.runs.store import Run
from nnctl.spec.load import load_spec

TEXT = "the cats sat on the mat. " * 60

MODEL = """\
name: model
data: {{source: {{text: {{path: corpus.csv, context: 12}}}}}}
architecture: [{layers}, {{dense: outputs}}]
loss: cross_entropy
optimizer: {{adam: 0.01}}
training: {{epochs: {epochs}, batch_size: 16}}
"""
LSTM = MODEL.format(layers="{embedding: 8}, {lstm: {units: 24, returns: sequence}}", epochs=40)
ATTENTION = MODEL.format(layers="{embedding: 8}, {transformer_block: {heads: 2, causal: true, rotary: true}}", epochs=2)
SEES_ALL = MODEL.format(layers="{embedding: 8}, {gru: {units: 8, returns: sequence, bidirectional: concat}}", epochs=1)

REVIEWS = "text,label\n" + "a good film,pos\na very bad film,neg\nso good,pos\nbad,neg\n" * 10
CLASSIFIER = """\
name: classifier
data: {source: {texts: corpus.csv}, split: {validation: 0.2, test: 0}}
architecture: [{embedding: 8}, {gru: {units: 8}}, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.02}
training: {epochs: 15, batch_size: 16}
"""


@pytest.fixture
def model(trained) -> Path:
    return trained(LSTM, corpus=TEXT)


def test_a_model_writes_what_it_has_learned_by_heart(nnctl, model):
    answer = nnctl("sample", model, "--prompt", "the cats", "--length", 42, "--temperature", 0)
    assert answer.code == 0
    assert answer.out == (TEXT[:50] + "\n")
    assert not answer.err


def test_show_leads_to_it_from_a_language_model_and_from_no_other_run(nnctl, model, trained):
    assert f"nnctl sample {model}" in nnctl("show", model).out
    assert "nnctl sample" not in nnctl("show", trained(CLASSIFIER, corpus=REVIEWS)).out


def test_the_same_seed_gives_the_same_text_and_another_one_another(nnctl, model):
    def text(*options: object) -> str:
        return json.loads(nnctl("sample", model, "--json", "--length", 60, "--temperature", 3, *options).out)["text"]

    assert text("--seed", 1) == text("--seed", 1)
    assert text("--seed", 1) != text("--seed", 2)
    assert len(text()) == 60
    assert "<unk>" not in text()


def test_unknown_characters_and_a_long_prompt_are_told_once(nnctl, model):
    answer = nnctl("sample", model, "--prompt", "é" * 20, "--length", 5)
    assert answer.code == 0
    assert answer.err.splitlines() == [
        "note: 1 character that the training part does not have is read as <unk>: 'é'.",
        "note: the network sees the last 12 of the prompt's 20 tokens.",
    ]


def test_what_a_terminal_would_obey_is_written_out(nnctl, model):
    assert nnctl("sample", model, "--prompt", "\x1b[31m", "--length", 1).out.startswith("\\x1b[31m")


def test_a_prompt_without_a_token_and_a_run_that_is_no_language_model_are_refused(nnctl, model, trained):
    assert nnctl("sample", model, "--prompt", "").code == 2
    answer = nnctl("sample", trained(CLASSIFIER, corpus=REVIEWS))
    assert answer.code == 2
    assert "is no language model" in answer.err


def test_a_network_that_sees_what_it_should_foretell_is_refused(trained):
    with pytest.raises(UsageError, match="sees the tokens that it is to foretell"):
        Sampler(Predictor(Run.open(trained(SEES_ALL, corpus=TEXT))))


@pytest.mark.parametrize("spec", [LSTM, ATTENTION])
def test_what_is_drawn_follows_what_the_network_says_at_the_last_token(trained, spec):
    predictor = Predictor(Run.open(trained(spec, corpus=TEXT)))
    sampler = Sampler(predictor)
    tokens = sampler.vocabulary.encode("on the mat. the cats").tolist()
    for n in (1, 5, 12, 19):
        seen = tokens[:n][-12:]
        row = np.array([seen + [1] * (12 - len(seen))], np.int32)  # whatever stands behind
        expected = predictor.network.predict(row)[0, len(seen) - 1]
        np.testing.assert_allclose(sampler._scores(tokens[:n])[1:], expected[1:], rtol=1e-5, atol=1e-5)
        assert sampler._scores(tokens[:n])[0] == -np.inf  # the unknown token


def test_draws_have_the_probabilities_of_the_softmax_at_the_temperature():
    rng = np.random.default_rng(0)
    z = np.array([0.0, 1.0, -np.inf, 2.0])
    counts = np.bincount([_drawn(z, 0.5, rng) for _ in range(20_000)], minlength=4) / 20_000
    p = np.exp(z / 0.5)
    np.testing.assert_allclose(counts, p / p.sum(), atol=0.01)
    assert {_drawn(z, 0, rng) for _ in range(20)} == {3}
    assert {_drawn(z, 1e-300, rng) for _ in range(20)} == {3}


def test_text_comes_out_as_it_is_written(here, model):
    answer = process("sample", str(model), "--prompt", "the ", "--length", "30")
    assert answer.code == 0
    assert len(answer.out) == len("the ") + 30 + 1


def test_predict_says_at_every_position_what_may_follow(nnctl, here, model):
    (here / "new.txt").write_text("the cats sat on the mat")
    answer = nnctl("predict", model, "new.txt")
    assert answer.code == 0
    head, *lines = answer.out.splitlines()
    assert head == "row,position,prediction,p_prediction,target"
    assert len(lines) == 22
    assert [line.split(",")[1] for line in lines] == [*map(str, range(1, 13)), *map(str, range(1, 11))]
    assert [line.split(",")[4] for line in lines] == list("he cats sat on the mat")
    assert "score: loss" in answer.err


def test_the_score_of_a_part_is_that_of_the_run(nnctl, model):
    found = json.loads(nnctl("predict", model, "validation", "--json").out)
    assert found["score"] == Run.open(model).record["summary"]["metrics"]["validation"]
    assert found["predictions"][0].keys() == {"row", "position", "prediction", "probability", "target"}


def test_predict_takes_texts_from_a_table_or_a_line_each(nnctl, here, trained):
    run = trained(CLASSIFIER, corpus=REVIEWS)
    (here / "new.csv").write_text("id,text\n1,good\n2,very bad\n")
    (here / "new.txt").write_text("good\nvery bad\n")
    (here / "new.jsonl").write_text('{"text": "good"}\n{"text": "very bad"}\n')
    answers = [nnctl("predict", run, f"new.{kind}") for kind in ("csv", "txt", "jsonl")]
    assert len({answer.out for answer in answers}) == 1
    assert [line.split(",")[1] for line in answers[0].out.splitlines()] == ["prediction", "pos", "neg"]
    (here / "gap.csv").write_text("text\ngood\n...\n \n")
    assert nnctl("predict", run, "gap.csv").code == 3


def test_padding_changes_no_prediction(nnctl, here, trained):
    run = trained(CLASSIFIER, corpus=REVIEWS)
    (here / "one.txt").write_text("bad\n")
    (here / "two.txt").write_text("bad\na very good film\n")
    alone, beside = (nnctl("predict", run, f"{name}.txt").out.splitlines()[1] for name in ("one", "two"))
    assert alone.split(",")[1] == beside.split(",")[1]
    assert float(alone.split(",")[2]) == pytest.approx(float(beside.split(",")[2]), rel=1e-5)


def test_init_writes_a_spec_for_a_text_and_it_trains(nnctl, here):
    (here / "poem.txt").write_text(TEXT)
    answer = nnctl("init", "poem.txt")
    assert answer.code == 0
    assert "a language model" in answer.out + answer.err
    assert nnctl("train", "data.source.text.context=12", "training.epochs=1", "--no-plot").code == 0
    assert nnctl("init", "pydoc_topics", "-o", "topics.yaml").code == 0
    assert nnctl("validate", "topics.yaml").code == 0
    assert nnctl("init", "missing.txt", "-o", "other.yaml").code == 3


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ("[{dense: 8}, {dense: outputs}]", "architecture.0: the inputs are tokens"),
        ("[{embedding: 8}, {gru: 8}, {dense: outputs}]", "'returns: sequence' in recurrent layers"),
    ],
)
def test_a_network_that_does_not_fit_a_text_is_told_what_it_needs(nnctl, here, layers, said):
    (here / "corpus.csv").write_text(TEXT)
    (here / "spec.yaml").write_text(LSTM)
    answer = nnctl("train", f"architecture={layers}")
    assert answer.code == 2
    assert said in answer.err


def test_a_run_that_was_interrupted_goes_on_with_the_same_bits(here):
    (here / "corpus.csv").write_text(TEXT)
    (here / "spec.yaml").write_text(LSTM.replace("epochs: 40", "epochs: 3"))

    def weights(session: Session) -> np.ndarray:
        for _ in session.epochs():
            pass
        return session.learner.network.theta

    loaded = load_spec(here / "spec.yaml")
    whole = Session.start(Experiment(loaded), here)
    stopped = Session.start(Experiment(loaded), here)
    calls = iter(range(100))
    with pytest.raises(Interrupted):
        for _ in stopped.epochs(lambda: 2 if next(calls) >= 10 else None):  # in the middle of an epoch
            pass
    assert stopped.progress.batch
    again = Session.resume(stopped.run)
    np.testing.assert_array_equal(weights(again), weights(whole))
    assert again.summary["metrics"] == whole.summary["metrics"]
