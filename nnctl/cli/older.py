"""Runs of nnctl before its run.json held the spec: it is read from their resolved.yaml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnctl.core.errors import SpecError

if TYPE_CHECKING:
    from nnctl.runs.listing import Entry

__all__ = ["with_spec"]


def with_spec(entry: Entry) -> Entry:
    """Return the entry of a run with its spec, where that can be read."""
    if entry.kind != "run" or entry.spec:
        return entry
    from nnctl.core import yaml  # noqa: PLC0415 - 60 ms, and only for such a run

    try:
        spec = yaml.load(Path(entry.path) / "resolved.yaml").data
    except SpecError:
        return entry
    return replace(entry, record={**entry.record, "spec": spec})
