"""What is said of texts that cannot be read, and of letters that no training text had."""

from __future__ import annotations

import pytest

SPEC = """\
name: reviews
data:
  source: {{texts: {{path: reviews.csv, tokenizer: {tokenizer}}}}}
  split: {{validation: 0.2, test: 0}}
architecture: [{{embedding: 4}}, global_avg_pool, {{dense: outputs}}]
loss: cross_entropy
training: {{epochs: 1}}
"""
ROWS = "".join(f'"a {"good" if k % 2 else "bad"} film",{"pos" if k % 2 else "neg"}\n' for k in range(40))


def written(here, tokenizer: str = "char") -> str:
    (here / "reviews.csv").write_text(f"text,label\n{ROWS}")
    (here / "spec.yaml").write_text(SPEC.format(tokenizer=tokenizer))
    return "spec.yaml"


def test_a_tokenizer_that_keeps_nothing_leaves_an_empty_vocabulary(nnctl, here):
    answer = nnctl("train", written(here, "{word: {min_count: 99}}"))
    assert answer.code == 3
    said = (
        "error: spec.yaml:3:3: data.source: the vocabulary is empty: the training texts have no word that the tokenizer"
    )
    assert answer.err.startswith(said)
    assert not list(here.glob("runs/*"))


@pytest.mark.parametrize(("encoding", "name"), [("cp1252", "cp1252"), ("utf-16", "utf-16")])
def test_texts_in_another_encoding_are_told_with_the_line_and_read_when_it_is_named(nnctl, here, encoding, name):
    spec = written(here)
    (here / "reviews.csv").write_bytes(f"text,label\n{ROWS.replace('film', 'filmé')}".encode(encoding))
    answer = nnctl("train", spec)
    assert answer.code == 3
    said = answer.err.replace("\n", " ")
    assert f"is no text in utf-8. Save the file as UTF-8, or say `text_encoding: {name}`" in said
    assert "reviews.csv:" in said
    assert nnctl("train", spec, f"data.source.texts.text_encoding={name}", "--no-plot").code == 0


def test_letters_that_no_training_text_had_are_told_once_and_predicted_as_unknown(nnctl, here):
    assert nnctl("train", written(here), "--no-plot", "--runs-dir", "runs").code == 0
    [run] = here.glob("runs/reviews-*")
    for name, text in (("new.txt", "a fïlm\na good 中 film\n中\n"), ("known.txt", "a film\n")):
        (here / name).write_text(text)
    answer = nnctl("predict", run, "new.txt")
    assert answer.code == 0
    assert len(answer.out.splitlines()) == 4
    assert answer.err.count("read as <unk>") == 1
    assert "2 characters that the training part does not have are read as <unk>: 'ï', '中'." in answer.err
    assert "<unk>" not in nnctl("predict", run, "known.txt").err


def test_a_text_of_no_letters_is_told_with_its_row_at_prediction(nnctl, here):
    assert nnctl("train", written(here, "word"), "--no-plot", "--runs-dir", "runs").code == 0
    [run] = here.glob("runs/reviews-*")
    (here / "new.jsonl").write_text('{"text": "a film"}\n{"text": "  "}\n')
    answer = nnctl("predict", run, "new.jsonl")
    assert answer.code == 3
    assert "row 2: the text '  ' has no word in it" in answer.err


def test_a_metric_that_compares_all_rows_is_refused_where_every_position_is_one(nnctl, here):
    (here / "a.txt").write_text("the quick brown fox. " * 40)
    (here / "spec.yaml").write_text(
        "name: lm\ndata: {source: {text: {path: a.txt, context: 8}}}\nmetrics: [perplexity, roc_auc]\n"
        "architecture: [{embedding: 4}, {lstm: {units: 4, returns: sequence}}, {dense: outputs}]\n"
        "loss: cross_entropy\ntraining: {epochs: 1}\n"
    )
    answer = nnctl("train", "spec.yaml")
    assert answer.code == 2
    assert "spec.yaml:3:" in answer.err
    assert "roc_auc compares every row with every other" in answer.err
    assert "val_perplexity" in nnctl("train", "spec.yaml", "metrics=[perplexity]", "--no-plot").out


@pytest.mark.parametrize("then", ["global_max_pool", "{lstm: 4}", "{attention: 2}, global_avg_pool", "flatten"])
def test_texts_shorter_than_a_kernel_are_trained_on_and_predicted_with_a_word_on_them(nnctl, here, then):
    spec = written(here, "word")
    (here / "reviews.csv").write_text("text,label\n" + "a good and fine film,pos\nbad,neg\n" * 20)
    text = (here / spec).read_text()
    (here / spec).write_text(text.replace("global_avg_pool", f"{{conv1d: {{channels: 4, kernel: 4}}}}, {then}"))
    answer = nnctl("train", spec, "training.batch_size=4", "--no-plot", "--runs-dir", "runs")
    assert answer.code == 0
    assert "spec.yaml:5:33: architecture.1.conv1d: nothing is left of 20 rows (rows 2, 4, 6, 8, 10, ...)" in answer.out
    assert "the kernel reaches over 4 positions, and the input has 1" in answer.out
    (here / "new.txt").write_text("bad\na good and bad film\n")
    [run] = here.glob("runs/reviews-*")
    answer = nnctl("predict", run, "new.txt")
    assert answer.code == 0
    assert "nothing is left of 1 row (row 1) behind the kernels of the network" in answer.err
    assert "nothing is left" not in nnctl("validate", spec, "architecture.1.conv1d.padding=same").out


@pytest.mark.parametrize("first", ["{lstm: 4}", "{conv1d: 4}", "position", "{attention: 2}"])
def test_a_layer_that_reads_sequences_of_numbers_is_told_to_stand_behind_an_embedding(nnctl, here, first):
    spec = written(here)
    (here / spec).write_text((here / spec).read_text().replace("[{embedding: 4},", f"[{first},"))
    answer = nnctl("validate", spec)
    assert answer.code == 2
    assert answer.err.startswith("spec.yaml:5:1")
    assert "The inputs are tokens: begin with 'embedding: 64'." in answer.err


def test_lines_without_a_text_are_told_since_they_shift_the_rows(nnctl, here):
    assert nnctl("train", written(here), "--no-plot", "--runs-dir", "runs").code == 0
    [run] = here.glob("runs/reviews-*")
    for text, said in (("a film\n\na good film\n", "1 line without a text passed over"), ("a film\ngood\n", "")):
        (here / "new.txt").write_text(text)
        answer = nnctl("predict", run, "new.txt")
        assert len(answer.out.splitlines()) == 3
        assert said in answer.err
        assert bool(answer.err) == bool(said)


def test_a_text_in_place_of_a_file_is_told_to_be_written_into_one(nnctl, here):
    assert nnctl("train", written(here), "--no-plot", "--runs-dir", "runs").code == 0
    [run] = here.glob("runs/reviews-*")
    answer = nnctl("predict", run, "a good film")
    assert answer.code == 3
    assert "write it into a file" in answer.err.replace("\n", " ")
