"""Two runs compared line by line: spec, environment, and the first epoch in which they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnctl.core.errors import NnctlError
from nnctl.runs.keys import dotted
from nnctl.runs.listing import Entry
from nnctl.runs.records import Records

__all__ = ["Change", "Difference", "Parting", "diff", "parting"]

_CLOCK = ("seconds", "samples_per_second")
"""What no two runs share."""


@dataclass(frozen=True)
class Change:
    """A key with its value in either run; None where one lacks it."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Parting:
    """The first epoch in which two runs have not the same figures.

    Parameters
    ----------
    epoch : int or None
        None where all that both have recorded is the same.
    changes : tuple of Change
        The figures that differ in it.
    shared : int
        How many epochs both have recorded.
    a, b : int
        How many each has recorded.
    """

    epoch: int | None
    changes: tuple[Change, ...]
    shared: int
    a: int
    b: int


@dataclass(frozen=True)
class Difference:
    """All in which two runs differ.

    Parameters
    ----------
    spec, environment, summary : tuple of Change
    records : Parting or None
        None where the records of one cannot be read.
    notes : tuple of str
        What could not be compared, and why.
    """

    spec: tuple[Change, ...]
    environment: tuple[Change, ...]
    summary: tuple[Change, ...]
    records: Parting | None
    notes: tuple[str, ...]


def diff(a: Entry, b: Entry) -> Difference:
    """Return in what two runs differ."""
    notes = [f"{entry.name}: its spec is not known" for entry in (a, b) if not entry.spec]
    spec = () if notes else changes(dotted(a.spec), dotted(b.spec))
    parted = None
    try:
        parted = parting(*(Records(Path(entry.path) / "metrics.jsonl").read() for entry in (a, b)))
    except NnctlError as error:
        notes.append(str(error))
    except OSError as error:
        notes.append(f"{error.filename}: cannot be read: {error.strerror}")
    return Difference(
        spec,
        changes(*(_without(dotted(entry.environment), "seed") for entry in (a, b))),
        changes(*(_without(dotted(entry.summary), "seconds") for entry in (a, b))),
        parted,
        tuple(notes),
    )


def changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the keys in which two mappings differ."""
    return tuple(Change(key, a.get(key), b.get(key)) for key in {**a, **b} if a.get(key) != b.get(key))


def parting(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> Parting:
    """Return where two lists of records part; what the clock says is not compared.

    Records are compared by their epoch; every figure must be the same to the last bit.
    """
    of_b = {record["epoch"]: record for record in b}
    pairs = [(record, of_b[record["epoch"]]) for record in a if record["epoch"] in of_b]
    for one, other in pairs:
        found = changes(_without(one, *_CLOCK), _without(other, *_CLOCK))
        if found:
            return Parting(one["epoch"], found, len(pairs), len(a), len(b))
    return Parting(None, (), len(pairs), len(a), len(b))


def _without(mapping: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}
