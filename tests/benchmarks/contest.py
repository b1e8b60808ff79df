"""What the benchmarks beside PyTorch share: their command line, the first line that they print, and machine code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from nnctl.core.compiled import Loop, compile_loops
from nnctl.core.machine import cores
from nnctl.runs.environment import environment

Task = TypeVar("Task")
_COMPILED: dict[Loop, dict[Any, Any]] = {}


@contextmanager
def machine_code() -> Iterator[bool]:
    """Have nnctl's loops compiled within; yields whether Numba is installed. NumPy computes again afterwards."""
    for loop in Loop.known:
        loop.compiled.update(_COMPILED.get(loop, {}))
    try:
        yield compile_loops(np.float32)
    finally:
        for loop in Loop.known:
            _COMPILED[loop] = dict(loop.compiled)
            loop.compiled.clear()


def hold(
    about: str,
    tasks: Mapping[str, Task],
    measure: Callable[[str, Task, int, int, float], None],
    *,
    length: str = "seconds",
    default: float = 1.0,
) -> None:
    """Measure the tasks that the command line asks for.

    Parameters
    ----------
    about : str
        The docstring of the benchmark.
    tasks : mapping
    measure : callable
        Is given name, task, threads, repeats, and the length of a repeat.
    length : str
        In what a repeat is measured: ``seconds`` or ``steps``.
    default : float
        How long it is.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", default=list(tasks), choices=list(tasks))
    parser.add_argument("--threads", type=int, default=2, help="that everybody may use")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(f"--{length}", type=type(default), default=default, help="per contestant and repeat")
    arguments = parser.parse_args()
    print(
        f"Python {sys.version.split()[0]}, NumPy {np.__version__}, {environment()['blas']}, {cores()} cores, "
        f"{arguments.threads} threads"
    )
    if "OPENBLAS_CORETYPE" in os.environ:
        print(f"OPENBLAS_CORETYPE={os.environ['OPENBLAS_CORETYPE']} is set: these are not the CPU's own kernels.")
    for name in arguments.tasks:
        measure(name, tasks[name], arguments.threads, arguments.repeats, getattr(arguments, length))
