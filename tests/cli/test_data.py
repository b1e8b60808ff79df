"""`nnctl data`: the command, what it prints, keeps and draws, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nnctl.cli.pictures import histograms, samples

PNG = b"\x89PNG\r\n"


def table(rows: int = 80, **more) -> str:
    """Return a CSV of two numbers, a category and a class, with more columns by name."""
    rng = np.random.default_rng(0)
    names = ["a", "b", "shop", *more, "y"]
    lines = [",".join(names)]
    for i in range(rows):
        a, b = rng.normal(size=2).round(3)
        extra = [str(values[i]) for values in more.values()]
        lines.append(",".join([str(a), str(b), "ns"[i % 2], *extra, "yes" if a + b + rng.normal() > 0 else "no"]))
    return "\n".join(lines) + "\n"


CSV = "data: {source: {csv: {path: t.csv, target: y}}}\narchitecture: [dense: outputs]\nloss: cross_entropy\n"


def test_it_shows_columns_classes_findings_and_where_all_is_kept(nnctl, spec):
    done = nnctl("data")
    assert done.code == 0
    assert "104 train, 23 validation, 23 test" in done.out
    assert "petal length (cm)" in done.out
    assert "virginica" in done.out
    assert "nothing is wrong with these 150 rows" in done.out
    [folder] = Path("runs").iterdir()
    assert folder.name.startswith("iris-data-")
    assert (folder / "data.png").read_bytes().startswith(PNG)
    kept = json.loads((folder / "check.json").read_text())
    assert kept["status"] == "done"
    assert kept["verdict"] == "pass"
    assert (folder / "spec.yaml").read_text() == spec.read_text()


def test_an_override_comes_in_place_of_the_spec(nnctl, spec):
    assert "input-scale" in nnctl("data", "data.scaling=none").out.split("pass", 1)[0]


def test_json_is_one_document_and_nothing_else(nnctl, spec):
    done = nnctl("data", spec, "--json", "--runs-dir", "elsewhere")
    document = json.loads(done.out)
    assert document["check"] == "data"
    assert document["figures"]["rows"] == {"train": 104, "validation": 23, "test": 23}
    assert Path(document["directory"]).parent == Path("elsewhere")
    assert done.err == ""


def test_a_fault_ends_with_exit_code_5_and_names_what_to_mend_first(nnctl, here):
    (here / "t.csv").write_text(table(code=[7] * 80))
    leaking = (here / "t.csv").read_text().replace(",7,yes", ",8,yes")
    (here / "t.csv").write_text(leaking)
    (here / "s.yaml").write_text(CSV)
    done = nnctl("data", "s.yaml")
    assert done.code == 5
    assert "target-leak" in done.out
    assert "drop: [code]" in done.out
    assert "this column alone avoids all" in done.err


def test_a_file_is_looked_at_with_a_guessed_target(nnctl, here):
    (here / "t.csv").write_text(table())
    done = nnctl("data", "t.csv")
    assert done.code == 0
    assert "'y' is taken for the target" in done.out
    assert "nnctl init t.csv" in done.out


def test_a_file_is_looked_at_with_the_target_that_is_named(nnctl, here):
    (here / "t.csv").write_text(table())
    document = json.loads(nnctl("data", "t.csv", "--target", "shop", "--json").out)
    assert document["figures"]["targets"]["names"] == ["n", "s"]


def test_what_training_refuses_is_a_finding_with_its_columns(nnctl, here):
    (here / "t.csv").write_text(table(code=[f"id-{i:04x}" for i in range(80)]))
    (here / "s.yaml").write_text(CSV)
    done = nnctl("data", "s.yaml")
    assert done.code == 5
    assert "unusable-data" in done.out
    assert "distinct texts" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("none.csv",), 3, "there is no such file"),
        (("none.yaml",), 2, "none.yaml"),
        (("t.csv", "seed=1"), 2, "changes a spec"),
        (("t.csv", "--target", "z"), 2, "there is no column 'z'"),
        (("spec.yaml", "--target", "y"), 2, "--target"),
        (("spec.yaml", "data.source=mnist"), 3, "nnctl fetch mnist"),
        (("spec.yaml", "loss=mse", "architecture=[]"), 2, "architecture"),
    ],
)
def test_what_cannot_be_looked_at_is_told_in_one_line(nnctl, spec, arguments, code, said):
    Path("t.csv").write_text(table())
    done = nnctl("data", *arguments)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_nothing_is_left_where_nothing_could_be_read(nnctl, spec):
    nnctl("data", "spec.yaml", "data.source=mnist")
    nnctl("data", "none.csv")
    assert not Path("runs").exists()


def test_wide_tables_are_cut_off_on_the_screen_and_whole_in_the_file(nnctl, here):
    np.savez("t.npz", x=np.random.default_rng(0).normal(size=(60, 50)), y=np.arange(60) % 2)
    done = nnctl("data", "t.npz")
    assert "20 more columns" in done.out
    [folder] = Path("runs").iterdir()
    figures = json.loads((folder / "check.json").read_text())["figures"]
    assert len(figures["columns"]) == 50
    assert len(figures["histograms"]["columns"]) == 24
    assert figures["histograms"]["left_out"] == 26


def test_training_gives_the_same_bits_after_a_look_at_the_data(nnctl, spec):
    def weights() -> dict[str, bytes]:
        trained = json.loads(nnctl("train", "--no-plot", "--json").out)
        kept = load_file(Path(trained["run"]) / "checkpoints" / "best.safetensors")
        return {name: tensor.tobytes() for name, tensor in kept.items()}

    before = weights()
    nnctl("data")
    assert weights() == before


def test_an_interrupt_ends_it_with_130_and_says_so_in_its_directory(here):
    rng = np.random.default_rng(0)
    np.savez("big.npz", x=rng.normal(size=(60_000, 100)), y=rng.integers(0, 2, 60_000))
    started = subprocess.Popen(
        [sys.executable, "-m", "nnctl", "data", "big.npz"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while started.poll() is None and not list(Path("runs").glob("*/check.json")):
        time.sleep(0.01)
    time.sleep(0.2)  # the directory is made just before signals are heard
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "interrupted" in said
    [folder] = Path("runs").iterdir()
    assert json.loads((folder / "check.json").read_text())["status"] == "interrupted"


# ------------------------------------------------------------------ pictures


def test_histograms_are_drawn_for_numbers_and_texts_whatever_their_names():
    columns = [
        {"name": "$a$ " * 20, "edges": [0.0, 1.0, 2.0], "counts": [[1, 2], [0, 0]]},
        {"name": "b", "labels": ["$", "a long category", "others"], "counts": [[1, 0, 3], [2, 2, 2]]},
    ]
    sheet = {"groups": ["$", "x"], "columns": columns, "left_out": 3}
    assert histograms.draw({"target": "y_$", "histograms": sheet}).startswith(PNG)


def test_the_shares_of_the_most_frequent_tokens_are_those_of_all_tokens(nnctl, here):
    words = [f"{a}{b}" for a in "abcdefgh" for b in "mnopqrst"]
    rows = "".join(f"{word} and {word} {word}x,{'pq'[i % 2]}\n" for i, word in enumerate(words))
    (here / "t.csv").write_text(f"text,label\n{rows}")
    (here / "t.yaml").write_text(
        "data: {source: {texts: {path: t.csv, text: text, target: label}}}\n"
        "architecture: [{embedding: 4}, {gru: 4}, dense: outputs]\nloss: cross_entropy\n"
    )
    assert nnctl("data", "t.yaml").code == 0
    [kept] = Path("runs").glob("*/check.json")
    tokens = json.loads(kept.read_text())["figures"]["histograms"]["columns"][0]
    assert tokens["shares_of"] == "tokens"
    at = tokens["labels"].index("and")
    shares = [count[at] / total for count, total in zip(tokens["counts"], tokens["totals"], strict=True)]
    assert shares == [0.25, 0.25]  # one of the four tokens of each row


def test_where_there_is_nothing_to_draw_there_is_no_picture(nnctl, here):
    (here / "s.yaml").write_text(
        "data: {source: {adding: {samples: 60, length: 6}}}\narchitecture: [gru: 4, dense: outputs]\nloss: mse\n"
    )
    done = nnctl("data", "s.yaml")
    assert "picture" not in done.out
    assert not list(Path("runs").glob("*/*.png"))


def test_samples_are_drawn_in_grey_and_in_colour():
    for shape, pixels in (([1, 3, 1], "AP+A"), ([1, 1, 3], "AP+A")):
        lines = [{"label": "$", "pixels": [pixels, pixels]}, {"label": "b", "pixels": [pixels]}]
        sheet = {"shape": shape, "range": [0.0, 1.0], "left_out": 0, "lines": lines}
        assert samples.draw({"target": "y", "samples": sheet}).startswith(PNG)
