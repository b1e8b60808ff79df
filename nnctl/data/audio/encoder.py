"""What makes rows of features of recordings, kept with the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.data.audio.features import Features
from nnctl.data.memory import refuse_too_large

__all__ = ["AudioEncoder", "brought_to"]


@dataclass(frozen=True)
class AudioEncoder:
    """What makes rows of features of waveforms.

    Each waveform is taken by itself, so that its features depend on nothing else.

    Parameters
    ----------
    features : Features
    rate : int
        Samples a second of every waveform.
    samples : int
        How many the longest has, by which a row is as long as it is.
    filled : bool
        Whether shorter ones are followed by silence that counts as sound; else padding makes rows equally long.
    """

    features: Features
    rate: int
    samples: int
    filled: bool = False

    @property
    def steps(self) -> int:
        """How long a row is, T."""
        return self.features.steps(self.samples, self.rate)

    def fitted(self, wave: Float) -> Float:
        """Return a waveform (S,) cut at the end to the longest duration, or filled up to it."""
        return brought_to(self.samples, wave) if self.filled else wave[: self.samples]

    def rows(self, waves: Sequence[Float]) -> tuple[Float, Array | None]:
        """Return the features of fitted waveforms, float32 (N, T, D), and how many steps of each are there.

        The lengths are None where all rows are full.
        """
        x = np.zeros((len(waves), self.steps, self.features.width), np.float32)
        lengths = np.empty(len(waves), np.int64)
        for i, wave in enumerate(waves):
            found = self.features.of(wave, self.rate)
            lengths[i] = len(found)
            x[i, : len(found)] = found
        return x, None if (lengths == self.steps).all() else lengths

    def refuse_too_large(self, samples: Sequence[int]) -> None:
        """Raise where waveforms of so many samples each, and their rows, do not fit into the memory.

        Counted are 4 bytes a sample; 8 a value of the features, as they are and scaled; and 8 a step.

        Raises
        ------
        DataError
            With what is needed.
        """
        rows = len(samples)
        held = rows * self.samples if self.filled else sum(min(each, self.samples) for each in samples)
        values = rows * self.steps * (2 * self.features.width + 2)
        refuse_too_large(4 * (held + values), f"{rows:,} recordings of {held / self.rate:,.0f} s together")

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "features": self.features.spelled(),
            "rate": self.rate,
            "samples": self.samples,
            "filled": self.filled,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``to_plain`` was given."""
        return cls(Features.parse(plain["features"]), plain["rate"], plain["samples"], plain["filled"])


def brought_to(samples: int, wave: Float) -> Float:
    """Return a waveform cut at its end, or followed by silence, so that it has that many samples."""
    if len(wave) >= samples:
        return wave[:samples]
    return np.concatenate([wave, np.zeros(samples - len(wave), wave.dtype)])
