"""Preset: layers that are named together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator

from nnctl.core.arrays import Shape
from nnctl.nn.compose import Chain, Sequential, chain
from nnctl.nn.layer import Layer, Part

__all__ = ["Preset", "written_out"]


class Preset(Chain):
    """Layers that are named together. When a spec is read, they take the place of the preset."""

    @abstractmethod
    def layers(self) -> Iterator[Layer]:
        """Yield the layers that it stands for."""

    def vocabulary(self) -> int | None:
        """Return how many tokens the first layer takes, where it takes tokens."""
        return next(self.layers()).vocabulary()

    def chained(self, shape: Shape) -> tuple[tuple[Part, ...], Shape]:
        """Return its layers as parts, and the shape that leaves the last."""
        return chain(tuple(self.layers()), shape)


def written_out(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return the layers with those of every preset in its place; within other layers they are a sequential."""
    found: list[Layer] = []
    for layer in layers:
        found += layer.layers() if isinstance(layer, Preset) else (_without_presets(layer),)
    return tuple(found)


def _without_presets(layer: Layer) -> Layer:
    if isinstance(layer, Preset):
        return Sequential(layers=tuple(layer.layers()))
    within = {
        name: tuple(map(_without_presets, value))
        for name, value in layer
        if isinstance(value, tuple) and all(isinstance(part, Layer) for part in value)
    }
    return layer.model_copy(update=within) if within else layer
