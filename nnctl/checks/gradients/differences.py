"""A gradient against central differences: along random directions, and for single entries.

A function f of an array x is moved along v by a small step h to both sides,

    f'(x) v  ~  D(h) = (f(x + h v) - f(x - h v)) / 2h,

and D(h) must be the product <g, v> of the gradient g with v. Eight Gaussian directions v feel every entry of g: the
norm of the eight misses estimates that of the whole error (Johnson and Lindenstrauss, 1984).

Three things part D(h) from a right gradient, and none is an error:

rounding
    f is known to some digits only, which the division by h makes coarser, and so is g. It is measured, by moving all
    arrays by one unit in the last place, and what it explains is not counted.
curvature
    D(h) is off by h² f'''/6. Richardson extrapolation, R(h) = (4 D(h/2) - D(h)) / 3, takes that term away.
corners
    Where x + h v and x - h v lie on different branches of f (a rectifier's input changes its sign), D(h) mixes two
    derivatives. A smaller step may stay on one branch; if none does, the direction is counted as a kink.

Source: central differences and their extrapolation: Ridders (1982), "Accurate computation of F'(x) and F'(x) F''(x)",
who also chooses among steps by the estimated error; corners: Karpathy, notes to the course CS231n, "Gradient checks".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.random import stream

__all__ = ["FAIL", "PASS", "Comparison", "Derivative", "Evaluation", "Ruler", "Tensor", "jittered"]

PASS, FAIL = 1e-7, 1e-4
"""The relative error below which a tensor passes, and from which on it fails."""
DIRECTIONS = 8
SMALL = 16
"""Up to this many entries, each is measured by itself."""
STEP = 1e-5
"""h, in units of the tensor's scale."""
OTHER_STEPS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
"""Tried with extrapolation where the plain difference misses, until rounding alone leaves doubt: wide ones lose fewer
digits, narrow ones meet fewer corners."""
_SURE = 12.0
"""Standard deviations of the rounding that are not counted: six of an extrapolated difference, which doubles them."""
_JITTERS = 8


class Evaluation(NamedTuple):
    """What a function came to: its value as addends, so that differences lose no digits, and the branches it took."""

    addends: Float
    branches: tuple[Array, ...] = ()


@dataclass(frozen=True)
class Tensor:
    """An array that the function reads, and its gradient as it is to be checked.

    Parameters
    ----------
    name : str
    x : array
        The function's own memory; it is moved and put back.
    gradient : array, as x
    least : float
        The scale of an array whose entries are smaller, such as biases that start at zero.
    rounding : float
        How far its gradient moves, in norm, when every entry moves by a unit in its last place. A gradient that is
        truly zero, such as that of a bias before batch norm, is computed as a sum that is zero but for this.
    """

    name: str
    x: Float
    gradient: Float
    least: float = 1.0
    rounding: float = 0.0

    @property
    def scale(self) -> float:
        """The size of its entries, by which steps are measured: their root mean square, or `least`."""
        size = sqrt(float(np.mean(np.square(self.x)))) if self.x.size else 0.0
        return max(size, self.least)


class Derivative(NamedTuple):
    """One derivative: by differences, by the gradient, and the part of their distance that rounding leaves open."""

    numeric: float
    analytic: float
    miss: float
    kink: bool = False


@dataclass(frozen=True)
class Comparison:
    """What came of one tensor.

    Parameters
    ----------
    error : float
        The relative error in norm, the worse of directions and single entries.
    kinks : int
        Derivatives that lie on a corner and are not judged.
    judged : int
        Derivatives that are.
    index : tuple of int or None
        The entry that is most wrong, where the tensor does not pass.
    numeric, analytic : float
        Its derivative by differences and by the gradient.
    ratio : float or None
        analytic / numeric: in all directions where it is the same in all, else that of the entry.
    everywhere : bool
        Whether the ratio is the same in all directions.
    """

    error: float
    kinks: int
    judged: int
    index: tuple[int, ...] | None = None
    numeric: float = 0.0
    analytic: float = 0.0
    ratio: float | None = None
    everywhere: bool = False


