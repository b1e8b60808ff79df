"""Causes in the learning rate, read off the ladder; and numbers that overflow at any rate."""

from __future__ import annotations

from collections.abc import Iterator

from nnctl.checks.causes.evidence import VANISHING, Evidence
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted

__all__ = ["not_finite", "rate_too_high", "rate_too_low"]

LARGEST = 1.0
"""A rate beyond this is above the usual range of every optimizer."""
CREEPING = 1e-3
"""A largest change of the weights below this, of the largest weight, is no training."""

NOT_FINITE = Rule(
    id="overfit-not-finite",
    about="Numbers overflow at every learning rate that was tried.",
    why="Where even a thousandth of the learning rate ends in infinite or undefined numbers, not the steps are to "
    "blame but what they start from: weights or inputs so large that sums leave the range of float32 (3e38), or a "
    "loss whose gradient does.",
    threshold="",
    fix="Scale inputs and targets, take an init such as he_normal, and put layer_norm between the layers if there are "
    "many of them.",
)

RATE_TOO_HIGH = Rule(
    id="overfit-lr-too-high",
    about="The learning rate is too high to learn the batch.",
    why="A step goes in the direction in which the loss falls here; too long a step lands where it is higher. The loss "
    "then jumps about, or grows until the numbers overflow. Relu units may be thrown where they are zero for ever.",
    threshold="fails at the spec's rate and passes, or is well on its way, at a hundredth or less, or at a tenth where "
    "the spec's goes less than nine tenths of the way; or overflows at every rate that is tried, the smallest of them "
    "above 1",
    fix="Lower optimizer.lr. The range test shows how far: nnctl lr-find.",
)

RATE_TOO_LOW = Rule(
    id="overfit-lr-too-low",
    about="The batch is learned with a higher learning rate or more steps, and not with the spec's.",
    why="Sixteen rows should take no more than a few hundred steps. Where the loss still falls after a thousand, each "
    "step is too short, and a whole data set would take for ever.",
    threshold="passes at a hundred times the spec's rate or more, or at ten times where the spec's goes less than nine "
    "tenths of the way; or still falls by 5 % in the last tenth of the steps; or changes no weight by more than 1e-3 "
    "of the largest",
    fix="Raise optimizer.lr. The range test shows how far: nnctl lr-find.",
)


def not_finite(evidence: Evidence) -> Iterator[Finding]:
    """Overflow at every rate."""
    if any(rung.outcome != "diverged" for rung in evidence.rungs):
        return
    own, lowest = evidence.own, min(evidence.rungs, key=lambda rung: rung.lr)
    if lowest.lr > LARGEST and lowest.steps > 1:  # at the first step, no rate had a say yet
        yield evidence.blame(
            RATE_TOO_HIGH,
            f"with the spec's lr of {own.lr:.3g} the numbers overflow at step {own.steps}, and with a thousandth of "
            f"it, {lowest.lr:.3g}, at step {lowest.steps}.",
            where="optimizer.lr",
            value=own.lr,
            threshold=LARGEST,
        )
    else:
        yield evidence.blame(
            NOT_FINITE,
            f"all {len(evidence.rungs)} learning rates from {lowest.lr:.3g} to "
            f"{max(r.lr for r in evidence.rungs):.3g} end in numbers that are not finite; with the spec's at step "
            f"{own.steps}, first in {own.culprit}. The first loss is {own.losses[0]:.4g}.",
            where=own.culprit,
            value=float(own.steps),
        )


def rate_too_high(evidence: Evidence) -> Iterator[Finding]:
    """Only a lower rate learns the batch."""
    own, learned = evidence.own, evidence.learned
    better = learned or (evidence.best if evidence.on_its_way else None)
    if better is None or better.factor >= 1:
        return
    if own.outcome == "diverged":
        said = f"the numbers overflow at step {own.steps}"
    else:
        said = f"the loss is {own.last:.4g} after {counted(own.steps, 'step')}, from {own.losses[0]:.4g}"
    came = "the batch is learned" if learned is not None else f"the loss comes down to {better.last:.4g}"
    yield evidence.blame(
        RATE_TOO_HIGH,
        f"with the spec's lr of {own.lr:.3g} {said}; with {better.lr:.3g} {came} in {counted(better.steps, 'step')}.",
        fix=f"Set optimizer.lr to {better.lr:.3g}, or look for the best one: nnctl lr-find.",
        where="optimizer.lr",
        value=own.lr,
        threshold=better.lr,
    )


def rate_too_low(evidence: Evidence) -> Iterator[Finding]:
    """Only a higher rate learns the batch, or more steps would."""
    own, learned, best = evidence.own, evidence.learned, evidence.best
    if learned is not None and learned.factor > 1:
        yield evidence.blame(
            RATE_TOO_LOW,
            f"with the spec's lr of {own.lr:.3g} the loss goes from {own.losses[0]:.4g} to {own.last:.4g} in "
            f"{counted(own.steps, 'step')}; with {learned.lr:.3g} the batch is learned in {learned.steps}.",
            fix=f"Set optimizer.lr to {learned.lr:.3g}, or look for the best one: nnctl lr-find.",
            where="optimizer.lr",
            value=own.lr,
            threshold=learned.lr,
        )
    elif learned is None and evidence.on_its_way and best.factor >= 1:
        yield evidence.blame(
            RATE_TOO_LOW,
            f"at the best rate, {best.lr:.3g}, the loss is still falling: {best.before_last:.4g} to {best.last:.4g} in "
            f"the last tenth of {counted(best.steps, 'step')}.",
            fix=f"Try more steps: nnctl overfit-batch --steps {5 * best.steps}. And look at the rate: nnctl lr-find."
            if best is own
            else f"Raise optimizer.lr from {own.lr:.3g} to {best.lr:.3g} or more; see nnctl lr-find.",
            where="optimizer.lr",
            value=own.lr,
        )
    elif learned is None and _creeps(evidence):
        yield evidence.blame(
            RATE_TOO_LOW,
            f"with the spec's lr of {own.lr:.3g} no weight changed by more than {max(own.moved.values()):.1e} of the "
            f"largest in {counted(own.steps, 'step')}, though there is a gradient.",
            where="optimizer.lr",
            value=own.lr,
        )


def _creeps(evidence: Evidence) -> bool:
    """Whether the weights hardly move although the gradient is there to move them."""
    steepest = max((kernel.gradient for kernel in evidence.start.kernels), default=0.0)
    own = evidence.own
    return own.outcome == "short" and steepest > VANISHING and max(own.moved.values()) < CREEPING
