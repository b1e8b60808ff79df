"""The usual suspects: what a wrong gradient most likely is, told by its ratio to the right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isclose, isfinite, prod

from nnctl.core.arrays import Shape
from nnctl.nn.dropout import Dropout
from nnctl.nn.layout import Layout

__all__ = ["Sizes", "suspect"]

_CONSTANTS = {
    -1.0: "a sign: the gradient points the other way",
    2.0: "a factor of two, as of a square whose derivative lost its 1/2",
    0.5: "a factor of one half: the 2 of a square's derivative is missing",
    -2.0: "a sign and a factor of two",
}


@dataclass(frozen=True)
class Sizes:
    """The numbers that turn up as the ratio of a wrong gradient to the right one.

    Parameters
    ----------
    counts : mapping of str to int
        What sums and means run over, by what they count: ``{"rows": 32}``.
    kept : tuple of float
        The shares that the network's dropout layers keep.
    """

    counts: Mapping[str, int]
    kept: tuple[float, ...] = field(default=())

    @classmethod
    def of(cls, layout: Layout, rows: int) -> Sizes:
        """Return those of a network on a batch of that many rows."""
        counts = {"rows": rows, "outputs": prod(layout.out_shape)}
        for row in layout.rows:
            counts |= _of_shape(row.in_shape, rows)
        return cls(counts, tuple(1 - row.layer.rate for row in layout.rows if isinstance(row.layer, Dropout)))


def _of_shape(shape: Shape, rows: int) -> dict[str, int]:
    found = {f"{shape[-1]} features": shape[-1]} if shape else {}
    if len(shape) > 1:
        positions = prod(shape[:-1])
        found |= {"positions": positions, "rows and positions": rows * positions}
    return found


def suspect(analytic: float, ratio: float | None, sizes: Sizes) -> str:
    """Return what a gradient most likely suffers from; "" where nothing in particular comes to mind.

    Parameters
    ----------
    analytic : float
        The entry that is most wrong, by the gradient.
    ratio : float or None
        That to the entry by differences; None where this is zero.
    sizes : Sizes
    """
    if not isfinite(analytic):
        return "memory that backward never wrote to, or a division by zero: the gradient is not finite"
    if ratio is None:
        return "a term too many: differences find no dependence where the gradient tells one"
    if abs(ratio) < 1e-6:
        return "a missing term: the gradient is zero where the loss does depend on it"
    for value, words in _CONSTANTS.items():
        if isclose(ratio, value, rel_tol=1e-3):
            return words
    for kept in sizes.kept:
        if isclose(ratio, kept, rel_tol=1e-3):
            return f"dropout's scale: 1/{kept:g}, which makes up for what is dropped, is missing in backward"
        if isclose(ratio, 1 / kept, rel_tol=1e-3):
            return f"dropout's scale: 1/{kept:g} was applied once too often in backward"
    for what, count in sizes.counts.items():
        if count > 1 and isclose(ratio, count, rel_tol=1e-3):
            return f"a mean over the {what} that was forgotten: the ratio is {count}"
        if count > 1 and isclose(ratio, 1 / count, rel_tol=1e-3):
            return f"a mean over the {what} taken once too often: the ratio is 1/{count}"
    return ""
