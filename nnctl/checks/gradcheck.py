"""gradcheck: every gradient against differences, of an experiment's own network or of all components there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnctl.checks.gradients.components import KINDS, Checked, check_component, names
from nnctl.checks.gradients.differences import FAIL, PASS
from nnctl.checks.gradients.lines import Line
from nnctl.checks.gradients.network import Culprit, Point, check_point
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
BOLTED = 1e6
"""A loss that has risen beyond so many times what it was belongs to a training that diverges: with weights of such a
size, differences are all rounding and say nothing of the gradient."""
_TOLD = 5
"""Wrong tensors that are told one by one where no layer is to blame; the table and the figures have all."""
_NAMED = 8
"""Wrong tensors that are named."""


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
    batches = exact.batches(examples)
    batch = batches.batch_of(batches.order(0)[:ROWS], epoch=0)  # one draw of the augmentation, for good
    tensors = 1 + sum(slot.param.trainable for slot in exact.layout.slots)
    done = 0

    def point(when: str) -> Point:
        def told(tensor: str) -> None:
            nonlocal done
            tell(min(done / (2 * tensors), 1.0), f"{when}: {tensor}")
            done += 1

        return check_point(when, learner.network, exact.loss, exact.spec.regularizers, batch, told)

    try:
        points = [point("at the start")]
        trained = _train(exact, learner)
        if trained:
            after = point(f"after {trained} step{'s' if trained > 1 else ''}")
            trained = trained if after.loss <= BOLTED * max(1.0, points[0].loss) else 0
            points += [after] if trained else []
    finally:
        learner.team.close()
    findings = list(_of_point(points[0]))
    failed = any(finding.verdict == "fail" for finding in findings)
    findings += [f for p in points[1:] for f in (_once_more(p) if failed else _of_point(p))]
    if trained == 0:
        message = "the training diverges within its first steps, so that the gradient is checked at the start alone"
        findings.append(NOT_FINITE.warn(message))
    order = {"fail": 0, "warn": 1, "pass": 2}
    findings.sort(key=lambda finding: order[finding.verdict])
    figures = {"rows": len(batch.x), "steps": trained, "points": [p.plain() for p in points]}
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
    if all(line.verdict == "pass" for line in _lines(point)):
        yield _all_right(point)
        return
    fix = f"Compare its gradient with the formula, before any layer: nnctl explain {point.loss_name}"
    yield from _of_line(WRONG_LOSS, f"loss {point.loss_name}", point.loss_line, f"its gradient {point.when}", fix)
    for culprit, others in _grouped(point.culprits):
        too = f" ({', '.join(others)} too)" if others else ""
        yield from _of_line(
            WRONG,
            f"{culprit.path}, alone",
            culprit.line,
            f"{_what(culprit.line)} {point.when}{too}",
            f"Compare its backward with the formula: nnctl explain {culprit.kind}",
        )
    wrong = [line for line in reversed(point.lines) if line.verdict != "pass"]
    told = [] if point.culprits or point.loss_line.verdict == "fail" else wrong[:_TOLD]
    for line in told:
        yield from _of_line(WRONG, line.name, line, f"its gradient {point.when}")
    if len(wrong) > len(told):
        yield _in_all(point.when, wrong, len(point.lines))
    for name, line in point.penalties:
        yield from _of_line(WRONG_PENALTY, f"penalty {name}", line, f"its pull {point.when}")


def _once_more(point: Point) -> Iterator[Finding]:
    """Yield in one sentence that what was wrong before still is."""
    wrong = [line for line in reversed(_lines(point)) if line.verdict != "pass"]
    if wrong:
        yield _in_all(point.when, wrong, len(_lines(point)))


def _in_all(when: str, wrong: Sequence[Line], total: int) -> Finding:
    said = f"{when} {len(wrong)} of {total} gradients are wrong in the whole network: "
    said += ", ".join(line.name for line in wrong[:_NAMED]) + (" ..." if len(wrong) > _NAMED else "")
    fix = "What is wrong makes wrong whatever backward reaches after it. Mend the first failure, then look again."
    return (WRONG.fail if any(line.verdict == "fail" for line in wrong) else WRONG.warn)(said, fix=fix)


def _all_right(point: Point) -> Finding:
    lines = _lines(point)
    worst = max(lines, key=lambda line: line.comparison.error)
    kinks = sum(line.comparison.kinks for line in lines)
    total = kinks + sum(line.comparison.judged for line in lines)
    said = f"{point.when}: {len(lines)} gradients, worst relative error {worst.comparison.error:.1e} ({worst.name}), "
    said += f"{kinks} kinks in {total:,} derivatives"
    if not any(line.norm for line in point.lines):
        said += "; every gradient is zero here, so that little was tested"
    return WRONG.passed(said, value=worst.comparison.error, threshold=PASS)


def _lines(point: Point) -> list[Line]:
    """Return all lines of a point, from the input to the loss, then the penalties."""
    loss = [] if point.loss_line is None else [point.loss_line]
    return [*point.lines, *loss, *(line for _, line in point.penalties)]


def _grouped(culprits: Sequence[Culprit]) -> list[tuple[Culprit, list[str]]]:
    """Return one culprit for every kind of layer and tensor, with the paths of the others of that kind."""
    groups: dict[tuple[str, str], list[Culprit]] = {}
    for culprit in culprits:
        groups.setdefault((culprit.kind, _what(culprit.line)), []).append(culprit)
    return [(first, [other.path for other in others]) for first, *others in groups.values()]


def _what(line: Line) -> str:
    """Return which part of a layer's backward a tensor stands for."""
    return (
        "the gradient it hands on, dx," if line.name == "input" else f"the gradient of {line.name.rsplit('.', 1)[-1]}"
    )


