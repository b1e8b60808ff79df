"""lint(): all that a spec can be seen to get wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

from nnctl.core.finding import Finding, Report, Verdict
from nnctl.spec.lint import activations, data, duration, initialization, layers, objective, optimization, sequences
from nnctl.spec.lint.reading import Reading, Sizes
from nnctl.spec.load import LoadedSpec

__all__ = ["lint"]

SUBJECTS: tuple[Callable[[Reading], Iterator[Finding]], ...] = (
    data.findings,
    activations.findings,
    layers.findings,
    initialization.findings,
    sequences.findings,
    objective.findings,
    optimization.findings,
    duration.findings,
)
"""What explains what comes after it stands first: the data before the network, the network before its training."""


OF_LAYERS = (activations.findings, layers.findings, initialization.findings)
"""Those that look at one layer after another, and so at those of every branch."""


def lint(loaded: LoadedSpec, sizes: Sizes | None = None) -> Report:
    """Return what can be seen to be wrong with a valid spec; no data are read and nothing is computed.

    Parameters
    ----------
    loaded : LoadedSpec
    sizes : Sizes, optional
        What only the data tell; some rules then see more. Rules that guess at the data are silent where these are
        at hand to be measured.
    """
    reading = Reading(loaded, sizes)
    found = [finding for findings in SUBJECTS for finding in _of(findings, reading)]
    order: tuple[Verdict, ...] = get_args(Verdict)
    found.sort(key=lambda finding: -order.index(finding.verdict))
    counts = {verdict: sum(finding.verdict == verdict for finding in found) for verdict in order}
    return Report("lint", _headline(counts["fail"], counts["warn"]), tuple(found), {"counts": counts})


def _of(findings: Callable[[Reading], Iterator[Finding]], reading: Reading) -> Iterator[Finding]:
    """Yield what a subject finds; within branches only what is wrong, and nothing twice of one place."""
    told: set[tuple[str, str]] = set()
    for finding in findings(reading):
        told.add((finding.rule, finding.where))
        yield finding
    for inner in reading.branches if findings in OF_LAYERS else ():
        for finding in findings(inner):
            if finding.verdict != "pass" and (finding.rule, finding.where) not in told:
                told.add((finding.rule, finding.where))
                yield finding


def _headline(failed: int, warned: int) -> str:
    if failed:
        beside = f", {warned} more to look at" if warned else ""
        return f"{failed} thing{'s' if failed > 1 else ''} to mend before training{beside}"
    return f"{warned} thing{'s' if warned > 1 else ''} to look at" if warned else "nothing in the spec to mend"
