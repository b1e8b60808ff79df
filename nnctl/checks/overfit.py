"""overfit-batch: can the network learn sixteen rows by heart? One that cannot will not learn a thousand either."""

from __future__ import annotations

from math import isfinite, isnan
from typing import Any

import numpy as np

from nnctl.checks.capacity import GAINED
from nnctl.checks.causes import Evidence, causes
from nnctl.checks.frozen import FrozenBatch
from nnctl.checks.goal import R2, Goal, Score
from nnctl.checks.ladder import Rung, climb
from nnctl.checks.symptoms import symptoms
from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Report, Rule, Tell, silent
from nnctl.data.table import counted
from nnctl.experiment.assembly import Experiment

__all__ = ["overfit_batch"]

SHOWN_ROWS = 16
NEXT = "Look at the gradients (nnctl gradcheck), at the data (nnctl data), then try more units or more --steps."

OVERFIT = Rule(
    id="overfit-batch",
    about="The network cannot learn one small batch by heart.",
    why="With dropout, penalties and early stopping off, nothing but a mistake keeps a network from learning a handful "
    "of rows: it has far more weights than there are rows. It is the quickest test of data, loss, gradients, initial "
    "weights and learning rate together, and what fails it is not worth a long training.",
    threshold="every row right that can be right and the loss within 0.01 of its floor, in a regression R2 of 0.99; "
    "within 1000 steps at one of seven learning rates around the spec's. A network that is linear, or has fewer "
    "weights than the batch has numbers to learn, has no room for that: it passes where it gains "
    f"{GAINED:.0%} of what the best linear map of the batch gains on one answer for all rows",
    fix=f"Look at the causes that are named with it. Where there are none: {NEXT}",
    source="Karpathy (2019), A recipe for training neural networks",
)

FLOOR = Rule(
    id="overfit-floor",
    about="Rows with equal inputs and different targets set a floor that no network can pass.",
    why="A network is a function: equal inputs get equal answers. The best it can do is the one answer that is least "
    "wrong for all of them, so the loss is judged above that floor, and rows that must be wrong are not counted.",
    threshold="inputs are compared bit for bit, as the network receives them",
    fix="Nothing, if the data are truly so; nnctl data counts such rows in all parts.",
)

GAP = Rule(
    id="overfit-inference-gap",
    about="The batch is learned in training mode and lost in inference mode.",
    why="Batch norm uses the statistics of the batch in training and running statistics in inference. After a thousand "
    "passes over the same batch the two should agree. Where they do not, the running statistics follow too slowly, or "
    "the variance of very few rows is no estimate; and a network that trains well will predict badly.",
    threshold="more than a tenth of the rows right in training mode are wrong in inference mode; in a regression R2 "
    "falls below 0.9",
    fix="Raise batch_norm.momentum: it is the weight of the newest batch, 0.1 as a rule (Keras counts it the other way "
    "round: its 0.9 is 0.1 here). Or use layer_norm, which has no running statistics.",
    source="Ioffe (2017), Batch renormalization, section 3, arXiv:1702.03275",
)


