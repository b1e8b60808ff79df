"""Directories are read whatever state they are in, and reading writes nothing."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_runs import line, make_check, make_run

from nnctl.core.errors import UsageError
from nnctl.runs import lock
from nnctl.runs.listing import entries_in, entry_of, given, read
from nnctl.runs.result import LESS_IS_BETTER, mode_of, result_of
from nnctl.train.metrics import Metric


def test_each_kind_of_directory_is_told_apart(tmp_path):
    make_run(tmp_path, "a-done")
    make_check(tmp_path, "b-check")
    make_run(tmp_path, "c-broken").joinpath("run.json").write_text("{")
    (tmp_path / "d-foreign").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "README.md").write_text("a file")
    found = [(entry.name, entry.kind, entry.status) for entry in entries_in(str(tmp_path))]
    assert found == [
        ("a-done", "run", "done"),
        ("b-check", "check", "done"),
        ("c-broken", "broken", "broken"),
        ("d-foreign", "foreign", "foreign"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not a mapping"),
        (b'{"format": 2, "status": "done"}', "has format 2, and this one reads 1. Update nnctl"),
        (b'{"format": 1, "status": "sleeping"}', "has the status 'sleeping'"),
        (b'{"format": 1, "status": []}', "has the status []"),
        (b'{"format": 1, "status": "done", "summary": 3}', "summary is not what nnctl wrote"),
    ],
)
def test_a_damaged_run_json_is_a_broken_run_with_its_reason(tmp_path, content, reason):
    run = make_run(tmp_path, "run")
    (run / "run.json").write_bytes(content)
    entry = read(str(run))
    assert entry.kind == "broken"
    assert reason in entry.reason


def test_a_link_that_leads_to_itself_hides_no_run(tmp_path):
    make_run(tmp_path, "run")
    (tmp_path / "loop").symlink_to("loop")
    assert [entry.name for entry in entries_in(str(tmp_path))] == ["run"]


def test_nobody_waits_for_a_named_pipe(tmp_path):
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "run.json")
    command = f"from nnctl.runs.listing import read; print(read({str(tmp_path / 'run')!r}).kind)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "broken\n"


def test_run_json_that_is_a_directory_is_a_broken_run(tmp_path):
    (tmp_path / "run" / "run.json").mkdir(parents=True)
    assert read(str(tmp_path / "run")).kind == "broken"


def test_a_run_that_says_running_is_running_while_a_process_holds_it_and_killed_when_none_does(tmp_path):
    run = make_run(tmp_path, "run", status="running")
    assert read(str(run)).status == "killed"
    program = f"""
from pathlib import Path
from nnctl.runs.lock import hold
with hold(Path({str(run)!r})):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert read(str(run)).status == "running"
        holder.communicate("\n")
    assert read(str(run)).status == "killed"


def test_a_glance_at_the_lock_keeps_nobody_from_training(tmp_path, monkeypatch):
    import fcntl

    run = make_run(tmp_path, "run", status="running")
    (run / ".lock").touch()
    reader = os.open(run / ".lock", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda _seconds: fcntl.flock(reader, fcntl.LOCK_UN))
    with lock.hold(run):
        assert lock.is_held(run)
    os.close(reader)


def test_reading_changes_no_file_and_needs_no_permission_to_write(tmp_path):
    run = make_run(tmp_path, "run", status="running")
    (run / ".lock").write_text("1")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path, run, *run.iterdir())}
    for file in before:
        file.chmod(0o555 if file.is_dir() else 0o444)
    result_of(entries_in(str(tmp_path))[0])
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert set(run.iterdir()) <= set(before)
    for file in before:
        file.chmod(0o755)


def test_folders_of_runs_within_a_folder_are_gone_through(tmp_path):
    make_run(tmp_path / "monday", "a")
    make_run(tmp_path / "tuesday" / "late", "b")
    (tmp_path / "tuesday" / "plots").mkdir()
    (tmp_path / "around").symlink_to(tmp_path)
    assert [entry.name for entry in entries_in(str(tmp_path)) if entry.kind == "run"] == ["monday/a", "tuesday/late/b"]


def test_runs_are_named_by_path_name_pattern_and_spec_each_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path("runs")
    for name in ("adam-1", "adam-2", "sgd-1"):
        make_run(root, name)

    def names(*words):
        return [entry.name for entry in given(words, root)]

    assert names() == names("runs") == ["adam-1", "adam-2", "sgd-1"]
    assert names("runs/sgd-1", "sgd-1", "runs/../runs/sgd-1/") == ["sgd-1"]
    assert names("adam-*") == names("runs/adam-*") == names("adam") == ["adam-1", "adam-2"]
    assert entry_of("sgd-1", root).name == "sgd-1"


@pytest.mark.parametrize(("word", "hint"), [("adam-1x", "Did you mean 'adam-1'?"), ("ad", "'adam-1'"), ("a\0b", "")])
def test_a_name_of_nothing_is_answered_with_what_resembles_it(tmp_path, word, hint):
    make_run(tmp_path, "adam-1")
    for ask in (lambda: given([word], tmp_path), lambda: entry_of(word, tmp_path)):
        with pytest.raises(UsageError, match="there is no run") as told:
            ask()
        assert hint in str(told.value)


def test_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        given([], tmp_path / "none")


def test_a_name_that_a_terminal_would_obey_is_shown_without_it(tmp_path):
    make_run(tmp_path, "a\x1b[2Jb")
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    entries = entries_in(str(tmp_path))
    assert all(entry.name.isprintable() and entry.place.isprintable() for entry in entries)
    assert len(entries) == 2


def test_before_its_end_a_run_stands_where_its_last_whole_record_says(tmp_path):
    run = make_run(tmp_path, "run", 0.25, status="interrupted")
    with (run / "metrics.jsonl").open("a") as file:
        file.write(line(4, 0.25, val_loss=9.0, best=False) + '{"epoch": 5, "best": true, "val')
    result = result_of(read(str(run)))
    assert (result.epochs, result.best_epoch, result.best_value, result.monitor) == (4, 3, 0.25, "val_loss")
    assert result.figures["val_loss"] == 0.25


@pytest.mark.parametrize("content", [b"", b"\n", b"nonsense\n", b'{"epoch": "x", "best": true}\n', b"\x00\xff\n"])
def test_records_that_say_nothing_give_no_result(tmp_path, content):
    run = make_run(tmp_path, "run", status="failed")
    (run / "metrics.jsonl").write_bytes(content)
    result = result_of(read(str(run)))
    assert result.best_value is None
    assert result.epochs == 0


@pytest.mark.parametrize("value", ["0.5", None, True, [1], 10**400])
def test_a_summary_that_is_no_number_is_no_value(tmp_path, value):
    run = make_run(tmp_path, "run")
    record = json.loads((run / "run.json").read_text())
    record["summary"] |= {"best_value": value, "epochs": value, "metrics": {"test": {"loss": value}, "train": 3}}
    (run / "run.json").write_text(json.dumps(record))
    result = result_of(read(str(run)))
    assert result.best_value is None
    assert not result.figures


def test_which_way_a_figure_is_better_is_what_the_metrics_say():
    ours = {name: m for name, m in Metric.members().items() if m.__module__.startswith("nnctl.")}
    for name, metric in ours.items():
        assert (name in LESS_IS_BETTER) != metric.greater_is_better, name
        assert (mode_of(f"val_{name}") == "max") == metric.greater_is_better
    assert mode_of("train_loss") == "min"
