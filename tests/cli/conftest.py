"""nnctl as its commands are called: in this process for speed, or as a true process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from commands import IRIS, Answer

from nnctl.cli import app


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
