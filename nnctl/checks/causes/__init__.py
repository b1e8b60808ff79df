"""From evidence to the likeliest causes, the earliest in the chain of cause and effect first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nnctl.checks.causes.data import loss_and_output, outlying_targets, target_range, unscaled_inputs
from nnctl.checks.causes.evidence import Evidence
from nnctl.checks.causes.network import (
    dead_units,
    dying_units,
    identical_units,
    saturated,
    too_small,
    unchanged_layer,
    vanishing_gradient,
)
from nnctl.checks.causes.rate import not_finite, rate_too_high, rate_too_low
from nnctl.core.finding import Finding

__all__ = ["Evidence", "causes"]

CHAIN = (
    unscaled_inputs,  # what goes in, and what is asked for
    loss_and_output,
    target_range,
    identical_units,  # how the network starts
    not_finite,
    saturated,
    dead_units,
    vanishing_gradient,
    too_small,
    outlying_targets,
    rate_too_high,  # how it is changed
    rate_too_low,
    dying_units,  # what became of it
    unchanged_layer,
)


def causes(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what may have kept a network from learning its batch, the first thing to mend first."""
    chain: tuple[Callable[[Evidence], Iterator[Finding]], ...] = CHAIN
    if evidence.learned is evidence.own:
        chain = (identical_units,)
    elif evidence.healthy:
        chain = (unscaled_inputs, target_range, identical_units)
    return tuple(finding for cause in chain for finding in cause(evidence))
