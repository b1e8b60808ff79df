"""Promise 23: many runs in a row, and several at once, leak no memory, no file handles and no threads.

The figures for 1,000 runs come from tests/benchmarks/load.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.load import SPEC, held, train_many


def test_twenty_runs_leave_no_files_no_threads_and_no_objects_behind(tmp_path):
    train_many(5, tmp_path)  # imports, caches
    before = held()
    train_many(20, tmp_path)
    after = held()
    assert after.files <= before.files
    assert after.threads <= before.threads
    assert after.python_threads <= before.python_threads
    assert after.objects - before.objects < 20 * 10  # a training is made of more than that


@pytest.mark.slow
def test_300_runs_take_no_more_memory_than_100(tmp_path):
    train_many(100, tmp_path)
    before = held()
    train_many(200, tmp_path)
    assert held().memory - before.memory < 4 * 2**20


@pytest.mark.slow
def test_eight_processes_at_once_share_a_folder_of_runs(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "nnctl", "train", "spec.yaml", "--seeds", "3", "--no-plot", "--quiet"]
    children = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert [child.wait(timeout=300) for child in children] == [0] * 8
    records = [json.loads(path.read_text()) for path in Path(tmp_path, "runs").glob("*/run.json")]
    assert [record["status"] for record in records] == ["done"] * 24
    assert not [*tmp_path.rglob(".*.tmp-*")]
    by_seed = {}
    for record in records:
        metrics = json.dumps(record["summary"]["metrics"])
        assert by_seed.setdefault(record["environment"]["seed"], metrics) == metrics
