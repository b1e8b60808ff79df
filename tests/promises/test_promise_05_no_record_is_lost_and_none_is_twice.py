"""Promise 5: metrics.jsonl and health.jsonl lose no record, hold none twice, and bear a torn last line."""

from __future__ import annotations

import errno
import json
import os
from itertools import count

import pytest
from commands import call
from faults import finish, killed_at, resumed, start, steps_of

from nnctl.core.errors import DiskError, Interrupted
from nnctl.experiment import session as module
from nnctl.runs.records import Records
from nnctl.runs.store import Run

FILES = ("metrics.jsonl", "health.jsonl")


def test_an_append_that_is_killed_at_any_step_adds_the_record_or_leaves_those_before_it(tmp_path):
    records = Records(tmp_path / "metrics.jsonl")
    for step in count(1):
        records.path.unlink(missing_ok=True)
        records.append({"epoch": 1, "loss": 0.5})
        killed = killed_at(step, lambda: records.append({"epoch": 2, "loss": 0.25}))
        epochs = [record["epoch"] for record in records.read()]
        assert epochs in ([1], [1, 2])
        if not killed:
            break
    assert epochs == [1, 2]
    assert step > 2


def test_an_append_that_the_disk_takes_in_pieces_is_whole_and_one_that_it_refuses_leaves_no_trace(
    tmp_path, monkeypatch
):
    records = Records(tmp_path / "metrics.jsonl")
    records.append({"epoch": 1, "loss": 0.5})
    before, write = records.path.read_bytes(), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, line: write(file, line[:3]))
        records.append({"epoch": 2, "loss": 0.25})
    assert [record["epoch"] for record in records.read()] == [1, 2]
    records.path.write_bytes(before)

    def filling_up(file: int, line: bytes) -> int:
        if os.fstat(file).st_size > len(before):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, line[:3])

    monkeypatch.setattr(os, "write", filling_up)
    with pytest.raises(DiskError):
        records.append({"epoch": 2, "loss": 0.25})
    assert records.path.read_bytes() == before


def interrupted(spec_file, tmp_path, steps: int) -> Run:
    session = start(spec_file(), tmp_path)
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: 2 if session.learner.step >= steps else None):
            pass
    return session.run


def test_a_line_torn_anywhere_is_passed_over_by_readers_and_cut_at_resume(spec_file, tmp_path):
    run = interrupted(spec_file, tmp_path, 24)
    before = {name: (run.path / name).read_bytes() for name in FILES}
    for name in FILES:
        line = before[name].splitlines(keepends=True)[-1]
        for length in (1, len(line) // 2, len(line) - 1):
            (run.path / name).write_bytes(before[name] + line[:length])
            for command in (("ls", tmp_path), ("show", run.path), ("compare", tmp_path), ("diff", run.path, run.path)):
                assert call(*command).code == 0
    resumed(run)
    assert {name: (run.path / name).read_bytes() for name in FILES} == before


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_a_run_killed_again_and_again_has_every_record_once(spec_file, tmp_path, monkeypatch, kills):
    spec = spec_file()
    whole = finish(start(spec, tmp_path / "whole"))
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)
    steps = steps_of(lambda: finish(start(spec, tmp_path / "counted")), tmp_path)
    assert killed_at(steps // 3, lambda: finish(start(spec, tmp_path / "runs")))
    (path,) = (tmp_path / "runs").iterdir()
    for i in range(kills):
        killed_at(steps // 8 + 37 * i, lambda: finish(resumed(Run.open(path))), torn=bool(i % 2))
        if Run.open(path).status == "done":
            break
    run = Run.open(path)
    if run.status != "done":
        finish(resumed(run))
    assert [r["epoch"] for r in run.records.read()] == [1, 2, 3, 4, 5, 6]
    assert run.samples.read() == whole.samples.read()


def test_records_are_on_the_disk_before_the_checkpoint_that_counts_on_them(spec_file, tmp_path, monkeypatch):
    session = start(spec_file(), tmp_path)
    order = []
    sync, save = Records.sync, Run.save_tensors
    monkeypatch.setattr(Records, "sync", lambda self: (order.append(self.path.name), sync(self)))
    monkeypatch.setattr(Run, "save_tensors", lambda self, name, *more: (order.append(name), save(self, name, *more)))
    epochs = session.epochs()
    next(epochs)
    session._save()
    assert order == ["metrics.jsonl", "health.jsonl", "last", "best"]


def test_records_that_somebody_took_away_are_told_of(spec_file, tmp_path):
    run = interrupted(spec_file, tmp_path, 24)
    lines = (run.path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run.path / "metrics.jsonl").write_text("".join(lines[1:]))
    assert any("does not hold each of the 3 epochs once" in warning for warning in resumed(run).warnings)


def test_what_is_recorded_is_strict_json_line_by_line(spec_file, tmp_path):
    run = finish(start(spec_file(), tmp_path))
    for name in FILES:
        for line in (run.path / name).read_text().splitlines():
            json.loads(line, parse_constant=pytest.fail)
