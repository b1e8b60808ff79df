"""How a command fails: an exit code, a message for a person, and the same as a part of the JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnctl.cli.words import continued
from nnctl.core.errors import Interrupted, NnctlError, SpecError

__all__ = ["Failure"]

MOST_SPOKEN = 50
"""Mistakes of a spec that a person is told of; `--json` has all of them."""


@dataclass(frozen=True)
class Failure:
    """What is said of an error.

    Parameters
    ----------
    kind : str
        The class of the error, as `nnctl.core.errors` draws them; MemoryError and Bug beside these.
    exit_code : int
    message : str
        Where, what is wrong, what was found, what to do.
    spoken : str
        The message as a person gets it.
    errors : list of dict, or None
        Every mistake in a spec, with the line and the column where it stands.
    found : mapping
        What the command had come to before.
    """

    kind: str
    exit_code: int
    message: str
    spoken: str
    errors: list[dict[str, Any]] | None = None
    found: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: NnctlError) -> Failure:
        """Return how an error that a person can mend is told."""
        kind, message = type(error).__name__, str(error)
        if isinstance(error, Interrupted):
            return cls(kind, 128 + error.signal, message, message, found=error.found)
        if not isinstance(error, SpecError):
            return cls(kind, error.exit_code, message, continued(f"error: {message}"), found=error.found)
        count = len(error.problems)
        sources = dict.fromkeys(problem.source or error.source for problem in error.problems)
        places = " and ".join("the command line" if source == "command line" else source for source in sources)
        first = str(SpecError(error.problems[:MOST_SPOKEN], error.source))
        more = f"\n... and {count - MOST_SPOKEN:,} more" if count > MOST_SPOKEN else ""
        spoken = f"{first}{more}\n\n{count:,} mistake{'s' if count > 1 else ''} in {places}."
        return cls(kind, error.exit_code, message, spoken, _mistakes(error))

    @property
    def document(self) -> dict[str, Any]:
        """The document of the command that failed: what it found, and the error."""
        error = {"kind": self.kind, "exit_code": self.exit_code, "message": self.message}
        return {**self.found, "error": error if self.errors is None else {**error, "errors": self.errors}}


def _mistakes(error: SpecError) -> list[dict[str, Any]]:
    return [
        {
            "where": problem.source or error.source,
            "line": problem.line,
            "column": problem.column,
            "path": problem.dotted,
            "message": problem.message,
        }
        for problem in error.problems
    ]
