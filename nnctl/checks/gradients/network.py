"""A whole network at one point of its training: its loss, its tensors, its penalties, and which layer is to blame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from nnctl.checks.gradients.lines import Line, measure
from nnctl.checks.gradients.subjects import (
    has_penalty,
    layer_alone,
    loss_alone,
    outputs,
    penalty_alone,
    whole_network,
)
from nnctl.checks.gradients.suspects import Sizes
from nnctl.core.arrays import Float
from nnctl.core.random import stream
from nnctl.data.batches import Batch
from nnctl.nn.loss import positions
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.optim.gradients import Regularizer

__all__ = ["Culprit", "Point", "check_point"]

_BESIDE = 0.01
"""Standard deviation of what is added to weights or outputs that lie on corners."""


@dataclass(frozen=True)
class Culprit:
    """A layer that is wrong when it is checked alone, with the weights it has in the network."""

    path: str
    kind: str
    line: Line


@dataclass(frozen=True)
class Point:
    """What came of a network at one point.

    Parameters
    ----------
    when : str
        Such as "at the start".
    loss_name : str
    loss : float
        The data loss of the batch.
    loss_line : Line or None
        The gradient of the loss by the outputs; None, and no lines, where the loss is not finite.
    lines : tuple of Line
        The input and every parameter, in the order of the architecture.
    penalties : tuple of (str, Line)
    culprits : tuple of Culprit
        Where a line failed: the innermost layers that are wrong alone, the last first.
    beside : bool
        Whether tensors that lie on corners were checked beside the point.
    """

    when: str
    loss_name: str
    loss: float
    loss_line: Line | None = None
    lines: tuple[Line, ...] = ()
    penalties: tuple[tuple[str, Line], ...] = ()
    culprits: tuple[Culprit, ...] = ()
    beside: bool = False

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "when": self.when,
            "loss": self.loss,
            "beside": self.beside,
            "tensors": [line.plain() for line in self.lines],
            "outputs": None if self.loss_line is None else self.loss_line.plain(),
            "penalties": [line.plain() | {"name": name} for name, line in self.penalties],
            "culprits": [{"layer": culprit.path, **culprit.line.plain()} for culprit in self.culprits],
        }


def check_point(
    when: str,
    network: Network,
    loss: Loss,
    regularizers: Sequence[Regularizer],
    batch: Batch,
    tell: Callable[[str], None],
) -> Point:
    """Check every gradient of a network in float64 on a batch; its weights and statistics are as before afterwards.

    Parameters
    ----------
    when : str
    network : Network
    loss : Loss
    regularizers : sequence of Regularizer
    batch : Batch
    tell : callable
        Told what is measured.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what overflows is told by the result
        z, t, w = positions(outputs(network, batch), batch.t, batch.w, batch.mask)
        value = loss.value(z, t, w, batch.targets)
        subject = whole_network(network, loss, batch)
        if not isfinite(value) or not np.isfinite(subject.evaluate().addends).all():
            return Point(when, loss.name, value)
        sizes = Sizes.of(network.layout, len(batch.x))
        (loss_line,) = measure(loss_alone(loss, z, t, w, batch.targets), sizes)
        lines = measure(subject, sizes, tell)
        beside = any(line.on_corners for line in (loss_line, *lines))
        if loss_line.on_corners:
            (loss_line,) = measure(loss_alone(loss, z + _beside(z), t, w, batch.targets), sizes)
        if any(line.on_corners for line in lines):
            lines = _checked_beside(network, loss, batch, lines, sizes)
        penalties = [
            (regularizer.name, line)
            for regularizer in regularizers
            if has_penalty(regularizer)
            for line in measure(penalty_alone(regularizer, network), sizes)
        ]
        culprits = _culprits(network, len(batch.x)) if any(line.verdict == "fail" for line in lines) else []
    return Point(when, loss.name, value, loss_line, tuple(lines), tuple(penalties), tuple(culprits), beside)


def _checked_beside(network: Network, loss: Loss, batch: Batch, lines: list[Line], sizes: Sizes) -> list[Line]:
    """Return the lines, those on corners alone replaced by what comes of them with other weights and inputs close by.

    The dark margin of a picture is an input that is exactly 0 in many places: equal numbers in a max_pool stay equal
    whatever the weights are.
    """
    if batch.x.dtype.kind == "f":
        batch = batch._replace(x=batch.x + _beside(batch.x))
    theta = network.theta.copy()
    network.theta += _beside(theta)
    try:
        subject = whole_network(network, loss, batch)
        if not np.isfinite(subject.evaluate().addends).all():
            return lines
        again = measure(subject, sizes)
    finally:
        network.theta[...] = theta
    return [other if line.on_corners else line for line, other in zip(lines, again, strict=True)]


def _beside(a: Float) -> Float:
    return stream(0, "gradcheck/beside").normal(0, _BESIDE, a.shape)


def _culprits(network: Network, rows: int) -> list[Culprit]:
    """Return the innermost layers that are wrong when checked alone, the last first."""
    parameters = network.tensors()
    found: list[Culprit] = []
    for row in reversed(network.layout.rows[1:]):  # a composite comes after its parts
        if any(culprit.path.startswith(f"{row.path}/") for culprit in found):
            continue
        own = {name.removeprefix(row.path): p for name, p in parameters.items() if name.startswith(row.path)}
        subject = layer_alone(row.layer, row.in_shape, own, rows)
        lines = [line for line in measure(subject, Sizes.of(network.layout, rows)) if line.verdict == "fail"]
        found += [Culprit(row.path, row.layer.name, line) for line in lines]
    return found
