"""Toy recordings, drawn anew from a seed: short sounds that differ in how they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Float
from nnctl.core.component import NonNegative, Positive, PositiveInt
from nnctl.data.audio.encoder import AudioEncoder
from nnctl.data.audio.features import Features, LogMel
from nnctl.data.audio.recordings import Recordings
from nnctl.data.sources.audio import Rate, table_of
from nnctl.data.sources.generated import Generated
from nnctl.data.table import Table

__all__ = ["Tones"]

LOWEST, HIGHEST = 1 / 40, 1 / 10
"""Of the rate: between these lies the pitch of a sound, even in octaves."""
SHORTEST, LONGEST = 0.3, 0.7
"""Of the duration of a recording: that of the sound in it."""
SOFTEST, STRONGEST = 0.2, 0.8
"""The amplitude of a sound."""
FADE = 0.05
"""Of the sound's duration: how long it takes to come and to go."""
VIBRATO, DEPTH = 5, 0.06
"""Swings in a warbling sound, and how far they reach, as a share of the pitch."""

Shape = Callable[[Float, float, np.random.Generator], Float]


def _phase(frequency: Float) -> Float:
    """Return the phase at every sample of a sound of changing frequency, in cycles a sample."""
    return np.asarray(2 * np.pi * np.cumsum(frequency))


def _sine(t: Float, pitch: float, rng: np.random.Generator) -> Float:
    return np.asarray(np.sin(_phase(np.full_like(t, pitch)) + rng.uniform(0, 2 * np.pi)))


def _square(t: Float, pitch: float, rng: np.random.Generator) -> Float:
    return np.asarray(np.sign(_sine(t, pitch, rng)) / 2)


def _rising(t: Float, pitch: float, rng: np.random.Generator) -> Float:  # noqa: ARG001 - of the form of all shapes
    return np.asarray(np.sin(_phase(pitch * 2 ** (t - 0.5))))


def _falling(t: Float, pitch: float, rng: np.random.Generator) -> Float:  # noqa: ARG001 - of the form of all shapes
    return np.asarray(np.sin(_phase(pitch * 2 ** (0.5 - t))))


def _warbling(t: Float, pitch: float, rng: np.random.Generator) -> Float:
    start = rng.uniform(0, 2 * np.pi)
    return np.asarray(np.sin(_phase(pitch * (1 + DEPTH * np.sin(2 * np.pi * VIBRATO * t + start)))))


def _hissing(t: Float, pitch: float, rng: np.random.Generator) -> Float:  # noqa: ARG001 - noise has no pitch
    return rng.standard_normal(len(t)) / 3


SHAPES: dict[str, Shape] = {
    "sine": _sine,
    "square": _square,
    "rising": _rising,
    "falling": _falling,
    "warbling": _warbling,
    "hissing": _hissing,
}


class Tones(Generated, name="tones"):
    """Six kinds of sound, each with a pitch, a loudness, a duration and a start of its own, in noise.

    sine: one frequency; square: the same with its odd overtones; rising and falling: an octave up or down; warbling: a
    sine whose frequency swings by 6 % five times; hissing: a burst of white noise. The pitch is drawn from a fortieth
    to a tenth of the rate, so that it tells nothing about the kind; the sound takes 30 % to 70 % of the recording.
    A classification.
    """

    samples: PositiveInt = 600
    """How many recordings, N."""
    noise: NonNegative = 0.05
    """Standard deviation of the white noise over the whole recording; the sounds have amplitudes from 0.2 to 0.8."""
    rate: Rate = 8000
    """Samples a second, in hertz."""
    seconds: Positive = 0.5
    """Duration of a recording, in seconds."""
    features: Features = Field(default_factory=LogMel)
    """What the network hears: log_mel or waveform."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "duration": "seconds",
        "feature": "features",
        "n_samples": "samples",
        "sample_rate": "rate",
        "sr": "rate",
    }

    def load(self, base: Path, seed: int) -> Table:
        """Draw the recordings."""
        self._encoder.refuse_too_large(range(self.samples))
        return super().load(base, seed)

    @property
    def _encoder(self) -> AudioEncoder:
        return AudioEncoder(self.features, self.rate, max(2, round(self.seconds * self.rate)), filled=True)

    def draw(self, rng: np.random.Generator) -> Table:
        """Return the features of recordings (N, T, D) and their kind."""
        kinds = rng.permutation(np.arange(self.samples) % len(SHAPES))
        names = tuple(SHAPES)
        waves = [self._wave(SHAPES[names[kind]], rng) for kind in kinds]
        return replace(table_of(Recordings(waves, self._encoder)), y=kinds, target="sound", classes=names)

    def _wave(self, shape: Shape, rng: np.random.Generator) -> Float:
        """Return one recording, float32 (S,)."""
        wave = self.noise * rng.standard_normal(self._encoder.samples)
        length = max(2, int(len(wave) * rng.uniform(SHORTEST, LONGEST)))
        start = rng.integers(0, len(wave) - length + 1)
        pitch = LOWEST * (HIGHEST / LOWEST) ** rng.uniform()
        t = np.arange(length) / length
        fading = np.clip(np.minimum(t, 1 - t) / FADE, 0, 1)
        wave[start : start + length] += rng.uniform(SOFTEST, STRONGEST) * fading * shape(t, pitch, rng)
        return wave.astype(np.float32)
