"""Whether a run that is taken up can end with the bits that it would have had where it began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnctl.runs.diff import changes
from nnctl.runs.environment import blas_threads_in_use
from nnctl.runs.keys import dotted
from nnctl.spec.load import resolved_data
from nnctl.spec.model import Spec

__all__ = ["differences"]

_BITS = {
    "nnctl": "nnctl",
    "python": "Python",
    "numpy": "NumPy",
    "blas": "BLAS",
    "cpu": "the CPU",
    "machine": "the machine",
    "replicas": "the number of replicas",
    "batch_size": "the batch size",
}
"""The parts of a run's environment that its bits depend on, beside the threads of BLAS."""


def differences(record: Mapping[str, Any], now: Mapping[str, Any], spec: Spec) -> list[str]:
    """Return what the bits depend on and is not as it was, each in words.

    Parameters
    ----------
    record : mapping
        The run's run.json; what an older nnctl did not record is not compared.
    now : mapping
        The environment of this process.
    spec : Spec
        The resolved spec that is trained now.
    """
    began = record.get("environment", {})
    found = [
        f"{name} was {began[key]} and is {now[key]}"
        for key, name in _BITS.items()
        if key in began and began[key] != now[key]
    ]
    threads, in_use = began.get("blas_threads"), blas_threads_in_use()
    if threads is not None and in_use and threads not in in_use:
        found.append(f"BLAS used {threads} threads and uses {', '.join(map(str, sorted(in_use)))}")
    if "spec" in record:
        found += [
            f"{change.key} in resolved.yaml was {change.a} and is {change.b}"
            for change in changes(dotted(record["spec"]), dotted(resolved_data(spec)))
        ]
    return found
