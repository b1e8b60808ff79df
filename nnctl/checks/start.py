"""The loss of a fresh network, taken apart: what it costs to ignore the inputs, and what the first outputs add."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, sqrt
from typing import Any

import numpy as np

from nnctl.checks.floor import best_of
from nnctl.checks.outlying import judge_outlying, measure_outlying
from nnctl.core.arrays import Float
from nnctl.core.finding import Finding, Report, Rule, Tell, silent
from nnctl.data.batches import Batch, is_positionwise
from nnctl.experiment.assembly import Experiment
from nnctl.nn.loss import Positions, positions
from nnctl.nn.losses import MSE, BinaryCrossEntropy, CrossEntropy, Loss, Margin

__all__ = ["check_start"]

ROWS = 2048
"""Rows that are looked at; the loss of a fresh network is known well enough from them."""
NEAR = 0.1
FAR = 10.0
"""So many times the reference is no matter of a little; the gradients are as many times too large."""
LUCK = 0.5
"""Random weights may happen to lie right; a loss below this share of the reference is no luck."""
LARGE, WILD = 3.0, 30.0
"""Sizes of the first outputs that are worth a warning, and a failure."""
OFF_CENTRE = sqrt(NEAR)
"""An answer of 0 costs var + mean^2 with mse: a tenth more than the variance."""
SHIFTS = 8

START = Rule(
    "loss-at-start",
    "A network that ignores its inputs does not lose what somebody who knows nothing would.",
    "With all weights at zero, a network gives every row the same answer: that of its last biases. What this costs is "
    "known without a network. With K classes each has probability 1/K, which costs log K (log 2 for two classes), with "
    "class weights and label smoothing too; in a regression the mean costs the variance of the targets with mse. No "
    "chance is in this comparison, so it is a sharp one. A loss above says that biases, or targets in their own units, "
    "put the first answer far from the targets; or that the loss is scaled or the labels are encoded wrongly. A loss "
    "below what any one answer can cost says that loss and labels do not belong together. And where the loss with "
    "the fresh weights is far lower than that, something gives the answer away.",
    f"The loss with all weights at zero, biases as they start, over the reference: warns where it differs by more than "
    f"{NEAR:.0%}, fails beyond {FAR:g} times. A bias that fits the frequencies of the classes may come below, down to "
    f"the least that one answer for all rows can cost. Warns where the loss with the fresh weights is below {LUCK:.0%} "
    f"of both; fails where it is not finite.",
    "Leave bias_init out; write 'target_scaling: standard' below data for a regression; look at labels and loss.",
    "Karpathy (2019), A recipe for training neural networks",
)
OUTPUTS = Rule(
    "first-outputs",
    "The first outputs are wild: a fresh network is sure of what it cannot know.",
    "Random weights give outputs that differ from row to row and have nothing to do with the targets. That costs "
    "something: with mse the mean square of the outputs, with classes about half of the variance of the scores. "
    "Outputs of about 1 in size are usual, and so is a loss half as much again as the reference, or three times as "
    "much in a regression. Outputs of 10 mean that the first gradients are as wild, and that the first part of the "
    "training goes into undoing them.",
    f"The root mean square of what the outputs differ by from those with all weights at zero; in a regression over the "
    f"spread of the targets. Warns beyond {LARGE:g}, fails beyond {WILD:g}.",
    "Look at the scaling of the inputs (data.scaling: standard) and at init first; then at deep networks without a "
    "normalization.",
    "Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks",
)
CENTRE = Rule(
    "targets-off-centre",
    "The targets lie far to one side of 0, where a fresh network's outputs are.",
    "The first thing that the network has to learn then is a constant, through a bias that starts at 0 and moves by "
    "small steps; until it is there, gradients are large and say nothing of the inputs.",
    f"The mean of the targets over their spread, in the units that the loss sees: warns beyond {OFF_CENTRE:.2g}, where "
    f"an answer of 0 costs {NEAR:.0%} more than the mean with mse.",
    "Write 'target_scaling: standard' below data.",
    "Bishop (1995), Neural networks for pattern recognition, section 8.2",
)


def check_start(experiment: Experiment, tell: Tell = silent) -> Report:
    """Return how the loss of a fresh network compares with what it should be.

    The loss is taken in training mode, as the first step of a training has it, without penalties, and in two parts:

    L = L_0 + (L - L_0)

    with L_0 the loss with all weights at zero, which is the reference but for the biases; and the rest, which is what
    the size of the first outputs explains: about what the same outputs cost beside the targets of other rows.

    Parameters
    ----------
    experiment : Experiment
    tell : callable

    Returns
    -------
    Report
        Figures: ``loss``, ``constant`` (with all weights at zero), ``reference``, ``expected`` (the reference in
        words), ``ratio`` (of the two before), ``unrelated`` (the loss of the same outputs beside the targets of other
        rows), ``size`` (of the outputs); of a regression also ``target_mean``, ``target_spread``, and what
        `measure_outlying` says.
    """
    tell(0.0, "the loss at the start")
    loss = experiment.loss
    fresh, constant = _first_outputs(experiment, _rows(experiment))
    with np.errstate(all="ignore"):
        figures: dict[str, Any] = {
            "loss": _loss(loss, fresh),
            "constant": _loss(loss, constant),
            "reference": _reference(loss, constant),
            "expected": _expected(loss, fresh.z.shape[-1]),
            "unrelated": _unrelated(loss, fresh),
            "size": float(np.sqrt(np.mean(np.square(fresh.z.astype(np.float64) - constant.z)))),
        }
    figures["ratio"] = figures["constant"] / figures["reference"] if figures["reference"] > 0 else None
    findings: list[Finding] = []
    if loss.task == "regression":
        mean, deviation = fresh.t.mean(0, dtype=np.float64), fresh.t.std(0, dtype=np.float64)
        k = int(np.argmax(np.abs(mean) / np.maximum(deviation, 1e-12)))
        figures |= {"target_mean": float(mean[k]), "target_spread": float(deviation[k])}
        figures |= measure_outlying(experiment.data.train.y, loss)
        findings += [judge_outlying(figures), _centred(figures)]
    if np.isfinite(figures["loss"]):
        findings += [_constant(loss, constant, figures), *_knows_too_much(figures), _outputs(figures)]
    else:
        findings.append(START.fail(f"the loss at the start is {figures['loss']}: the first outputs are not finite."))
    return Report("start", _headline(findings, figures), tuple(findings), figures)


def _headline(findings: list[Finding], figures: dict[str, Any]) -> str:
    bad = next((finding for finding in findings if finding.verdict != "pass"), None)
    if bad is not None:
        return bad.message
    return (
        f"the loss starts at {figures['loss']:.4g}: {figures['expected']} is {figures['reference']:.4g}, and the first "
        f"outputs account for the rest."
    )


# ------------------------------------------------------------------ what is measured


def _rows(experiment: Experiment) -> Batch:
    """Return training rows, evenly from the whole part: a file may be sorted by class."""
    examples = experiment.examples(experiment.data.train)
    targets = examples.t.shape[1] if is_positionwise(examples.t) else 1
    rows = min(len(examples.x), max(-(-ROWS // targets), experiment.batch_rows))
    chosen = examples[np.linspace(0, len(examples.x) - 1, rows).round().astype(np.intp)]
    return Batch(chosen.x, chosen.t, chosen.w, 0, rows, chosen.mask)


def _first_outputs(experiment: Experiment, batch: Batch) -> tuple[Positions, Positions]:
    """Return the outputs of a fresh network, and those with all its kernels at zero, with the targets beside them."""
    learner = experiment.learner()
    network = learner.network

    def outputs() -> Positions:
        with np.errstate(all="ignore"):
            z = network.replica().forward(batch.x, training=True, mask=batch.mask).copy()
        return positions(z, batch.t, batch.w, batch.mask)

    fresh = outputs()
    for slot in network.layout.slots:
        if slot.param.decayed:
            network.tensors()[slot.name].fill(0)
    constant = outputs()
    learner.team.close()
    return fresh, constant


def _loss(loss: Loss, at: Positions) -> float:
    return loss.value(at.z, at.t, at.w, len(at.z) if at.w is None else float(at.w.sum()))


def _unrelated(loss: Loss, fresh: Positions) -> float:
    """Return the mean loss of the outputs beside the targets of other rows, for a few ways to choose these."""
    z, t, w = fresh
    order = np.random.default_rng(0).permutation(len(z))
    z, t, w = z[order], t[order], None if w is None else w[order]
    shifts = {len(z) * k // (SHIFTS + 1) for k in range(1, SHIFTS + 1)}
    rolled = [Positions(z, np.roll(t, k, axis=0), None if w is None else np.roll(w, k)) for k in shifts]
    return float(np.mean([_loss(loss, at) for at in rolled]))


def _reference(loss: Loss, at: Positions) -> float:
    """Return the loss of somebody who does not look at the inputs, from a formula of its own where there is one."""
    if isinstance(loss, CrossEntropy):
        return log(at.z.shape[-1])
    if isinstance(loss, BinaryCrossEntropy):
        return log(2)
    if isinstance(loss, Margin):
        return loss.margin
    if loss.task == "classification":
        return _loss(loss, at._replace(z=np.zeros_like(at.z)))
    mean = np.average(at.t.astype(np.float64), axis=0, weights=at.w)
    if isinstance(loss, MSE):
        return float(np.average(np.square(at.t - mean), axis=0, weights=at.w).mean())
    return _loss(loss, at._replace(z=np.broadcast_to(mean, at.t.shape).astype(at.t.dtype)))


def _expected(loss: Loss, outputs: int) -> str:
    if isinstance(loss, CrossEntropy):
        return f"log {outputs}"
    if isinstance(loss, BinaryCrossEntropy):
        return "log 2"
    if loss.task == "classification":
        return "the loss of equal scores"
    return "the variance of the targets" if isinstance(loss, MSE) else "the loss of the targets' mean"


# ------------------------------------------------------------------ what it means


def _constant(loss: Loss, at: Positions, figures: dict[str, Any]) -> Finding:
    """Judge the loss of an answer that ignores the inputs."""
    ratio, said = figures["ratio"], f"with all weights at zero the loss is {figures['constant']:.4g}"
    if ratio is None:
        return START.passed(f"{said}.", value=figures["constant"])
    said = f"{said}, and {figures['expected']} is {figures['reference']:.4g}"
    if ratio < 1 - NEAR and figures["constant"] < (1 - NEAR) * _least(loss, at, figures["reference"]):
        fix = "Look at the labels, and at how the loss reads and scales them: nnctl data, nnctl gradcheck."
        return START.warn(f"{said}: no single answer can cost that little.", fix=fix, value=ratio, threshold=1 - NEAR)
    if ratio <= 1 + NEAR:
        return START.passed(f"{said}.", value=ratio, threshold=1 + NEAR)
    if at.z.any():
        why, fix = f"that answer, {_around(at.z)}, is too far from the targets", "Leave bias_init out: zeros."
    elif loss.task == "regression":
        why, fix = "an answer of 0 is too far from the targets", CENTRE.fix
    else:
        why = "equal scores cannot cost that"
        fix = "Look at the labels, and at how the loss reads and scales them: nnctl data, nnctl gradcheck."
    judged = START.fail if ratio > FAR else START.warn
    return judged(f"{said}: {why}.", fix=fix, value=ratio, threshold=1 + NEAR)


def _least(loss: Loss, at: Positions, reference: float) -> float:
    """Return the least that one answer for all rows can cost; 0 where weights of rows keep it from being known."""
    if loss.task == "classification" and not at.z.any():  # equal scores cost the reference, whatever the labels
        return reference
    if at.w is not None:
        return 0.0
    t = at.t if at.t.ndim > 1 else loss.encode(at.t, at.z.shape[1], np.float64)
    return best_of(loss, t.astype(np.float64))[0]


def _around(z: Float) -> str:
    answer = z.mean(axis=0, dtype=np.float64)
    return ", ".join(f"{value:.3g}" for value in answer[:5]) + (", ..." if len(answer) > 5 else "")


def _knows_too_much(figures: dict[str, Any]) -> Iterator[Finding]:
    """Yield a warning where random weights do far better than somebody who knows nothing."""
    known = min(figures["constant"], figures["reference"])
    if 0 < figures["loss"] < LUCK * known:
        yield START.warn(
            f"the loss starts at {figures['loss']:.4g}, and with all weights at zero it is {figures['constant']:.4g}: "
            f"random weights cannot know that much.",
            fix="Look for a column that holds the target, and for labels that do not belong to the loss.",
            value=figures["loss"] / known,
            threshold=LUCK,
        )


def _outputs(figures: dict[str, Any]) -> Finding:
    """Judge how far the first outputs spread."""
    size = figures["size"] / max(figures.get("target_spread", 1.0), 1e-12)
    than = "" if "target_spread" not in figures else ", in spreads of the targets"
    said = (
        f"the loss starts at {figures['loss']:.4g}; the first outputs are about {size:.3g} in size{than}, and would "
        f"cost {figures['unrelated']:.4g} beside the targets of other rows"
    )
    judged = OUTPUTS.passed if size <= LARGE else OUTPUTS.warn if size <= WILD else OUTPUTS.fail
    return judged(f"{said}.", value=size, threshold=LARGE)


def _centred(figures: dict[str, Any]) -> Finding:
    mean, spread = figures["target_mean"], figures["target_spread"]
    ratio = abs(mean) / max(spread, 1e-12)
    said = f"the targets lie around {mean:.3g} and spread by {spread:.3g}."
    judged = CENTRE.passed if ratio <= OFF_CENTRE else CENTRE.warn
    return judged(said, value=ratio, threshold=OFF_CENTRE)
