"""Many runs one after the other and at once: what they leave behind in memory, file handles and threads.

    python tests/benchmarks/load.py                     1,000 runs in this process, 8 processes at once
    python tests/benchmarks/load.py --runs 100 --at-once 2

A run is a whole one: spec, data, two epochs, checkpoints, health, prediction. Resident memory is read after a
collection of garbage; what the first 50 runs add is caches and imports, and is no growth.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Held", "held", "train_many"]

SPEC = """\
name: load
data: {source: {blobs: {samples: 120}}}
architecture: [dense: 16, batch_norm, relu, dropout: 0.1, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 16}
"""


@dataclass(frozen=True)
class Held:
    """What a process holds: resident bytes, objects that the collector knows, open files, threads."""

    memory: int
    objects: int
    files: int
    python_threads: int
    threads: int

    def __str__(self) -> str:
        return f"{self.memory / 2**20:8.1f} MiB  {self.files:3d} files  {self.threads:3d} threads"


def held() -> Held:
    """Return what this process holds now (Linux)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    threads = len([*Path("/proc/self/task").iterdir()])
    files = len([*Path("/proc/self/fd").iterdir()]) - 1  # that of the listing itself
    return Held(pages * os.sysconf("SC_PAGE_SIZE"), len(gc.get_objects()), files, threading.active_count(), threads)


def train_many(count: int, folder: Path) -> None:
    """Train that many runs in this process, each with a seed of its own, and predict with each."""
    from nnctl.cli.app import _run

    spec = folder / "spec.yaml"
    spec.write_text(SPEC)
    for seed in range(count):
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            code = _run(["train", str(spec), "--seed", str(seed), "--no-plot", "--json", "--runs-dir", str(folder)])
        assert code == 0, out.getvalue()
        run = json.loads(out.getvalue())["run"]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            assert _run(["predict", run, "test"]) == 0
        shutil.rmtree(run)


def in_a_row(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        warm = min(50, count // 2)
        train_many(warm, Path(folder))
        before = held()
        print(f"after {warm:5d} runs  {before}")
        train_many(count - warm, Path(folder))
        after = held()
        print(f"after {count:5d} runs  {after}")
        grown = (after.memory - before.memory) / 2**10 / (count - warm)
        files, threads = after.files - before.files, after.threads - before.threads
        print(f"growth: {grown:.1f} KiB a run, {files} files, {threads} threads")


def at_once(processes: int, runs: int) -> None:
    """Train in several processes that share one folder of runs."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "spec.yaml")
        spec.write_text(SPEC)
        line = ["train", str(spec), "--seeds", str(runs), "--no-plot", "--runs-dir", f"{folder}/runs", "--quiet"]
        command = [sys.executable, "-m", "nnctl", *line]
        children = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(processes)]
        codes = [child.wait() for child in children]
        records = [json.loads(path.read_text()) for path in Path(folder, "runs").glob("*/run.json")]
        done = sum(record["status"] == "done" for record in records)
        leftovers = [*Path(folder).rglob(".*.tmp-*")]
        print(
            f"{processes} processes at once: exit codes {sorted(set(codes))}, {done} of {processes * runs} runs done, "
            f"{len(leftovers)} half-written files"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=8)
    asked = parser.parse_args()
    in_a_row(asked.runs)
    at_once(asked.at_once, max(1, asked.runs // 100))


if __name__ == "__main__":
    main()
