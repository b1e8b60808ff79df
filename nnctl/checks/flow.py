"""Gradient flow: what the first steps of a training do to every layer, by the rules that watch every training."""

from __future__ import annotations

from collections.abc import Iterator

from nnctl.core.finding import Finding, Report, Tell, silent
from nnctl.data.table import counted
from nnctl.experiment.assembly import Experiment
from nnctl.train.flow import Probe, Sample
from nnctl.train.health import (
    DEAD_RELU,
    EXPLODING_GRADIENT,
    JUMP,
    RATIOS,
    SATURATED_UNITS,
    UNCHANGED_WEIGHTS,
    UPDATE_RATIO,
    VANISHED,
    VANISHING_GRADIENT,
    Health,
)
from nnctl.train.loop import Pause, Training, fit
from nnctl.train.step import NotFinite, first_not_finite

__all__ = ["gradient_flow"]


def gradient_flow(experiment: Experiment, steps: int = 100, tell: Tell = silent) -> Report:
    """Take the first steps of a training and look at its gradients, updates and units on the way.

    Parameters
    ----------
    experiment : Experiment
        Is left as it was: a fresh learner takes the steps, with the spec's own batches and schedule.
    steps : int
        How many; fewer where the training is shorter. Steps 1, 10, 100 and every 500th are looked at.
    tell : callable
        Is told how far it has come.

    Returns
    -------
    Report
        What `Health` found, worst first; where it found nothing, what was measured. Figures: ``kernels``,
        the weights of the layers from the input to the output, and ``samples``, a record of each step looked at.
    """
    train = experiment.examples(experiment.data.train)
    learner, batches = experiment.learner(), experiment.batches(train)
    progress, plan = experiment.progress(batches), experiment.plan(batches)
    steps = min(steps, plan.steps)
    health = Health.of(learner)

    def is_done() -> bool:
        tell(learner.step / steps, f"step {learner.step} of {steps}")
        return learner.step >= steps

    training = Training(learner, batches, experiment.judge, train, None, plan, progress, Probe(learner, train))
    found: list[Finding] = []
    try:
        for event in fit(training, is_done):
            if isinstance(event, Sample):
                health.judge(event)
            elif isinstance(event, Pause):
                break
    except NotFinite as error:
        found.append(_not_finite(error, first_not_finite(learner, error.batch)))
    finally:
        learner.team.close()
    found += health.findings
    if not found:
        return Report("gradient-flow", f"healthy for {counted(steps, 'step')}", tuple(_passed(health)), health.figures)
    found.sort(key=lambda finding: finding.verdict)  # "fail" comes before "warn"
    rules = ", ".join(dict.fromkeys(finding.rule for finding in found))
    return Report("gradient-flow", f"{rules} in the first {counted(steps, 'step')}", tuple(found), health.figures)


def _not_finite(error: NotFinite, where: str) -> Finding:
    place = f"; the first value that is not is in {where}" if where else ""
    return EXPLODING_GRADIENT.fail(f"{error} at step {error.step}{place}", value=float(error.step))


def _passed(health: Health) -> Iterator[Finding]:
    """Say what was measured at the last look, where it is within the bounds of its rule."""
    now, kernels = health.samples[-1], health.figures["kernels"]
    grads, ratios = ([figure[name] for name in kernels] for figure in (now.mean_grad, now.update_ratio))
    jump, at = max(sample.jump for sample in health.samples), f"at step {now.step}"
    if 0 < jump < JUMP:
        yield EXPLODING_GRADIENT.passed(f"no gradient was longer than {jump:.2g} times the usual", value=jump)
    if grads and min(grads) > VANISHED:
        yield VANISHING_GRADIENT.passed(f"the layers' mean |gradient| is {min(grads):.1e} to {max(grads):.1e} {at}")
    if now.dead:
        share = max(now.dead.values())
        yield DEAD_RELU.passed(f"at most {share:.0%} of the units of a relu layer are dead {at}", value=share)
    if now.saturated:
        share = max(now.saturated.values())
        yield SATURATED_UNITS.passed(f"at most {share:.0%} of a layer's outputs are flat {at}", value=share)
    if ratios and RATIOS[0] < min(ratios) <= max(ratios) < RATIOS[1]:
        yield UPDATE_RATIO.passed(f"a step changes the layers by {min(ratios):.1e} to {max(ratios):.1e} {at}")
    if not now.unchanged:
        yield UNCHANGED_WEIGHTS.passed(f"all {len(now.mean_grad)} tensors have changed {at}")
