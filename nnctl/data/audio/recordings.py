"""Recordings as a source has read or made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnctl.core.arrays import Array, Float
from nnctl.data.audio.encoder import AudioEncoder

__all__ = ["Recordings"]


@dataclass(frozen=True, eq=False)
class Recordings:
    """Waveforms, and what makes rows of features of them.

    Parameters
    ----------
    waves : sequence of N float32 arrays (S,)
        One for each row, at the encoder's rate and no longer than its longest; values from -1 to 1.
    encoder : AudioEncoder
    """

    waves: Sequence[Float]
    encoder: AudioEncoder

    def rows(self) -> tuple[Float, Array | None]:
        """Return the features of all (N, T, D), and how many steps of each are there; None where all are."""
        return self.encoder.rows(self.waves)
