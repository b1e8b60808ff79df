"""SMOTE: which rows are made, from what, and where it says no."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nnctl.checks.data import check_data
from nnctl.checks.data.view import view_of
from nnctl.core.errors import DataError, SpecError
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.prediction import Predictor
from nnctl.experiment.session import Session
from nnctl.spec.load import load_spec

pytest.importorskip("imblearn")

SPEC = """
name: rare
data:
  source: {csv: {path: rare.csv, target: y}}
  split: {validation: 0.25, test: 0.25, stratify: true}
  augment: [smote]
architecture: [{dense: outputs}]
loss: cross_entropy
training: {epochs: 2}
"""
COUNTS = {"common": 120, "rare": 24, "rarer": 16}


@pytest.fixture
def path(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["a,b,colour,y"]
    for k, (name, count) in enumerate(COUNTS.items()):
        for _ in range(count):
            colour = rng.choice(["red", "green", "blue"], p=[0.8 - 0.3 * k, 0.1, 0.1 + 0.3 * k])
            lines.append(f"{rng.normal(k):.5f},{100 * rng.normal(k):.5f},{colour},{name}")
    (tmp_path / "rare.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path / "spec.yaml"


def experiment(path: Path, *changes: str) -> Experiment:
    return Experiment(load_spec(path, changes))


def test_rare_classes_are_filled_up_and_the_rows_of_the_source_stay_as_they_are(path):
    plain, made = experiment(path, "data.augment=[]").data, experiment(path).data
    assert np.bincount(plain.train.y).tolist() == [60, 12, 8]
    assert np.bincount(made.train.y).tolist() == [60, 60, 60]
    assert made.train.made == 100
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(made.of_source, name).x, getattr(plain, name).x)
        np.testing.assert_array_equal(getattr(made.of_source, name).rows, getattr(plain, name).rows)
    assert made.train.rows[-100:].min() >= 160
    assert len(set(made.train.rows)) == 180
    assert made.notes[-1] == "smote: 100 rows made for the training part (rare 12 to 60, rarer 8 to 60)"


def test_the_ratio_says_how_large_a_rare_class_becomes(path):
    data = experiment(path, "data.augment=[{smote: {ratio: 0.5}}]").data
    assert np.bincount(data.train.y).tolist() == [60, 30, 30]


def test_a_made_row_lies_between_two_of_its_class_and_has_a_category_of_it(path):
    train = experiment(path).data.train
    real, n = train.of_source, len(train.of_source)
    for x, k in zip(train.x[n:], train.y[n:], strict=True):
        of_class = real.x[real.y == k].astype(float)
        a, b = np.triu_indices(len(of_class), 1)
        start, way = of_class[a, :2], of_class[b, :2] - of_class[a, :2]
        u = ((x[:2] - start) * way).sum(1) / (way**2).sum(1)
        miss = np.abs(start + u.clip(0, 1)[:, None] * way - x[:2]).max(axis=1)
        assert miss.min() < 1e-5
        assert sorted(x[2:]) == [0, 0, 1]


def test_the_same_seed_makes_the_same_rows(path):
    first, again, other = (experiment(path, f"seed={seed}").data.train for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.x[first.y == 1][12:], other.x[other.y == 1][12:])


def test_the_figures_at_the_end_and_predictions_are_of_the_rows_of_the_source(path, tmp_path):
    session = Session.start(experiment(path), tmp_path)
    [*_] = session.epochs()
    plain = experiment(path, "data.augment=[]")
    found = plain.judge.network(session.learner.network, plain.examples(plain.data.train))
    assert session.summary["metrics"]["train"] == found
    prediction = Predictor(session.run).of_part("train")
    assert len(prediction.rows) == 80
    assert prediction.score == pytest.approx(found)


def test_an_interrupted_training_finds_the_same_data_again(path, tmp_path):
    session = Session.start(experiment(path), tmp_path)
    for _ in session.epochs():
        break
    resumed = Session.resume(session.run)
    np.testing.assert_array_equal(resumed.train.x, session.train.x)
    [*_] = resumed.epochs()


def test_the_checks_look_at_the_rows_of_the_source(path):
    view = view_of(experiment(path))
    assert {name: len(rows) for name, rows in view.parts.items()} == {"train": 80, "validation": 40, "test": 40}
    assert len(view.inputs["train"]) == 80


def test_classes_that_are_filled_up_are_no_fault_of_the_data_any_more(path):
    text = (path.parent / "rare.csv").read_text()
    (path.parent / "rare.csv").write_text(text.replace("rarer", "rare") + 1000 * "0.5,1,red,common\n")
    verdicts = {}
    for augment in ("[]", "[smote]"):
        report = check_data(experiment(path, f"data.augment={augment}"))
        [verdicts[augment]] = [finding.verdict for finding in report.findings if finding.rule == "class-balance"]
    assert verdicts == {"[]": "warn", "[smote]": "pass"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["data.augment=[{smote: 8}]"], "'rarer' has 8 rows in the training part. Set neighbours to at most 7"),
        (["data.augment=[noise, smote]"], "smote: is done once, .* must be the first of the list"),
        (["data.source.csv.encoding=ordinal"], "would make categories between categories"),
        (["data.source.csv.drop=[a, b]"], "all columns are categories"),
        (["data.source=diabetes", "data.split={}", "loss=mse"], "fills up rare classes"),
        (["data.source=pydoc_topics", "data.split={}"], "makes rows of a table, and a row here is a text"),
        (["data.source={sine_waves: {samples: 300}}", "data.split={}"], r"makes rows of a table"),
    ],
)
def test_what_cannot_be_is_told_where_it_stands(path, changes, said):
    with pytest.raises(SpecError, match=f"spec.yaml:6:13.*{said}|command line.*{said}"):
        experiment(path, *changes)


def test_a_class_of_one_row_cannot_be_filled_up(path):
    text = (path.parent / "rare.csv").read_text()
    (path.parent / "rare.csv").write_text(text.replace("rarer", "common") + "0,0,red,single\n")
    with pytest.raises(SpecError, match=r"'single' has 1 row in the training part\. It needs two rows at least"):
        experiment(path, "data.split={validation: 0, test: 0}")


def test_without_its_package_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    with pytest.raises(DataError, match=r"pip install 'nnctl\[smote\]'"):
        experiment(path)