class _Attempt(NamedTuple):
    value: float
    rounding: float
    doubt: float
    smooth: bool


class Ruler:
    """Measures the derivatives of a function by differences.

    Parameters
    ----------
    evaluate : callable
        Evaluates the function on the tensors as they are, and returns arrays that the next call does not overwrite; the
        same tensors give the same bits.
    tensors : sequence of Tensor
    seed : int
        Seed of the directions.
    """

    def __init__(self, evaluate: Callable[[], Evaluation], tensors: Sequence[Tensor], seed: int = 0) -> None:
        self.evaluate = evaluate
        self.tensors = tuple(tensors)
        self.seed = seed
        self.centre = evaluate()
        self.rounding = self._measured_rounding()

    def compare(self, tensor: Tensor) -> Comparison:
        """Return how far the gradient of a tensor is from its differences."""
        length = tensor.scale * float(np.linalg.norm(tensor.gradient))  # the rms of <g, v> over Gaussian v
        along = [self._along(tensor, self._direction(tensor, k), length) for k in range(DIRECTIONS)]
        entries: list[Derivative] = []
        if tensor.x.size <= SMALL:
            each = length / sqrt(max(tensor.x.size, 1))
            entries = [self._along(tensor, self._axis(tensor, i), each) for i in range(tensor.x.size)]
        error = max(_relative(along), _relative(entries))
        judged = [derivative for derivative in (*along, *entries) if not derivative.kink]
        kinks = len(along) + len(entries) - len(judged)
        if error < PASS:
            return Comparison(error, kinks, len(judged))
        if entries:
            i = max(range(len(entries)), key=lambda i: entries[i].miss)
        else:
            k = max(range(DIRECTIONS), key=lambda k: along[k].miss)
            i = self._worst_entry(tensor, self._direction(tensor, k))
        axis = self._axis(tensor, i)
        worst = self._along(tensor, axis, 0.0)
        ratio = _common_ratio(judged)
        everywhere = ratio is not None
        if ratio is None and abs(worst.numeric) > 1e-9 * abs(worst.analytic):
            ratio = worst.analytic / worst.numeric
        index = tuple(int(k) for k in np.unravel_index(i, tensor.x.shape))
        scale = tensor.scale
        return Comparison(
            error, kinks, len(judged), index, worst.numeric / scale, worst.analytic / scale, ratio, everywhere
        )

    # ------------------------------------------------------------------ one derivative

    def _along(self, tensor: Tensor, v: Float, typical: float) -> Derivative:
        """Return the derivative along v; `typical` is what those of this tensor are like."""
        analytic = float(np.vdot(tensor.gradient, v))
        plain = self._difference(tensor, v, STEP)
        miss = abs(plain.value - analytic)
        if miss == 0 or (miss <= 0.2 * PASS * typical and plain.rounding <= 1e-3 * typical):
            return Derivative(plain.value, analytic, miss)
        best: _Attempt | None = None
        for h in OTHER_STEPS:
            attempt = self._extrapolated(tensor, v, h)
            if attempt.smooth and (best is None or attempt.doubt < best.doubt):
                best = attempt
            if best is not None and best.doubt <= max(2 * best.rounding, 0.1 * PASS * typical):
                break
        if best is None:
            return Derivative(plain.value, analytic, 0.0, kink=True)
        miss = abs(best.value - analytic) - best.rounding - _SURE * tensor.rounding * tensor.scale
        return Derivative(best.value, analytic, max(miss, 0.0) if isfinite(miss) else inf)

    def _extrapolated(self, tensor: Tensor, v: Float, h: float) -> _Attempt:
        whole, half = self._difference(tensor, v, h), self._difference(tensor, v, h / 2)
        value = (4 * half.value - whole.value) / 3
        doubt = abs(value - half.value) + whole.rounding
        return _Attempt(value, whole.rounding, doubt if isfinite(doubt) else inf, whole.smooth and half.smooth)

    def _difference(self, tensor: Tensor, v: Float, h: float) -> _Attempt:
        start = tensor.x.copy()
        try:
            np.add(start, h * v, out=tensor.x)
            above = self.evaluate()
            np.subtract(start, h * v, out=tensor.x)
            below = self.evaluate()
            smooth = _alike(above.branches, self.centre.branches) and _alike(below.branches, self.centre.branches)
            value = float(np.sum(above.addends - below.addends)) / (2 * h)
        finally:
            tensor.x[...] = start
        return _Attempt(value, _SURE * self.rounding / h, 0.0, smooth)

    # ------------------------------------------------------------------ single entries

    def _worst_entry(self, tensor: Tensor, v: Float) -> int:
        """Return the entry to blame for a direction that misses: it is halved until one entry is left."""
        entries = np.arange(v.size)

        def miss(part: Array) -> float:
            along = np.zeros_like(v)
            along.flat[part] = v.flat[part]
            found = abs(self._difference(tensor, along, STEP).value - float(np.vdot(tensor.gradient, along)))
            return found if isfinite(found) else inf

        while len(entries) > 1:
            entries = max(np.array_split(entries, 2), key=miss)
        return int(entries[0])

    def _direction(self, tensor: Tensor, k: int) -> Float:
        return stream(self.seed, f"gradcheck/{tensor.name}", k).normal(0, tensor.scale, tensor.x.shape)

    def _axis(self, tensor: Tensor, i: int) -> Float:
        axis = np.zeros(tensor.x.shape)
        axis.flat[i] = tensor.scale
        return axis

    # ------------------------------------------------------------------ rounding

    def _measured_rounding(self) -> float:
        """Return the standard deviation of the function when every entry moves by a unit in its last place."""
        squares = 0.0
        arrays = [tensor.x for tensor in self.tensors]
        for k in range(_JITTERS):
            with jittered(arrays, k):
                moved = float(np.sum(self.evaluate().addends - self.centre.addends))
            squares += moved * moved
        least = float(np.finfo(np.float64).eps * np.linalg.norm(self.centre.addends))
        return max(sqrt(squares / _JITTERS), least)


