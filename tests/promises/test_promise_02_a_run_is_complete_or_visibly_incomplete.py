"""Promise 2: a run directory is complete or visibly incomplete; readers bear it, and resume makes it whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import call
from faults import KILLED, end_of, finish, forked, killed_at, resumed, start, steps_of

from nnctl.experiment import session as module
from nnctl.runs.store import Run

SPEC = """
name: small
data: {source: iris}
architecture: [{dense: 8}, tanh, {dropout: 0.2}, batch_norm, {dense: outputs}]
loss: cross_entropy
training: {epochs: 3, batch_size: 16}
"""


def listed(root: Path) -> list[dict]:
    answers = [call("ls", root, "--json"), call("compare", root, "--json"), call("ls", root), call("compare", root)]
    assert [answer.code for answer in answers] == [0] * 4, answers
    return json.loads(answers[0].out)["entries"]


@pytest.fixture
def whole(spec_file, tmp_path) -> Run:
    return finish(start(spec_file(SPEC), tmp_path / "whole"))


@pytest.mark.parametrize("moments", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_moment_is_listed_as_what_it_is_and_resumes_to_the_whole(
    spec_file, tmp_path, whole, monkeypatch, moments
):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint before every step
    spec = spec_file(SPEC)

    def train(root: Path) -> None:
        finish(start(spec, root))

    last = steps_of(lambda: train(tmp_path / "counted"), tmp_path)
    for step in np.random.default_rng(0).integers(1, last, moments):
        root = tmp_path / f"at-{step}"
        root.mkdir(exist_ok=True)
        killed = killed_at(int(step), lambda root=root: train(root))
        for entry in listed(root):
            path = Path(entry["path"])
            if entry["status"] == "broken":
                assert not (path / "run.json").exists()
            elif entry["status"] == "foreign":
                assert path == root, "nothing was made yet"
            elif entry["status"] == "done" or not killed:
                assert end_of(Run.open(path)) == end_of(whole)
            else:
                assert entry["status"] == "killed"
                finish(resumed(Run.open(path)))
                assert end_of(Run.open(path)) == end_of(whole)
                assert not list(path.rglob(".*.tmp-*")), "resume removes what was half written"


def test_a_run_killed_before_it_began_says_so_and_can_be_removed(spec_file, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "begin", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    assert forked(lambda: start(spec_file(SPEC), tmp_path / "runs")) == KILLED
    (entry,) = listed(tmp_path / "runs")
    assert (entry["kind"], entry["status"]) == ("broken", "broken")
    assert "was killed before it began" in entry["reason"]
    assert call("show", entry["path"]).code == 0
    assert call("train", "--resume", entry["path"]).code == 2
    assert call("rm", entry["path"], "--yes").code == 0
    assert not Path(entry["path"]).exists()


@pytest.mark.parametrize("name", ["spec.yaml", "resolved.yaml", "preprocessing.json"])
def test_what_has_a_run_json_has_all_that_it_can_be_resumed_from(spec_file, tmp_path, monkeypatch, name):
    write = Run.write_text

    def killed(self, file: str, text: str) -> None:
        if file == name:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, file, text)

    monkeypatch.setattr(Run, "write_text", killed)
    assert forked(lambda: start(spec_file(SPEC), tmp_path / "runs")) == KILLED
    (entry,) = listed(tmp_path / "runs")
    assert entry["status"] == "broken"


def test_done_is_written_last(spec_file, tmp_path, monkeypatch):
    from nnctl.runs import atomic

    written = []
    replace = atomic.replace

    def noted(path: Path, content: bytes) -> None:
        written.append((path.name, b'"status": "done"' in content))
        replace(path, content)

    monkeypatch.setattr(atomic, "replace", noted)
    finish(start(spec_file(SPEC), tmp_path / "runs"))
    assert [done for _, done in written].index(True) == len(written) - 1
    assert written[-1] == ("run.json", True)


def test_half_written_files_are_shown_by_no_reader(whole):
    path = whole.path
    for name in (".run.json.tmp-1", "checkpoints/.last.safetensors.tmp-2", ".metrics.jsonl.tmp-3"):
        (path / name).write_bytes(b"half")
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 9, "val_lo')
    assert listed(path.parent)[0]["status"] == "done"
    shown = call("show", path)
    assert shown.code == 0
    assert "tmp-" not in shown.out
    assert call("predict", path, "test").code == 0
    assert call("diff", path, path).code == 0


PROGRAM = "import sys; from nnctl.cli.app import main; main(sys.argv[1:])"


@pytest.mark.slow
def test_a_process_killed_at_random_times_is_listed_as_what_it_is(spec_file, tmp_path):
    spec = spec_file(SPEC.replace("epochs: 3", "epochs: 300"))
    rng = np.random.default_rng(0)
    for i in range(20):
        root = tmp_path / f"runs-{i}"
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "train", str(spec), "--runs-dir", str(root), "--quiet"],
            stdout=subprocess.DEVNULL,
        ) as child:
            while not root.exists():
                time.sleep(0.005)
            for _ in range(int(rng.integers(0, 6))):
                states = {entry["status"] for entry in listed(root) if entry["path"] != str(root)}
                assert states <= {"broken", "starting", "running", "done"}
                time.sleep(0.02)
            child.send_signal(signal.SIGKILL)
        made = [entry for entry in listed(root) if entry["path"] != str(root)]
        assert {entry["status"] for entry in made} <= {"killed", "done", "broken"}
