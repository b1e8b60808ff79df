"""What is checked: a whole network with its loss, a layer alone, a loss alone, a penalty alone.

Each is a function of some tensors, with the gradient that nnctl computes for them in the very way that training does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nnctl.checks.gradients.differences import Evaluation, Tensor, jittered
from nnctl.core.arrays import Array, Float, Shape, as_rows
from nnctl.core.random import stream
from nnctl.data.batches import Batch
from nnctl.nn.layer import Bound, Layer
from nnctl.nn.layout import Layout
from nnctl.nn.loss import positions
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network, Replica
from nnctl.optim.gradients import Regularizer

__all__ = [
    "Subject",
    "has_penalty",
    "layer_alone",
    "loss_alone",
    "outputs",
    "penalty_alone",
    "random_network",
    "whole_network",
]

_STEP = 0
"""The position of the random streams: the same for every evaluation, so that dropout draws the same mask."""
_AWAY = 0.01
"""How far weights are kept from the corner of |w| at zero while a penalty is checked."""
_PROXIMAL_STEP = 1e-3
_ROUNDINGS = 3
"""Passes from which the rounding of a gradient is told."""
_ROUNDED = 1e-12
"""The relative difference between two orders of summation in float64."""
_LEAST = 0.1
"""The scale of parameters that are smaller, such as biases that start at zero: the unit is what they are added to."""


@dataclass(frozen=True)
class Subject:
    """A function of tensors with their gradients.

    Parameters
    ----------
    evaluate : callable
        Evaluates the function on the tensors as they are.
    tensors : tuple of Tensor
        In the order of the architecture.
    unrepeatable : tuple of str
        The tensors whose gradient was another in a second backward pass.
    """

    evaluate: Callable[[], Evaluation]
    tensors: tuple[Tensor, ...]
    unrepeatable: tuple[str, ...] = field(default=())


class _Passes:
    """Forward and backward passes in training mode that leave the running statistics as they were."""

    def __init__(self, network: Network, x: Array, mask: Array | None = None) -> None:
        self.network, self.x, self.mask = network, x, mask
        self.replica = network.replica(need_dx=True)
        self.replica.now.watch = self._note
        self.branches: list[Array] = []
        self.state = network.state.copy()

    def forward(self) -> Float:
        """Return the outputs; the branches that the layers took are in `branches`."""
        self.branches.clear()
        y = self.replica.forward(self.x, training=True, step=_STEP, mask=self.mask)
        np.copyto(self.network.state, self.state)
        return y

    def _note(self, bound: Bound, direction: Literal["forward", "backward"], _values: Float | None) -> None:
        taken = bound.layer.branches(bound.ctx) if direction == "forward" else None
        if taken is not None:
            self.branches.append(taken.copy())

    def gradients(self, dz_of: Callable[[Float], Float]) -> tuple[tuple[Tensor, ...], tuple[str, ...]]:
        """Return the tensors with their gradients, and the names of those whose gradient differs between passes.

        Every pass finds other junk in the memory that it has to overwrite; one is without dx, as in training, which may
        take another way to the same sums and round them otherwise.
        """
        first = self._gradient(self.replica, dz_of, junk=np.nan)
        second = self._gradient(self.replica, dz_of, junk=1e3)
        without_dx = self._gradient(self.network.replica(), dz_of, junk=-1.0)
        unsteady = tuple(
            name
            for name, g in first.items()
            if not (np.array_equal(g, second[name]) and _nearly(g, without_dx.get(name, g)))
        )
        arrays = {"input": self.x, **self.network.tensors()}
        rounding = dict.fromkeys(second, 0.0)
        for k in range(_ROUNDINGS):
            with jittered([self.x, self.network.theta], k):
                moved = self._gradient(self.replica, dz_of, junk=0.0)
            rounding = {name: max(rounding[name], float(np.linalg.norm(moved[name] - g))) for name, g in second.items()}
        least = float(np.sqrt(np.mean(np.square(self.x)))) or 1.0
        return tuple(
            Tensor(name, arrays[name], g, least if name == "input" else _LEAST, rounding[name])
            for name, g in second.items()
        ), unsteady

    def _gradient(self, replica: Replica, dz_of: Callable[[Float], Float], junk: float) -> dict[str, Float]:
        """Return the gradients of one pass by name, in the order of the architecture, that of the input first."""
        replica.grad.fill(junk)
        y = replica.forward(self.x, training=True, step=_STEP, mask=self.mask)
        np.copyto(self.network.state, self.state)
        dx = replica.backward(dz_of(y))
        layers = [row.path for row in self.network.layout.rows]
        named = self.network.tensors(replica.grad).items()
        found = {name: g.copy() for name, g in sorted(named, key=lambda item: layers.index(item[0].rsplit(".", 1)[0]))}
        return found if replica is not self.replica or dx is None else {"input": dx.copy(), **found}


def _nearly(a: Float, b: Float) -> bool:
    """Whether two arrays are one but for the rounding of their sums; never where one is not finite."""
    return bool(np.linalg.norm(a - b) <= _ROUNDED * np.linalg.norm(a))


def outputs(network: Network, batch: Batch) -> Float:
    """Return the outputs of a network on a batch, in training mode; its running statistics stay as they are."""
    return _Passes(network, batch.x, batch.mask).forward()


def whole_network(network: Network, loss: Loss, batch: Batch) -> Subject:
    """Return the data loss of a network on a batch, L = 1/B sum w_i l_i, by its input and its parameters."""
    passes = _Passes(network, np.array(batch.x, np.float64), batch.mask)

    def evaluate() -> Evaluation:
        z, t, w = positions(passes.forward(), batch.t, batch.w, batch.mask)
        return _loss_terms(loss, z, t, w, batch.targets, passes.branches)

    def dz_of(y: Float) -> Float:
        z, t, w = positions(y, batch.t, batch.w, batch.mask)
        dz = np.empty_like(y)
        loss.gradient(z, t, w, batch.targets, as_rows(dz))
        return dz

    tensors, unrepeatable = passes.gradients(dz_of)
    if network.layout.root.vocabulary() is not None:  # tokens name things: there is nothing beside one of them
        tensors = tuple(tensor for tensor in tensors if tensor.name != "input")
    return Subject(evaluate, tensors, unrepeatable)


def layer_alone(
    layer: Layer, shape: Shape, theta: Mapping[str, Array] | None = None, rows: int = 5, mask: Array | None = None
) -> Subject:
    """Return <dy, y> of a layer by its input and parameters, for a fixed Gaussian dy: its Jacobian along dy.

    Parameters
    ----------
    layer : Layer
    shape : tuple of int
        Of one sample.
    theta : mapping, optional
        Its parameters by name, after the name of the layer itself; random ones where left out.
    rows : int
        Samples in the batch.
    mask : bool array (rows, T), optional
        Which positions of sequences are there. What comes out where nothing is has no gradient.
    """
    network = random_network(layer, shape)
    for name, tensor in network.tensors().items():
        if theta is not None:
            tensor[...] = theta[name.removeprefix(f"0.{layer.name}")]
    rng, tokens = stream(1, "gradcheck/x"), layer.vocabulary()
    x = rng.normal(size=(rows, *shape)) if tokens is None else rng.integers(0, tokens, (rows, *shape)).astype(float)
    passes = _Passes(network, x, mask)
    dy = stream(2, "gradcheck/dy").normal(size=(rows, *layer.out_shape(shape)))
    passes.forward()
    left = passes.replica.now.mask
    if left is not None:
        dy[~left] = 0

    def evaluate() -> Evaluation:
        y = passes.forward()
        return Evaluation(dy * y, tuple(passes.branches))

    return Subject(evaluate, *passes.gradients(lambda _: dy.copy()))


def random_network(layer: Layer, shape: Shape) -> Network:
    """Return a network of one layer in float64, its parameters and statistics away from their usual start."""
    network = Network(Layout((layer,), shape), dtype=np.float64, seed=3)
    rng = stream(4, "gradcheck/theta")
    network.theta += rng.normal(0, 0.3, network.theta.shape)
    network.state[...] = np.abs(network.state + rng.normal(0, 0.3, network.state.shape)) + 0.1
    return network


def loss_alone(loss: Loss, z: Float, t: Float, w: Float | None, total: float) -> Subject:
    """Return L = 1/total sum w_i l_i by the outputs z (B, K)."""
    z = np.array(z, np.float64)

    def evaluate() -> Evaluation:
        return _loss_terms(loss, z, t, w, total)

    passes = [np.full_like(z, junk) for junk in (np.nan, 1e3)]
    for out in passes:
        loss.gradient(z, t, w, total, out)
    first, second = passes
    unsteady = () if np.array_equal(first, second) else ("outputs",)
    return Subject(evaluate, (Tensor("outputs", z, second, _LEAST),), unsteady)


def penalty_alone(regularizer: Regularizer, network: Network) -> Subject:
    """Return a penalty by the weights of a network, which are left alone; a copy of them is checked.

    The pull of a penalty is what it adds to the gradient, or what its proximal step takes from a weight for a step d of
    the optimizer, (w - w_after) / d: for λ |w| and |w| > d λ both are λ sign(w), the derivative. Weights are moved 0.01
    away from zero, where |w| has none.
    """
    copy = Network(network.layout, dtype=np.float64)
    theta, decayed = copy.theta, network.layout.decayed
    theta[...] = network.theta + np.copysign(_AWAY, network.theta)

    def evaluate() -> Evaluation:
        return Evaluation(np.array([regularizer.penalty(theta, decayed)]))

    before = np.full_like(theta, 1e-3)  # what the penalty adds to, and must not overwrite
    gradient, start = before.copy(), theta.copy()
    regularizer.add_gradient(theta, gradient, decayed, np.empty(7))
    regularizer.after_update(theta, copy.kernels(), _PROXIMAL_STEP, decayed)
    pull = gradient - before + (start - theta) / _PROXIMAL_STEP
    theta[...] = start
    return Subject(evaluate, (Tensor("weights", theta, pull, _LEAST),))


def has_penalty(regularizer: Regularizer) -> bool:
    """Return whether a regularizer adds to the loss; a constraint such as max_norm has no gradient to check."""
    return type(regularizer).penalty is not Regularizer.penalty


def _loss_terms(
    loss: Loss, z: Float, t: Float, w: Float | None, total: float, branches: Sequence[Array] = ()
) -> Evaluation:
    terms = loss.per_sample(z, t) / total
    taken = loss.branches(z, t)
    return Evaluation(terms if w is None else terms * w, (*branches, *(() if taken is None else (taken,))))
