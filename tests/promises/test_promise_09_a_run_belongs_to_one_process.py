"""Promise 9: two processes never share the directory of a run or of a check."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands import call
from faults import KILLED, answer_of, finish, forked, resumed, start
from made_runs import make_check

from nnctl.core.errors import Interrupted, UsageError
from nnctl.core.finding import Report
from nnctl.runs.check import CheckFolder
from nnctl.runs.lock import is_held
from nnctl.runs.store import Run


def at_once(count: int, work) -> list[int]:
    """Let processes wait for one another, do some work, and return how each ended."""
    gate, open_gate = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.close(open_gate)
                os.read(gate, 1)  # until the gate is opened for all
                code = work()
            finally:
                os._exit(code)
        children.append(child)
    os.close(gate)
    os.close(open_gate)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def ends(count: int, work, folder: Path) -> list[int]:
    return answer_of(lambda: at_once(count, work), folder)


@pytest.mark.parametrize("count", [6, pytest.param(16, marks=pytest.mark.slow)])
def test_starts_at_the_same_moment_get_a_directory_each(spec_file, tmp_path, count):
    spec, root = spec_file(), tmp_path / "runs"

    def work() -> int:
        finish(start(spec, root, "training.epochs=1"))
        return 0

    assert ends(count, work, tmp_path) == [0] * count
    assert [Run.open(path).status for path in root.iterdir()] == ["done"] * count


@pytest.mark.parametrize("count", [6, pytest.param(16, marks=pytest.mark.slow)])
def test_of_resumes_at_the_same_moment_one_goes_on_and_the_others_are_refused(spec_file, tmp_path, count):
    run = interrupted(spec_file, tmp_path)

    def work() -> int:
        try:
            session = resumed(run)
        except UsageError as error:
            return 2 if "is in use by process " in str(error) or "is done" in str(error) else 1
        time.sleep(0.3)
        finish(session)
        return 0

    assert sorted(ends(count, work, tmp_path)) == [0] + [2] * (count - 1)
    assert [record["epoch"] for record in run.records.read()] == [1, 2, 3, 4, 5, 6]


def interrupted(spec_file, tmp_path) -> Run:
    session = start(spec_file(), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: 2 if session.learner.step >= 10 else None):
            pass
    return session.run


def test_the_refusal_names_the_process_and_changes_nothing(spec_file, tmp_path):
    run = interrupted(spec_file, tmp_path)
    with run.lock():
        before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
        answer = call("train", "--resume", run.path)
        assert answer.code == 2
        assert f"{run.path} is in use by process {os.getpid()}. Wait for it, or stop it." in answer.err
        assert call("rm", run.path, "--yes").code == 2
        assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before


def test_a_run_is_held_from_the_moment_it_is_made(spec_file, tmp_path, monkeypatch):
    states = []
    begin = Run.begin

    def noted(self, *arguments, **fields):
        states.append(status_in(tmp_path / "runs"))
        begin(self, *arguments, **fields)
        states.append(status_in(tmp_path / "runs"))

    monkeypatch.setattr(Run, "begin", noted)
    session = start(spec_file(), tmp_path / "runs")
    states.append(status_in(tmp_path / "runs"))
    with pytest.raises(UsageError, match="is in use"):
        resumed(session.run)
    finish(session)
    assert [*states, status_in(tmp_path / "runs")] == ["starting", "running", "running", "done"]


def test_one_that_ended_while_its_lock_was_waited_for_is_not_taken_up(spec_file, tmp_path, monkeypatch):
    run, lock = interrupted(spec_file, tmp_path), Run.lock

    @contextmanager
    def late(self):
        with lock(self):
            run.set_status("done")  # as the process did that held it until now
            yield

    monkeypatch.setattr(Run, "lock", late)
    with pytest.raises(UsageError, match="is done; there is nothing to resume"):
        resumed(run)


def test_a_reader_that_asks_for_a_moment_whether_it_is_held_keeps_nobody_away(spec_file, tmp_path, monkeypatch):
    run = interrupted(spec_file, tmp_path)
    readers = [os.open(run.path / ".lock", os.O_RDONLY)]
    fcntl.flock(readers[0], fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(readers.pop()) if readers else None)
    with run.lock():
        assert not readers
    one, other = (os.open(run.path / ".lock", os.O_RDONLY) for _ in range(2))
    fcntl.flock(one, fcntl.LOCK_SH)
    assert not is_held(run.path), "a reader is no holder for another reader"
    os.close(one)
    os.close(other)


def test_a_name_that_is_taken_is_never_shared(tmp_path, monkeypatch):
    drawn = iter(["0a1b", "0a1b", "0a1b", "ffff"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [Run.create(tmp_path, "toy", now).name[-4:] for _ in range(2)] == ["0a1b", "ffff"]


def status_in(root: Path) -> str:
    (entry,) = json.loads(call("ls", root, "--json").out)["entries"]
    return entry["status"]


def test_a_lock_ends_with_its_process_however_that_ends(spec_file, tmp_path):
    run = interrupted(spec_file, tmp_path)

    def killed() -> None:
        session = resumed(run)
        epochs = session.epochs()
        next(epochs)
        os.kill(os.getpid(), signal.SIGKILL)

    assert forked(killed) == KILLED
    assert status_in(run.path) == "killed"
    assert finish(resumed(run)).status == "done"


def test_a_check_is_running_while_its_process_lives_and_killed_after_it(tmp_path):
    def killed() -> None:
        with CheckFolder.create(tmp_path / "runs", "toy", "lr-find"):
            assert status_in(tmp_path / "runs") == "running"
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked(killed) == KILLED
    assert status_in(tmp_path / "runs") == "killed"
    with CheckFolder.create(tmp_path / "others", "toy", "lr-find") as folder:
        assert call("rm", folder.path, "--yes").code == 2, "a check at work is left alone"
        folder.finish(Report("lr-find", "fine"))
    assert status_in(tmp_path / "others") == "done"
    assert call("rm", folder.path, "--yes").code == 0


def test_a_check_of_an_older_nnctl_that_was_killed_is_no_longer_running(tmp_path):
    path = make_check(tmp_path, "toy-lr-find")
    record = json.loads((path / "check.json").read_text())
    (path / "check.json").write_text(json.dumps({**record, "status": "running"}))
    assert status_in(tmp_path) == "killed"
