"""Promise 21: every command does its work where nobody reads, nothing can be written, or little can be shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from commands import call, on_a_terminal, plain
from rich.cells import cell_len

from nnctl.cli import app

pytestmark = pytest.mark.slow  # many processes; the quick part of this is in tests/cli

COMMANDS = typer.main.get_command(app.app).commands
SPEC = """\
name: points
data: {source: {blobs: {samples: 60}}}
architecture: [dense: 4, relu, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 8}
"""
TEXT = """\
name: text
data: {source: {text: {path: text.txt, context: 8}}}
architecture: [{embedding: 4}, {lstm: {units: 4, returns: sequence}}, {dense: outputs}]
loss: cross_entropy
training: {steps: 2, batch_size: 4}
"""
LINES = {
    "train": ["spec.yaml", "--no-plot"],
    "validate": ["spec.yaml"],
    "init": ["wine", "-o", "wine.yaml", "--force"],
    "predict": ["run", "test"],
    "sample": ["text", "--length", "200"],
    "repro": ["run"],
    "fetch": [],
    "explain": ["adam"],
    "schema": [],
    "lint": ["spec.yaml"],
    "doctor": ["spec.yaml"],
    "data": ["spec.yaml"],
    "gradcheck": ["spec.yaml"],
    "lr-find": ["spec.yaml", "--steps", "10", "--sweeps", "1"],
    "overfit-batch": ["spec.yaml", "--steps", "20"],
    "compare": ["run"],
    "diff": ["run", "other"],
    "ls": ["."],
    "show": ["run"],
    "rm": ["gone", "--yes"],
}
QUICK = ["train", "predict", "explain", "show"]
every_command = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in LINES]
)
ENDS = {0, 5}  # a check may come to the verdict "fail"


def test_every_command_is_tried_here():
    assert set(LINES) == set(COMMANDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Specs and runs for every command."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "text.yaml").write_text(TEXT)
    (folder / "text.txt").write_text("the cat sat on the mat. " * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for spec, name in (("spec", "run"), ("spec", "other"), ("text", "text")):
            found = json.loads(call("train", f"{spec}.yaml", "--no-plot", "--json").out)
            Path(found["run"]).rename(name)
    return folder


@pytest.fixture
def here(made, monkeypatch) -> Path:
    monkeypatch.chdir(made)
    if not Path("gone").exists():
        subprocess.run(["cp", "-r", "other", "gone"], check=True)
    return made


def run(line: list[str], redirection: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Call a command through a shell, with the redirection or the pipe that follows it."""
    script = f'"$0" -m nnctl "$@" {redirection}'
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, sys.executable, *line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**buffered, **environment},
    )


def is_quiet(err: str) -> bool:
    return "Traceback" not in err and "Exception ignored" not in err and "bug in nnctl" not in err


@every_command
def test_a_closed_stdout_keeps_no_command_from_its_work(here, name):
    done = run([name, *LINES[name]], ">&-")
    assert done.returncode in ENDS
    assert is_quiet(done.stderr)


@every_command
def test_a_reader_that_stops_ends_a_command_without_a_word(here, name):
    done = run([name, *LINES[name]], "| head -c 1 > /dev/null", PYTHONUNBUFFERED="1")
    assert done.returncode in ENDS | {141}
    assert is_quiet(done.stderr)
    assert "error" not in done.stderr or done.returncode == 5


@every_command
def test_a_full_device_ends_a_command_with_74_and_a_word(here, name):
    done = run([name, *LINES[name]], "> /dev/full")
    assert done.returncode == 74
    assert "the output cannot be written: No space left on device" in done.stderr
    assert is_quiet(done.stderr)


@every_command
def test_closed_streams_all_three_are_survived(here, name):
    done = run([name, *LINES[name]], "<&- >&- 2>&-")
    assert done.returncode in ENDS


@every_command
def test_twenty_columns_are_enough(here, name):
    code, shown = on_a_terminal(name, *LINES[name], columns=20)
    assert code in ENDS
    assert is_quiet(shown)
    if name == "explain":  # which is prose and fits; tables and paths run on
        assert max(map(cell_len, plain(shown).splitlines())) <= 20


@every_command
def test_no_color_gives_none(here, name):
    code, shown = on_a_terminal(name, *LINES[name], NO_COLOR="1")
    assert code in ENDS
    assert not re.search(r"\x1b\[[0-9;]*[34][0-7]m", shown)


@every_command
def test_without_a_terminal_nothing_is_moved_or_coloured(here, name):
    done = run([name, *LINES[name]])
    assert done.returncode in ENDS
    assert "\x1b" not in done.stdout


@every_command
def test_a_home_that_cannot_be_written_is_not_needed(here, tmp_path, name):
    home = tmp_path / "home"
    home.write_text("")  # no directory: nobody can write there, root neither
    places = {key: str(home / "x") for key in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR")}
    line = [argument for argument in LINES[name] if argument != "--no-plot"]
    done = run([name, *line], HOME=str(home), **places)
    assert done.returncode in ENDS, done.stderr
    assert is_quiet(done.stderr)
    assert "matplotlib" not in done.stderr.lower()
    assert home.read_text() == ""
