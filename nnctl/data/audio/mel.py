"""The mel scale, on which equal steps sound equally far apart, and the filters that follow it."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Float

__all__ = ["filter_bank", "hertz", "mels"]


def mels(frequency: float | Float) -> Float:
    """Return hertz in mels: ``m = 2595 log10(1 + f / 700)``.

    Source: O'Shaughnessy (1987), "Speech communication"; Young et al. (2006), "The HTK book", eq. 5.13.
    """
    return np.asarray(2595 * np.log10(1 + frequency / 700))


def hertz(mel: Float) -> Float:
    """Return mels in hertz, the inverse of `mels`."""
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def filter_bank(count: int, low: float, high: float, frequencies: Float) -> Float:
    """Return the weights of triangular filters, (count, bins).

    Their corners c_0 < c_1 < ... lie at equal distances in mels from `low` to `high`. Filter k rises from 0 at c_k
    straight to 1 at c_k+1 and falls to 0 at c_k+2, straight in hertz.

    Parameters
    ----------
    count : int
    low, high : float
        Where the first filter begins and the last one ends, in hertz.
    frequencies : float array (bins,)
        Those of the bins, in hertz.
    """
    corners = hertz(np.linspace(float(mels(low)), float(mels(high)), count + 2))[:, None]
    rising = (frequencies - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - frequencies) / (corners[2:] - corners[1:-1])
    return np.maximum(0, np.minimum(rising, falling))
