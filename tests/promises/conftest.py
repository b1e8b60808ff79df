"""A run as `nnctl train` leaves it, trained once and copied for every test that spoils it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import call

SPEC = """\
name: toy
data: {source: {csv: {path: rows.csv, target: y}}, split: {validation: 0.2, test: 0.2}}
architecture: [dense: 4, relu, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 8}
"""


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "rows.csv").write_text("a,b,y\n" + "".join(f"{i},{i % 7},{'uv'[i % 2]}\n" for i in range(60)))
    answer = call("train", folder / "spec.yaml", "--json", "--no-plot", "--runs-dir", folder / "runs")
    assert answer.code == 0, answer.err
    Path(json.loads(answer.out)["run"]).rename(folder / "runs" / "toy-20260101-000000-0a1b")
    return folder


@pytest.fixture
def here(trained_once, tmp_path, monkeypatch) -> Path:
    """A working directory with a spec, its data, and one run."""
    place = tmp_path / "here"
    shutil.copytree(trained_once, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def run(here) -> Path:
    """The run there."""
    return here / "runs" / "toy-20260101-000000-0a1b"
