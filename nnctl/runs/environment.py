"""Where a run ran: what its numbers and its speed depend on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

import nnctl
from nnctl.core.machine import cores

__all__ = ["blas_threads_in_use", "environment"]

_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def environment() -> dict[str, Any]:
    """Return versions, machine, cores, BLAS threads and git commit as plain values; what is unknown is None.

    ``threads`` is what BLAS starts with; a run that fixes its own number says so itself. The host's name is not
    recorded, nor anything else about who ran it.
    """
    system = os.uname()
    available = cores()
    return {
        "nnctl": nnctl.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "os": f"{system.sysname} {system.release}",
        "machine": system.machine,
        "cpu": _cpu_model(),
        "cores": available,
        "threads": next(
            (int(os.environ[v]) for v in _THREAD_VARIABLES if os.environ.get(v, "").isdecimal()), available
        ),
        "git": _git(Path.cwd()),
    }


def blas_threads_in_use() -> set[int]:
    """Return how many threads the BLAS libraries of this process use now."""
    from threadpoolctl import threadpool_info  # noqa: PLC0415 - 18 ms, spent already where a network trains

    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def _blas() -> str:
    """Return which BLAS it is, and for which CPU its kernels are: they differ in speed by two, and in bits."""
    from threadpoolctl import threadpool_info  # noqa: PLC0415 - 18 ms, spent already where a network trains

    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    kernels = next((lib.get("architecture") for lib in threadpool_info() if lib["user_api"] == "blas"), None)
    return f"{build['name']} {build['version']}" + (f", kernels for {kernels}" if kernels else "")


def _cpu_model(path: Path = Path("/proc/cpuinfo")) -> str | None:
    try:
        with path.open() as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), None)
    except OSError:
        return platform.processor() or None


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
