"""`nnctl compare` as it is called."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import process
from made_runs import make_check, make_run

from nnctl.cli.columns import Column, lay_out, shorten
from nnctl.cli.fields import Fields
from nnctl.cli.pictures.comparison import curves_of
from nnctl.runs.comparison import compare
from nnctl.runs.listing import entries_in

RUNS = Path("runs")
SGD = {"optimizer": {"sgd": {"lr": 0.1}}}


@pytest.fixture
def two(here):
    """Two runs that differ in the optimizer."""
    make_run(RUNS, "adam-1", 0.3)
    make_run(RUNS, "sgd-1", 0.2, seed=1, **SGD)


def test_the_table_has_the_best_first_and_what_differs(two, nnctl):
    answer = nnctl("compare")
    assert (answer.code, answer.err) == (0, "")
    head, first, second, *rest = answer.out.splitlines()
    assert head.split() == [
        "name", "val_loss", "epoch", "test_loss", "test_accuracy", "train_loss", "parameters", "time", "seed", "status",
        "optimizer", "optimizer.lr",
    ]  # fmt: skip
    assert first.split() == ["sgd-1", "0.2", "3", "0.22", "0.9", "0.1", "67", "0.2", "s", "1", "done", "sgd", "0.1"]
    assert second.split()[0] == "adam-1"
    assert not rest


def test_runs_that_differ_in_name_and_seed_alone_show_the_seed(here, nnctl):
    make_run(RUNS, "a", seed=3)
    make_run(RUNS, "b", seed=4)
    head = nnctl("compare").out.splitlines()[0].split()
    assert head[-2:] == ["seed", "status"]


def test_single_runs_are_never_called_better(two, nnctl):
    assert "better" not in nnctl("compare").out


def test_broken_running_and_foreign_directories_are_listed_as_such(two, nnctl):
    make_run(RUNS, "brk").joinpath("run.json").write_text("{")
    make_run(RUNS, "dead", 0.1, status="running")
    make_check(RUNS, "check")
    (RUNS / "foreign").mkdir()
    answer = nnctl("compare")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[1].startswith("dead")
    assert "killed" in lines[1]
    assert any(line.split()[:2] == ["brk", "broken"] for line in lines)
    assert any(line.split()[:2] == ["foreign", "foreign"] for line in lines)
    assert "note: 1 check left out; nnctl ls shows them" in lines


def test_groups_of_seeds_are_shown_with_what_can_be_said_of_them(here, nnctl):
    for seed, value in enumerate((0.10, 0.12, 0.11, 0.13, 0.10, 0.12)):
        make_run(RUNS, f"adam-{seed}", value, seed=seed)
        make_run(RUNS, f"sgd-{seed}", value + 0.1, seed=seed, **SGD)
    out = nnctl("compare").out
    assert "adam                          6          0.113         0.012             0.105 to 0.122" in out
    assert "adam is better than sgd: val_loss is 0.1 lower for adam in the mean of 6 shared seeds, p = 0.031." in out


def test_columns_conditions_and_order_can_be_chosen(two, nnctl):
    out = nnctl("compare", "--columns", "lr, environment.numpy", "--sort", "lr", "--where", "optimizer!=rmsprop").out
    assert [line.split() for line in out.splitlines()] == [
        ["name", "optimizer.lr", "environment.numpy"],
        ["adam-1", "0.001", "2.4.0"],
        ["sgd-1", "0.1", "2.4.0"],
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--columns", "optimzer"), "--columns: no run has the key 'optimzer'. Did you mean 'optimizer'?"),
        (("--where", "val_los<1"), "    val_los<1\n    ^"),
        (("--metric", "val_los"), "--metric: no run has the figure 'val_los'. Did you mean 'val_loss'?"),
        (("--sort", "tim"), "--sort: no run has the key 'tim'. Did you mean 'time'?"),
        (("adm-1",), "there is no run 'adm-1', neither as a path nor in runs. Did you mean 'adam-1'?"),
        (("--json", "--csv", "-"), "Leave one out"),
        (("--plot", "a.png", "b.png"), "--plot draws one picture"),
        (("--runs-dir", "none"), "there is no folder none here"),
        (("--last", "0"), "--last"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(two, nnctl, arguments, said):
    answer = nnctl("compare", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_json_is_one_document_with_all_of_it(two, nnctl):
    found = json.loads(nnctl("compare", "--json").out)
    assert [run["name"] for run in found["runs"]] == ["sgd-1", "adam-1"]
    assert found["runs"][0]["spec"] == {"optimizer": "sgd", "optimizer.lr": 0.1}
    assert found["runs"][0]["figures"]["test_loss"] == pytest.approx(0.22)
    assert (found["metric"], found["mode"], found["picture"]) == ("val_loss", "min", None)


def test_csv_has_all_digits_and_no_formulas(here, nnctl):
    make_run(RUNS, "=1+1", 1 / 3)
    for text in (
        nnctl("compare", "--csv", "-").out,
        (nnctl("compare", "--csv", "t.csv"), Path("t.csv").read_text())[1],
    ):
        (row,) = csv.DictReader(io.StringIO(text))
        assert row["name"] == "'=1+1"
        assert float(row["val_loss"]) == 1 / 3


def test_plot_draws_into_the_named_file_or_into_compare_png(two, nnctl):
    assert "picture compare.png" in nnctl("compare", "--plot").out
    assert nnctl("compare", "--plot", "mine.png", "runs", "--json").code == 0
    for file in ("compare.png", "mine.png"):
        assert Path(file).read_bytes().startswith(b"\x89PNG")


def test_the_runs_of_a_spec_share_a_colour_and_damaged_records_are_left_out(here):
    for seed in range(3):
        make_run(RUNS, f"adam-{seed}", seed=seed)
    make_run(RUNS, "sgd-1", **SGD)
    make_run(RUNS, "bad", training={"epochs": 9}).joinpath("metrics.jsonl").write_text("nonsense\nnonsense\n")
    figures = curves_of(compare(entries_in("runs")))
    assert [(spec["name"], len(spec["runs"])) for spec in figures["specs"]] == [("adam", 3), ("sgd-1", 1)]
    assert figures["specs"][0]["runs"][0]["val_loss"] == [[1, 2, 3], [2.5, 1.5, 0.5]]


def test_runs_made_before_run_json_held_the_spec_are_read_from_resolved_yaml(here, nnctl):
    for i in range(2):
        run = make_run(RUNS, f"old-{i}", seed=i)
        record = json.loads((run / "run.json").read_text())
        del record["spec"]
        (run / "run.json").write_text(json.dumps(record))
        (run / "resolved.yaml").write_text(f"name: old\nseed: {i}\noptimizer: {{adam: {{lr: 1e-{i + 2}}}}}\n")
    assert nnctl("compare").out.splitlines()[0].split()[-1] == "optimizer.lr"


def test_a_trained_run_is_compared(spec, nnctl):
    for lr in (0.01, 0.001):
        assert nnctl("train", "spec.yaml", f"optimizer.lr={lr}", "-q", "--no-plot").code == 0
    out = nnctl("compare").out.splitlines()
    assert out[0].split()[-1] == "optimizer.lr"
    assert {line.split()[-1] for line in out[1:3]} == {"0.01", "0.001"}


@pytest.mark.parametrize("arguments", [("compare",), ("ls",), ("show", "adam-1"), ("diff", "adam-1", "sgd-1")])
def test_reading_commands_write_nothing_and_load_neither_numpy_nor_rich(two, arguments):
    before = {file: file.stat().st_mtime_ns for file in Path().rglob("*")}
    code = "import sys; from nnctl.cli.app import _run; assert _run(sys.argv[1:]) == 0; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert not set(done.stdout.splitlines()[-1].split()) & {"numpy", "rich", "sklearn", "matplotlib"}
    assert {file: file.stat().st_mtime_ns for file in Path().rglob("*")} == before


def test_a_reader_that_leaves_is_no_error(two):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        done = subprocess.run([sys.executable, "-m", "nnctl", "compare"], stdout=nobody, stderr=-1, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_without_a_terminal_nothing_is_left_out_for_want_of_width(two):
    assert "optimizer.lr" in process("compare", COLUMNS="40").out


def test_where_there_is_no_room_the_columns_of_least_worth_go():
    columns = [Column("name", ["a" * 40], left=True, narrowest=10), Column("x", ["1"], 2), Column("y", ["22"], 1)]
    assert lay_out(columns, None) == ([f"{'name':40}  x   y", f"{'a' * 40}  1  22"], [])
    lines, left_out = lay_out(columns, 14)
    assert left_out == ["y"]
    assert lines[1] == "aaaaa…aaaaa  1"
    assert lay_out(columns, 1)[1] == ["x", "y"]


def test_of_many_columns_without_room_some_are_named_and_the_others_counted(here, nnctl, monkeypatch):
    def left_out(keys: int) -> str:
        for run in "ab":
            make_run(here / "runs", f"{keys}-{run}", **{f"key{k}_long": run * 30 for k in range(keys)})
        said = nnctl("compare", *(f"runs/{keys}-{run}" for run in "ab")).out
        return " ".join(said[said.index("no room for") :].split(":")[0].split())

    monkeypatch.setattr("nnctl.cli.columns.terminal_width", lambda: 40)
    many = left_out(20)
    assert many.endswith(" more")
    assert many.count(",") == 5
    monkeypatch.setattr("nnctl.cli.columns.terminal_width", lambda: 60)
    assert "more" not in left_out(1)


def test_of_the_keys_those_that_part_the_runs_most_evenly_stay_longest(here):
    for i in range(6):
        optimizer = {"adam": {"lr": 0.001 * (i % 2 + 1), "beta1": 0.5 if i == 5 else 0.9}}
        make_run(RUNS, f"run-{i}", i / 10, optimizer=optimizer)
    columns = Fields(compare(entries_in("runs"))).columns()
    assert "optimizer.lr" in lay_out(columns, 36)[0][0]
    assert "optimizer.beta1" in lay_out(columns, 36)[1]


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [("abcdefghij", 10, "abcdefghij"), ("abcdefghij", 7, "abc…hij"), ("日本語日本語", 12, "日本語日本語")],
)
def test_a_long_name_is_shortened_in_the_middle(text, width, short):
    assert shorten(text, width) == short
