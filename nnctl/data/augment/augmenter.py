"""Augmenter: what becomes of the training rows of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.data.augment.augmentation import Augmentation, Chance, Inputs, Mixing
from nnctl.data.augment.text import TrainingTexts
from nnctl.data.tokens import TextEncoder

__all__ = ["Augmenter", "TextAugmenter"]

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

    def lengths_of(self, x: Array, lengths: Array) -> Array:  # noqa: ARG002 - texts depend on it
        """Return how many positions of some rows x (B, T) are there, given those of the rows as they are."""
        return lengths

    def _after(self, steps: int, chosen: Array, epoch: int) -> Float:
        """Return the inputs of some rows after the first of the steps."""
        return self._changed(self.x[chosen], range(steps), chosen, epoch)

    def _changed(self, x: Float, places: Iterable[int], chosen: Array, epoch: int) -> Float:
        """Return the inputs x of some rows after the steps at those places of the list; x may be overwritten."""
        for place in places:
            step = self.steps[place]
            chance = self._chance(place, epoch, chosen)
            if isinstance(step, Mixing):
                pairs = step.pairs(chance, self.inputs, len(self.x))
                x = step.mix(x, self._after(place, pairs.partner, epoch), pairs, self.inputs)
            else:
                x = step.apply(x, chance, self.inputs)
        return x

    def _chance(self, place: int, epoch: int, chosen: Array) -> Chance:
        return Chance(self.seed, f"augment/{place}.{self.steps[place].name}", epoch, self.rows[chosen])


class TextAugmenter(Augmenter):
    """A list of augmentations of texts: they are rewritten, and then cut into tokens.

    Parameters
    ----------
    texts : TrainingTexts
        The texts of the training part, with what rewrites them.
    encoder : TextEncoder
        What makes tokens of them.
    steps, inputs, x, t, w, rows, seed
        As of an `Augmenter`.
    """

    def __init__(self, texts: TrainingTexts, encoder: TextEncoder, *given: Any, seed: int) -> None:
        super().__init__(*given, seed=seed)
        self.texts, self.encoder = texts, encoder

    def texts_of(self, chosen: Array, epoch: int) -> list[str]:
        """Return some of the texts, given by their place in the training part, as they are in an epoch."""
        texts = [self.texts.texts[i] for i in chosen]
        for place, rewriter in enumerate(self.texts.rewriters):
            texts = rewriter.rewrite(texts, chosen, self._chance(place, epoch, chosen))
        return texts

    def rows_of(self, chosen: Array, epoch: int) -> Array:
        """Return the tokens of some texts as they are in an epoch."""
        return self.encoder.rows(self.texts_of(chosen, epoch)).x

    def lengths_of(self, x: Array, lengths: Array) -> Array:  # noqa: ARG002 - they are those of other texts
        """Return how many tokens of some rows are no padding, which is token 0 and nothing else."""
        return np.asarray(np.count_nonzero(x, axis=1))


def _mixed(values: Float, partner: Array, share: Float) -> Float:
    """Return s v + (1 - s) v_partner for every row of values (N, ...)."""
    s = share.astype(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))
    return s * values + (1 - s) * values[partner]
