"""What explains what: the order in which things that are wrong should be mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nnctl.core.finding import Finding

__all__ = ["in_causal_order"]

CAUSES: tuple[tuple[str, ...], ...] = (
    # The rows themselves: whatever comes after is measured on them.
    ("unusable-data", "non-finite-values", "constant-inputs", "regression-on-classes", "constant-target"),
    ("label-conflicts", "overfit-floor", "target-leak", "shared-rows", "duplicate-rows"),
    ("hidden-missing-values", "missing-values", "identifier-columns"),
    ("split-in-file-order", "unshuffled-batches", "class-absent", "sorted-rows", "target-drift", "input-drift"),
    ("little-training-data", "few-rows", "unknown-tokens"),
    # What the network receives of them.
    ("scaling-range", "input-scaling", "raw-pixels", "input-scale", "overfit-unscaled-inputs", "outliers"),
    ("squashed-regression-output", "outlying-targets", "overfit-outlying-targets"),
    ("target-scaling", "target-scale", "targets-off-centre", "overfit-target-range", "capped-target"),
    # The network.
    ("looks-ahead", "softmax-in-hidden-layer", "dropout-on-output", "normalization-on-output", "squashed-margin"),
    ("overfit-loss-and-output", "no-symmetry-breaking", "overfit-identical-units"),
    ("sigmoid-in-deep-network", "batch-norm-on-small-batches", "large-biases", "weight-scale"),
    ("selu-without-lecun", "init-for-activation", "tanh-in-deep-network", "deep-without-residual"),
    ("bottleneck", "no-activation-between", "activation-twice", "selu-with-dropout-or-normalization"),
    ("dropout-before-batch-norm", "dropout-rate", "overfit-inference-gap", "bias-before-batch-norm"),
    ("attention-without-position", "post-norm-without-warmup", "recurrent-without-clipping"),
    # Its gradient.
    ("unrepeatable-gradient", "wrong-gradient", "wrong-loss-gradient", "wrong-penalty-gradient"),
    # What it is trained for, and how.
    ("perceptron-loss-with-hidden-layers", "strong-penalty", "label-smoothing"),
    ("learning-rate-range", "optimizer-constants", "tight-clipping"),
    ("warmup-too-long", "schedule-dies-early", "plateau-mode", "stopping-mode", "few-updates", "patience-too-short"),
    ("overfit-lr-too-high", "overfit-lr-too-low", "lr-of-the-spec", "overfit-too-small"),
    # Symptoms: they say that something is wrong, and some of what stands above says what.
    ("learned-by-heart", "loss-at-start", "first-outputs", "gradcheck-not-finite"),
    ("overfit-not-finite", "not-finite-loss", "lr-diverges-at-once"),
    ("overfit-saturated", "overfit-dead-units", "overfit-vanishing-gradient", "overfit-unchanged-layer"),
    ("dead-relu", "saturated-units", "exploding-gradient", "vanishing-gradient", "unchanged-weights", "update-ratio"),
    ("lr-flat-curve", "overfit-batch", "inputs-ignored", "linear-baseline", "naive-forecast"),
    # Advice: nothing fails because of it.
    ("class-balance", "beyond-training", "l2-with-adam", "no-validation", "small-validation", "no-test"),
    ("constant-columns", "target-scaling-ignored", "no-early-stopping", "patience-too-long"),
    ("stopping-on-training-figure", "plateau-never-acts", "schedule-beyond-training"),
    ("gradient-on-kinks", "component-without-example"),
    ("lr-nothing-to-lower", "lr-too-few-steps", "lr-at-the-edge", "lr-suggestion"),
)
"""Rules by id, causes before what they cause. Not measured: this is how people who debug networks reason."""

UNTRUE = frozenset({"target-leak", "shared-rows", "duplicate-rows", "identifier-columns", "missing-values"})
"""What makes a training's figures untrue, or its work harder, and no training fail."""
FIRST_ADVICE = "class-balance"

_PLACES = {rule: place for place, rule in enumerate(rule for group in CAUSES for rule in group)}


def in_causal_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order in which they should be mended: failures, warnings, passes; causes first in each.

    A warning that can explain a failure further down is a failure itself.
    """
    ordered = sorted(findings, key=_place)
    last = max((_place(finding) for finding in ordered if finding.verdict == "fail"), default=-1)
    judged = [replace(finding, verdict="fail") if _explains(finding, last) else finding for finding in ordered]
    worst_first = ("fail", "warn", "pass")
    return tuple(sorted(judged, key=lambda finding: worst_first.index(finding.verdict)))


def _place(finding: Finding) -> int:
    return _PLACES.get(finding.rule, len(_PLACES))


def _explains(finding: Finding, last: int) -> bool:
    can_explain = _place(finding) < _PLACES[FIRST_ADVICE] and finding.rule not in UNTRUE
    return finding.verdict == "warn" and can_explain and _place(finding) < last
