"""doctor: the whole debugging checklist on one spec, one verdict, and the first thing to mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from math import prod
from time import perf_counter
from typing import Any

from nnctl.checks.baselines import against_linear_model, without_inputs
from nnctl.checks.causal_order import in_causal_order
from nnctl.checks.data import check_data, check_unusable
from nnctl.checks.flow import gradient_flow
from nnctl.checks.gradcheck import gradcheck_experiment
from nnctl.checks.lr_find import lr_find
from nnctl.checks.overfit import overfit_batch
from nnctl.checks.short_run import ShortRun
from nnctl.checks.start import check_start
from nnctl.core.errors import DataError
from nnctl.core.finding import Finding, Report, Tell, silent
from nnctl.experiment.assembly import Experiment
from nnctl.spec.lint.advice import lint
from nnctl.spec.lint.reading import Sizes
from nnctl.spec.load import LoadedSpec

__all__ = ["STEPS", "diagnose", "diagnose_unusable"]

STEPS = (
    "lint",
    "data",
    "loss at the start",
    "gradcheck",
    "overfit-batch",
    "without inputs",
    "linear model",
    "gradient flow",
    "learning rate",
)
"""The checklist, in its order: what later steps stand on comes first."""
OUTCOMES = ("overfit-batch", "without inputs", "linear model")
"""The steps that see whether the network learns."""
SYMPTOMS = frozenset(
    {
        "dead-relu",
        "exploding-gradient",
        "gradient-on-kinks",
        "lr-flat-curve",
        "lr-nothing-to-lower",
        "saturated-units",
        "update-ratio",
    }
)
"""Rules whose warnings alone, in a network that learns, are no reason to mend anything."""
GUESSES = frozenset({"learning-rate-range"})
"""And those of rules that guess what the step of the learning rate measures, where it finds the spec's a good one."""


@dataclass
class _Checklist:
    """The reports of the steps that are done, and how long each took."""

    tell: Tell
    reports: dict[str, Report] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, step: str, check: Callable[[Tell], Report]) -> None:
        """Take one step of the checklist."""
        done = len(self.reports) / len(STEPS)
        started = perf_counter()
        self.reports[step] = check(lambda share, what: self.tell(done + share / len(STEPS), f"{step}: {what}"))
        self.seconds[step] = perf_counter() - started


def diagnose(experiment: Experiment, tell: Tell = silent) -> Report:
    """Go through the checklist and say what to mend first.

    Parameters
    ----------
    experiment : Experiment
        Is left as it was: nothing of this changes a later training.
    tell : callable

    Returns
    -------
    Report
        Its findings are those of all steps, causes before what they cause; a warning that can explain a failure is a
        failure itself. Figures: ``steps``, each with ``step``, ``verdict``, ``seconds``, ``headline`` and its own
        ``figures``; ``left_out``, the steps that were not taken.
    """
    checklist = _Checklist(tell)
    sizes = Sizes(prod(experiment.data.input_shape), experiment.outputs, len(experiment.data.train))
    checklist.run("lint", lambda _tell: lint(experiment.loaded, sizes))
    checklist.run("data", lambda tell: check_data(experiment, tell))
    checklist.run("loss at the start", lambda tell: check_start(experiment, tell))
    checklist.run("gradcheck", lambda tell: gradcheck_experiment(experiment, tell))
    checklist.run("overfit-batch", lambda tell: overfit_batch(experiment, tell=tell))
    short = cache(partial(ShortRun.of, experiment))  # trained in the first of the two steps that want it
    checklist.run("without inputs", lambda tell: without_inputs(experiment, short(), tell))
    checklist.run("linear model", lambda tell: against_linear_model(experiment, short(), tell))
    checklist.run("gradient flow", lambda tell: gradient_flow(experiment, tell=tell))
    checklist.run("learning rate", lambda tell: lr_find(experiment, tell=tell))
    return _diagnosis(checklist)


def diagnose_unusable(loaded: LoadedSpec, reason: DataError) -> Report:
    """Take the two steps of the checklist that need no training, for a spec whose data were refused.

    Raises
    ------
    DataError
        They cannot even be read.
    """
    checklist = _Checklist(silent)
    checklist.run("lint", lambda _tell: lint(loaded))
    checklist.run("data", lambda tell: check_unusable(loaded, reason, tell))
    return _diagnosis(checklist)


def _diagnosis(checklist: _Checklist) -> Report:
    reports = checklist.reports
    if all(reports[step].verdict == "pass" for step in OUTCOMES if step in reports):  # the network learns
        rate = reports.get("learning rate")
        harmless = SYMPTOMS | GUESSES if rate is not None and _does_well(rate.figures) else SYMPTOMS
        reports = {step: _without_consequences(report, harmless) for step, report in reports.items()}
    findings = in_causal_order(_distinct(f for report in reports.values() for f in report.findings))
    steps = [
        {
            "step": step,
            "verdict": report.verdict,
            "seconds": checklist.seconds[step],
            "headline": report.headline,
            "figures": dict(report.figures),
        }
        for step, report in reports.items()
    ]
    left_out = [step for step in STEPS if step not in reports]
    return Report("doctor", _headline(findings, len(steps)), findings, {"steps": steps, "left_out": left_out})


def _does_well(figures: Mapping[str, Any]) -> bool:
    """Return whether short runs at the spec's learning rate come nearly as far as at the best one."""
    return figures["good"] is not None and bool(figures["good"][0] <= figures["lr"] <= figures["good"][1])


def _without_consequences(report: Report, harmless: frozenset[str]) -> Report:
    """Return a report whose warnings of harmless things are passes: they foretell a failure, and there was none."""
    said = "the network learns all the same"
    findings = (
        replace(finding, verdict="pass", message=f"{finding.message.removesuffix('.')}; {said}.", fix="")
        if finding.verdict == "warn" and finding.rule in harmless
        else finding
        for finding in report.findings
    )
    return replace(report, findings=tuple(findings))


def _distinct(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings, those of one rule about one place once."""
    seen: set[tuple[str, str]] = set()
    for finding in findings:
        if (finding.rule, finding.where) not in seen:
            seen.add((finding.rule, finding.where))
            yield finding


def _headline(findings: tuple[Finding, ...], steps: int) -> str:
    bad = [finding for finding in findings if finding.verdict != "pass"]
    if not bad:
        return f"nothing found in {steps} steps. Train it."
    more = f" Then look again: {len(bad) - 1} more may follow from it." if len(bad) > 1 else ""
    place = f" ({bad[0].where})" if bad[0].where else ""
    first = "mend first" if bad[0].verdict == "fail" else "look first at"
    return f"{first}: {bad[0].rule}{place}.{more}"
