"""Faults that tests inject: processes that are killed at a step of writing, disks that refuse, small trainings."""

from __future__ import annotations

import builtins
import errno
import io
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Any

from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.runs.store import Run
from nnctl.spec.load import load_spec

__all__ = ["KILLED", "answer_of", "end_of", "finish", "forked", "killed_at", "refusing", "resumed", "start", "steps_of"]

KILLED = -signal.SIGKILL
TIMES = ("seconds", "samples_per_second")
STEPS = frozenset(
    {
        "open",
        "write",
        "flush",
        "fsync",
        "truncate",
        "replace",
        "rename",
        "link",
        "unlink",
        "close",
        "ftruncate",
        "mkdir",
    }
)
"""The calls that change files, by name; more of them than needed does no harm."""


# ---------------------------------------------------------------------- processes


def forked(work: Callable[[], object]) -> int:
    """Do some work in a process of its own; return its exit code, or minus the signal that ended it.

    The work must read no table: Polars has threads of its own, which a fork does not take along, and it would wait for
    them until the process is ended after five minutes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside the idle threads of BLAS
        child = os.fork()
    if child == 0:
        code = 70
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - it is told, and the exit code says so
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline = monotonic() + 300
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if monotonic() > deadline:
            os.kill(child, signal.SIGABRT)
        sleep(0.002)
    return os.waitstatus_to_exitcode(ended[1])


def answer_of(work: Callable[[], Any], folder: Path) -> Any:
    """Return what some work comes to in a process of its own."""
    file = folder / "answer.pickle"
    assert forked(lambda: file.write_bytes(pickle.dumps(work()))) == 0
    return pickle.loads(file.read_bytes())


def killed_at(step: int, work: Callable[[], object], *, torn: bool = False) -> bool:
    """Do some work in a process that kills itself at a step of writing; return whether it came that far.

    The steps are the beginnings and ends of the calls that change files, counted from 1. A torn one leaves of the file
    that was written last only half.
    """
    code = forked(lambda: _counted(work, step, torn=torn))
    assert code in (0, KILLED)
    return code == KILLED


def steps_of(work: Callable[[], object], folder: Path) -> int:
    """Return how many steps of writing some work has."""
    return answer_of(lambda: _counted(work, sys.maxsize, torn=False), folder)


def _counted(work: Callable[[], object], last: int, *, torn: bool) -> int:
    left = last

    def count(_frame: FrameType, event: str, function: Any) -> None:
        nonlocal left
        if event in ("c_call", "c_return") and function.__name__ in STEPS:
            left -= 1
            if left == 0:
                sys.setprofile(None)
                file = getattr(function, "__self__", None)
                if torn and function.__name__ == "write" and hasattr(file, "fileno") and not file.closed:
                    file.flush()
                    os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    work()
    sys.setprofile(None)
    return last - left


# ---------------------------------------------------------------------- disks


@contextmanager
def refusing(under: Path, at: int, code: int = errno.ENOSPC) -> Iterator[list[str]]:
    """Let the n-th change of a file under a folder, counted from 1, fail as on a full disk, and all that follow.

    Yields the names of the calls that failed.
    """
    calls: list[str] = []
    done = 0

    def allowed(name: str, path: object) -> bool:
        nonlocal done
        place = Path(f"/proc/self/fd/{path}").readlink() if isinstance(path, int) else Path(os.fsdecode(path))
        if not place.absolute().is_relative_to(under):
            return True
        done += 1
        if done < at:
            return True
        calls.append(name)
        return False

    def wrapped(module: Any, name: str, changes: Callable[..., bool] = lambda *_, **__: True) -> Callable[..., Any]:
        real = getattr(module, name)

        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if changes(*arguments, **options) and not allowed(name, path):
                raise OSError(code, os.strerror(code), str(path))
            return real(path, *arguments, **options)

        return call

    def writes(*arguments: Any, **options: Any) -> bool:
        return bool(set(str((arguments or (options.get("mode", "r"),))[0])) & set("wax+"))

    def creates(flags: int, *_: Any, **__: Any) -> bool:
        return bool(flags & (os.O_WRONLY | os.O_RDWR))

    changed = {
        (os, "open"): wrapped(os, "open", creates),
        **{(os, name): wrapped(os, name) for name in ("write", "fsync", "mkdir", "replace", "rename", "link")},
        (io, "open"): wrapped(io, "open", writes),
        (builtins, "open"): wrapped(builtins, "open", writes),
    }
    before = {key: getattr(*key) for key in changed}
    for (module, name), call in changed.items():
        setattr(module, name, call)
    try:
        yield calls
    finally:
        for (module, name), call in before.items():
            setattr(module, name, call)


# ---------------------------------------------------------------------- trainings


def start(spec: Path, root: Path, *overrides: str) -> Session:
    return Session.start(Experiment(load_spec(spec, overrides)), root)


def resumed(run: Run, **options: Any) -> Session:
    return Session.resume(Run.open(run.path), **options)


def finish(session: Session) -> Run:
    for _ in session.epochs():
        pass
    return session.run


def end_of(run: Run) -> dict[str, Any]:
    """Return all that a run came to, but for the time it took."""
    tensors = {f"{name}/{key}": tensor.tobytes() for name in ("last", "best") for key, tensor in _tensors(run, name)}
    records = [{k: v for k, v in record.items() if k not in TIMES} for record in run.records.read()]
    summary = {k: v for k, v in run.record["summary"].items() if k != "seconds"}
    return {**tensors, "records": records, "samples": run.samples.read(), "summary": summary}


def _tensors(run: Run, name: str) -> list[tuple[str, Any]]:
    return list(run.load_tensors(name)[0].items()) if run.has_tensors(name) else []
