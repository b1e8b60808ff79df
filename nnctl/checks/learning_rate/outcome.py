"""What short runs come to: where they diverge, which learning rates are safe, and which of these is best.

All functions here are pure: trials and losses in, learning rates out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any

from nnctl.checks.learning_rate.findings import GOOD
from nnctl.checks.learning_rate.trials import Trial

__all__ = ["choose", "outcome"]

WORSE = 0.1
"""Short runs that end higher than they began, by this share of the best drop, count as diverged."""
UNSTEADY = 0.2
"""A rate is unsteady where a start ends higher than at a smaller rate, by this share of the best drop."""
ROOM = 2.0
"""A suggestion is at least this factor below every learning rate that diverged."""
TIE = 0.01
"""Results that differ by at most this share of the drop are a tie."""


def outcome(trials: Sequence[Trial], start: float, noise: float = 0.0) -> dict[str, Any]:
    """Return the figures that follow from short runs, in the order of their rates.

    Where no safe rate lowers the loss, nothing is suggested.

    Parameters
    ----------
    trials : sequence of Trial
        By rising learning rate.
    start : float
        The loss before training, from which the drop is counted.
    noise : float
        A drop within it is none.
    """
    drop = max(start - min(trial.loss for trial in trials), 0.0)
    diverged = {trial.lr for trial in trials if not trial.loss <= start + WORSE * drop}
    unsteady = {t.lr for i, t in enumerate(trials) if not _is_steady(t, trials[:i], UNSTEADY * drop)} - diverged
    highest = min(diverged, default=inf) / ROOM
    safe = [t for t in trials if t.lr <= highest and t.lr not in unsteady and t.loss < start - noise]
    suggested = _suggested(safe, start)
    if suggested is not None:
        drop = start - suggested.loss
    return {
        "diverges": min(diverged, default=None),
        **({} if suggested is None else _suggestion(suggested, safe, start)),
        "trials": [
            {
                "lr": trial.lr,
                "loss": trial.loss,
                "losses": list(trial.losses),
                "share": (start - trial.loss) / drop if drop else 0.0,
                "diverged": trial.lr in diverged,
                "unsteady": trial.lr in unsteady,
            }
            for trial in trials
        ],
    }


def choose(losses: Mapping[float, float], start: float) -> float:
    """Return the learning rate with the lowest loss, the smallest where several tie.

    Parameters
    ----------
    losses : mapping of float to float
        The result at each learning rate.
    start : float
        The loss before training, from which the drop is counted.
    """
    low = min(losses.values())
    return min(lr for lr, loss in losses.items() if loss <= low + TIE * max(start - low, 0.0))


def _suggested(safe: Sequence[Trial], start: float) -> Trial | None:
    """Return the best of the safe trials, if there are any."""
    if not safe:
        return None
    best = choose({trial.lr: trial.loss for trial in safe}, start)
    return next(trial for trial in safe if trial.lr == best)


def _suggestion(suggested: Trial, safe: Sequence[Trial], start: float) -> dict[str, Any]:
    """Return the suggestion, the interval of what each start alone would choose, and the range that does well."""
    alone = [choose({t.lr: t.losses[i] for t in safe}, start) for i in range(len(suggested.losses))]
    good = [trial.lr for trial in safe if start - trial.loss >= GOOD * (start - suggested.loss)]
    lr = suggested.lr
    return {"suggestion": lr, "interval": [min(*alone, lr), max(*alone, lr)], "good": [good[0], good[-1]]}


def _is_steady(trial: Trial, smaller: Sequence[Trial], margin: float) -> bool:
    """Return whether no start ends higher than at a smaller learning rate, by more than a margin.

    Near the edge most starts do well and one does not; with another seed that one is the training itself.
    """
    ended = [other.losses for other in smaller if isfinite(other.loss)]
    return all(loss <= lower + margin for losses in ended for loss, lower in zip(trial.losses, losses, strict=False))
