"""gradcheck: every gradient against differences, of an experiment's own network or of all components there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nnctl.checks.gradients.components import KINDS, Checked, check_component, names
from nnctl.checks.gradients.lines import Line
from nnctl.checks.gradients.network import Point, check_point
from nnctl.checks.gradients.rules import (
    NO_EXAMPLE,
    NOT_FINITE,
    ON_KINKS,
    UNREPEATABLE,
    WRONG,
    WRONG_LOSS,
    WRONG_PENALTY,
)
from nnctl.core.finding import Finding, Report, Rule, Tell, silent
from nnctl.experiment.assembly import Experiment
from nnctl.optim.clock import Clock
from nnctl.train.step import Learner, NotFinite, train_step

__all__ = ["ROWS", "STEPS", "gradcheck_experiment", "gradcheck_registry"]

ROWS = 32
"""Rows of the batch, at most."""
STEPS = 20
"""Steps of training between the two checks."""
_TOLD = 5
"""Wrong tensors that are told one by one; the table and the figures have all."""


def gradcheck_experiment(experiment: Experiment, tell: Tell = silent) -> Report:
    """Check a network's gradients in float64 on its own data, at the start and after 20 steps of its own training.

    Parameters
    ----------
    experiment : Experiment
        Is left as it is; what is checked is a variant of it.
    tell : callable

    Returns
    -------
    Report
        Its figures: ``rows``, ``steps``, and ``points``, each with ``when``, ``loss``, ``tensors``, ``outputs``,
        ``penalties`` and ``culprits``.
    """
    exact = experiment.variant(training=experiment.spec.training.model_copy(update={"dtype": "float64"}))
    learner = exact.learner()
    examples = exact.examples(exact.data.train)
    rows = exact.batches(examples).order(0)[:ROWS]
    x, t, w = examples.x[rows], examples.t[rows], None if examples.w is None else examples.w[rows]
    tensors = 1 + sum(slot.param.trainable for slot in exact.layout.slots)
    done = 0

    def point(when: str) -> Point:
        def told(tensor: str) -> None:
            nonlocal done
            tell(min(done / (2 * tensors), 1.0), f"{when}: {tensor}")
            done += 1

        return check_point(when, learner.network, exact.loss, exact.spec.regularizers, x, t, w, told)

    try:
        points = [point("at the start")]
        trained = _train(exact, learner)
        if trained:
            points.append(point(f"after {trained} step{'s' if trained > 1 else ''}"))
    finally:
        learner.team.close()
    findings = [finding for p in points for finding in _of_point(p)]
    if trained == 0:
        message = "the training diverges within its first steps, so that the gradient is checked at the start alone"
        findings.append(NOT_FINITE.warn(message))
    order = {"fail": 0, "warn": 1, "pass": 2}
    findings.sort(key=lambda finding: order[finding.verdict])
    figures = {"rows": len(x), "steps": trained, "points": [p.plain() for p in points]}
    return Report("gradcheck", _headline(points), tuple(findings), figures)


def gradcheck_registry(tell: Tell = silent) -> Report:
    """Check every layer, activation, loss and penalty that is registered, each alone and in several shapes.

    Parameters
    ----------
    tell : callable

    Returns
    -------
    Report
        Its figures: ``components``, each with ``kind``, ``name``, ``cases``, ``tensors``, ``kinks``, ``verdict``,
        ``note``, the ``case`` that is most wrong and its ``worst`` tensor.
    """
    todo = [(kind, name) for kind in KINDS for name in names(kind)]
    checked = []
    for i, (kind, name) in enumerate(todo):
        tell(i / len(todo), f"{kind} {name}")
        checked.append(check_component(kind, name))
    wrong = [finding for component in checked for finding in _of_component(component)]
    right = [_of_kind(kind, [c for c in checked if c.kind == kind]) for kind in KINDS]
    bad = [component for component in checked if component.verdict != "pass"]
    tensors = sum(len(component.lines) for component in checked)
    said = f"{len(bad)} of {len(checked)} components have wrong gradients" if bad else f"all {len(checked)} components"
    headline = f"{said}: {', '.join(c.name for c in bad)}" if bad else f"{said} are right, in {tensors} comparisons"
    return Report(
        "gradcheck",
        headline,
        (*wrong, *(finding for finding in right if finding is not None)),
        {"components": [component.plain() for component in checked]},
    )


# ---------------------------------------------------------------------- training


def _train(exact: Experiment, learner: Learner) -> int:
    """Train for 20 steps, as the spec says; return how many were taken, 0 if the gradient left all bounds."""
    batches = exact.batches(exact.examples(exact.data.train))
    plan = exact.plan(batches)
    clock = Clock(total_steps=plan.steps, steps_per_epoch=len(batches))
    steps = min(STEPS, plan.steps)
    epoch = 0
    while learner.step < steps:
        for batch in batches.epoch(epoch):
            lr = plan.schedule.lr_at(learner.step, learner.optimizer.lr, clock, [])
            try:
                train_step(learner, batch, lr)
            except NotFinite:
                return 0
            if learner.step == steps:
                break
        epoch += 1
    return learner.step


# ---------------------------------------------------------------------- findings


def _of_point(point: Point) -> Iterator[Finding]:
    """Yield what is wrong at a point, what is to be mended first at the front; or that nothing is."""
    if point.loss_line is None:
        yield NOT_FINITE.fail(f"{point.when} the loss is {point.loss}", where="loss", value=point.loss)
        return
    yield from _of_lines(WRONG_LOSS, [("loss", point.loss_line)], point.when)
    yield from _of_lines(WRONG, [(f"{c.path}, alone", c.line) for c in point.culprits], point.when, _what)
    wrong = [line for line in reversed(point.lines) if line.verdict != "pass"]
    told = [(line.name, line) for line in (wrong[:1] if point.culprits else wrong[:_TOLD])]
    yield from _of_lines(WRONG, told, point.when)
    if len(wrong) > len(told):
        others = ", ".join(line.name for line in wrong[len(told) :])
        yield WRONG.fail(
            f"{len(wrong)} of {len(point.lines)} tensors are wrong {point.when}. These too: {others}",
            fix="A wrong layer makes wrong what comes before it. Mend the first failure above, then look again.",
        )
    yield from _of_lines(WRONG_PENALTY, [(f"penalty {name}", line) for name, line in point.penalties], point.when)
    if wrong or point.loss_line.verdict != "pass" or any(line.verdict != "pass" for _, line in point.penalties):
        return
    lines = [point.loss_line, *point.lines, *(line for _, line in point.penalties)]
    worst = max(lines, key=lambda line: line.comparison.error)
    kinks = sum(line.comparison.kinks for line in lines)
    total = kinks + sum(line.comparison.judged for line in lines)
    said = f"{point.when}: {len(lines)} gradients, worst relative error {worst.comparison.error:.1e} ({worst.name}), "
    said += f"{kinks} kinks in {total:,} derivatives"
    if not any(line.norm for line in point.lines):
        said += "; every gradient is zero here, so that little was tested"
    yield WRONG.passed(said, value=worst.comparison.error, threshold=1e-7)


def _what(line: Line) -> str:
    """Return which part of a layer's backward is wrong."""
    return "dx" if line.name == "input" else f"the gradient of {line.name.rsplit('.', 1)[-1]}"


