"""What a network holds in memory: counted in numbers of its type, before anything is allocated.

A layer says what its own buffers hold (`Layer.buffers`) and what scratch it borrows (`Layer.scratch`); a network holds
the sum of the former and the largest of the latter, for every replica.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nnctl.core.arrays import Shape

if TYPE_CHECKING:
    from nnctl.nn.layer import Layer

__all__ = ["BOOL", "INT", "Use", "borrowed", "held", "held_by_each"]

BOOL = 1 / 4
"""What a truth value takes of a float32."""
INT = 2
"""What an index takes, in float32."""


@dataclass(frozen=True)
class Use:
    """How a layer is used, as far as its memory depends on it.

    Parameters
    ----------
    rows : int
        Samples of one pass through one replica.
    training : bool
        Whether a backward pass follows.
    dx : bool
        Whether somebody reads the gradient of the input.
    padded : bool
        Whether sequences come with a mask.
    """

    rows: int
    training: bool = False
    dx: bool = True
    padded: bool = False

    @property
    def back(self) -> bool:
        """Whether the gradient of the input is computed."""
        return self.training and self.dx


def held(layer: Layer, shape: Shape, use: Use) -> int:
    """Return the numbers in the buffers of a layer and of all its parts, for samples of `shape`."""
    return sum(held_by_each(layer, shape, use))


def held_by_each(layer: Layer, shape: Shape, use: Use) -> list[int]:
    """Return the numbers in the own buffers of a layer and of each of its parts, in the order of `Layout.rows`."""
    return [each.buffers(size, seen) for each, size, seen in _walk(layer, shape, use)]


def borrowed(layer: Layer, shape: Shape, use: Use) -> int:
    """Return the numbers of the scratch that a layer and its parts share."""
    return max(each.scratch(size, seen) for each, size, seen in _walk(layer, shape, use))


def _walk(layer: Layer, shape: Shape, use: Use) -> Iterator[tuple[Layer, Shape, Use]]:
    """Yield a layer and its parts, each with what it sees; dx is read where something before it has parameters."""
    yield layer, shape, use
    read = use.dx or _has_parameters(layer, shape)
    for part in layer.parts(shape):
        yield from _walk(part.layer, part.shape, replace(use, dx=read))
        read = read or _trains(part.layer, part.shape)


def _has_parameters(layer: Layer, shape: Shape) -> bool:
    return any(param.trainable for param in layer.params(shape).values())


def _trains(layer: Layer, shape: Shape) -> bool:
    return _has_parameters(layer, shape) or any(_trains(part.layer, part.shape) for part in layer.parts(shape))
