"""Where a run ran: what its numbers and its speed depend on."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nnctl

__all__ = ["available_cores", "environment"]

_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def environment() -> dict[str, Any]:
    """Return versions, machine, cores, BLAS threads and git commit as plain values; what is unknown is None.

    ``threads`` is what BLAS starts with; a run that fixes its own number says so itself. The host's name is not
    recorded, nor anything else about who ran it.
    """
    system = os.uname()
    cores = available_cores()
    return {
        "nnctl": nnctl.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "os": f"{system.sysname} {system.release}",
        "machine": system.machine,
        "cpu": _cpu_model(),
        "cores": cores,
        "threads": next((int(os.environ[v]) for v in _THREAD_VARIABLES if os.environ.get(v, "").isdecimal()), cores),
        "git": _git(Path.cwd()),
    }


def _blas() -> str:
    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{build['name']} {build['version']}"


def _cpu_model(path: Path = Path("/proc/cpuinfo")) -> str | None:
    try:
        with path.open() as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), None)
    except OSError:
        return platform.processor() or None


def available_cores(proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use: its affinity, and the quotas of its control groups, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *(max(1, math.ceil(quota)) for quota in _quotas(proc, mount))])


def _quotas(proc: Path, mount: Path) -> Iterator[float]:
    """Yield the CPU quotas of every control group around this process, in cores."""
    for line in _read(proc).splitlines():
        hierarchy, controllers, group = line.split(":", 2)
        if hierarchy == "0":  # version 2
            top, files = mount, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            top, files = mount / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        inner = top / group.strip("/")
        for folder in (inner, *inner.parents):
            words = [word for file in files for word in _read(folder / file).split()]
            if len(words) == 2 and words[0].isdecimal():
                yield int(words[0]) / int(words[1])
            if folder == top:
                break


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _git(directory: Path) -> dict[str, Any] | None:
    """Return the commit of the repository that holds a directory, and whether tracked files differ from it."""
    if not any((folder / ".git").exists() for folder in (directory, *directory.parents)):
        return None
    import subprocess  # noqa: PLC0415 - 2 ms, and only where there is a repository

    # Asking git is one call of 2 ms, right for packed refs, worktrees and reftables; reading .git by hand is neither.
    command = [
        "git",
        "--no-optional-locks",
        "-c",
        "core.fsmonitor=false",
        "status",
        "--porcelain=v2",
        "--branch",
        "-uno",
    ]
    try:
        said = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=2, check=True).stdout  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return None
    lines = said.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}
