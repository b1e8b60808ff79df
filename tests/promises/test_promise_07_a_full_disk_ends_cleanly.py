"""Promise 7: a disk that is full or read-only ends a command with exit 74 and the path; what was there stays."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
from commands import Answer, call, process
from faults import end_of, finish, refusing, resumed, start

from nnctl.core.errors import DiskError, Interrupted
from nnctl.experiment import session as module
from nnctl.runs.store import Run

SPEC = """\
name: small
data: {source: iris}
architecture: [{dense: 8}, tanh, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 32}
"""


@pytest.fixture(autouse=True)
def spec(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    return Path("spec.yaml")


def ends_cleanly(answer: Answer, under: Path) -> None:
    assert answer.code == 74, answer
    assert answer.out == "" or "\n" in answer.out
    assert str(under) in answer.err
    assert "cannot be written: " in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_training_ends_with_74_whichever_write_fails_and_goes_on_when_there_is_room(tmp_path, stride, code):
    whole = end_of(finish(start(Path("spec.yaml"), tmp_path / "whole")))
    for at in count(1 if code == errno.ENOSPC else 4, stride):
        root = tmp_path / f"runs-{at}"
        with refusing(root, at, code) as refused:
            answer = call("train", "spec.yaml", "--runs-dir", root.name, "--no-plot", "--quiet")
        if not refused:
            break
        ends_cleanly(answer, Path(root.name))
        for path in root.glob("*"):
            if not (path / "run.json").exists():
                continue
            run = Run.open(path)
            if run.status != "done":  # the very last step may fail: to see its new name onto the disk
                assert run.status in {"running", "failed"}  # where that cannot be written it is listed as killed
                finish(resumed(run))
            assert end_of(run) == whole
    assert answer.code == 0
    assert at > 20


def test_the_earlier_checkpoint_stays_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)
    whole = end_of(finish(start(Path("spec.yaml"), tmp_path / "whole")))
    session = start(Path("spec.yaml"), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: 2 if session.learner.step >= 5 else None):
            pass
    path = session.run.path
    for at in range(8, 40, 6):
        with refusing(tmp_path / "runs", at) as refused:
            answer = call("train", "--resume", path, "--no-plot", "--quiet")
        assert refused
        ends_cleanly(answer, path)
        run = Run.open(path)
        assert run.load_tensors("last")
        assert run.load_tensors("previous")
        assert not list(path.rglob(".*.tmp-*"))
    assert end_of(finish(resumed(Run.open(path)))) == whole


WRITERS: dict[str, Callable[[Run], object]] = {
    "a file": lambda run: run.write_text("plots/x", "y"),
    "a checkpoint": lambda run: run.save_tensors("best", {}, {}),
    "the checkpoint before": lambda run: run.keep_tensors("last", as_name="previous"),
    "the status": lambda run: run.set_status("failed"),
    "a record": lambda run: run.append({"epoch": 2}),
    "records": lambda run: run.records.sync(),
    "fewer records": lambda run: run.records.truncate_after(0),
    "the lock": lambda run: run.lock().__enter__(),
    "another run": lambda run: Run.create(run.path.parent / "others", "toy"),
}


def told_by(work: Callable[[], object]) -> str:
    """Return what the disk was said to refuse; "" where it took all."""
    try:
        work()
    except DiskError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("writer", WRITERS)
def test_whatever_a_run_writes_a_disk_that_refuses_is_told_of_with_the_path(tmp_path, writer):
    run = Run.create(tmp_path / "runs", "toy")
    run.begin("toy")
    run.append({"epoch": 1})
    run.save_tensors("last", {}, {})
    for at in count(1):
        with refusing(tmp_path / "runs", at) as refused:
            said = told_by(lambda: WRITERS[writer](run))
        if not refused:
            break
        assert str(tmp_path / "runs") in said
        assert not list(run.path.rglob(".*.tmp-*"))
    assert at > 1


def test_so_do_a_lock_that_cannot_be_signed_and_a_half_written_file_that_cannot_be_removed(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "runs", "toy")
    (run.path / ".x.tmp-1").touch()

    def refuses(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "pwrite", refuses)
    with pytest.raises(DiskError, match="read-only"), run.lock():
        pass
    monkeypatch.setattr(Path, "unlink", refuses)
    with pytest.raises(DiskError, match="read-only"):
        run.clean()


def test_the_failure_is_noted_where_there_is_room_for_the_note_and_told_where_there_is_none(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> NoReturn:
        raise DiskError("metrics.jsonl: cannot be written: no space left on device")

    monkeypatch.setattr(Run, "append", full)
    session = start(Path("spec.yaml"), tmp_path / "runs")
    with pytest.raises(DiskError):
        finish(session)
    assert session.run.status == "failed"
    assert session.run.record["error"].startswith("metrics.jsonl: cannot be written")
    session = start(Path("spec.yaml"), tmp_path / "runs")
    monkeypatch.setattr(Run, "write_json", lambda *_: (_ for _ in ()).throw(DiskError("the note")))
    with pytest.raises(DiskError, match=r"metrics\.jsonl"):
        finish(session)
    assert session.run.status == "running"


CHECKS = {
    "data": [],
    "overfit-batch": ["--steps", "20"],
    "lr-find": ["--steps", "10", "--sweeps", "1", "--apply", "optimizer.adam.lr=0.01"][:5],
    "gradcheck": [],
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("at", [1, 4, 9])
def test_so_does_a_check(tmp_path, check, at):
    with refusing(tmp_path / "runs", at) as refused:
        answer = call(check, "spec.yaml", *CHECKS[check])
    assert refused
    ends_cleanly(answer, Path("runs"))
    assert {json.loads(path.read_text())["status"] for path in Path("runs").glob("*/check.json")} <= {"running"}
    assert "running" not in call("ls", "runs").out


def test_lr_find_leaves_the_spec_as_it_is_where_its_suggestion_cannot_be_written(tmp_path):
    Path("there").mkdir()
    Path("there/spec.yaml").write_text(SPEC.replace("0.01", "1e-5"))
    with refusing(tmp_path / "there", 1) as refused:
        answer = call("lr-find", "there/spec.yaml", "--apply", "--steps", "30", "--sweeps", "1")
    assert refused
    ends_cleanly(answer, Path("there/spec.yaml"))
    assert Path("there/spec.yaml").read_text() == SPEC.replace("0.01", "1e-5")
    assert [path.name for path in Path("there").iterdir()] == ["spec.yaml"]


@pytest.fixture
def outputs(tmp_path) -> dict[str, list]:
    run = finish(start(Path("spec.yaml"), tmp_path / "runs"))
    return {
        "compare": ["compare", "runs", "--csv"],
        "picture": ["compare", "runs", "--plot"],
        "predict": ["predict", run.path, "test", "-o"],
        "schema": ["schema", "-o"],
        "init": ["init", "iris", "--force", "-o"],
    }


@pytest.mark.parametrize(
    ("command", "moments"),
    [
        ("compare", [1, 2, 3, 4, 5]),
        ("picture", [1, 3]),
        ("predict", [2, 3]),
        pytest.param("schema", [2], marks=pytest.mark.slow),
        ("init", [3]),
    ],
)
def test_a_file_that_was_asked_for_is_whole_or_as_it_was(tmp_path, outputs, command, moments):
    out = tmp_path / "out" / "file.png"
    out.parent.mkdir()
    for at in moments:
        out.write_text("old")
        with refusing(out.parent, at) as refused:
            answer = call(*outputs[command], out)
        if at < 5:
            assert refused
            ends_cleanly(answer, out)
        else:
            assert answer.code == 0
        assert (out.read_bytes() == b"old") == (at < 4), "from the rename on it is the new one"
        assert list(out.parent.iterdir()) == [out]


def test_a_link_stays_a_link_a_mode_a_mode_and_a_pipe_is_written_to(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    assert call("init", "iris", "--force", "-o", "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    assert "source: iris" in (tmp_path / "real").read_text()
    assert "source: iris" in process("init", "iris", "--force", "-o", "/dev/stdout").out


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, where one can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    if not mount("size=48k"):
        pytest.skip("no file system can be mounted here")
    yield place, mount
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_on_a_small_disk_it_ends_with_74_and_goes_on_when_there_is_more_room(small_disk):
    place, mount = small_disk
    wide = "architecture=[{dense: 1000}, {dense: outputs}]"
    answer = call("train", "spec.yaml", wide, "--runs-dir", place, "--no-plot", "--quiet")
    ends_cleanly(answer, place)
    assert "no space left on device. Free some space" in answer.err
    (path,) = place.iterdir()
    assert "failed" in call("ls", place).out or "killed" in call("ls", place).out
    assert mount("remount,size=9M")
    assert call("train", "--resume", path, "--no-plot", "--quiet").code == 0
    assert mount("remount,ro,size=9M")
    assert "read-only file system" in call("train", "spec.yaml", "--runs-dir", place, "--no-plot").err
    assert call("predict", path, "test").code == 0
    assert call("show", path).code == 0