def _of_lines(
    rule: Rule, named: Sequence[tuple[str, Line]], when: str, what: Callable[[Line], str] | None = None
) -> Iterator[Finding]:
    for where, line in named:
        verdict = line.verdict
        if verdict == "pass":
            continue
        by = UNREPEATABLE if not line.repeatable else rule if line.comparison.judged else ON_KINKS
        said = f"{'' if what is None else f'{what(line)}, '}{when}: {line.words()}"
        found = by.fail if verdict == "fail" else by.warn
        yield found(said, where=where, value=line.comparison.error, threshold=1e-4 if verdict == "fail" else 1e-7)


def _of_component(component: Checked) -> Iterator[Finding]:
    if component.verdict == "pass":
        return
    where = f"{component.kind} {component.name}"
    if component.worst is None:
        yield NO_EXAMPLE.warn("nothing says in which shapes to check it", where=where)
        return
    case, line = component.worst
    rule = {"loss": WRONG_LOSS, "penalty": WRONG_PENALTY}.get(component.kind, WRONG)
    what = _what if component.kind in {"layer", "activation"} else None
    yield from _of_lines(rule, [(where, line)], case, what)


def _of_kind(kind: str, components: Sequence[Checked]) -> Finding | None:
    right = [component for component in components if component.verdict == "pass" and component.lines]
    if not right:
        return None
    errors = [line.comparison.error for component in right for _, line in component.lines]
    worst = float(np.max(errors))
    rule = {"loss": WRONG_LOSS, "penalty": WRONG_PENALTY}.get(kind, WRONG)
    plural = {"loss": "losses", "penalty": "penalties", "activation": "activations", "layer": "layers"}[kind]
    said = f"{len(right)} {plural}, {len(errors)} comparisons, worst relative error {worst:.1e}"
    return rule.passed(said, value=worst, threshold=1e-7)


def _headline(points: Sequence[Point]) -> str:
    lines = [line for point in points for line in (*point.lines, *(line for _, line in point.penalties))]
    lines += [point.loss_line for point in points if point.loss_line]
    when = " and ".join(point.when for point in points)
    if any(point.loss_line is None for point in points):
        return "the loss is not finite, so that its gradient cannot be checked"
    wrong = [line for line in lines if line.verdict == "fail"]
    if wrong:
        return f"{len(wrong)} of {len(lines)} gradients are not the derivative of the loss, {when}"
    unsure = [line for line in lines if line.verdict == "warn"]
    if unsure:
        return f"{len(unsure)} of {len(lines)} gradients should be looked at, {when}"
    return f"all {len(lines)} gradients agree with the differences, {when}"
