"""A run and its repetition: whether they are the same to the last bit, and if not, from where on and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnctl.core.errors import DataError
from nnctl.runs.diff import Difference, diff
from nnctl.runs.listing import Entry, read
from nnctl.runs.store import Run

if TYPE_CHECKING:
    from nnctl.core.arrays import Array

__all__ = ["Repetition", "Verdict", "compare"]

Verdict = Literal["identical", "different", "not comparable"]


@dataclass(frozen=True)
class Repetition:
    """What came of running a run again.

    Parameters
    ----------
    difference : Difference
        Of the two runs; the first one is A.
    conditions : tuple of str
        What the bits depend on and is not as it was, each in words.
    status : tuple of str
        How either run ended.
    weights : tuple of str
        The tensors of the last checkpoint that are not the same.
    unread : str
        Why there are no weights to compare; "" where there are.
    """

    difference: Difference
    conditions: tuple[str, ...]
    status: tuple[str, str]
    weights: tuple[str, ...]
    unread: str

    @property
    def is_whole(self) -> bool:
        """Whether the first run came to its end; of another one only the epochs that it recorded are compared."""
        return self.status[0] in {"done", "diverged"}

    @property
    def epochs(self) -> int:
        """How many epochs both have recorded."""
        return 0 if self.difference.records is None else self.difference.records.shared

    @property
    def verdict(self) -> Verdict:
        """Identical means: every figure of every epoch, the result, and every tensor."""
        records = self.difference.records
        if records is None or (self.is_whole and self.unread) or (not self.is_whole and not records.shared):
            return "not comparable"
        same = records.epoch is None
        if self.is_whole:
            same = same and records.a == records.b and self.status[0] == self.status[1]
            same = same and not self.weights and not self.difference.summary
        if same:
            return "identical"
        return "not comparable" if self.conditions else "different"

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "verdict": self.verdict,
            "epochs": self.epochs,
            "records": None if self.difference.records is None else asdict(self.difference.records),
            "result": [asdict(change) for change in self.difference.summary],
            "weights": list(self.weights),
            "conditions": list(self.conditions),
            "notes": [*self.difference.notes, *([self.unread] if self.unread else [])],
        }


def compare(entry: Entry, repetition: Path, conditions: Sequence[str] = ()) -> Repetition:
    """Compare a run with the one that repeated it.

    Parameters
    ----------
    entry : Entry
    repetition : Path
    conditions : sequence of str
        What the bits depend on and is not as it was.
    """
    other = read(str(repetition))
    weights: tuple[str, ...] = ()
    unread = ""
    try:
        weights = tuple(_others(*(_tensors(path) for path in (Path(entry.path), repetition))))
    except DataError as error:
        unread = str(error)
    return Repetition(diff(entry, other), tuple(conditions), (entry.status, other.status), weights, unread)


def _tensors(path: Path) -> dict[str, Array]:
    return Run(path).load_tensors("last")[0]


def _others(a: Mapping[str, Array], b: Mapping[str, Array]) -> list[str]:
    """Return the names of the tensors that are not the same to the last bit."""
    there = a.keys() & b.keys()
    same = {name for name in there if (a[name].dtype, a[name].shape) == (b[name].dtype, b[name].shape)}
    same = {name for name in same if a[name].tobytes() == b[name].tobytes()}
    return [name for name in {**a, **b} if name not in same]
