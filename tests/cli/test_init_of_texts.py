"""What `nnctl init` makes of files whose rows are texts with a class each."""

from __future__ import annotations

import json

import pytest

from nnctl.spec.lint.optimization import FEW_UPDATES

ROWS = [(f"a {'good' if k % 2 else 'bad'} film of number {k}", "pos" if k % 2 else "neg") for k in range(60)]


def written(here, kind: str, names=("text", "label")) -> str:
    name = f"reviews.{kind}"
    if kind == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in ROWS]
    else:
        between = {"csv": ",", "tsv": "\t"}[kind]
        lines = [between.join(row) for row in (names, *ROWS)]
    (here / name).write_text("\n".join(lines) + "\n")
    return name


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_a_file_of_texts_starts_with_a_network_that_reads_them(nnctl, here, kind):
    answer = nnctl("init", written(here, kind))
    assert answer.code == 0
    assert "60 texts of 2 classes" in answer.out + answer.err
    assert "cannot be trained yet" not in answer.out + answer.err
    trained = nnctl("train", "--no-plot", "--json")
    assert trained.code == 0
    assert json.loads(trained.out)["steps"] >= FEW_UPDATES


def test_columns_of_other_names_are_found_and_the_target_can_be_named(nnctl, here):
    for name in ("csv", "jsonl"):
        file = written(here, name, ("review", "stars"))
        assert nnctl("init", file, "--target", "stars", "--force").code == 0
        spec = (here / "spec.yaml").read_text()
        assert "text: review" in spec
        assert "target: stars" in spec
        assert nnctl("validate").code == 0


def test_names_beside_other_columns_are_no_texts(nnctl, here):
    rows = "".join(f"Anna Maria Smith {k},{k % 7},{k % 5},{'yes' if k % 3 else 'no'}\n" for k in range(60))
    (here / "people.csv").write_text(f"name,age,size,y\n{rows}")
    assert nnctl("init", "people.csv").code == 0
    assert "csv:" in (here / "spec.yaml").read_text()


def test_lines_that_hold_no_texts_are_told(nnctl, here):
    (here / "numbers.jsonl").write_text('{"a": 1, "label": 2}\n' * 9)
    (here / "broken.jsonl").write_text('{"text": "a long text", "label": 2}\n{"text"\n')
    assert "numbers.jsonl: has no key with texts of several words" in nnctl("init", "numbers.jsonl").err
    answer = nnctl("init", "broken.jsonl")
    assert answer.code == 3
    assert "broken.jsonl:2: is no file of one JSON object a line" in answer.err.replace("\n", " ")
