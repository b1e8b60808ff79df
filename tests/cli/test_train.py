"""`nnctl train`: what it shows, what it keeps, and how it ends."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import Answer, on_a_terminal, plain, process

from nnctl.runs.store import Run

QUICK = ("--no-plot", "--quiet")


def runs(folder: Path) -> list[Run]:
    return [Run.open(path.parent) for path in sorted(folder.glob("runs/*/run.json"))]


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
    (run,) = runs(here)
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
    picture = runs(here)[0].path / "plots" / "curves.png"
    assert str(picture.relative_to(here)) in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_gradient_flow_is_drawn_beside_the_curves(nnctl, spec, here):
    out = nnctl("train", spec).out
    picture = runs(here)[0].path / "plots" / "gradient_flow.png"
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
    findings = runs(here)[0].record["summary"]["findings"]
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
    assert not (runs(here)[0].path / "plots").exists()


def test_quiet_shows_the_result_alone(nnctl, spec):
    out = nnctl("train", spec, *QUICK).out
    assert "last epoch 3" in out.splitlines()[0]
    assert len(out.splitlines()) == 7


def test_json_is_one_document_and_nothing_else(nnctl, spec, here):
    code, out, err = nnctl("train", spec, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert set(found["metrics"]) == {"train", "validation", "test"}
    assert found["run"] == f"runs/{runs(here)[0].name}"
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
    assert sorted(run.record["environment"]["seed"] for run in runs(here)) == [5, 6, 7]
    found = json.loads(nnctl("train", spec, "--seeds", 2, "--json", "--no-plot").out)
    assert [run["seed"] for run in found["runs"]] == [0, 1]
    assert found["runs"][0]["metrics"] != found["runs"][1]["metrics"]


def test_a_run_is_trained_again_from_its_resolved_spec_to_the_same_bits(nnctl, spec, here):
    nnctl("train", spec, "training.epochs=2", *QUICK)
    (first,) = runs(here)
    nnctl("train", first.path / "resolved.yaml", "--runs-dir", "again", *QUICK)
    (second,) = (Run.open(path) for path in (here / "again").iterdir())
    assert_same_weights(first, second)


def assert_same_weights(run: Run, other: Run) -> None:
    mine, theirs = (r.load_tensors("last")[0] for r in (run, other))
    assert mine.keys() == theirs.keys()
    assert all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)


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
        "print(sorted({'sklearn', 'scipy', 'polars', 'pandas', 'matplotlib', 'numba'} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", spec, *QUICK], capture_output=True, text=True, check=True, cwd=spec.parent
    )
    assert done.stdout.splitlines()[-1] == "[]"


# ---------------------------------------------------------------------- exit code 2: the command line and the spec


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothere.yaml"], "nothere.yaml: does not exist."),
        (["spec.yml"], "spec.yml: does not exist. Did you mean 'spec.yaml'?"),
        (["."], "is a directory. Name the YAML file."),
        (["spec.yaml", "epochs=3"], "epochs: unknown key. Did you mean 'training.epochs'?"),
        (["spec.yaml", "nonsense"], "is not an override. Write key=value, such as training.epochs=5."),
        (["spec.yaml", "training.epochs=["], "training.epochs: is not YAML"),
        (["spec.yaml", "architecture.9.units=3"], "has the items 0 to 2. Got '9'."),
        (["--epochs", "3"], "No such option: --epochs"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--seed", "9223372036854775808"], "seed: must be < 9223372036854775808."),
        (["--seeds", "2", "--seed", "9223372036854775807"], "seed: must be < 9223372036854775808."),
        (["--seeds", "1001"], "Invalid value for '--seeds'"),
        (["--seeds", "0"], "Invalid value for '--seeds'"),
        (["--seeds", "two"], "Invalid value for '--seeds'"),
        (["spec.yaml", "--resume", "x"], "--resume takes the spec and the seed from the run."),
        (["--resume", "x", "--seeds", "2"], "--resume takes the spec and the seed from the run."),
        (["--resume", "nothere"], "there is no run 'nothere', neither as a path nor in runs."),
        (["--resume", "."], "is not the directory of a run"),
        (["spec.yaml", "architecture=[{dense: 5}]"], "must end with shape (3,) a sample for 3 classes"),
        (["spec.yaml", "architecture=[{residual: [{dense: 3}]}, {dense: outputs}]"], "residual adds its input"),
        (["spec.yaml", "architecture=[{dense: 9999999999}, {dense: outputs}]"], "of memory"),
        (["spec.yaml", "architecture=[{dense: outputs}, sigmoid]"], "does not fit the loss"),
        (["spec.yaml", "data.split.validation=0", "early_stopping={monitor: val_loss}"], "needs a validation part"),
    ],
)
def test_a_wrong_command_line_or_spec_ends_with_2_and_leaves_no_run(nnctl, spec, here, arguments, said):
    code, out, err = nnctl("train", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not (here / "runs").exists()


def test_without_a_spec_and_none_here_it_says_how_to_get_one(nnctl):
    code, _, err = nnctl("train")
    assert code == 2
    assert "nnctl init" in err


def test_mistakes_are_counted_where_they_are(nnctl, spec):
    spec.write_text(spec.read_text() + "sede: 1\nclip:\n")
    err = nnctl("train", spec, "training.epochs=0").err
    assert err.endswith(f"\n3 mistakes in the command line and {spec}.\n")


def test_what_a_terminal_would_obey_is_shown_and_not_sent(nnctl, spec):
    spec.write_text(
        spec.read_text().replace("iris}", r'"\e[31miris"}').replace("source: iris", r'source: "\e[31miris"')
    )
    code, _, err = nnctl("train", spec)
    assert code == 2
    assert "\x1b" not in err
    assert r"\x1b[31miris" in err


# ---------------------------------------------------------------------- exit code 3: the data

TABLE = "a,b,y\n" + "".join(f"{i % 7},{i * i % 5},{'no' if i % 2 else 'yes'}\n" for i in range(60))
NUMBERS = "a,b,y\n" + "".join(f"{i % 7},{i * i % 5},{i * 0.5}\n" for i in range(60))
FROM_CSV = """
data: {source: {csv: {path: table.csv, target: y}}}
architecture: [dense: 4, relu, dense: outputs]
loss: cross_entropy
training: {epochs: 2, batch_size: 8}
"""


def train_table(nnctl, here, table: str, *changes: str) -> Answer:
    (here / "table.csv").write_text(table)
    (here / "spec.yaml").write_text(FROM_CSV)
    return nnctl("train", *changes, *QUICK)


def test_a_table_is_learned(nnctl, here):
    assert train_table(nnctl, here, TABLE).code == 0
    assert train_table(nnctl, here, NUMBERS, "loss=mse").code == 0


@pytest.mark.parametrize(
    ("table", "changes", "said"),
    [
        ("", [], "table.csv: is empty."),
        ("a,b,y\n", [], "there are no rows"),
        (TABLE.replace("y\n", "z\n", 1), [], "there is no column 'y'. Columns: a, b, z."),
        (TABLE, ["loss=mse"], "holds texts, such as 'yes'. Regression needs numbers"),
        (NUMBERS, [], "target 'y' looks continuous"),
        (TABLE.replace("no\n", "yes\n"), [], "target 'y' has one class only, 'yes'."),
        (TABLE.replace("no\n", "\n"), [], "target 'y' is missing in 30 rows of 60 (rows 2, 4, 6, 8, 10, ...)."),
        (NUMBERS.replace(",3.0\n", ",nan\n"), ["loss=mse"], "target 'y' is missing in 1 row of 60 (row 7)."),
        (TABLE.replace("\n3,", "\ninf,"), [], "column 'a' is infinite in 9 rows of 60"),
        (TABLE.replace("\n3,", "\n,"), ["data.source.impute=error"], "column 'a' is missing in 9 rows of 60"),
        (TABLE + "1,2\n", [], "table.csv:62: has 2 values where the first line has 3."),
        (TABLE + "1,2,maybe\n", [], "has no row of class 'maybe': 1 row of 61"),
        (TABLE, ["training.batch_size=1000"], "fewer than one batch of 1000"),
        (TABLE, ["data.split={validation: 0.6, test: 0.6}"], "and leaves none to train on"),
        (TABLE, ["data.source.path=other.csv"], "other.csv: there is no such file"),
    ],
)
def test_data_that_cannot_be_learned_from_end_with_3_and_leave_no_run(nnctl, here, table, changes, said):
    code, out, err = train_table(nnctl, here, table, *changes)
    assert (code, out) == (3, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (here / "runs").exists()


def test_nan_in_an_array_is_told_with_its_place(nnctl, here):
    x = np.zeros((30, 2))
    x[4, 1] = np.nan
    np.savez(here / "a.npz", x=x, y=np.arange(30) % 2)
    (here / "spec.yaml").write_text(FROM_CSV.replace("{csv: {path: table.csv, target: y}}", "{npz: a.npz}"))
    code, _, err = nnctl("train", *QUICK)
    assert code == 3
    assert "in 1 row of 30 (row 5)" in err


# ---------------------------------------------------------------------- exit codes 4 and 74


def test_a_network_that_diverges_ends_with_4_and_names_layer_and_step(nnctl, here):
    (here / "spec.yaml").write_text("""
