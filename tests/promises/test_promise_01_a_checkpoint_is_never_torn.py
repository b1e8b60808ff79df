"""Promise 1: a checkpoint is the old one or the new one, wherever its writer is killed."""

from __future__ import annotations

import json
import os
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from faults import finish, killed_at, resumed, start

from nnctl.runs.store import Run

OLD = {"theta": np.zeros(5000, np.float32)}
NEW = {"theta": np.ones(9000, np.float32)}


@pytest.fixture
def run(tmp_path) -> Run:
    made = Run.create(tmp_path / "runs", "toy")
    made.begin("toy")
    return made


@pytest.mark.parametrize("torn", [False, True])
def test_a_writer_that_is_killed_at_any_step_leaves_the_old_checkpoint_or_the_new_one(run, torn):
    found = []
    for step in count(1):
        run.save_tensors("last", OLD, {"step": "1"})
        killed = killed_at(step, lambda: run.save_tensors("last", NEW, {"step": "2"}), torn=torn)
        tensors, metadata = run.load_tensors("last")
        wanted = {"1": OLD, "2": NEW}[metadata["step"]]
        np.testing.assert_array_equal(tensors["theta"], wanted["theta"])
        found.append(metadata["step"])
        if not killed:
            break
    assert len(found) > 10
    assert (found[0], found[-1]) == ("1", "2")
    assert sorted(found) == found, "from the rename on it is the new one"


def test_one_that_is_killed_while_the_old_one_is_put_aside_leaves_both_names_whole(run):
    run.save_tensors("previous", {"theta": np.full(3, 7.0)}, {"step": "0"})
    run.save_tensors("last", OLD, {"step": "1"})
    found = []
    for step in count(1):
        killed = killed_at(step, lambda: run.keep_tensors("last", as_name="previous"))
        assert run.load_tensors("last")[1] == {"step": "1"}
        found.append(run.load_tensors("previous")[1]["step"])
        if not killed:
            break
        run.save_tensors("previous", {"theta": np.full(3, 7.0)}, {"step": "0"})
    assert (found[0], found[-1]) == ("0", "1")
    assert len(found) > 5


EVERY_STEP = [pytest.param(torn, 1, marks=pytest.mark.slow) for torn in (False, True)]


@pytest.mark.parametrize(("torn", "stride"), [(True, 11), *EVERY_STEP])
def test_so_are_all_checkpoints_of_a_training_and_it_can_go_on_from_them(spec_file, tmp_path, torn, stride):
    session = start(spec_file(), tmp_path)
    epochs = session.epochs()
    next(epochs)
    session._save()
    next(epochs)
    session._save()  # now there is one before the last
    next(epochs)
    run = session.run
    before = {name: run.load_tensors(name) for name in ("previous", "last", "best")}
    for step in count(1, stride):
        killed = killed_at(step, session._save, torn=torn)
        steps = [json.loads(run.load_tensors(name)[1]["progress"])["step"] for name in ("previous", "last")]
        assert steps in ([7, 14], [14, 14], [14, 21]), "one of them is the last that was whole before"
        assert run.load_tensors("best")
        if not killed:
            break
        if step % 20 < stride:
            go_on(run.path, tmp_path / f"copy-{step}")
        for name, content in before.items():
            run.save_tensors(name, *content)
    assert step > 50


def go_on(path: Path, copy: Path) -> None:
    shutil.copytree(path, copy)
    assert finish(resumed(Run(copy))).status == "done"
    assert not list(copy.rglob(".*.tmp-*"))


def test_every_file_is_on_the_disk_before_its_name_is_and_its_name_before_the_writer_goes_on(run, monkeypatch):
    order, sizes = [], []
    sync, replace = os.fsync, Path.replace

    def synced(file: int) -> None:
        order.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        sizes.append(os.fstat(file).st_size)
        sync(file)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", lambda a, b: (order.append("rename"), replace(a, b))[1])
    run.save_tensors("last", OLD, {})
    folder = run.path / "checkpoints"
    assert order == [str(folder / f".last.safetensors.tmp-{os.getpid()}"), "rename", str(folder)]
    order.clear()
    run.keep_tensors("last", as_name="previous")
    assert order == ["rename", str(folder)]
    run.write_text("small", "so small that it waits in a buffer")
    assert sizes[-2] == (run.path / "small").stat().st_size
