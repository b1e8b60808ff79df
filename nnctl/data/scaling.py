"""Scaling: maps every feature to a range that gradient descent likes.

Every scaling ends as one affine map, ``x' = (x - center) / scale``, fitted on the training part only and kept with the
run. A constant feature has nothing to divide by; its scale is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import Component, Items
from nnctl.data.table import blocks

__all__ = ["Affine", "Channels", "MinMax", "NoScaling", "Pixels", "Robust", "Scaling", "Standard"]

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Affine:
    """The map ``x' = (x - center) / scale``, feature by feature.

    Parameters
    ----------
    center, scale : float64 array
        Of the shape of one row of x, or of shape () where all features share them.
    """

    center: Float
    scale: Float

    @property
    def is_identity(self) -> bool:
        """Whether x' = x."""
        return not np.any(self.center) and bool(np.all(self.scale == 1))

    def apply(self, x: Array, rows: Array | None = None, dtype: DTypeLike = np.float32) -> Float:
        """Return the chosen rows of x, mapped, in a new array of `dtype`.

        The arithmetic runs in float64 where x or `dtype` has more digits than float32, block by block, so that neither
        precision is lost nor a float64 copy of a large set ever exists.
        """
        exact = np.result_type(x.dtype, dtype, np.float32)
        center, scale = self.center.astype(exact), self.scale.astype(exact)
        out = np.empty((len(x) if rows is None else len(rows), *x.shape[1:]), dtype)
        start = 0
        for block in blocks(x, rows):
            stop = start + len(block)
            out[start:stop] = block if self.is_identity else (block - center) / scale
            start = stop
        return out

    def invert(self, x: Array) -> Float:
        """Return ``x' * scale + center`` in float64: the original units."""
        return x * self.scale + self.center

    def except_where(self, untouched: Array) -> Affine:
        """Return the map that leaves the features marked in `untouched`, bool (D,), as they are."""
        return Affine(np.where(untouched, 0.0, self.center), np.where(untouched, 1.0, self.scale))

    def spread(self, shape: Shape) -> Affine:
        """Return the same map with a center and a scale of its own for every feature of a row of that shape."""
        return Affine(np.broadcast_to(self.center, shape), np.broadcast_to(self.scale, shape))

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON values; ``from_plain`` gives back the same bits."""
        return {"center": self.center.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``to_plain`` was given."""
        return cls(np.asarray(plain["center"], np.float64), np.asarray(plain["scale"], np.float64))


class Scaling(Component, family="scaling"):
    """How a feature is shifted and stretched, ``x' = (x - center) / scale``."""

    def fit(self, x: Array, rows: Array | None = None) -> Affine:
        """Learn center and scale from the chosen rows of x, shape (N, ...); statistics run over the rows."""
        raise NotImplementedError


class Standard(Scaling, name="standard"):
    """Zero mean and unit variance: ``x' = (x - mean) / std``.

    The standard deviation is that of the population (divided by N), as in scikit-learn's StandardScaler, which it
    equals; sums run in float64 and in two passes (Chan, Golub and LeVeque, 1983).
    """

    def fit(self, x: Array, rows: Array | None = None) -> Affine:
        """Learn the mean and the standard deviation of every feature."""
        return _standardizing(x, rows, (0,))


def _standardizing(x: Array, rows: Array | None, axes: tuple[int, ...]) -> Affine:
    """Return the map to mean 0 and variance 1, both taken over some axes, the first of which is that of the rows."""
    n = (len(x) if rows is None else len(rows)) * prod(x.shape[axis] for axis in axes[1:])
    mean = sum(block.sum(axes, dtype=np.float64) for block in blocks(x, rows)) / n
    var = sum(np.square(block - mean).sum(axes) for block in blocks(x, rows)) / n
    # A feature is constant where its variance is no more than the rounding error of computing it.
    constant = var <= n * EPS * var + np.square(n * mean * EPS)
    first = 0 if rows is None else int(rows[0])
    value = x[first : first + 1].mean(axes, dtype=np.float64)  # the mean of 1e30s misses 1e30 by 1e14
    return Affine(np.where(constant, value, mean), np.where(constant, 1.0, np.sqrt(var)))


class MinMax(Scaling, name="minmax"):
    """The training part's minimum and maximum become the ends of `range`: ``x' = a + (b - a) (x - min) / (max - min)``.

    Equal to scikit-learn's MinMaxScaler. Every feature has its own minimum; for images `pixels` is what one wants.
    """

    range: Annotated[Items[float], Field(min_length=2, max_length=2)] = (0.0, 1.0)
    """The two ends [a, b] of the new range, a < b."""

    @model_validator(mode="after")
    def _range_rises(self) -> Self:
        a, b = self.range
        if not a < b:
            raise PydanticCustomError("nnctl", f"range must rise. Got [{a:g}, {b:g}].")
        return self

    def fit(self, x: Array, rows: Array | None = None) -> Affine:
        """Learn the minimum and the maximum of every feature."""
        low = np.min([block.min(0) for block in blocks(x, rows)], axis=0).astype(np.float64)
        high = np.max([block.max(0) for block in blocks(x, rows)], axis=0).astype(np.float64)
        span = np.where(high - low < 10 * EPS, 1.0, high - low)
        a, b = self.range
        scale = span / (b - a)
        return Affine(low - a * scale, scale)


class Robust(Scaling, name="robust"):
    """Median and interquartile range, which outliers hardly move: ``x' = (x - median) / (q75 - q25)``.

    scikit-learn's RobustScaler, with which it is computed.
    """

    def fit(self, x: Array, rows: Array | None = None) -> Affine:
        """Learn the median and the interquartile range of every feature."""
        from sklearn.preprocessing import RobustScaler  # noqa: PLC0415 - a second to import, and only needed here

        chosen = (x if rows is None else x[rows]).astype(np.float64, copy=False)
        scaler = RobustScaler().fit(chosen.reshape(len(chosen), -1))
        shape = x.shape[1:]
        return Affine(scaler.center_.reshape(shape), scaler.scale_.reshape(shape))


class Channels(Scaling, name="channels"):
    """Zero mean and unit variance of every channel, over all pixels of the training part: ``x' = (x - mean) / std``.

    The last axis of images (N, H, W, C) holds their channels. Rows of any other shape, such as grey images laid end to
    end, are one channel, with one mean and one standard deviation for all of their values. So the pixels of an image
    stay comparable, where `standard` scales each by itself.
    """

    def fit(self, x: Array, rows: Array | None = None) -> Affine:
        """Learn the mean and the standard deviation of every channel."""
        return _standardizing(x, rows, tuple(range(x.ndim - 1)) if x.ndim == 4 else tuple(range(x.ndim)))


class Pixels(Scaling, name="pixels"):
    """Grey values 0 to `white` become 0 to 1: ``x' = x / white``, the same for every pixel."""

    white: Annotated[float, Field(gt=0)] = 255.0
    """The value of a white pixel: 255 for 8-bit images, 16 for scikit-learn's digits."""

    def fit(self, x: Array, rows: Array | None = None) -> Affine:  # noqa: ARG002 - nothing is learned
        """Return the same map whatever the data."""
        return Affine(np.zeros(()), np.asarray(self.white, np.float64))


class NoScaling(Scaling, name="none"):
    """The data as they are: ``x' = x``."""

    def fit(self, x: Array, rows: Array | None = None) -> Affine:  # noqa: ARG002 - nothing is learned
        """Return the identity."""
        return Affine(np.zeros(()), np.ones(()))
