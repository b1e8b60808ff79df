"""Flow: what one step of training does to every tensor and every layer, measured at a few steps of a fixed schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite, nan
from typing import Any, Literal, Self

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.errors import DataError
from nnctl.nn.activations import Softmax
from nnctl.nn.layer import Bound
from nnctl.nn.layout import Layout, Slot
from nnctl.train.evaluate import Examples
from nnctl.train.step import Learner
from nnctl.train.units import fired, saturated

__all__ = ["ROWS", "Probe", "Sample", "next_look"]

ROWS = 512
"""Training rows on which units are looked at. A unit that answers to 1 % of the rows is then silent on all of them once
in 170 cases; on a batch of 32 it would be in 7 of 10."""

SPREAD = 16_384
"""Of a larger tensor so many values are looked at, in rows spread evenly over it."""

_EARLY = (1, 10, 100)
_EVERY = 500


def next_look(step: int, steps: int) -> int:
    """Return the step after `step` that is measured next: 1, 10, 100, every 500th, and the last of `steps`."""
    regular = step - step % _EVERY + _EVERY
    return min(steps, next((early for early in _EARLY if early > step), regular))


@dataclass(frozen=True)
class Sample:
    """What was measured at one step. What could not be measured, or is not finite, is nan.

    Parameters
    ----------
    step, epoch : int
        The step, and the epoch it belongs to, counted from 1.
    lr : float
        Its learning rate.
    loss : float
        Of `rows` training rows after the step, in inference mode.
    grad_norm : float
        Norm of the whole gradient before clipping.
    jump : float
        The largest norm since the last sample, in multiples of the running median before it.
    rows : int
        Training rows, always the same ones, for `loss`, `dead` and `saturated`.
    mean_grad : mapping of str to float
        Mean absolute value of the gradient of the loss, by tensor; without penalties.
    tensor_norm : mapping of str to float
        Norm of that gradient, by tensor.
    update_ratio : mapping of str to float
        Norm of the change over norm of the values before it, by tensor; nan where all values were zero.
    unchanged : tuple of str
        Tensors that hold the same bits as before the first step.
    dead : mapping of str to float
        Share of the units that are zero for each of the rows, by relu layer.
    saturated : mapping of str to float
        Share of the outputs where the slope is under 5 % of the steepest, by sigmoid and tanh layer.
    """

    step: int
    epoch: int
    lr: float
    loss: float
    grad_norm: float
    jump: float
    rows: int
    mean_grad: Mapping[str, float]
    tensor_norm: Mapping[str, float]
    update_ratio: Mapping[str, float]
    unchanged: tuple[str, ...]
    dead: Mapping[str, float]
    saturated: Mapping[str, float]

    def record(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dict(vars(self))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the sample of a record; what JSON could not say is nan again.

        Raises
        ------
        DataError
            Where the record is another one.
        """
        wanted = {field.name for field in fields(cls)}
        if record.keys() != wanted:
            differing = ", ".join(sorted(wanted ^ record.keys()))
            raise DataError(f"a record of health.jsonl is not one that nnctl wrote; it differs in {differing}.")
        return cls(**{name: _restored(value) for name, value in record.items()})


def _restored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _restored(each) for name, each in value.items()}
    return nan if value is None else tuple(value) if isinstance(value, list) else value


