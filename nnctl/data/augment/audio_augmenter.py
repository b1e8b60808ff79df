"""AudioAugmenter: what becomes of the recordings of the training part in an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.data.audio import Recordings
from nnctl.data.augment.audio import OfSound
from nnctl.data.augment.augmenter import Augmenter

__all__ = ["AudioAugmenter"]


class AudioAugmenter(Augmenter):
    """A list of augmentations of which the first change waveforms: the features are made anew of what they become.

    Every recording is changed by itself and keeps its duration, so that the lengths of rows stay.

    Parameters
    ----------
    recordings : Recordings
        Those of all rows of the source.
    steps, inputs, x, t, w, rows, seed
        As of an `Augmenter`.
    """

    def __init__(self, recordings: Recordings, *given: Any, seed: int) -> None:
        super().__init__(*given, seed=seed)
        self.recordings = recordings
        self.of_sound = [step for step in self.steps if isinstance(step, OfSound)]

    def _after(self, steps: int, chosen: Array, epoch: int) -> Float:
        """Return the features of some recordings after the first of the steps, at least those that change sounds."""
        waves = [self.sound_of(row, epoch) for row in chosen]
        x, _ = self.recordings.encoder.rows(waves)
        x = self.inputs.scaling.apply(x, dtype=self.x.dtype)
        return self._changed(x, range(len(self.of_sound), steps), chosen, epoch)

    def sound_of(self, row: int, epoch: int) -> Float:
        """Return the waveform (S,) of one row, given by its place in the training part, as it is in an epoch."""
        wave: Float = self.recordings.waves[self.rows[row]]
        for place, step in enumerate(self.of_sound):
            wave = step.changed(wave, self._chance(place, epoch, np.array([row])), self.recordings.encoder.rate)
        return wave
