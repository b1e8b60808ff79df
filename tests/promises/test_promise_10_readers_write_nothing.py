"""Promise 10: reading commands write nothing, work on a read-only runs folder, and while a run is training."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from commands import call
from faults import end_of, finish, forked, start
from made_runs import make_check, make_run

from nnctl.runs.store import Run

SPEC = """\
name: small
data: {source: iris}
architecture: [{dense: 8}, tanh, {dropout: 0.2}, {dense: outputs}]
loss: cross_entropy
training: {epochs: 3, batch_size: 16}
"""
CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.utime",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with runs in every state, a check, and what is no run."""
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    root = Path("runs")
    for seed in (0, 1):
        finish(start(Path("spec.yaml"), root, f"seed={seed}"))
    make_run(root, "killed-1", status="running")
    make_run(root, "running-1", status="running")
    for name in ("metrics.jsonl", "health.jsonl"):  # as a killed writer leaves them
        with (root / "killed-1" / name).open("a") as file:
            file.write('{"epoch": 4, "val')
    (root / "killed-1" / ".run.json.tmp-1").write_text("half")
    make_check(root, "toy-lr-find-1")
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("{")
    (root / "plots").mkdir()
    Path("rows.csv").write_text("sepal_length,sepal_width,petal_length,petal_width\n5,3,4,1\n")
    return root


def readers(root: Path) -> list[list[object]]:
    a, b = sorted(path for path in root.iterdir() if path.name.startswith("small-"))[:2]
    return [
        ["ls", root],
        ["ls", root, "--json"],
        ["show", a],
        ["show", root / "killed-1", "--json"],
        ["show", root / "running-1"],
        ["show", root / "broken"],
        ["compare", root],
        ["compare", root, "--json"],
        ["compare", root, "--csv", "-"],
        ["diff", a, b],
        ["diff", a, root / "killed-1"],
        ["predict", a, "test"],
        ["predict", a, "test", "--json"],
        ["explain", "adam"],
        ["explain", "dead-relu"],
        ["validate", "spec.yaml"],
        ["train", "spec.yaml", "--dry-run"],
        ["lint", "spec.yaml"],
    ]


def state(folder: Path) -> dict[str, tuple]:
    files = [folder, *folder.rglob("*")]
    return {str(f): (f.lstat().st_size, f.lstat().st_mtime_ns, f.lstat().st_ctime_ns, f.lstat().st_mode) for f in files}


TRIED: list[str] = []


def refuse_changes(event: str, arguments: tuple) -> None:
    """Let the whole file system be read-only for this process, root or not; devices are none of it."""
    if event == "open":
        path, _, flags = arguments
        is_file = isinstance(path, str | bytes) and not os.fsdecode(path).startswith("/dev/")
        if is_file and flags & WRITING:
            TRIED.append(os.fsdecode(path))
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
    elif event in CHANGES:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))


@pytest.mark.parametrize("more", [[], pytest.param([["schema"]], marks=pytest.mark.slow)])
def test_no_reader_writes_anything_anywhere(folder, tmp_path, more):
    def read() -> None:
        sys.dont_write_bytecode = True
        sys.addaudithook(refuse_changes)
        for command in [*readers(folder), *more]:
            answer = call(*command)
            assert answer.code == 0, (command, answer)
            assert not TRIED, "whether it is refused or not"

    with Run(folder / "running-1").lock():
        found = state(tmp_path)
        assert forked(read) == 0
        assert state(tmp_path) == found


def test_the_guard_of_this_test_hears_a_writer(folder, tmp_path):
    def write() -> None:
        sys.addaudithook(refuse_changes)
        for command in (["train", "spec.yaml"], ["compare", folder, "--csv", "a.csv"], ["data", "spec.yaml"]):
            assert call(*command).code == 74, command

    found = state(tmp_path)
    assert forked(write) == 0
    assert state(tmp_path) == found


def test_readers_disturb_no_training_and_tell_of_it(folder, tmp_path):
    whole = end_of(finish(start(Path("spec.yaml"), tmp_path / "whole")))
    session = start(Path("spec.yaml"), folder)
    with ExitStack() as held:
        held.enter_context(Run(folder / "running-1").lock())
        for _ in session.epochs():
            for command in [
                ["ls", folder],
                ["show", session.run.path],
                ["compare", folder],
                ["diff", *[session.run.path] * 2],
            ]:
                answer = call(*command)
                assert answer.code == 0, command
            assert "running" in call("show", session.run.path).out
    assert end_of(session.run) == whole