def _of_line(rule: Rule, where: str, line: Line, what: str, fix: str | None = None) -> Iterator[Finding]:
    """Yield what is wrong with a line; nothing where it passes."""
    if line.verdict == "pass":
        return
    by = UNREPEATABLE if not line.repeatable else ON_KINKS if line.on_corners else rule
    more: dict[str, Any] = {"where": where, "value": line.comparison.error, "fix": fix if by is rule else None}
    if line.verdict == "fail":
        yield by.fail(f"{what}: {line.words()}", threshold=FAIL, **more)
    else:
        yield by.warn(f"{what}: {line.words()}", threshold=PASS, **more)


def _of_component(component: Checked) -> Iterator[Finding]:
    if component.verdict == "pass":
        return
    where = f"{component.kind} {component.name}"
    if component.worst is None:
        yield NO_EXAMPLE.warn("nothing says in which shapes to check it", where=where)
        return
    case, line = component.worst
    rule = {"loss": WRONG_LOSS, "penalty": WRONG_PENALTY}.get(component.kind, WRONG)
    what = _what(line) if rule is WRONG else "its gradient"
    yield from _of_line(
        rule, where, line, f"{what} for {case}", f"Compare it with the formula: nnctl explain {component.name}"
    )


def _of_kind(kind: str, components: Sequence[Checked]) -> Finding | None:
    right = [component for component in components if component.verdict == "pass" and component.lines]
    if not right:
        return None
    errors = [line.comparison.error for component in right for _, line in component.lines]
    worst = float(np.max(errors))
    rule = {"loss": WRONG_LOSS, "penalty": WRONG_PENALTY}.get(kind, WRONG)
    plural = {"loss": "losses", "penalty": "penalties", "activation": "activations", "layer": "layers"}[kind]
    said = f"{len(right)} {plural}, {len(errors)} comparisons, worst relative error {worst:.1e}"
    return rule.passed(said, value=worst, threshold=PASS)


def _headline(points: Sequence[Point]) -> str:
    lines = [line for point in points for line in _lines(point)]
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
