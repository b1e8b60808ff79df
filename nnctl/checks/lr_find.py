"""lr-find: a learning rate from a range test, confirmed by short runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from nnctl.checks.lr_findings import ABOVE_NOISE, GOOD, findings, refusal
from nnctl.checks.lr_rules import CLASSICAL, Curve, median_curve, most_of_the_drop
from nnctl.checks.lr_trials import Start, Trial, choose, climb, starts, sweep
from nnctl.core.errors import UsageError
from nnctl.core.finding import Report, Tell, silent
from nnctl.data.batches import is_positionwise
from nnctl.data.table import counted
from nnctl.experiment.assembly import Experiment
from nnctl.optim.clock import Clock

__all__ = ["lr_find"]

BOUNDS = (1e-30, 1e30)
"""Learning rates beyond these leave the range of float32, and the axis of the picture."""
WORSE = 0.1
"""Short runs that end higher than they began, by this share of the best drop, count as diverged."""
UNSTEADY = 0.2
"""A rate is unsteady where a start ends higher than at a smaller rate, by this share of the best drop."""
ROOM = 2.0
"""A suggestion is at least this factor below every learning rate that diverged."""
SHORT_RUN = 2
"""Steps of a short run, in steps of a sweep."""
STEPS, SWEEPS = 100, 3
WORK = 4e11
"""Floating point operations that are spent where nobody says how many steps and sweeps there are to be; a fixed sum and
no time, so that every machine finds the same."""
LADDER = 9
"""Learning rates that short runs are usually made with."""
FEWEST_RUN = 20
"""Steps of a short run, at the least."""
FEW_ANSWERS = 512
"""Answers in a batch, of rows or of positions, that are enough for a gradient where steps have to be saved."""


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
    pace = _pace(experiment, steps, sweeps)
    rates = np.geomspace(lowest, highest, pace.steps)
    if pace.rows < experiment.batch_rows:
        training = experiment.spec.training.model_copy(update={"batch_size": pace.rows, "accumulate": 1})
        experiment = experiment.variant(training=training)
    from_here = starts(experiment, pace.sweeps)
    swept: list[list[float]] = []
    for i, start in enumerate(from_here):
        tell(0.3 * i / pace.sweeps, f"sweep {i + 1} of {pace.sweeps}")
        swept.append(sweep(start, rates))
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
        figures |= _confirm(experiment, from_here, curve, highest, pace.run_steps, tell)
    return Report("lr-find", _headline(figures), findings(figures), figures)


@dataclass(frozen=True)
class _Pace:
    """How many sweeps there are, the steps of each and of a short run, and the rows of a batch; in words, if few."""

    sweeps: int
    steps: int
    run_steps: int
    rows: int
    words: str = ""


def _pace(experiment: Experiment, steps: int | None, sweeps: int | None) -> _Pace:
    rows = experiment.batch_rows
    usual = _Pace(sweeps or SWEEPS, steps or STEPS, SHORT_RUN * (steps or STEPS), rows)
    operations = 3 * experiment.layout.flop(1)
    affordable = WORK / max(1, operations)
    if steps or sweeps or usual.sweeps * (usual.steps + LADDER * usual.run_steps) * rows <= affordable:
        return usual
    y = experiment.data.train.y
    rows = min(rows, max(1, FEW_ANSWERS // (y.shape[1] if is_positionwise(y) else 1)))
    left = max(int(affordable / rows) - STEPS, 0)
    run_steps = min(max(left // LADDER, FEWEST_RUN), usual.run_steps)
    words = (
        f" A row takes {operations:.1e} floating point operations, so there was one sweep and not {SWEEPS}, and short "
        f"runs of {run_steps} steps and not {usual.run_steps}, with batches of {counted(rows, 'row')}: a rough answer. "
        f"--steps or --sweeps ask for more."
    )
    return _Pace(1, STEPS, run_steps, rows, words)


def _of_the_spec(experiment: Experiment, start: Start) -> dict[str, Any]:
    spec, plan = experiment.spec, experiment.plan(start.batches)
    first = plan.schedule.lr_at(0, spec.optimizer.lr, Clock(plan.steps, len(start.batches)))
    return {
        "lr": spec.optimizer.lr,
        "optimizer": spec.optimizer.name,
        "schedule": spec.schedule.name,
        "warms_up": first < spec.optimizer.lr / 2,
    }


def _confirm(
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

    noise = ABOVE_NOISE * curve.noise
    trials = climb(guess, float(curve.rates[0]), highest, run)
    trials[own] = trials.get(own) or run(own)
    return {"range_test": guess, "run_steps": steps, **_read([trials[lr] for lr in sorted(trials)], curve.start, noise)}


def _read(trials: Sequence[Trial], start: float, noise: float = 0.0) -> dict[str, Any]:
    """Return the figures that follow from short runs, in the order of their rates; a drop within the noise is none."""
    drop = max(start - min(trial.loss for trial in trials), 0.0)
    diverged = {trial.lr for trial in trials if not trial.loss <= start + WORSE * drop}
    unsteady = {t.lr for i, t in enumerate(trials) if not _is_steady(t, trials[:i], UNSTEADY * drop)} - diverged
    highest = min(diverged, default=inf) / ROOM
    safe = [
        trial for trial in trials if trial.lr <= highest and trial.lr not in unsteady and trial.loss < start - noise
    ]
    figures: dict[str, Any] = {"diverges": min(diverged, default=None)}
    reached = drop
    if safe:
        suggestion = choose({trial.lr: trial.loss for trial in safe}, start)
        alone = [choose({t.lr: t.losses[i] for t in safe}, start) for i in range(len(safe[0].losses))]
        reached = next(start - trial.loss for trial in safe if trial.lr == suggestion)
        good = [trial.lr for trial in safe if start - trial.loss >= GOOD * reached]
        interval = [min(*alone, suggestion), max(*alone, suggestion)]
        figures |= {"suggestion": suggestion, "interval": interval, "good": [good[0], good[-1]]}
    figures["trials"] = [
        {
            "lr": trial.lr,
            "loss": trial.loss,
            "losses": list(trial.losses),
            "share": (start - trial.loss) / reached if reached else 0.0,
            "diverged": trial.lr in diverged,
            "unsteady": trial.lr in unsteady,
        }
        for trial in trials
    ]
    return figures


def _is_steady(trial: Trial, smaller: Sequence[Trial], margin: float) -> bool:
    """Return whether no start ends higher than at a smaller learning rate, by more than a margin.

    Near the edge most starts do well and one does not; with another seed that one is the training itself.
    """
    ended = [other.losses for other in smaller if isfinite(other.loss)]
    return all(loss <= lower + margin for losses in ended for loss, lower in zip(trial.losses, losses, strict=False))


def _headline(figures: Mapping[str, Any]) -> str:
    if figures["suggestion"] is None:
        return "No learning rate can be suggested."
    least, most = figures["interval"]
    return f"Learning rate {figures['suggestion']:g} ({least:g} to {most:g}) for {figures['optimizer']}."
