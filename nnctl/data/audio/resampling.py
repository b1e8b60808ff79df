"""From one rate to another."""

from __future__ import annotations

import math

import numpy as np

from nnctl.core.arrays import Float

__all__ = ["resampled", "samples_at"]


def samples_at(rate: int, samples: int, old_rate: int) -> int:
    """Return how many samples there are at another rate."""
    return -(-samples * rate // old_rate)


def resampled(wave: Float, up: int, down: int) -> Float:
    """Return a waveform (S,) with `up` samples for every `down`, float32 (ceil(S up / down),).

    The samples of one rate are those of a signal without frequencies above half of the lower rate, which a low-pass
    filter (a sinc under a Kaiser window) makes of it.

    Source: Crochiere and Rabiner (1981), "Interpolation and decimation of digital signals: a tutorial review", in the
    polyphase form of SciPy.
    """
    from scipy.signal import resample_poly  # noqa: PLC0415 - 0.3 s, and only sound needs it

    if up == down:
        return wave
    common = math.gcd(up, down)
    return np.asarray(resample_poly(wave, up // common, down // common), np.float32)
