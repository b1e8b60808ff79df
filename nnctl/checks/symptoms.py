"""What a network shows on one batch: how its layers answer, and what gradient reaches their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nnctl.core.arrays import Float
from nnctl.data.batches import Batch
from nnctl.nn.layer import Bound
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team
from nnctl.train.units import dead, saturated

__all__ = ["KernelSymptoms", "Symptoms", "UnitSymptoms", "symptoms"]


@dataclass(frozen=True)
class UnitSymptoms:
    """How the units of one activation answer to a batch.

    Parameters
    ----------
    path, kind : str
        The layer, and what activation it is.
    units : int
    dead : float
        Share of the units that are zero for every row; relu only.
    saturated : float
        Share of the answers where the slope is under 5 % of the steepest; sigmoid, tanh and softmax only.
    """

    path: str
    kind: str
    units: int
    dead: float
    saturated: float


@dataclass(frozen=True)
class KernelSymptoms:
    """The weights of one layer.

    Parameters
    ----------
    name : str
        Of the tensor.
    units : int
    gradient : float
        Mean size of the entries of the loss's gradient.
    alike : bool
        Whether all units have the same incoming weights.
    """

    name: str
    units: int
    gradient: float
    alike: bool


@dataclass(frozen=True)
class Symptoms:
    """All that a network shows on one batch, from the input to the output."""

    activations: tuple[UnitSymptoms, ...]
    kernels: tuple[KernelSymptoms, ...]

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "activations": [dict(vars(a)) for a in self.activations],
            "kernels": [dict(vars(k)) for k in self.kernels],
        }


def symptoms(network: Network, loss: Loss, batch: Batch) -> Symptoms:
    """Run a batch forward and backward in training mode and return what was seen.

    Changes no weights; the running statistics of batch norm follow the batch, as in any such pass.
    """
    units: list[UnitSymptoms] = []

    def watch(bound: Bound, direction: Literal["forward", "backward"], values: Float | None) -> None:
        if direction != "forward" or values is None:
            return
        lost, flat = dead(bound.layer, values), saturated(bound.layer, values)
        if lost is not None or flat is not None:
            layer = bound.layer.name
            units.append(UnitSymptoms(bound.ctx.path, layer, values.shape[-1], lost or 0.0, flat or 0.0))

    team = Team(network)  # of one replica, which sees the whole batch
    team.replicas[0].now.watch = watch
    with np.errstate(over="ignore", invalid="ignore"):
        grad = team.gradient(loss, batch.x, batch.t, batch.w, divisor=batch.targets, step=0, mask=batch.mask)
    return Symptoms(tuple(units), _of_kernels(network, grad))


def _of_kernels(network: Network, grad: Float) -> tuple[KernelSymptoms, ...]:
    weights, gradients = network.tensors(), network.tensors(grad)
    found = []
    for slot in network.layout.slots:
        if slot.param.decayed:
            W = weights[slot.name].reshape(-1, slot.param.shape[-1])
            size = float(np.abs(gradients[slot.name]).mean(dtype=np.float64))
            found.append(KernelSymptoms(slot.name, W.shape[1], size, W.shape[1] > 1 and bool((W[:, :1] == W).all())))
    return tuple(found)
