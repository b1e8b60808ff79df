"""What is recorded of the machine, from the files that say it."""

import json
import os
import subprocess
import sys

import pytest

from nnctl.core.machine import cores as machine_cores
from nnctl.runs.environment import _cpu_model, _git, environment


def test_the_environment_is_plain_and_does_not_name_the_host():
    import platform

    said = environment()
    assert json.loads(json.dumps(said)) == said
    assert said["cores"] >= 1
    assert said["threads"] >= 1
    assert platform.node() not in json.dumps(said) or len(platform.node()) < 4


def test_the_version_is_the_one_that_is_installed():
    import importlib.metadata

    assert environment()["nnctl"] == importlib.metadata.version("nnctl")


def test_the_kernels_of_blas_are_named_and_are_those_asked_for():
    said = subprocess.run(
        [sys.executable, "-c", "from nnctl.runs.environment import environment; print(environment()['blas'])"],
        env={**os.environ, "OPENBLAS_CORETYPE": "Haswell"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "kernels for Haswell" in said or "openblas" not in said


def test_the_threads_are_those_asked_of_blas(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert environment()["threads"] == 7


def test_an_unknown_cpu_is_none(tmp_path):
    (tmp_path / "cpuinfo").write_text("flags: fpu\n")
    assert _cpu_model(tmp_path / "cpuinfo") is None


@pytest.fixture
def repository(tmp_path):
    def git(*arguments, cwd=tmp_path):
        identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    return git


def test_the_commit_is_found_from_a_subfolder(repository, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert _git(tmp_path / "a" / "b") == {"commit": repository("rev-parse", "HEAD"), "dirty": False}


def test_a_changed_file_is_dirty_and_an_untracked_one_is_not(repository, tmp_path):
    (tmp_path / "other").write_text("2")
    assert _git(tmp_path)["dirty"] is False
    (tmp_path / "file").write_text("22")
    assert _git(tmp_path)["dirty"] is True


def test_packed_refs_and_worktrees_are_understood(repository, tmp_path):
    repository("pack-refs", "--all")
    repository("worktree", "add", "-q", str(tmp_path / "tree"))
    assert _git(tmp_path / "tree") == _git(tmp_path) == {"commit": repository("rev-parse", "HEAD"), "dirty": False}


def test_no_repository_and_a_broken_one_are_none(tmp_path):
    assert _git(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert _git(tmp_path) is None


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "150000 100000"}, 1),
        ("0::/outside/the/container\n", {"cpu.max": "200000 100000"}, 2),
        ("3:cpuset:/\n1:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "50000"}, 2),
        ("1:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "50000"}, 64),
        ("0::/\n", {}, 64),
        ("", {"cpu.max": "1 100000"}, 64),
    ],
)
def test_the_quotas_of_control_groups_limit_the_cores(tmp_path, monkeypatch, groups, files, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    (tmp_path / "cgroup").write_text(groups)
    for name, content in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert machine_cores(tmp_path / "cgroup", tmp_path / "mount") == cores
