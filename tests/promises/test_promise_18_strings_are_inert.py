"""Promise 18: what data, specs and runs call things is only shown: on screens, in pictures, in CSV files, in JSON.

nnctl writes no HTML.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import call, on_a_terminal, plain
from hostile import OBEYED
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from nnctl.cli.pictures import comparison, curves, figure, gradient_flow, histograms, samples
from nnctl.cli.render import Screen
from nnctl.cli.words import cell, continued
from nnctl.core.errors import Problem, SpecError
from nnctl.core.inert import inert, inert_json
from nnctl.runs.atomic import strict_json
from nnctl.runs.store import Run

pytestmark = pytest.mark.slow  # many processes; the quick part of this is in tests/cli

SPEC = """\
name: toy
data: {source: {csv: {path: "rows [bold].csv", target: "=target"}}, split: {validation: 0.25, test: 0.25}}
architecture: [dense: 4, relu, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 8}
"""
CLASSES = [OBEYED[0], OBEYED[1], OBEYED[3], OBEYED[5], OBEYED[8], "[red]markup[/red]", "$\\frac{$", "_x", *OBEYED[17:]]


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> Path:
    """A folder with data whose columns and classes have such names, and a run of them."""
    folder = tmp_path_factory.mktemp("named")
    with (folder / "rows [bold].csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*OBEYED[:19], "=target", "kind"])
        for i in range(8 * len(CLASSES)):
            label = CLASSES[i % len(CLASSES)]
            writer.writerow([*(i * (k + 1) % 11 for k in range(19)), label, OBEYED[i % 3]])
    (folder / "spec.yaml").write_text(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        answer = call("train", "--json")
        assert answer.code == 0, answer.err
    return folder


@pytest.fixture
def there(named, monkeypatch) -> Path:
    monkeypatch.chdir(named)
    return named


def is_inert(text: str) -> None:
    bad = [c for c in text if not c.isprintable() and c != "\n"]
    assert not bad, (bad[:5], text[:500])


def strict(text: str) -> object:
    def refuse(token):
        raise AssertionError(token)

    is_inert(text)
    return json.loads(text, parse_constant=refuse)


COMMANDS = [
    ["validate"], ["lint"], ["train", "-q", "--no-plot"], ["train", "--dry-run"], ["predict", "RUN", "test"],
    ["predict", "RUN", "rows [bold].csv"], ["ls"], ["show", "RUN"], ["compare"], ["diff", "RUN", "RUN"],
]  # fmt: skip
CHECKS = [
    ["data"], ["data", "rows [bold].csv", "--target", "=target"], ["train"], ["gradcheck"], ["repro", "RUN"],
    ["overfit-batch", "--steps", "20"], ["lr-find", "--steps", "10"],
]  # fmt: skip
SLOW = [pytest.param(line, marks=pytest.mark.slow) for line in CHECKS]


@pytest.mark.parametrize("line", [*COMMANDS, *SLOW], ids=" ".join)
def test_no_command_says_what_a_terminal_would_obey(line, there):
    run = next((there / "runs").glob("*/run.json")).parent
    line = [str(run) if word == "RUN" else word for word in line]
    answer = call(*line)
    assert answer.code in {0, 5}, answer
    assert answer.out
    is_inert(answer.out)
    is_inert(answer.err)
    document = call(*line, "--json")
    strict(document.out)


def test_init_and_its_spec(there):
    answer = call("init", "rows [bold].csv", "--target", "=target", "-o", "made.yaml", "--force")
    assert answer.code == 0, answer
    is_inert(answer.out + answer.err)
    is_inert(Path("made.yaml").read_text())


@pytest.mark.parametrize("name", OBEYED, ids=range(len(OBEYED)))
@pytest.mark.parametrize("place", ["data.source.csv.target", "name", "loss", "architecture.0", "nonsense", "optimizer"])
def test_messages_of_errors(place, name, there):
    change = f"{place}={json.dumps(name)}"
    for line in (["validate", "spec.yaml", change], ["validate", f"{name}.yaml"], ["show", "--", name]):
        answer = call(*line)
        is_inert(answer.out + answer.err)
        assert answer.code in {0, 2, 3}


def test_a_line_break_in_a_name_begins_no_line(there):
    answer = call("validate", 'data.source.csv.target="y\\nerror: all is lost"')
    assert answer.code == 3
    assert "error: all is lost" in answer.err
    assert not [line for line in answer.err.splitlines()[1:] if line.startswith("error")]
    assert continued("a\nb\n  c") == "a\n  b\n  c"
    assert "\n" not in str(SpecError([Problem((), "two\nlines")]))


@pytest.mark.parametrize(
    "line",
    [["predict", "RUN", "test"], *(pytest.param(line, marks=pytest.mark.slow) for line in (["data"], ["train"]))],
    ids=" ".join,
)
def test_on_a_terminal_there_are_colours_and_no_others_than_ours(line, there):
    run = next((there / "runs").glob("*/run.json")).parent
    shown = on_a_terminal(*(run if word == "RUN" else word for word in line), columns=200).text
    for obeyed in ("\x1b[31mred", "\x1b]8", "\x07", "\x9b", "\u202e", "\u2066", "\x08", "\x85"):
        assert obeyed not in shown
    is_inert(plain(shown).replace("\r", ""))


def test_markup_is_shown_as_it_is(capsys):
    screen = Screen()
    screen.table(["[red]a[/red]"], [["[bold]b[/]"], [":smile:"], ["\x1b[31mx"]])
    screen.note("[link=x]c[/] \x1b]8;;x\x07")
    screen.console.print(Text("\x9b31m\u202e"))
    out = capsys.readouterr().out
    is_inert(out)
    for text in ("[red]a[/red]", "[bold]b[/]", ":smile:", "[link=x]c[/]", r"\x1b[31mx", r"\x9b31m\u202e"):
        assert text in out


# ---------------------------------------------------------------------- runs of somebody else


def foreign(run: Path) -> None:
    """Put such names wherever a run has texts."""
    record = json.loads((run / "run.json").read_text())
    name = "".join(OBEYED)
    record["name"] = record["reason"] = record["error"] = name
    record["spec"]["name"] = name
    record["spec"] |= {"loss": {name: {name: name}}, "optimizer": name, name: {name: [name]}, "=1+1": "=1+1"}
    record["spec"]["data"]["source"] = {"csv": {"path": name}}
    record["environment"] |= {"os": name, "cpu": name, "git": {"commit": name}, "seed": name}
    record["summary"] |= {"reason": name, "monitor": f"val_{name}", "weights": name, name: name}
    record["summary"]["metrics"] = {name: {name: 0.5}, "validation": {name: 0.5, "loss": 0.1}, "test; rm -rf x": {}}
    record["summary"]["findings"] = [{"rule": name, "verdict": name, "message": name, "fix": name, "where": name}]
    (run / "run.json").write_text(json.dumps(record))
    lines = [{"epoch": k, f"val_{name}": 0.5 / k, "train_loss": 0.5 / k, "best": True} for k in (1, 2)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "line",
    [["ls"], ["show", "RUN"], ["compare"], ["compare", "--csv", "-"], ["compare", "--plot"], ["diff", "RUN", "OTHER"]],
    ids=" ".join,
)
def test_a_run_of_somebody_else(line, run, here):
    other = here / "runs" / "other"
    run.rename(other)
    run.mkdir()
    for file in other.iterdir():
        if file.is_file():
            (run / file.name).write_bytes(file.read_bytes())
    foreign(run)
    line = [{"RUN": str(run), "OTHER": str(other)}.get(word, word) for word in line]
    answer = call(*line)
    assert answer.code == 0, answer
    is_inert(answer.out + answer.err)
    if "--csv" in line:
        for row in csv.reader(io.StringIO(answer.out)):
            assert not [text for text in row if text.startswith(("=", "+", "@"))], row
    else:
        strict(call(*line, "--json").out)


def test_a_command_to_be_copied_is_quoted(run):
    foreign(run)
    [line] = [line for line in call("show", run).out.splitlines() if line.startswith("predict")]
    assert line.endswith("'test; rm -rf x'")


def test_a_check_of_somebody_else(run):
    (run / "run.json").unlink()
    name = "".join(OBEYED)
    found = {"rule": name, "verdict": "fail", "message": name, "fix": name, "where": name}
    record = {"format": 1, "check": name, "name": name, "status": "done", "verdict": name, "headline": name}
    (run / "check.json").write_text(json.dumps({**record, "created": name, "findings": [found]}))
    for line in (["ls"], ["show", run]):
        answer = call(*line)
        assert answer.code == 0, answer
        is_inert(answer.out + answer.err)


# ---------------------------------------------------------------------- files


def test_cells_that_begin_a_formula_are_marked_and_numbers_stay_numbers(there):
    run = next((there / "runs").glob("*/run.json")).parent
    assert call("predict", run, "test", "-o", "out.csv").code == 0
    with Path("out.csv").open(newline="", encoding="utf-8") as file:
        heading, *rows = csv.reader(file)
    assert not [text for text in heading if text[0] in "=+-@\t\r\n"]
    texts = [text for row in rows for text in row]
    for text in texts:
        if text[:1] in tuple("=+-@\t\r\n"):
            float(text)
    said = {text.removeprefix("'") for text in texts}
    assert {"=1+1", "@SUM(A1)", "-2+3"} <= said


@pytest.mark.parametrize("text", ["=1", "+1+1", "-1-1", "@x", "\tx", "\rx", "\nx", "=", "-"])
def test_a_formula_is_marked(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+1.5", "-1e-5", "0", "", "a=b", "'", "-inf"])
def test_numbers_and_names_are_left_as_they_are(text):
    assert cell(text) == text


def test_every_json_that_is_written_is_strict(there, monkeypatch):
    assert call("train", "optimizer={sgd: {lr: 1e30}}", "--no-plot").code in {0, 4}  # figures that are not finite
    call("lr-find", "--steps", "5", "--sweeps", "1")
    files = [path for path in (there / "runs").rglob("*") if path.suffix in {".json", ".jsonl"}]
    assert {path.name for path in files} >= {"run.json", "check.json", "preprocessing.json", "metrics.jsonl"}
    for path in files:
        for text in [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines():
            strict(text)


PLAIN = st.recursive(
    st.floats() | st.text() | st.none() | st.integers(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
)


@given(PLAIN)
def test_any_data_is_strict_json_that_a_terminal_shows(data):
    text = strict_json({"a": data, "array": np.array([np.nan, np.inf, 1.0])})
    assert strict(text)["array"] == [None, None, 1.0]


@given(st.text())
def test_any_text_is_inert_and_the_same_in_json(text):
    assert inert(text).isprintable()
    assert json.loads(inert_json(json.dumps(text, ensure_ascii=False))) == text


def test_there_is_no_character_that_is_not_inert():
    assert inert("".join(map(chr, range(0x11_0000)))).isprintable()


def test_classes_of_folders_with_names_that_are_no_text_are_kept(there):
    from PIL import Image

    for name in (b"b\xff\x1b[31m", b"a"):
        folder = there / "pictures" / os.fsdecode(name)
        folder.mkdir(parents=True)
        for k in range(8):
            with (folder / f"{k}.png").open("wb") as file:
                Image.new("L", (4, 4), 20 * k).save(file, "PNG")
    (there / "pictures.yaml").write_text(
        "data: {source: {images: pictures}, split: {validation: 0.25, test: 0.25}}\n"
        "architecture: [flatten, {dense: outputs}]\nloss: cross_entropy\ntraining: {epochs: 1, batch_size: 4}\n"
    )
    answer = call("train", "pictures.yaml", "--no-plot", "--json")
    assert answer.code == 0, answer.err
    run = Path(strict(answer.out)["run"])
    document = strict(call("predict", run, "test", "--json").out)
    assert {entry["target"] for entry in document["predictions"]} <= {"b\udcff\x1b[31m", "a"}
    assert call("predict", run, "test", "-o", "pictures.csv").code == 0


# ---------------------------------------------------------------------- pictures


@pytest.mark.parametrize("name", OBEYED, ids=range(len(OBEYED)))
def test_in_a_picture_a_name_is_only_a_name(name):
    from matplotlib.cbook import is_math_text
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    shown = figure.plain(name)
    assert not is_math_text(shown)
    assert not shown.startswith("_")
    is_inert(shown)
    drawn = Figure()
    axes = drawn.add_subplot()
    axes.set_title(shown)
    drawn.legend(handles=[Patch(label=shown)])
    assert figure.png(drawn).startswith(b"\x89PNG")


def test_the_pictures_of_a_run_with_such_names_are_drawn(run, monkeypatch):
    name = "".join(OBEYED)
    points = {f"val_{name}": [[1, 2], [1, 2]], "train_loss": [[1], [1]]}
    found = {"figure": f"val_{name}", "specs": [{"name": name, "runs": [points]}]}
    assert comparison.draw(found).startswith(b"\x89PNG")
    columns = [{"name": name, "counts": [[1, 2], [2, 1]], "labels": [name, "b"]}]
    sheet = {"columns": columns, "groups": [name, "b"], "left_out": 0}
    assert histograms.draw({"histograms": sheet, "target": name}).startswith(b"\x89PNG")
    lines = [{"label": name, "pixels": ["AAAAAA=="]}]
    sheet = {"lines": lines, "shape": [2, 2, 1], "range": [0, 1], "left_out": 0}
    assert samples.draw({"samples": sheet, "target": name}).startswith(b"\x89PNG")
    assert gradient_flow.draw({"samples": [], "kernels": [name]}).startswith(b"\x89PNG")
    foreign(run)
    monkeypatch.setattr(Run, "name", name)
    assert curves.draw_curves(Run(run)).exists()


def test_letters_that_the_font_lacks_are_no_warning():
    from matplotlib.figure import Figure

    drawn = Figure()
    drawn.suptitle("\u65e5\u672c\u8a9e \U0001f600 \ue000")
    assert figure.png(drawn)
