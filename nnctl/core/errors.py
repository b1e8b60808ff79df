"""What can go wrong, each with the exit code that `nnctl` ends with.

    NnctlError              something a person can mend
    ├── UsageError      2   the command line
    ├── SpecError       2   the YAML spec; carries one Problem per mistake
    ├── DataError       3   a data file, a target, a split
    ├── Diverged        4   a loss or gradient that is not finite
    ├── CheckFailed     5   a check came to the verdict "fail"
    ├── DiskError      74   writing failed: disk full, no permission
    └── Interrupted 130/143 Ctrl-C or SIGTERM; the checkpoint is saved

Anything else that escapes is a bug in nnctl and ends with exit code 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nnctl.core.inert import inert

__all__ = [
    "CheckFailed",
    "DataError",
    "DiskError",
    "Diverged",
    "Interrupted",
    "NnctlError",
    "Problem",
    "SpecError",
    "UsageError",
]

_LONGEST_SHOWN = 500
"""An argument of the command line that is longer is not shown."""


class NnctlError(Exception):
    """An error that a person can mend; its text says where, what is wrong, what was found and what to do."""

    exit_code: ClassVar[int] = 1
    found: Mapping[str, Any] = {}
    """What the command had come to before it failed; `--json` prints it beside the error."""

    def beside(self, found: Mapping[str, Any]) -> Self:
        """Return the error with what was found before it."""
        self.found = found
        return self


class UsageError(NnctlError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One mistake in a spec.

    Parameters
    ----------
    path : tuple of str or int
        The keys that lead to it, as written: ``("optimizer", "adamw", "lr")``.
    message : str
        What is wrong, what was found, and what to do.
    line, column : int or None
        Where it stands in the file, counted from 1; None where the value came from elsewhere.
    text : str or None
        The line itself, for the caret.
    source : str or None
        Where the value came from, if not from the file of the spec: ``"command line"``.
    """

    path: tuple[str | int, ...]
    message: str
    line: int | None = None
    column: int | None = None
    text: str | None = None
    source: str | None = None

    @property
    def dotted(self) -> str:
        """The path as one writes it on the command line, ``architecture.2.dropout.rate``."""
        return ".".join(part if isinstance(part, str) and part.isprintable() else repr(part) for part in self.path)


class SpecError(NnctlError):
    """A spec that cannot be used; every mistake in it is in `problems`."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], source: str = "spec") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__("\n".join(self._located(p) for p in self.problems))

    def _located(self, problem: Problem) -> str:
        source = problem.source or self.source
        place = source if problem.line is None else f"{source}:{problem.line}:{problem.column}"
        dotted = f" {problem.dotted}:" if problem.path else ""
        head = inert(f"{place}:{dotted} {problem.message}")
        if problem.text is None or problem.column is None or len(problem.text) > _LONGEST_SHOWN:
            return head
        shown = "".join(
            c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in problem.text
        )
        return f"{head}\n    {shown}\n    {' ' * (problem.column - 1)}^"


class DataError(NnctlError):
    """Data that cannot be read, or cannot be learned from.

    The text begins with a file, or with the key of the spec that it is about: ``data.split: ...``.
    """

    exit_code = 3


class Diverged(NnctlError):  # noqa: N818 - the state has a name in the field, and in run.json
    """A loss, gradient or weight stopped being finite."""

    exit_code = 4


class CheckFailed(NnctlError):  # noqa: N818 - "fail" is a verdict, not an accident
    """A check came to the verdict "fail"."""

    exit_code = 5


class DiskError(NnctlError):
    """A file could not be written."""

    exit_code = 74


class Interrupted(NnctlError):  # noqa: N818 - the state has a name in run.json
    """A signal ended the run after its checkpoint was saved.

    Parameters
    ----------
    message : str
        What was saved and how to go on.
    signal : int
        The signal's number; the exit code is 128 more: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, message: str, signal: int = 2) -> None:
        super().__init__(message)
        self.signal = signal
