"""Runs as they are kept: those of a folder, and whether two have the same weights."""

from __future__ import annotations

from pathlib import Path

from nnctl.runs.store import Run


def runs_in(folder: Path) -> list[Run]:
    """Return the runs that commands left in `runs`, by name."""
    return [Run.open(path.parent) for path in sorted(folder.glob("runs/*/run.json"))]


def assert_same_weights(run: Run, other: Run) -> None:
    mine, theirs = (r.load_tensors("last")[0] for r in (run, other))
    assert mine.keys() == theirs.keys()
    assert all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)
