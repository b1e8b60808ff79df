"""The loss of a fresh network against what it should be: that of somebody who knows nothing of the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.finding import Finding, Report, Rule, Tell, silent
from nnctl.data.batches import Batch, is_positionwise
from nnctl.experiment.assembly import Experiment
from nnctl.nn.loss import positions
from nnctl.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss

__all__ = ["check_start", "judge_outlying", "outlying_share"]

ROWS = 2048
"""Rows that are looked at; the loss of a fresh network is known well enough from them."""
NEAR = 0.1
LUCK = 0.5
"""Random weights may happen to lie right; a loss below this share of the reference is no luck."""
ABOVE = {"classification": (2.5, 25.0), "regression": (5.0, 50.0)}
"""From how many times the reference on it warns, and fails."""
OFF_CENTRE = 1.5
FEW, MOST, FEWEST = 0.01, 0.5, 20

START = Rule(
    "loss-at-start",
    "A fresh network does not lose what somebody who knows nothing would.",
    "Before it has seen a row, a network cannot know more than that: with K classes each has probability 1/K, which "
    "costs log K (log 2 for two classes), with class weights and label smoothing too; a regression can say the mean, "
    "which costs the variance of the targets with mse. Random weights give outputs that differ a little, which costs "
    "something more: about half as much again for classes, up to three times as much for a regression. A loss far "
    "above says that the first outputs are wild: inputs that are not scaled, weights too large, targets far from 0. A "
    "loss below says that something gives the answer away, or that loss and labels do not belong together.",
    f"As it should be within {NEAR:.0%} of the reference; a pass with a remark up to {ABOVE['classification'][0]:g} "
    f"times for classes and {ABOVE['regression'][0]:g} times for a regression, then a warning; a failure beyond "
    f"{ABOVE['classification'][1]:g} and {ABOVE['regression'][1]:g} times. Warns below {LUCK:.0%}.",
    "Look at the scaling of the inputs and at init first; for a regression at data.target_scaling.",
    "Karpathy (2019), A recipe for training neural networks",
)
CENTRE = Rule(
    "targets-off-centre",
    "The targets lie far to one side of 0, where a fresh network's outputs are.",
    "The first thing that the network has to learn then is a constant, through a bias that starts at 0 and moves by "
    "small steps; until it is there, gradients are large and say nothing of the inputs.",
    f"The mean of the targets over their spread, in the units that the loss sees: warns beyond {OFF_CENTRE:g}.",
    "Write 'target_scaling: standard' below data.",
    "Bishop (1995), Neural networks for pattern recognition, section 8.2",
)

OUTLYING = Rule(
    "outlying-targets",
    "A few targets lie so far from all others that they alone rule the loss.",
    "The squared error of one target that is a thousand times too large outweighs that of all other rows together, and "
    "where targets are scaled it presses all others onto one point. Most often it is a slip in the data: another unit, "
    "a decimal point, a missing value written as a large number.",
    f"The share of the targets' sum of squared deviations that the {FEW:.0%} farthest rows have: warns beyond "
    f"{MOST:.0%}, where there are {FEWEST} rows or more; a normal distribution has 8 % there.",
    "Look at those rows and mend or drop them. If they are true, use huber or mae, or predict the logarithm.",
    "Huber (1964), Robust estimation of a location parameter",
)


def check_start(experiment: Experiment, tell: Tell = silent) -> Report:
    """Return how the loss of a fresh network compares with what it should be.

    The loss is taken in training mode, as the first step of a training has it, without penalties. For classes the
    reference is the loss with all scores equal, for a regression that of the mean of the targets (mse: their
    variance).

    Parameters
    ----------
    experiment : Experiment
    tell : callable

    Returns
    -------
    Report
        Figures: ``loss``, ``reference``, ``expected`` (the reference in words), ``ratio``, ``size`` (root mean
        square of the outputs), ``target_mean``, ``target_spread``, ``outlying_share``.
    """
    tell(0.0, "the loss at the start")
    batch = _rows(experiment)
    z, t, w = positions(_first_outputs(experiment, batch), batch.t, batch.w, batch.mask)
    total = len(z) if w is None else float(w.sum())
    with np.errstate(all="ignore"):
        loss = experiment.loss.value(z, t, w, total)
        reference = experiment.loss.value(_knows_nothing(experiment.loss, z, t), t, w, total)
        size = float(np.sqrt(np.mean(np.square(z, dtype=np.float64))))
    figures: dict[str, Any] = {
        "loss": loss,
        "reference": reference,
        "expected": _expected(experiment.loss, z.shape[-1]),
        "ratio": loss / reference if reference > 0 else None,
        "size": size,
    }
    findings = [_judged(experiment.loss, figures)]
    if experiment.loss.task == "regression":
        mean, deviation = t.mean(0, dtype=np.float64), t.std(0, dtype=np.float64)
        k = int(np.argmax(np.abs(mean) / np.maximum(deviation, 1e-12)))
        figures |= {"target_mean": float(mean[k]), "target_spread": float(deviation[k])}
        figures["outlying_share"] = outlying_share(experiment.data.train.y)
        findings[:0] = [judge_outlying(figures), _centred(figures)]
    return Report("start", findings[-1].message, tuple(findings), figures)


def _rows(experiment: Experiment) -> Batch:
    """Return training rows, evenly from the whole part: a file may be sorted by class."""
    examples = experiment.examples(experiment.data.train)
    targets = examples.t.shape[1] if is_positionwise(examples.t) else 1
    rows = min(len(examples.x), max(-(-ROWS // targets), experiment.batch_rows))
    chosen = examples[np.linspace(0, len(examples.x) - 1, rows).round().astype(np.intp)]
    return Batch(chosen.x, chosen.t, chosen.w, 0, rows, chosen.mask)


def _first_outputs(experiment: Experiment, batch: Batch) -> Float:
    learner = experiment.learner()
    with np.errstate(all="ignore"):
        outputs = learner.network.replica().forward(batch.x, training=True, mask=batch.mask).copy()
    learner.team.close()
    return outputs


def _knows_nothing(loss: Loss, z: Float, t: Array) -> Float:
    """Return the outputs of somebody who does not look at the inputs: equal scores, or the mean of the targets."""
    if loss.task == "classification":
        return np.zeros_like(z)
    return np.broadcast_to(t.mean(0, dtype=np.float64), t.shape).astype(t.dtype)


def _expected(loss: Loss, outputs: int) -> str:
    if isinstance(loss, CrossEntropy):
        return f"log {outputs}"
    if isinstance(loss, BinaryCrossEntropy):
        return "log 2"
    if loss.task == "classification":
        return "the loss of equal scores"
    return "the variance of the targets" if loss.name == "mse" else "the loss of the targets' mean"


def _judged(loss: Loss, figures: dict[str, Any]) -> Finding:
    measured, reference, expected = figures["loss"], figures["reference"], figures["expected"]
    if not np.isfinite(measured):
        return START.fail(f"the loss at the start is {measured}: the first outputs are not finite.", value=measured)
    if reference <= 0:
        return START.passed(f"the loss starts at {measured:.3g}.", value=measured)
    ratio = measured / reference
    warns, fails = ABOVE[loss.task]
    against = f"the loss starts at {measured:.4g}, and {expected} is {reference:.4g}"
    if abs(ratio - 1) <= NEAR:
        return START.passed(f"{against}.", value=ratio, threshold=1 + NEAR)
    if ratio < LUCK:
        fix = "Look for a column that holds the target, and for labels that do not belong to the loss."
        return START.warn(f"{against}: it cannot know that much.", fix=fix, value=ratio, threshold=LUCK)
    size = f"the first outputs are about {figures['size']:.2g} in size and not alike"
    if ratio < 1:
        return START.passed(f"{against}: the first weights happen to lie right.", value=ratio, threshold=LUCK)
    if ratio <= warns:
        return START.passed(f"{against}; {size}, which accounts for that.", value=ratio, threshold=warns)
    judged = START.warn if ratio <= fails else START.fail
    return judged(f"{against}: {ratio:.3g} times as much; {size}.", value=ratio, threshold=warns)


def _centred(figures: dict[str, Any]) -> Finding:
    mean, spread = figures["target_mean"], figures["target_spread"]
    ratio = abs(mean) / max(spread, 1e-12)
    said = f"the targets lie around {mean:.3g} and spread by {spread:.3g}."
    judged = CENTRE.passed if ratio <= OFF_CENTRE else CENTRE.warn
    return judged(said, value=ratio, threshold=OFF_CENTRE)


def outlying_share(y: Array) -> float | None:
    """Return the share of the sum of squared deviations that the farthest rows have; of several targets the largest.

    None for fewer than 20 rows, of which one may well have half of the sum.
    """
    if len(y) < FEWEST:
        return None
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    squares = np.sort(np.square(y - np.median(y, axis=0)), axis=0)
    few = max(1, round(FEW * len(y)))
    return float(np.max(squares[-few:].sum(0) / np.maximum(squares.sum(0), 1e-300)))


def judge_outlying(figures: dict[str, Any]) -> Finding:
    """Judge whether a few targets rule the loss."""
    share = figures["outlying_share"]
    if share is None:
        return OUTLYING.passed(f"with fewer than {FEWEST} rows one cannot tell whether some targets lie far out.")
    said = f"{share:.0%} of the targets' squared deviations come from the {FEW:.0%} of the rows that lie farthest out."
    judged = OUTLYING.passed if share <= MOST else OUTLYING.warn
    return judged(said, value=share, threshold=MOST)