data: {source: diabetes, scaling: none}
architecture: [dense: 16, relu, dense: outputs]
loss: mse
optimizer: {sgd: 100.0}
""")
    for arguments in ((), ("--json",)):
        code, out, err = nnctl("train", *arguments, *QUICK)
        assert code == 4
        assert ("error" in json.loads(out)) if arguments else (out == "")
        assert re.search(r"diverged at step \d+ \(epoch \d+\): .* \d\.dense", err)
        assert "Warning" not in err
    assert [run.status for run in runs(here)] == ["diverged", "diverged"]
    assert nnctl("train", "--resume", runs(here)[0].path).code == 2


def test_a_folder_of_runs_that_is_a_file_ends_with_74(nnctl, spec):
    code, _, err = nnctl("train", spec, "--runs-dir", spec, *QUICK)
    assert code == 74
    assert "Choose another place with --runs-dir." in err


def test_a_disk_that_fills_up_ends_with_74_and_the_run_says_so(spec, here):
    code = "import sys; from nnctl.cli.app import _run; sys.exit(_run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", spec, "architecture.0.units=3000", *QUICK],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 74, done.stderr
    assert "last.safetensors: cannot be written: file too large." in done.stderr
    (run,) = runs(here)
    assert run.status == "failed"
    assert [path.name for path in (run.path / "checkpoints").iterdir()] == []
    assert json.loads((run.path / "run.json").read_text())["error"] in done.stderr


# ---------------------------------------------------------------------- exit codes 130 and 143

LONG = """
name: long
data: {source: iris}
architecture: [dense: 8, batch_norm, tanh, dropout: 0.2, dense: outputs]
loss: cross_entropy
optimizer: {adamw: 1e-3}
schedule: {cosine: {warmup: 20 steps}}
training: {epochs: 250, batch_size: 4}
early_stopping: {patience: 1000}
"""


def started(here: Path, *arguments: str) -> subprocess.Popen[str]:
    """Return a process that has trained its first epoch."""
    child = subprocess.Popen(
        [sys.executable, "-m", "nnctl", "train", *arguments, "--no-plot"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=here,
    )
    until = time.monotonic() + 30
    while not any(path.stat().st_size for path in here.glob("runs/*/metrics.jsonl")):
        assert time.monotonic() < until
        assert child.poll() is None, child.communicate()
        time.sleep(0.005)
    return child


def test_ctrl_c_saves_and_the_resumed_run_ends_with_the_bits_of_the_uninterrupted_one(nnctl, here):
    (here / "spec.yaml").write_text(LONG)
    child = started(here)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    (run,) = runs(here)
    assert run.status == "interrupted"
    assert "Traceback" not in out + err
    told = re.search(r"interrupted in epoch \d+, step [\d,]+ of 6,500; .* nnctl (train --resume \S+)", err)
    assert told
    code, out, _ = nnctl(*told[1].split(), "--no-plot")
    assert code == 0
    assert "all steps done after 250 epochs" in out
    assert nnctl("train", "--runs-dir", "whole", *QUICK).code == 0
    (whole,) = (Run.open(path) for path in (here / "whole").iterdir())
    assert_same_weights(run, whole)
    assert [r["epoch"] for r in run.records.read()] == list(range(1, 251))
    assert nnctl("train", "--resume", run.name).code == 2, "it is done"


def test_sigterm_saves_and_ends_with_143(here):
    (here / "spec.yaml").write_text(LONG.replace("250", "250000"))
    child = started(here)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 143
    assert "everything is saved" in err
    assert runs(here)[0].status == "interrupted"


def test_an_interrupted_run_of_several_seeds_stops_them_all(here):
    (here / "spec.yaml").write_text(LONG.replace("250", "250000"))
    child = started(here, "--seeds", "3")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130
    assert len(runs(here)) == 1


def test_a_reader_that_stops_reading_ends_the_run_without_a_word_and_it_can_go_on(here):
    (here / "spec.yaml").write_text(LONG.replace("250", "250000"))
    child = started(here)
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(timeout=30) == 141
    assert child.stderr.read() == ""
    assert runs(here)[0].status == "interrupted"
    child.stderr.close()


def test_a_seed_that_diverges_does_not_keep_the_others_from_training(nnctl, spec, here, monkeypatch):
    from nnctl.core.errors import Diverged
    from nnctl.experiment.session import Session

    fit = Session._fit

    def planted(self, signal):
        if self.experiment.spec.seed == 1:
            raise Diverged("diverged, as planted")
        return fit(self, signal)

    monkeypatch.setattr(Session, "_fit", planted)
    code, out, err = nnctl("train", "spec.yaml", "--seeds", "3", "--json", "--no-plot")
    runs = json.loads(out)["runs"]
    assert code == 4
    assert "1 of 3 seeds diverged: 1" in err
    assert ["metrics" in run for run in runs] == [True, False, True]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["explain"], ["train", "spec.yaml", "--json", "--no-plot"]])
def test_an_output_that_cannot_be_written_ends_with_74(spec, here, command):
    line = [sys.executable, "-m", "nnctl", *command]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 74
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
