"""`nnctl train`: what it shows, and what it keeps."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from commands import on_a_terminal, plain, process
from kept_runs import assert_same_weights, runs_in

from nnctl.runs.store import Run

QUICK = ("--no-plot", "--quiet")


# ---------------------------------------------------------------------- a training, as it is seen


def test_a_run_shows_every_epoch_and_then_its_result_and_keeps_it(nnctl, spec, here):
    code, out, err = nnctl("train", spec, "--no-plot")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == [
        "iris, seed 0",
        "data    104 train, 23 validation, 23 test rows; 4 inputs, 3 classes",
        "network 67 parameters, float32, 1 BLAS thread",
    ]
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/3", "2/3", "3/3"]
    for figure in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "grad_norm", "samples/s"):
        assert all(figure in line for line in epochs), figure
    assert re.search(r"last epoch 3 +loss +accuracy$", out, re.MULTILINE)
    assert [line.split()[0] for line in lines[-6:]] == ["train", "validation", "test", "ended", "health", "run"]
    assert re.search(r"ended +all steps done after 3 epochs, 12 steps, .*; best epoch \d, val_loss \S+", lines[-3])
    assert lines[-2] == "health  nothing found in 3 looks"
    (run,) = runs_in(here)
    assert lines[-1] == f"run     runs/{run.name}"
    assert (run.status, run.record["summary"]["epochs"], len(run.records.read())) == ("done", 3, 3)
    assert (run.path / "spec.yaml").read_text() == spec.read_text()


def test_the_curves_are_drawn_after_the_result_stands(nnctl, spec, here, monkeypatch):
    from nnctl.cli.pictures import curves

    draw = curves.draw_curves
    monkeypatch.setattr(curves, "draw_curves", lambda run: print("DRAWING") or draw(run))
    code, out, _ = nnctl("train", spec)
    assert code == 0
    assert out.index("\nrun  ") < out.index("DRAWING") < out.index("\ncurves  ")
    picture = runs_in(here)[0].path / "plots" / "curves.png"
    assert str(picture.relative_to(here)) in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_gradient_flow_is_drawn_beside_the_curves(nnctl, spec, here):
    out = nnctl("train", spec).out
    picture = runs_in(here)[0].path / "plots" / "gradient_flow.png"
    assert out.splitlines()[-1] == f"flow    {picture.relative_to(here)}"
    assert picture.read_bytes().startswith(b"\x89PNG")


DEAD = ["architecture=[{dense: {units: 8, bias_init: {constant: -100}}}, relu, {dense: outputs}]", "training.epochs=40"]


def test_what_is_unhealthy_is_told_once_and_training_goes_on(nnctl, spec, here):
    code, out, err = nnctl("train", spec, *DEAD, "--no-plot")
    assert (code, err) == (0, "")
    (told,) = (line for line in out.splitlines() if line.startswith("fail"))
    assert told.startswith(
        "fail  dead-relu  1.relu: 8 of its 8 units (100%) are 0 for all of 104 training rows, at step 1"
    )
    assert "health  dead-relu, unchanged-weights; more on each: nnctl explain RULE" in out
    findings = runs_in(here)[0].record["summary"]["findings"]
    assert [(f["rule"], f["verdict"], f["where"]) for f in findings] == [
        ("dead-relu", "fail", "1.relu"),
        ("unchanged-weights", "warn", "0.dense.W"),
    ]


def test_what_is_unhealthy_is_in_the_document_and_in_the_quiet_result(nnctl, spec):
    assert "dead-relu" in nnctl("train", spec, *DEAD, "--quiet", "--no-plot").out.splitlines()[-2]
    found = json.loads(nnctl("train", spec, *DEAD, "--json", "--no-plot").out)
    assert found["findings"][0]["rule"] == "dead-relu"


SATURATED = "architecture=[{dense: 8}, tanh, {dense: outputs}]"


def test_what_was_found_before_a_training_diverges_is_told(nnctl, spec):
    code, out, err = nnctl("train", spec, "optimizer={sgd: 3e38}", "init={normal: 1e3}", "--no-plot", SATURATED)
    assert code == 4
    assert "diverged at step 2 (epoch 1)" in err
    assert "fail  saturated-units  1.tanh" in out


def test_no_plot_draws_nothing(nnctl, spec, here):
    assert "curves" not in nnctl("train", spec, "--no-plot").out
    assert not (runs_in(here)[0].path / "plots").exists()


def test_quiet_shows_the_result_alone(nnctl, spec):
    out = nnctl("train", spec, *QUICK).out
    assert "last epoch 3" in out.splitlines()[0]
    assert len(out.splitlines()) == 7


def test_json_is_one_document_and_nothing_else(nnctl, spec, here):
    code, out, err = nnctl("train", spec, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert set(found["metrics"]) == {"train", "validation", "test"}
    assert found["run"] == f"runs/{runs_in(here)[0].name}"
    assert all((here / found[picture]).exists() for picture in ("plot", "gradient_flow"))
    assert (found["seed"], found["epochs"], found["reason"]) == (0, 3, "all steps done")


def test_dry_run_shows_the_network_and_makes_no_run(nnctl, spec, here):
    code, out, _ = nnctl("train", spec, "--dry-run")
    assert code == 0
    assert "0.dense" in out
    assert re.search(r"total +67", out)
    assert "memory" in out
    found = json.loads(nnctl("train", spec, "--dry-run", "--json").out)
    assert found["parameters"] == 67
    assert found["memory"]["total"] > 0
    assert not (here / "runs").exists()


def test_overrides_a_seed_and_another_folder_are_heeded(nnctl, spec, here):
    arguments = [
        "training.epochs=2",
        "optimizer.lr=0.5",
        "--seed",
        "7",
        "--runs-dir",
        "kept/here",
        "--json",
        "--no-plot",
    ]
    found = json.loads(nnctl("train", spec, *arguments).out)
    assert (found["seed"], found["epochs"]) == (7, 2)
    resolved = (here / found["run"] / "resolved.yaml").read_text()
    assert "seed: 7" in resolved
    assert "lr: 0.5" in resolved
    assert found["run"].startswith("kept/here/iris-")
    assert not (here / "runs").exists()


def test_without_a_spec_the_one_of_this_directory_is_taken(nnctl, spec):
    assert nnctl("train", "training.epochs=1", *QUICK).code == 0
    assert nnctl("train", *QUICK).code == 0


def test_several_seeds_are_several_runs_and_a_table(nnctl, spec, here):
    code, out, _ = nnctl("train", spec, "--seeds", 3, "--seed", 5, *QUICK)
    assert code == 0
    assert re.search(r"^test, 3 seeds +median +mean +std +min +max$", out, re.MULTILINE)
    assert sorted(run.record["environment"]["seed"] for run in runs_in(here)) == [5, 6, 7]
    found = json.loads(nnctl("train", spec, "--seeds", 2, "--json", "--no-plot").out)
    assert [run["seed"] for run in found["runs"]] == [0, 1]
    assert found["runs"][0]["metrics"] != found["runs"][1]["metrics"]


def test_a_run_is_trained_again_from_its_resolved_spec_to_the_same_bits(nnctl, spec, here):
    nnctl("train", spec, "training.epochs=2", *QUICK)
    (first,) = runs_in(here)
    nnctl("train", first.path / "resolved.yaml", "--runs-dir", "again", *QUICK)
    (second,) = (Run.open(path) for path in (here / "again").iterdir())
    assert_same_weights(first, second)


# ---------------------------------------------------------------------- a terminal, and none


def test_without_a_terminal_there_is_a_line_an_epoch_and_no_escape_code(spec):
    code, out, err = process("train", spec, "--no-plot", FORCE_COLOR="", TERM="dumb")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "\r" not in out
    assert len(re.findall(r"^epoch \d/3 ", out, re.MULTILINE)) == 3


def test_on_a_terminal_a_table_is_live_while_it_trains_and_gone_when_it_ends(spec):
    shown = on_a_terminal("train", spec, "training.epochs=400", "--no-plot", columns=120).text
    assert "\x1b[?25l" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is there again"
    live, result = shown[: shown.rindex("\x1b[?25h")], shown[shown.rindex("\x1b[?25h") :]
    for word in ("epoch", "train loss", "val loss", "grad norm", "samples/s", "step", "left"):
        assert word in plain(live), word
    assert plain(result).strip().splitlines()[-1].startswith("run ")
    assert "step" not in plain(result).split("ended")[0]


def test_no_color_leaves_no_colour_on_a_terminal(spec):
    shown = on_a_terminal("train", spec, "--no-plot", NO_COLOR="1").text
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)


def test_a_plain_numeric_run_imports_nothing_heavy_before_its_result(spec):
    code = (
        "import sys; from nnctl.cli.app import _run; code = _run(sys.argv[1:]);"
        "heavy = {'sklearn', 'scipy', 'polars', 'pandas', 'matplotlib', 'numba'};"
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", spec, *QUICK], capture_output=True, text=True, check=True, cwd=spec.parent
    )
    assert done.stdout.splitlines()[-1] == "[]"
