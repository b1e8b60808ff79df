"""lr-find: a learning rate from a range test, confirmed by short runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnctl.checks.learning_rate.curve import CLASSICAL, Curve, median_curve, most_of_the_drop
from nnctl.checks.learning_rate.findings import ABOVE_NOISE, findings, refusal
from nnctl.checks.learning_rate.outcome import outcome
from nnctl.checks.learning_rate.pace import Pace
from nnctl.checks.learning_rate.trials import Start, Trial, climb, starts, sweep
from nnctl.core.arrays import Float
from nnctl.core.errors import UsageError
from nnctl.core.finding import Report, Tell, silent
from nnctl.experiment.assembly import Experiment
from nnctl.optim.clock import Clock

__all__ = ["lr_find"]

BOUNDS = (1e-30, 1e30)
"""Learning rates beyond these leave the range of float32, and the axis of the picture."""


def lr_find(
    experiment: Experiment,
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int | None = None,
    sweeps: int | None = None,
    tell: Tell = silent,
) -> Report:
    """Find a learning rate for an experiment.

    lr_t = lowest (highest / lowest)^(t / (steps - 1))

    Sweeps over these rates give a median curve, smoothed in log(lr). From where it has fallen nine tenths of its way
    a ladder of short runs is climbed at constant rates, twice as long as a sweep; their training loss at the end
    decides. Schedule, warm-up and early stopping are left out; penalties, clipping and dropout are not.

    Parameters
    ----------
    experiment : Experiment
        Is left as it was: all training is of fresh learners.
    lowest, highest : float
        The learning rates to try, 0 < lowest < highest, within 1e-30 to 1e30.
    steps, sweeps : int, optional
        Steps of each sweep, and how many there are, each with a seed of its own. Left out, 100 and 3; where that would
        take more than 4e11 floating point operations, one sweep, shorter short runs, and batches of fewer rows.
    tell : callable
        Is told how far it has come.

    Returns
    -------
    Report
        Its figures: ``lr``, ``optimizer``, ``schedule`` and ``warms_up`` of the spec; ``pace``, in words, where steps
        were saved; ``rates`` of the test and the losses of its ``sweeps``; their ``curve`` (``lr``, ``loss``,
        ``start``, ``noise``); what the classical
        ``rules`` say; ``range_test``, the guess; the ``trials`` (``lr``, ``loss``, ``losses``, ``share`` of the
        suggestion's drop, ``diverged``, ``unsteady``) of ``run_steps`` each; ``suggestion``, ``interval``, the range
        that is ``good``, and the lowest rate that ``diverges``. What was not found is None.

    Raises
    ------
    UsageError
        If the range is none.

    References
    ----------
    Smith (2017), arXiv:1506.01186, section 3.3, for the range test. There the rate grows linearly and the curve is
    read by eye; exponential growth is fastai's (Howard and Gugger, 2020), the short runs are our own.
    """
    if not (0 < lowest < highest and BOUNDS[0] <= lowest and highest <= BOUNDS[1]):
        limits = f"0 < --min < --max, within {BOUNDS[0]:g} to {BOUNDS[1]:g}"
        raise UsageError(f"the learning rates must be {limits}. Got {lowest:g} and {highest:g}.")
    pace = Pace.of(experiment, steps, sweeps)
    experiment = pace.with_its_batches(experiment)
    rates = np.geomspace(lowest, highest, pace.steps)
    from_here = starts(experiment, pace.sweeps)
    swept = _sweeps(from_here, rates, tell)
    curve = median_curve(rates, swept)
    figures = {
        **_of_the_spec(experiment, from_here[0]),
        "pace": pace.words,
        "rates": rates.tolist(),
        "sweeps": swept,
        "curve": curve and curve.plain(),
        "rules": {name: rule(curve) if curve else None for name, rule in CLASSICAL.items()},
        **dict.fromkeys(("range_test", "run_steps", "suggestion", "interval", "good", "diverges")),
        "trials": [],
    }
    if curve is not None and refusal(figures) is None:
        figures |= _short_runs(experiment, from_here, curve, highest, pace.run_steps, tell)
    return Report("lr-find", _headline(figures), findings(figures), figures)


def _sweeps(from_here: Sequence[Start], rates: Float, tell: Tell) -> list[list[float]]:
    """Return the losses of a sweep from every start."""
    losses = []
    for i, start in enumerate(from_here):
        tell(0.3 * i / len(from_here), f"sweep {i + 1} of {len(from_here)}")
        losses.append(sweep(start, rates))
    return losses


def _of_the_spec(experiment: Experiment, start: Start) -> dict[str, Any]:
    """Return what the spec itself says of its learning rate."""
    spec, plan = experiment.spec, experiment.plan(start.batches)
    first = plan.schedule.lr_at(0, spec.optimizer.lr, Clock(plan.steps, len(start.batches)))
    return {
        "lr": spec.optimizer.lr,
        "optimizer": spec.optimizer.name,
        "schedule": spec.schedule.name,
        "warms_up": first < spec.optimizer.lr / 2,
    }


def _short_runs(
    experiment: Experiment, from_here: Sequence[Start], curve: Curve, highest: float, steps: int, tell: Tell
) -> dict[str, Any]:
    """Return what short runs around the range test's guess, and at the spec's own rate, come to."""
    guess, own = most_of_the_drop(curve), experiment.spec.optimizer.lr
    made = 0

    def run(lr: float) -> Trial:
        nonlocal made
        tell(1 - 0.7 * 0.85**made, f"short runs at {lr:g}")  # how many there will be is not known
        made += 1
        return Trial.run(from_here, lr, steps)

    trials = climb(guess, float(curve.rates[0]), highest, run)
    trials[own] = trials.get(own) or run(own)
    by_rate = [trials[lr] for lr in sorted(trials)]
    return {"range_test": guess, "run_steps": steps, **outcome(by_rate, curve.start, ABOVE_NOISE * curve.noise)}


def _headline(figures: Mapping[str, Any]) -> str:
    if figures["suggestion"] is None:
        return "No learning rate can be suggested."
    least, most = figures["interval"]
    spread = f" ({least:g} to {most:g})" if most > least else ""
    return f"Learning rate {figures['suggestion']:g}{spread} for {figures['optimizer']}."
