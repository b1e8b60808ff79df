"""What a network hears of a recording: its waveform, or how loud each band of frequencies is from frame to frame."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array, Float
from nnctl.core.component import Component, NonNegative, Positive, PositiveInt
from nnctl.core.errors import DataError
from nnctl.data.audio.mel import filter_bank
from nnctl.data.memory import refuse_too_large

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Features", "LogMel", "Waveform"]


class Features(Component, family="feature"):
    """What is made of the waveform of a recording, x (T, D)."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "fbank": "log_mel",
        "filterbank": "log_mel",
        "logmel": "log_mel",
        "mel": "log_mel",
        "mel_spectrogram": "log_mel",
        "melspectrogram": "log_mel",
        "mfcc": "log_mel",
        "raw": "waveform",
        "samples": "waveform",
        "spectrogram": "log_mel",
        "wave": "waveform",
    }

    has_frequencies: ClassVar[bool] = False
    """Whether a step says how loud each frequency is."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Features of a step, D."""

    @abstractmethod
    def steps(self, samples: int, rate: int) -> int:
        """Return how many steps a recording of so many samples has, T."""

    @abstractmethod
    def of(self, wave: Float, rate: int) -> Float:
        """Return the features of a waveform (S,), in its precision.

        Raises
        ------
        DataError
            There are no such features at this rate.
        """


class Waveform(Features, name="waveform"):
    """The recording as it is: a number from -1 to 1 for every sample.

    Shapes: x (S, 1), S samples. Long sequences: conv1d with a stride, or pooling, before anything that is slow.
    """

    @property
    def width(self) -> int:
        """One value."""
        return 1

    def steps(self, samples: int, rate: int) -> int:  # noqa: ARG002 - a sample is a step
        """Return as many."""
        return samples

    def of(self, wave: Float, rate: int) -> Float:  # noqa: ARG002 - nothing is measured
        """Return the waveform as a sequence of one feature."""
        return wave[:, None]


class LogMel(Features, name="log_mel"):
    """How loud each band of frequencies is in each frame, the bands as wide as the ear's: a log-mel spectrogram.

    x_t,k = ln max(floor, Σ_f H_k,f |X_t,f|²),   X_t,f = Σ_n w_n s_(t h + n) exp(-2 pi i f n / F)

    s are the samples, w is the Hann window of `window` ms (w_n = ½ - ½ cos(2 pi n / W), W samples), h the samples of
    `hop`, F the next power of two from W on, and H the triangular filters of height 1 between `low` and `high` whose
    corners are evenly spaced on the mel scale m = 2595 log10(1 + f / 700), that of HTK. A frame lies within the
    recording: T = floor((S - W) / h) + 1; a recording shorter than a frame is followed by silence, and has one.

    Shapes: s (S,), x (T, mels). torchaudio's MelSpectrogram with its defaults, `center` off, and the logarithm taken;
    librosa has Slaney's mel scale and filters of equal area unless told otherwise.

    Source: Davis and Mermelstein (1980), "Comparison of parametric representations for monosyllabic word recognition",
    there with a cosine transform after; Young et al. (2006), "The HTK book", section 5.4, whose triangles are straight
    in mels, and here in hertz.
    """

    mels: PositiveInt = 40
    """Bands of frequencies, D."""
    window: Annotated[float, Field(gt=0, le=1000)] = 25.0
    """Duration of a frame, in milliseconds."""
    hop: Positive = 10.0
    """From the beginning of a frame to that of the next, in milliseconds."""
    low: NonNegative = 0.0
    """Where the lowest band begins, in hertz."""
    high: Positive | None = None
    """Where the highest band ends, in hertz; left out, at half of the rate, the highest frequency that there is."""
    floor: Annotated[float, Field(gt=0, le=1)] = 1e-6
    """Energy below which all counts as silence; that of a frame of white noise with amplitude 1 is some hundreds."""

    has_frequencies = True
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "n_mels": "mels",
        "num_mel_bins": "mels",
        "num_mels": "mels",
        "bands": "mels",
        "frame_length": "window",
        "win_length": "window",
        "n_fft": "window",
        "frame_shift": "hop",
        "hop_length": "hop",
        "fmin": "low",
        "f_min": "low",
        "fmax": "high",
        "f_max": "high",
    }

    @model_validator(mode="after")
    def _bands_rise(self) -> Self:
        if self.high is not None and self.high <= self.low:
            raise PydanticCustomError("nnctl", f"high must be > low {self.low:g}. Got {self.high:g}.")
        return self

    @property
    def width(self) -> int:
        """The bands."""
        return self.mels

    def steps(self, samples: int, rate: int) -> int:
        """Return how many frames lie within the recording; 1 at least."""
        window, hop = self.samples_of(rate)
        return max(0, samples - window) // hop + 1

    def samples_of(self, rate: int) -> tuple[int, int]:
        """Return how many samples a frame has, and how many lie between the beginnings of two frames."""
        return max(1, round(self.window * rate / 1000)), max(1, round(self.hop * rate / 1000))

    def of(self, wave: Float, rate: int) -> Float:
        """Return the spectrogram (T, mels)."""
        window, hop = self.samples_of(rate)
        if len(wave) < window:
            wave = np.concatenate([wave, np.zeros(window - len(wave), wave.dtype)])
        frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop] * _hann(window).astype(wave.dtype)
        filters = self.filters(rate)
        spectrum = np.fft.rfft(frames, 2 * (filters.shape[1] - 1))
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        # A sparse product, since a bin lies in two filters; its bits do not depend on the threads of BLAS.
        energy = filters.astype(wave.dtype) @ power.T
        return np.asarray(np.log(np.maximum(energy.T, wave.dtype.type(self.floor))))

    def filters(self, rate: int) -> csr_array:
        """Return the weights of the bands, (mels, F / 2 + 1).

        Raises
        ------
        DataError
            A band holds no frequency that frames of such a duration tell from others, or ends above half of the rate.
        """
        window, _ = self.samples_of(rate)
        return _filters(self.mels, self.low, self.high, rate, 1 << (window - 1).bit_length())


@lru_cache(maxsize=8)
def _hann(window: int) -> Float:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)


@lru_cache(maxsize=8)
def _filters(count: int, low: float, high: float | None, rate: int, points: int) -> csr_array:
    from scipy.sparse import csr_array  # noqa: PLC0415 - only sound needs it

    top = rate / 2 if high is None else high
    where = "data.source.features.log_mel"
    if not low < top <= rate / 2:
        raise DataError(
            f"{where}: bands from {low:g} to {top:g} Hz, and of recordings at {rate:,} Hz frequencies below "
            f"{rate / 2:g} Hz are known. Lower low and high."
        )
    refuse_too_large(5 * 8 * count * points, f"{where}: {count:,} bands of {points // 2:,} frequencies")
    weights: Array = filter_bank(count, low, top, np.arange(points // 2 + 1) * rate / points)
    empty = np.flatnonzero(weights.sum(axis=1) == 0)
    if len(empty):
        raise DataError(
            f"{where}: band {empty[0] + 1} of {count} is so narrow that no frequency lies in it: frames know those "
            f"that are {rate / points:.3g} Hz from each other. Take fewer mels or a longer window."
        )
    return csr_array(weights)