@contextmanager
def jittered(arrays: Sequence[Float], k: int) -> Iterator[None]:
    """Move every entry of some arrays by a unit in its last place, up or down, and put them back; k counts the ways."""
    rng = stream(k, "gradcheck/rounding")
    starts = [a.copy() for a in arrays]
    try:
        for a, start in zip(arrays, starts, strict=True):
            a[...] = start * (1 + np.finfo(np.float64).eps * rng.choice([-1, 1], start.shape))
        yield
    finally:
        for a, start in zip(arrays, starts, strict=True):
            a[...] = start


def _alike(a: Sequence[Array], b: Sequence[Array]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))


def _relative(derivatives: Sequence[Derivative]) -> float:
    judged = [derivative for derivative in derivatives if not derivative.kink]
    miss = _norm([derivative.miss for derivative in judged])
    if miss == 0:
        return 0.0
    size = max(_norm([d.numeric for d in judged]), _norm([d.analytic for d in judged]))
    return miss / size if isfinite(miss) and isfinite(size) else inf


def _norm(values: Sequence[float]) -> float:
    return sqrt(sum(value * value for value in values))


def _common_ratio(derivatives: Sequence[Derivative]) -> float | None:
    """Return the one factor between gradient and differences, or None where there is none."""
    numeric, analytic = (np.array([d[k] for d in derivatives]) for k in (0, 1))
    square = float(numeric @ numeric)
    if not isfinite(square) or square == 0 or len(derivatives) < 2:
        return None
    ratio = float(numeric @ analytic) / square
    rest = float(np.linalg.norm(analytic - ratio * numeric))
    return ratio if rest <= 1e-3 * max(abs(ratio), 1e-3) * sqrt(square) else None
