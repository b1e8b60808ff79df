"""Promise 4: what the bits depend on is recorded and compared at resume; nothing else changes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from commands import call
from faults import end_of, finish, resumed, start

from nnctl.core.errors import DataError, Interrupted, UsageError
from nnctl.experiment.comparability import differences
from nnctl.nn.network import Replica
from nnctl.runs.store import Run


@pytest.fixture
def run(spec_file, tmp_path) -> Run:
    session = start(spec_file(), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: 2 if session.learner.step >= 10 else None):
            pass
    return session.run


def test_all_of_it_is_recorded(run):
    environment = run.record["environment"]
    named = {"nnctl", "python", "numpy", "blas", "cpu", "machine", "blas_threads", "replicas", "batch_size"}
    assert named <= environment.keys()
    assert environment["batch_size"] == 16


def edited(run: Run, **environment: object) -> None:
    record = run.record
    run.write_json("run.json", {**record, "environment": {**record["environment"], **environment}})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cpu": "Another 9000"}, "the CPU was Another 9000 and is"),
        ({"blas": "mkl 1"}, "BLAS was mkl 1 and is"),
        ({"numpy": "1.0.0"}, "NumPy was 1.0.0 and is"),
        ({"blas_threads": 100_000}, "BLAS used 100000 threads and uses"),
        ({"batch_size": 99}, "the batch size was 99 and is 16"),
        ({"nnctl": "0.0.1"}, "nnctl was 0.0.1 and is"),
        ({"python": "2.7"}, "Python was 2.7 and is"),
        ({"machine": "vax"}, "the machine was vax and is"),
    ],
)
def test_where_it_differs_resume_warns_and_with_strict_refuses(run, changed, said):
    edited(run, **changed)
    with pytest.raises(UsageError, match=said):
        resumed(run, strict=True)
    assert run.status == "interrupted", "a refusal changes nothing"
    session = resumed(run)
    assert len(session.warnings) == 1
    assert said in session.warnings[0]
    assert said in run.record["resumed"][0]["differing"][0], "and it stays in the run"
    finish(session)


def test_threads_and_replicas_are_those_that_the_run_began_with_and_told_of_where_they_cannot_be(run):
    edited(run, blas_threads=2, replicas=3)
    session = resumed(run)
    assert (session.threads, session.learner.team.size) == (2, 3)
    now = session._environment()
    finish(session)
    assert differences(run.record, now, session.experiment.resolved()) == []
    found = differences(run.record, {**now, "replicas": 1}, session.experiment.resolved())
    assert found == ["the number of replicas was 3 and is 1"]


def test_where_nothing_differs_strict_goes_on_without_a_word(run, spec_file, tmp_path):
    session = resumed(run, strict=True)
    assert session.warnings == []
    assert end_of(finish(session)) == end_of(finish(start(spec_file(), tmp_path / "whole")))


def test_the_command_line_says_it_too(run):
    edited(run, cpu="Another 9000")
    refused = call("train", "--resume", run.path, "--strict", "--no-plot")
    assert refused.code == 2
    assert "the CPU was Another 9000" in refused.err
    answer = call("train", "--resume", run.path, "--no-plot", "--json")
    assert answer.code == 0
    assert "warning: the bits may differ" in answer.err
    assert "the CPU was Another 9000" in json.loads(answer.out)["warnings"][0]


def test_strict_without_resume_has_no_meaning(spec_file):
    assert call("train", spec_file(), "--strict").code == 2


def test_another_batch_size_in_resolved_yaml_is_told_of_and_refused_within_an_epoch(run):
    path = run.path / "resolved.yaml"
    path.write_text(path.read_text().replace("batch_size: 16", "batch_size: 8"))
    with pytest.raises(UsageError, match=r"training\.batch_size in resolved\.yaml was 16 and is 8"):
        resumed(run, strict=True)
    with pytest.raises(DataError, match="within an epoch of batches of 16 rows"):
        resumed(run)


def test_evaluation_has_blocks_of_one_size_whatever_the_batch_size(spec_file, tmp_path, monkeypatch):
    sizes = []
    forward = Replica.forward

    def noted(self, x, *, training, **more):
        if not training:
            sizes.append(len(x))
        return forward(self, x, training=training, **more)

    monkeypatch.setattr(Replica, "forward", noted)
    rows = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    found = []
    for size in (4, 16):
        session = start(spec_file(), tmp_path / str(size), f"training={{batch_size: {size}, epochs: 1}}")
        sizes.clear()
        found.append(session.learner.network.predict(rows).tobytes())
        assert sizes == [1024, 1024, 952]
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> tuple:
    return trained(tmp_path_factory.mktemp("plain"))


ENVIRONMENTS = [
    {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Asia/Kathmandu"},
    {"PYTHONHASHSEED": "4294967295", "LC_ALL": "tr_TR.UTF-8", "TZ": "America/St_Johns", "PYTHONUTF8": "0"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_hash_seed_locale_time_zone_and_directory_change_no_bit(tmp_path, plain, environment):
    assert trained(tmp_path / "some where else", **environment) == plain


def trained(folder, **environment: str) -> tuple:
    folder.mkdir(exist_ok=True)
    (folder / "rows.csv").write_text(
        "a,b,größe,y\n" + "".join(f"{i},{i % 7},{'xyz'[i % 3]},{i % 2}\n" for i in range(60))
    )
    (folder / "spec.yaml").write_text(
        "name: rows\ndata: {source: {csv: {path: rows.csv, target: y}}}\n"
        "architecture: [dense: 5, tanh, dropout: 0.2, dense: outputs]\nloss: cross_entropy\n"
        "training: {epochs: 3, batch_size: 8}\n"
    )
    command = [sys.executable, "-m", "nnctl", "train", "spec.yaml", "--no-plot", "--quiet"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    (path,) = (folder / "runs").iterdir()
    return end_of(Run.open(path))
