"""`nnctl train`: how it ends where it cannot go on, in an exit code, a message, and what is saved."""

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
from commands import Answer
from kept_runs import assert_same_weights, runs_in

from nnctl.runs.store import Run

QUICK = ("--no-plot", "--quiet")


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
        (["--epochs", "3"], "there is no option --epochs. Keys of the spec are changed after its name"),
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
    assert [run.status for run in runs_in(here)] == ["diverged", "diverged"]
    assert nnctl("train", "--resume", runs_in(here)[0].path).code == 2


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
    (run,) = runs_in(here)
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
    (run,) = runs_in(here)
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
    assert runs_in(here)[0].status == "interrupted"


def test_an_interrupted_run_of_several_seeds_stops_them_all(here):
    (here / "spec.yaml").write_text(LONG.replace("250", "250000"))
    child = started(here, "--seeds", "3")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130
    assert len(runs_in(here)) == 1


def test_a_reader_that_stops_reading_ends_the_run_without_a_word_and_it_can_go_on(here):
    (here / "spec.yaml").write_text(LONG.replace("250", "250000"))
    child = started(here)
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(timeout=30) == 141
    assert child.stderr.read() == ""
    assert runs_in(here)[0].status == "interrupted"
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