def overfit_batch(experiment: Experiment, *, size: int = 16, steps: int = 1000, tell: Tell = silent) -> Report:
    """Try to learn one batch of an experiment by heart, and say what keeps the network from it.

    Rows are chosen by the spec's seed so that they cover the targets. Dropout, penalties, weight decay, early stopping,
    the schedule, and weights of rows and classes are off; clipping and label smoothing are not. The spec's learning
    rate is tried first, then 10, 1/10, 100, 1/100, 1000 and 1/1000 of it, each from the same start, until the batch is
    learned: every row right that can be, and the loss within 0.01 of its floor, or R2 of 0.99; where the network has no
    room for that, nearly what the best linear map of the batch gains.

    Parameters
    ----------
    experiment : Experiment
        Is left as it was: all training is of fresh learners.
    size : int
        Rows of the batch, at least 1; all training rows where there are fewer.
    steps : int
        At most this many at each learning rate, at least 1.
    tell : callable
        Is told how far it has come.

    Returns
    -------
    Report
        Its figures: ``task``, ``loss``, ``size``, ``steps``; ``answers``, how many the network gives: one a row, or one
        a position of each sequence; ``rows``, where they stand in the source, counted from 0;
        ``switched_off``; ``floor``, the loss that is judged from, ``mixed_rows``, ``can_be_right``; ``straight``, what
        the best linear map comes to where no more can be asked; ``start``, what the fresh network shows;
        ``rungs``, one for each learning rate; ``shown``, which of them the ``predictions`` are of.
    """
    frozen = FrozenBatch.of(experiment, size)
    goal = Goal(frozen)
    fresh = frozen.experiment.learner()
    start = symptoms(fresh.network, fresh.loss, frozen.batch)
    fresh.team.close()
    evidence = Evidence(experiment, goal, start, climb(goal, steps, tell))
    blamed = causes(evidence)
    findings = (*blamed, *_gap(evidence), _verdict(evidence, blamed), *_mixed(goal))
    return Report("overfit-batch", _headline(evidence), findings, _figures(evidence, steps))


def _headline(evidence: Evidence) -> str:
    frozen, learned = evidence.goal.frozen, evidence.learned
    what = counted(len(frozen.rows), frozen.word)
    if learned is None:
        return f"The network does not learn {what} by heart: {_worth(evidence, evidence.best.training)}."
    how = f"learns {what} by heart" if evidence.by_heart else f"fits {what} as well as a straight line can,"
    rate = "the spec's learning rate" if learned is evidence.own else f"lr {learned.lr:.3g}, not the spec's"
    return f"The network {how} in {counted(learned.steps, 'step')} with {rate}."


def _verdict(evidence: Evidence, blamed: tuple[Finding, ...]) -> Finding:
    best = evidence.best
    worth = _worth(evidence, best.training)
    measured = {"value": best.training.loss, "threshold": evidence.goal.lowest + evidence.goal.above}
    if best.outcome == "diverged":
        return evidence.blame(OVERFIT, f"{worth} at all of {len(evidence.rungs)} learning rates.", **measured)
    if evidence.learned is None:
        fix = "Mend what is named above first." if blamed else f"None of the usual causes shows. {NEXT}"
        most = counted(max(rung.steps for rung in evidence.rungs), "step")
        tried = f"{len(evidence.rungs)} learning rates and up to {most}"
        return evidence.blame(OVERFIT, f"{worth} at the best of {tried}, lr {best.lr:.3g}.", fix=fix, **measured)
    asked, room = evidence.goal.asked, ""
    if asked is not None and not evidence.by_heart:
        room = f"; {evidence.room}, and the best straight fit comes to {_worth(evidence, asked)}"
    nearly = "" if best is evidence.own else f"; the spec's {evidence.own.lr:.3g} came to {evidence.own.last:.3g}"
    after = f"after {counted(best.steps, 'step')} with lr {best.lr:.3g}"
    return OVERFIT.passed(f"{worth} {after}{nearly}{room}.", **measured)


def _worth(evidence: Evidence, score: Score) -> str:
    """Return in words how well a batch is learned."""
    floor = evidence.goal.floor.loss
    if not isfinite(score.loss):
        return "the numbers overflow"
    loss = f"loss {score.loss:.3g}" + (f" over a floor of {floor:.3g}" if floor else "")
    if score.right is not None:
        can, rows, word = evidence.goal.can_be_right, len(evidence.goal.frozen.rows), evidence.goal.frozen.word
        return f"{score.right} of {rows} {word}s right{f' ({can} can be)' if can < rows else ''}, {loss}"
    return loss if isnan(score.r2) else f"R2 {score.r2:.4g}, {loss}"


