"""Findings: what a check saw, by which rule, how bad it is, and what to do next.

A `Rule` is something that can be wrong with an experiment and how one tells; it has one page, ``nnctl explain RULE``.
A `Finding` is one place where a check applied it, with the figure that was measured. A `Report` is all that one check
found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, get_args

__all__ = ["Finding", "Report", "Rule", "Tell", "Verdict", "silent", "worst"]

Verdict: TypeAlias = Literal["pass", "warn", "fail"]
"""Pass: as it should be. Warn: look at it. Fail: mend it first; the command ends with exit code 5."""

Tell: TypeAlias = Callable[[float, str], None]
"""How a check says how far it has come: the share done, 0 to 1, and a few words on what is going on."""


def silent(_share: float, _what: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Rule:
    """Something that can be wrong, and how one tells.

    Parameters
    ----------
    id : str
        Its name, such as ``dead-units``.
    about : str
        What goes wrong, in one sentence.
    why : str
        Why that matters, and how it comes about; a paragraph for a learner.
    threshold : str
        What is measured, and from where on it warns or fails; "" where it is a plain yes or no.
    fix : str
        What to do about it.
    source : str
        Authors and year, where there are any.
    """

    id: str
    about: str
    why: str
    threshold: str
    fix: str
    source: str = ""

    known: ClassVar[dict[str, Rule]] = {}
    """Every rule by its id, once the module that declares it is imported."""

    def __post_init__(self) -> None:
        assert self.id not in self.known, f"two rules are called {self.id}"
        self.known[self.id] = self

    def passed(self, message: str, **more: Any) -> Finding:
        """Return the finding that all is well, with what was measured."""
        return Finding(self.id, "pass", message, **more)

    def warn(self, message: str, *, fix: str | None = None, **more: Any) -> Finding:
        """Return the finding that something should be looked at; `fix` where it is more exact than the rule's."""
        return Finding(self.id, "warn", message, fix=self.fix if fix is None else fix, **more)

    def fail(self, message: str, *, fix: str | None = None, **more: Any) -> Finding:
        """Return the finding that something has to be mended; `fix` where it is more exact than the rule's."""
        return Finding(self.id, "fail", message, fix=self.fix if fix is None else fix, **more)


@dataclass(frozen=True)
class Finding:
    """What a rule came to in one place.

    Parameters
    ----------
    rule : str
        The id of the rule.
    verdict : {"pass", "warn", "fail"}
    message : str
        One sentence with the figure that was measured.
    fix : str
        The next thing to do; "" after a pass.
    where : str
        The layer, column, part or key of the spec that it is about; "" for the whole.
    value : float or None
        What was measured.
    threshold : float or None
        What it was held against.
    """

    rule: str
    verdict: Verdict
    message: str
    fix: str = ""
    where: str = ""
    value: float | None = None
    threshold: float | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dict(vars(self))


@dataclass(frozen=True)
class Report:
    """All that one check found.

    Parameters
    ----------
    check : str
        The command's name, such as ``lr-find``.
    headline : str
        The result in one sentence.
    findings : tuple of Finding
        In the order in which they should be mended.
    figures : mapping
        What was measured, as plain data: all that tables and pictures are made of.
    """

    check: str
    headline: str
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings' verdicts."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def first(self) -> Finding | None:
        """What to mend first: the first failure, else the first warning."""
        return next((f for v in ("fail", "warn") for f in self.findings if f.verdict == v), None)

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "check": self.check,
            "verdict": self.verdict,
            "headline": self.headline,
            "findings": [finding.plain() for finding in self.findings],
            "figures": dict(self.figures),
        }


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts; "pass" where there are none."""
    order: tuple[Verdict, ...] = get_args(Verdict)
    return max(verdicts, key=order.index, default="pass")
