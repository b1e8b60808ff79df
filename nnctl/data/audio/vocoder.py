"""The phase vocoder: sound that lasts longer or shorter at the same pitch, or has another pitch and lasts as long."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from nnctl.core.arrays import Float
from nnctl.data.audio.encoder import brought_to
from nnctl.data.audio.resampling import resampled

__all__ = ["frame_length", "shifted", "stretched"]

FRAME = 0.04
"""Duration of a frame, in seconds: long enough to part the overtones of a voice, short enough to follow it."""
OVERLAP = 4
"""Frames over every sample."""
FINEST = 200
"""The largest denominator of a ratio of pitches, which is off by less than a twentieth of a semitone so."""


def frame_length(rate: int) -> int:
    """Return the samples of a frame, a power of two, 16 at least."""
    return int(max(16, 1 << round(math.log2(FRAME * rate))))


def stretched(wave: Float, speed: float, frame: int) -> Float:
    """Return a waveform (S,) that is `speed` times as fast at the same pitch, (round(S / speed),).

    The spectra X_i of overlapping frames are taken `speed` times as far from each other as they are put back. Between
    two frames the magnitude is interpolated, and the phase goes on by as much as it does from one to the other:

    |Y_k| = (1 - a) |X_i| + a |X_i+1|,   arg Y_k+1 = arg Y_k + arg X_i+1 - arg X_i,   i + a = k speed

    Each frame is transformed back, windowed again, and added to the others.

    Parameters
    ----------
    wave : float array (S,)
    speed : float
        Above 1 it lasts shorter.
    frame : int
        Samples of a frame.

    Source: Flanagan and Golden (1966), "Phase vocoder"; Laroche and Dolson (1999), "Improved phase vocoder time-scale
    modification of audio", section I; in the form of Ellis (2002), "A phase vocoder in Matlab".
    """
    hop = frame // OVERLAP
    length = round(len(wave) / speed)
    window = np.hanning(frame + 1)[:-1].astype(wave.dtype)
    before, after = (np.zeros(n, wave.dtype) for n in (frame // 2, frame // 2 + (math.ceil(speed) + 3) * hop))
    around = np.concatenate([before, wave, after])  # so that the first frame has its middle at the first sample
    spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(around, frame)[::hop] * window)
    at = np.arange(-(-length // hop) + 1) * speed
    i = at.astype(np.intp)
    share = (at - i).astype(wave.dtype)[:, None]
    size = np.abs(spectra)
    direction = np.divide(spectra, size, out=np.ones_like(spectra), where=size > 0)
    turns = direction[i[:-1] + 1] * direction[i[:-1]].conj()
    phase = np.cumprod(np.concatenate([direction[:1], turns]), axis=0)
    frames = np.fft.irfft(((1 - share) * size[i] + share * size[i + 1]) * phase, frame) * window
    total = _overlapped(frames, hop) / np.maximum(_overlapped(np.tile(window**2, (len(frames), 1)), hop), 1e-3)
    return total[frame // 2 :][:length]


def _overlapped(frames: Float, hop: int) -> Float:
    """Return the sum of frames (K, F), each `hop` later than the one before, ((K - 1) hop + F,)."""
    count, frame = frames.shape
    total = np.zeros((count - 1) * hop + frame, frames.dtype)
    for k, each in enumerate(frames):
        total[k * hop : k * hop + frame] += each
    return total


def shifted(wave: Float, semitones: float, frame: int) -> Float:
    """Return a waveform (S,) that sounds so many semitones higher, or lower if negative, and lasts as long, (S,).

    It is stretched by the ratio of the pitches, 2^(semitones / 12), and resampled to its former duration. The ratio is
    rounded to a fraction of whole numbers up to 200.

    Source: Laroche and Dolson (1999), section II.
    """
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(FINEST)
    longer = stretched(wave, float(1 / ratio), frame)
    return brought_to(len(wave), resampled(longer, ratio.denominator, ratio.numerator))
