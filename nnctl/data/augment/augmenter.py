"""Augmenter: what becomes of the training rows of an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.data.augment.augmentation import Augmentation, Chance, Inputs, Mixing

__all__ = ["Augmenter"]

BLOCK = 1 << 14
"""Values that are changed at a time."""
FEWEST = 16
"""Rows that are changed at a time, at least."""


class Augmenter:
    """A list of augmentations and the training rows that they change.

    Parameters
    ----------
    steps : sequence of Augmentation
        In the order in which they are applied.
    inputs : Inputs
        What the rows are.
    x, t, w : array (N, ...), array (N, K), array (N,) or None
        The training part: inputs, encoded targets and weights. They are never changed.
    rows : int array (N,)
        Where each row stands in the source.
    seed : int
    """

    def __init__(
        self,
        steps: Sequence[Augmentation],
        inputs: Inputs,
        x: Array,
        t: Array,
        w: Float | None,
        rows: Array,
        *,
        seed: int,
    ) -> None:
        self.steps, self.inputs = tuple(steps), inputs
        self.x, self.t, self.w = x, t, w
        self.rows, self.seed = rows, seed

    @property
    def mixes(self) -> bool:
        """Whether targets are changed, too."""
        return any(isinstance(step, Mixing) for step in self.steps)

    def targets(self, epoch: int) -> tuple[Array, Float | None]:
        """Return targets and weights of all rows in an epoch, in the order of the training part."""
        t, w = self.t, self.w
        for place, step in enumerate(self.steps):
            if isinstance(step, Mixing):
                pairs = step.pairs(self._chance(place, epoch, np.arange(len(t))), self.inputs, len(t))
                t = _mixed(t, pairs.partner, pairs.share)
                w = None if w is None else _mixed(w, pairs.partner, pairs.share)
        return t, w

    def rows_of(self, chosen: Array, epoch: int) -> Float:
        """Return the inputs of some rows (B,), given by their place in the training part, in an epoch.

        They are changed a few at a time, so that what is in work stays in the processor's cache.
        """
        out = np.empty((len(chosen), *self.x.shape[1:]), self.x.dtype)
        size = max(FEWEST, BLOCK // math.prod(self.x.shape[1:]))
        for start in range(0, len(chosen), size):
            block = slice(start, start + size)
            out[block] = self._after(len(self.steps), chosen[block], epoch)
        return out

    def _after(self, steps: int, chosen: Array, epoch: int) -> Float:
        """Return the inputs of some rows after the first of the steps."""
        x = self.x[chosen]
        for place, step in enumerate(self.steps[:steps]):
            chance = self._chance(place, epoch, chosen)
            if isinstance(step, Mixing):
                pairs = step.pairs(chance, self.inputs, len(self.x))
                x = step.mix(x, self._after(place, pairs.partner, epoch), pairs, self.inputs)
            else:
                x = step.apply(x, chance, self.inputs)
        return x

    def _chance(self, place: int, epoch: int, chosen: Array) -> Chance:
        return Chance(self.seed, f"augment/{place}.{self.steps[place].name}", epoch, self.rows[chosen])


def _mixed(values: Float, partner: Array, share: Float) -> Float:
    """Return s v + (1 - s) v_partner for every row of values (N, ...)."""
    s = share.astype(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))
    return s * values + (1 - s) * values[partner]
