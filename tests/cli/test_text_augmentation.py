"""Texts and rare classes augmented, as a user sees it: before and after, notes, and the same run from anywhere."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

SPEC = """\
name: reviews
data:
  source: {texts: reviews.csv}
  split: {validation: 0.25}
  augment:
    - back_translation: {there: PYTHON translate.py film, back: PYTHON translate.py good}
    - {synonyms: {table: synonyms.txt, probability: 1.0}}
    - random_deletion
    - random_swap
architecture: [{embedding: 8}, global_avg_pool, {dense: outputs}]
loss: cross_entropy
training: {epochs: 2, batch_size: 8}
"""
TRANSLATE = "import sys\nfor line in sys.stdin:\n    print(line.replace(sys.argv[1], sys.argv[1].upper()), end='')\n"


@pytest.fixture
def reviews(here, monkeypatch):
    monkeypatch.setenv("NNCTL_PROGRAMS", f"{Path(sys.executable).resolve()}:cat")
    rows = [f'"{"very " * (k % 5)}good film, number {k}",{"pos" if k % 2 else "neg"}' for k in range(40)]
    (here / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    (here / "synonyms.txt").write_text("film, movie\nvery, quite\n")
    (here / "translate.py").write_text(TRANSLATE)
    (here / "spec.yaml").write_text(SPEC.replace("PYTHON", shlex.quote(sys.executable)))
    return here


def test_data_shows_texts_before_and_after(nnctl, reviews):
    answer = nnctl("data", "spec.yaml")
    assert "as it is" in answer.out
    assert "epoch 3" in answer.out
    assert "back_translation: 24 of 24 texts came back in other words; kept in" in answer.out.replace("\n", " ")
    [picture] = (reviews / "runs").glob("*/augmented.png")
    with Image.open(picture) as image:
        assert min(image.size) > 300
    texts = json.loads((picture.parent / "check.json").read_text())["figures"]["augmented_texts"]["texts"]
    assert len(texts) == 4
    for text in texts:
        line = (reviews / "reviews.csv").read_text().splitlines()[text["row"]]
        assert line == f'"{text["before"]}",{text["label"]}'
        assert len({text["before"], *text["after"]}) == 4


def test_the_resolved_spec_gives_the_same_run_from_another_directory(nnctl, reviews, tmp_path_factory, monkeypatch):
    first = json.loads(nnctl("train", "spec.yaml", "--json", "--no-plot").out)
    run = reviews / first["run"]
    monkeypatch.setenv("NNCTL_DATASETS", str(reviews / "datasets"))
    (reviews / "translate.py").write_text("raise SystemExit(1)")  # what is kept must do
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    again = json.loads(nnctl("train", run / "resolved.yaml", "--json", "--no-plot").out)
    assert again["metrics"] == first["metrics"]


def test_a_program_that_is_missing_and_one_that_stands_second_are_told(nnctl, reviews):
    answer = nnctl("train", "spec.yaml", "data.augment=[{back_translation: {there: apertium-x en-es, back: cat}}]")
    assert answer.code == 3
    assert "back_translation.there: apertium-x en-es: there is no program 'apertium-x'" in answer.err.replace("\n", " ")
    answer = nnctl("train", "spec.yaml", "data.augment=[random_swap, {back_translation: {there: cat, back: cat}}]")
    assert answer.code == 2
    assert "back_translation: is done once" in answer.err


def test_data_shows_how_many_rows_each_class_has_before_and_after_smote(nnctl, here):
    pytest.importorskip("imblearn")
    rows = [f"{k % 7},{k % 11},{'rare' if k % 8 == 0 else 'common'}" for k in range(160)]
    (here / "rare.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")
    (here / "spec.yaml").write_text(
        "name: rare\n"
        "data: {source: {csv: {path: rare.csv, target: y}}, split: {validation: 0, test: 0}, augment: [smote]}\n"
        "architecture: [{dense: outputs}]\nloss: cross_entropy\n"
    )
    answer = nnctl("data", "spec.yaml")
    assert "train with made rows" in answer.out
    figures = json.loads(next((here / "runs").glob("*/check.json")).read_text())["figures"]
    assert figures["rows"] == {"train": 160}
    assert figures["made_rows"]["before"] == [140, 20]
    assert figures["made_rows"]["after"] == [140, 140]
    assert [row["class"] for row in figures["made_rows"]["rows"]] == ["rare"] * 3
    assert "augmented_rows" not in figures
    trained = nnctl("train", "spec.yaml", "--no-plot", "training.epochs=1")
    assert "smote: 120 rows made for the training part (rare 20 to 140)" in trained.out
