"""nnctl as its commands are called: in this process for speed, or as a true process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from nnctl.cli import app

IRIS = """\
name: iris
data: {source: iris, split: {validation: 0.15, test: 0.15}}
architecture: [dense: 8, relu, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 3}
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNCTL_DATASETS", raising=False)
    return tmp_path


@pytest.fixture
def nnctl(here, capsys) -> Callable[..., Answer]:
    """Call a command in this process, in an empty directory."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = app._run([str(a) for a in arguments])
        return Answer(code, *capsys.readouterr())

    return call


def process(*arguments: object, **environment: str) -> Answer:
    """Call a command as a process of its own, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "nnctl", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def spec(here) -> Path:
    """A small spec, as spec.yaml here."""
    path = here / "spec.yaml"
    path.write_text(IRIS)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Callable[..., Path]:
    """Train a spec once a test session, beside the files that it reads, and return its run directory."""
    made: dict[str, Path] = {}

    def train(text: str, **files: str) -> Path:
        if text not in made:
            folder = tmp_path_factory.mktemp("trained")
            for name, content in {"spec": text, **files}.items():
                (folder / f"{name}.{'yaml' if name == 'spec' else 'csv'}").write_text(content)
            with redirect_stdout(io.StringIO()) as out:
                code = app._run(["train", str(folder / "spec.yaml"), "--no-plot", "--runs-dir", str(folder), "--json"])
            assert code == 0
            made[text] = Path(json.loads(out.getvalue())["run"])
        return made[text]

    return train