def _mixed(goal: Goal) -> list[Finding]:
    mixed = int(goal.floor.mixed.sum())
    if not mixed:
        return []
    return [
        FLOOR.passed(
            f"{mixed} of {len(goal.floor.mixed)} rows have equal inputs and different targets: no network gets "
            f"the loss below {goal.floor.loss:.4g}.",
            where="data",
            value=goal.floor.loss,
        )
    ]


def _gap(evidence: Evidence) -> list[Finding]:
    """Compare the two modes, where there are running statistics to make a difference."""
    learned = evidence.learned
    if learned is None or not evidence.goal.frozen.experiment.layout.state_size:
        return []
    training, inference = learned.training, learned.inference
    if training.right is not None and inference.right is not None:
        lost = (training.right - inference.right) / max(1, training.right)
        said = f"{training.right} rows right in training mode, {inference.right} in inference mode"
        is_gap, value, threshold = lost > 0.1, lost, 0.1
    else:
        said = f"R2 {training.r2:.4g} in training mode, {inference.r2:.4g} in inference mode"
        is_gap, value, threshold = inference.r2 < 0.9, inference.r2, 0.9
    said += f" (loss {training.loss:.3g} and {inference.loss:.3g})."
    found = GAP.fail if is_gap else GAP.passed
    return [found(said, where="batch_norm", value=value, threshold=threshold)]


def _figures(evidence: Evidence, steps: int) -> dict[str, Any]:
    goal, frozen = evidence.goal, evidence.goal.frozen
    return {
        "task": frozen.experiment.loss.task,
        "loss": frozen.experiment.loss.name,
        "size": len(frozen.batch.x),
        "steps": steps,
        "answers": len(frozen.rows),
        "rows": list(dict.fromkeys(frozen.rows.tolist())),
        "switched_off": list(frozen.switched_off),
        "floor": goal.lowest,
        "mixed_rows": int(goal.floor.mixed.sum()),
        "can_be_right": goal.can_be_right if frozen.experiment.loss.task == "classification" else None,
        "straight": None if goal.asked is None else goal.asked.plain(),
        "goal": {"above_floor": goal.above, "r2": R2 if goal.asked is None else None},
        "start": evidence.start.plain(),
        "rungs": [rung.plain() for rung in evidence.rungs],
        "shown": evidence.rungs.index(evidence.best),
        "predictions": _predictions(evidence, evidence.best),
    }


def _predictions(evidence: Evidence, rung: Rung) -> list[dict[str, Any]]:
    """Return what the network says of each row beside what is true, for at most 16 rows, the worst among them."""
    frozen, loss = evidence.goal.frozen, evidence.goal.frozen.experiment.loss
    with np.errstate(all="ignore"):  # of a network that diverged
        judge = frozen.experiment.judge
        said, said_later = judge.predictions(rung.z), judge.predictions(rung.z_inference)
        losses = loss.per_sample(rung.z, frozen.t)
    shown = np.sort(np.argsort(-losses, kind="stable")[:SHOWN_ROWS])
    rows = [{"row": int(frozen.rows[i]), "loss": float(losses[i])} for i in shown]
    if loss.task == "regression":
        return [
            row | {"target": _plain(frozen.y[i]), "says": _plain(said[i]), "inference": _plain(said_later[i])}
            for row, i in zip(rows, shown, strict=True)
        ]
    names = frozen.experiment.data.classes or ()
    labels, later = loss.labels(rung.z), loss.labels(rung.z_inference)
    return [
        row
        | {
            "target": names[frozen.y[i]],
            "says": names[labels[i]],
            "sure": _sureness(said[i], int(labels[i])) if loss.output else None,
            "inference": names[later[i]],
        }
        for row, i in zip(rows, shown, strict=True)
    ]


def _sureness(p: Array, label: int) -> float:
    """Return the probability of the class that was said, of K probabilities or of that of class 1 alone."""
    return float(p[label] if len(p) > 1 else (p[0] if label else 1 - p[0]))


def _plain(values: Array) -> list[float]:
    return [float(value) for value in np.atleast_1d(values)]