class Probe:
    """Measures what a step does: shown the gradient within it, and asked for a `Sample` after it.

    It reads the network, and passes rows through a replica that infers, so that the training has the same bits with it
    and without.

    Parameters
    ----------
    learner : Learner
        Before its first step, also where it is about to be brought to where a saved one stands: what never changes is
        told by the weights it starts with.
    train : Examples
        The training part.
    """

    def __init__(self, learner: Learner, train: Examples) -> None:
        network = learner.network
        self._rows = train[_evenly(ROWS, len(train.x))]
        self._learner = learner
        self._entries = _Entries(network.layout)
        self._start = self._entries.of(network.theta)
        self._before = self._start
        self._mean_grad: dict[str, float] = {}
        self._tensor_norm: dict[str, float] = {}
        self._fired: dict[str, Array] = {}
        self._flat: dict[str, Array] = {}

    def look(self, grad: Float) -> None:
        """Measure the gradient of the loss, and note the weights before the step."""
        entries = self._entries
        dtheta = entries.of(grad)
        self._mean_grad = entries.named(entries.sums(np.abs(dtheta)) / entries.counts)
        self._tensor_norm = entries.named(entries.norms(dtheta))
        self._before = entries.of(self._learner.network.theta)

    def sample(self, *, epoch: int, lr: float, grad_norm: float, jump: float) -> Sample:
        """Return what the step came to that `look` was shown the gradient of."""
        with np.errstate(all="ignore"):  # a diverging network is reported, not warned of
            entries = self._entries
            after = entries.of(self._learner.network.theta)
            ratios = entries.norms(after - self._before) / entries.norms(self._before)
            moved = entries.sums(after != self._start)
            loss = self._loss()
        return Sample(
            step=self._learner.step,
            epoch=epoch,
            lr=lr,
            loss=loss if isfinite(loss) else nan,
            grad_norm=grad_norm,
            jump=jump,
            rows=len(self._rows.x),
            mean_grad=self._mean_grad,
            tensor_norm=self._tensor_norm,
            update_ratio=entries.named(ratios),
            unchanged=tuple(name for name, count in zip(entries.names, moved, strict=True) if not count),
            dead={path: 1.0 - float(woken.mean()) for path, woken in self._fired.items()},
            saturated={path: float(flat / of) for path, (flat, of) in self._flat.items()},
        )

    def _loss(self) -> float:
        """Return the loss of the rows, in blocks as in any inference; on the way the units are looked at."""
        reader, size = self._learner.network.reader(), self._learner.network.layout.evaluation_rows
        self._fired, self._flat = {}, {}
        reader.now.watch = self._watch
        loss = weight = 0.0
        try:
            for start in range(0, len(self._rows.x), size):
                rows = self._rows[start : start + size]
                z = reader.forward(rows.x, training=False, mask=rows.mask)
                if z.ndim == 3:
                    z, rows = rows.by_position(z)
                loss += self._learner.loss.value(z, rows.t, rows.w, 1.0)
                weight += len(z) if rows.w is None else float(np.sum(rows.w, dtype=np.float64))
        finally:
            reader.now.watch = None
        return loss / (weight or 1.0)

    def _watch(self, bound: Bound, _direction: Literal["forward", "backward"], y: Float | None) -> None:
        if y is None:
            return
        path = bound.ctx.path
        if (woken := fired(bound.layer, y)) is not None:
            self._fired[path] = woken | self._fired.get(path, woken)
        if not isinstance(bound.layer, Softmax) and (share := saturated(bound.layer, y)) is not None:
            self._flat[path] = self._flat.get(path, 0) + np.array([share * y.size, y.size])


class _Entries:
    """Where the flat vectors are looked at: small tensors as a whole, of larger ones rows that are spread evenly."""

    def __init__(self, layout: Layout) -> None:
        trained = [slot for slot in layout.slots if slot.param.trainable]
        sizes = np.array([slot.param.size for slot in trained], np.intp)
        whole = not (sizes > SPREAD).any()
        picks = [] if whole else [_spread(slot) for slot in trained]
        self.names = [slot.name for slot in trained]
        self.counts = sizes if whole else np.array([len(pick) for pick in picks], np.intp)
        self._scale = np.sqrt(sizes / self.counts)
        self._starts = np.cumsum(self.counts) - self.counts
        self._index = slice(None) if whole else np.concatenate(picks)

    def of(self, vector: Float) -> Array:
        """Return a copy of the values looked at; in float64, where no square of a float32 is lost."""
        return np.array(vector[self._index], np.float64)

    def sums(self, values: Array) -> Array:
        """Return the sum over each tensor."""
        return np.add.reduceat(values, self._starts, dtype=np.float64)

    def norms(self, values: Array) -> Array:
        """Return the norm of each tensor, that of a large one estimated from the values looked at."""
        return np.sqrt(self.sums(values * values)) * self._scale

    def named(self, figures: Array) -> dict[str, float]:
        """Return the figures by tensor, nan where one is not finite."""
        return {n: f if isfinite(f) else nan for n, f in zip(self.names, figures.tolist(), strict=True)}


def _spread(slot: Slot) -> Array:
    """Return the places in theta of a tensor, or of evenly spread rows of a large one."""
    places = np.arange(slot.start, slot.stop).reshape(-1, slot.param.shape[-1])
    return places[_evenly(max(1, SPREAD // places.shape[1]), len(places))].ravel()


def _evenly(count: int, among: int) -> Array:
    """Return so many of the numbers 0, 1, ... below `among`, evenly spread; all where there are no more."""
    count = min(count, among)
    return np.arange(count) * among // count
