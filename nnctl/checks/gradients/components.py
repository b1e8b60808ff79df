"""Every layer, activation, loss and penalty in the registry, each alone and in several shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from nnctl.checks.gradients.examples import layer_examples, loss_examples, penalty_examples
from nnctl.checks.gradients.lines import Line, measure
from nnctl.checks.gradients.subjects import has_penalty, layer_alone, loss_alone, penalty_alone, random_network
from nnctl.checks.gradients.suspects import Sizes
from nnctl.core.finding import Verdict, worst
from nnctl.nn.activations import Activation
from nnctl.nn.dense import Dense
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.optim.gradients import Regularizer

__all__ = ["KINDS", "Checked", "check_component", "names"]

KINDS: dict[str, type[Any]] = {"layer": Layer, "activation": Activation, "loss": Loss, "penalty": Regularizer}
"""The kinds of components that have gradients, with their families; an activation is no plain layer here."""

_ROWS = 5


@dataclass(frozen=True)
class Checked:
    """What came of one component: a line for every tensor in every case, the case in words first.

    Parameters
    ----------
    kind, name : str
    lines : tuple of (str, Line)
    note : str
        Why there is nothing to check, where there is not.
    """

    kind: str
    name: str
    lines: tuple[tuple[str, Line], ...]
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst over all cases; "warn" where nothing was checked though it should have been."""
        if not self.lines and not self.note:
            return "warn"
        return worst(line.verdict for _, line in self.lines)

    @property
    def worst(self) -> tuple[str, Line] | None:
        """The case and the line that are most wrong."""
        order = {"pass": 0, "warn": 1, "fail": 2}
        return max(self.lines, key=lambda case: (order[case[1].verdict], case[1].comparison.error), default=None)

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        found = self.worst
        return {
            "kind": self.kind,
            "name": self.name,
            "cases": len({case for case, _ in self.lines}),
            "tensors": len(self.lines),
            "kinks": sum(line.comparison.kinks for _, line in self.lines),
            "verdict": self.verdict,
            "note": self.note,
            "case": None if found is None else found[0],
            "worst": None if found is None else found[1].plain(),
        }


def names(kind: str) -> list[str]:
    """Return the registered components of a kind."""
    found: list[str] = list(KINDS[kind].members())
    return [name for name in found if not (kind == "layer" and name in Activation.members())]


def check_component(kind: str, name: str) -> Checked:
    """Return what came of a component in all the cases there are examples for."""
    check = {"layer": _layer, "activation": _layer, "loss": _loss, "penalty": _penalty}[kind]
    lines = tuple(check(name))
    if lines:
        return Checked(kind, name, lines)
    constraint = kind == "penalty" and bool(penalty_examples(name))
    return Checked(kind, name, (), "no gradient: a constraint" if constraint else "")


def _layer(name: str) -> Iterator[tuple[str, Line]]:
    for layer, shape in layer_examples(name):
        sizes = Sizes.of(Layout((layer,), shape), _ROWS)
        said = f"{layer.spelled(full=False)} on {('B', *shape)}".replace("'", "")
        for line in measure(layer_alone(layer, shape, rows=_ROWS), sizes):
            yield said, line
        if len(shape) == 2 and layer.vocabulary() is None:
            mask = np.arange(shape[0]) < shape[0] - np.arange(_ROWS)[:, None] % shape[0]
            for line in measure(layer_alone(layer, shape, rows=_ROWS, mask=mask), sizes):
                yield f"{said}, padded", line


def _loss(name: str) -> Iterator[tuple[str, Line]]:
    for kind, loss, z, t, w in loss_examples(name):
        total = len(z) + 2.0  # not the number of rows, so that the two are told apart
        sizes = Sizes({"rows": int(total), "outputs": prod(z.shape[1:])})
        for line in measure(loss_alone(loss, z, t, w, total), sizes):
            yield f"{loss.spelled(full=False)}, {kind}".replace("'", ""), line


def _penalty(name: str) -> Iterator[tuple[str, Line]]:
    network = random_network(Dense(units=3), (4,))
    for penalty in penalty_examples(name):
        if has_penalty(penalty):
            for line in measure(penalty_alone(penalty, network), Sizes({})):
                yield f"{penalty.spelled(full=False)}".replace("'", ""), line
