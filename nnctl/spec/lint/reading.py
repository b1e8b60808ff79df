"""A spec as the rules of lint read it: the architecture unrolled, and where everything stands in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from nnctl.core.mistakes import Loc
from nnctl.nn.activations import Activation, Linear
from nnctl.nn.attention import Attention
from nnctl.nn.compose import Repeat, Residual, Sequential
from nnctl.nn.conv import Kernel
from nnctl.nn.dense import Dense
from nnctl.nn.dropout import Dropout
from nnctl.nn.embedding import Embedding, TiedEmbedding
from nnctl.nn.layer import Layer
from nnctl.nn.norm import BatchNorm, Normalization
from nnctl.nn.parallel import Parallel
from nnctl.nn.recurrent import Recurrent
from nnctl.nn.shape import Flatten, Reshape
from nnctl.nn.transformer import TransformerBlock
from nnctl.optim.clock import Clock, Length, steps_in
from nnctl.spec.load import LoadedSpec
from nnctl.spec.model import DEFAULT_EPOCHS, Spec

__all__ = ["Block", "Placed", "Reading", "Sizes"]

MIXERS = (Dense, Kernel, Recurrent, Attention, Embedding, TransformerBlock, TiedEmbedding, Parallel)
"""Layers that begin a block."""
STRAIGHT = (Linear, Dropout, BatchNorm, Flatten, Reshape)
"""Layers between two linear maps that leave them one linear map, in inference."""
NOMINAL_STEPS = 1000
"""Steps of an epoch where the data are not at hand; shares of the training come out the same for any large number."""


@dataclass(frozen=True)
class Sizes:
    """What only the data tell: numbers in a row, outputs of the network, rows of the training part."""

    inputs: int
    outputs: int
    rows: int


@dataclass(frozen=True)
class Placed:
    """A layer that is no composite, the keys of the spec that lead to it, and whether a residual goes around it."""

    layer: Layer
    path: Loc
    is_bypassed: bool


@dataclass(frozen=True)
class Block:
    """A layer that mixes its inputs, with all that follows it up to the next such layer.

    Parameters
    ----------
    mixer : Placed
        A dense layer, a convolution, a recurrent layer, attention, or a composite that is not looked into.
    after : tuple of Placed
        Activations, normalizations, dropout, pooling, in their order.
    fan_in : int or None
        The width of the dense layer before; None where only the data know it, or where that is none.
    """

    mixer: Placed
    after: tuple[Placed, ...]
    fan_in: int | None

    @property
    def kernel(self) -> Dense | Kernel | None:
        """The layer, where it is one linear map with an init of its own: dense or a convolution."""
        return self.mixer.layer if isinstance(self.mixer.layer, Dense | Kernel) else None

    @property
    def units(self) -> int | None:
        """The width of a dense layer; None for another, or where only the data know it."""
        units = self.mixer.layer.units if isinstance(self.mixer.layer, Dense) else None
        return units if isinstance(units, int) else None

    @property
    def activations(self) -> tuple[Placed, ...]:
        """Its activations, `linear` left out."""
        return tuple(p for p in self.after if isinstance(p.layer, Activation) and not isinstance(p.layer, Linear))

    @property
    def activation(self) -> Placed | None:
        """Its first activation."""
        return next(iter(self.activations), None)

    @property
    def is_normed(self) -> bool:
        """Whether a normalization sets the scale of its outputs anew."""
        return any(isinstance(placed.layer, Normalization) for placed in self.after)

    @property
    def is_linear(self) -> bool:
        """Whether it bends nothing: a linear map, and then nothing but what leaves lines straight."""
        return self.kernel is not None and all(isinstance(placed.layer, STRAIGHT) for placed in self.after)


@dataclass(frozen=True)
class Reading:
    """A loaded spec, and the sizes of its data where they are at hand; of the network one chain of layers.

    Parameters
    ----------
    loaded : LoadedSpec
    sizes : Sizes or None
    branch : tuple of Placed or None
        The layers of a branch within a composite; None for the architecture itself.
    ends : bool
        Whether the outputs of the network come out of the chain.
    """

    loaded: LoadedSpec
    sizes: Sizes | None = None
    branch: tuple[Placed, ...] | None = None
    ends: bool = True

    @property
    def spec(self) -> Spec:
        """The spec."""
        return self.loaded.spec

    def where(self, *path: str | int) -> str:
        """Return the file, the line and the dotted path of a key: ``spec.yaml:12 optimizer.adam.lr``."""
        document = self.loaded.document
        place = document.locate(path)
        dotted = ".".join(map(str, path))
        if place.line is not None:
            return f"{Path(document.source).name}:{place.line} {dotted}"
        return f"command line {dotted}" if place.text is not None else dotted

    # ------------------------------------------------------------------ the architecture

    @cached_property
    def layers(self) -> tuple[Placed, ...]:
        """Every layer that is no composite, in the order in which the data run through; repetitions written out."""
        if self.branch is not None:
            return self.branch
        return tuple(_unrolled(self.spec.architecture, ("architecture",), is_bypassed=False))

    @cached_property
    def branches(self) -> tuple[Reading, ...]:
        """The chains within its layers, and those within them: what stands side by side, or between tied embeddings."""
        found: list[Reading] = []
        last = self.output.mixer if self.output else None
        for placed in self.layers:
            for chain in _chains(placed):
                ends = placed is last and isinstance(placed.layer, Parallel)
                inner = Reading(self.loaded, self.sizes, chain, ends)
                found += [inner, *inner.branches]
        return tuple(found)

    @property
    def everywhere(self) -> tuple[Placed, ...]:
        """Every layer that is no composite, those of the branches too."""
        return (*self.layers, *(placed for inner in self.branches for placed in inner.layers))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Every layer that mixes its inputs, with what follows it."""
        places = [i for i, placed in enumerate(self.layers) if isinstance(placed.layer, MIXERS)]
        found: list[Block] = []
        for i, end in pairwise([*places, len(self.layers)]):
            if not found:
                fan_in = self.sizes.inputs if self.sizes and self.branch is None else None
            else:
                reshaped = any(isinstance(placed.layer, Flatten | Reshape) for placed in found[-1].after)
                fan_in = None if reshaped else found[-1].units
            found.append(Block(self.layers[i], self.layers[i + 1 : end], fan_in))
        return tuple(found)

    @property
    def hidden(self) -> tuple[Block, ...]:
        """All blocks but the one that the outputs come from."""
        return self.blocks[:-1] if self.ends else self.blocks

    @property
    def output(self) -> Block | None:
        """The block that the outputs come from."""
        return self.blocks[-1] if self.blocks and self.ends else None

    def following(self, kind: type[Layer]) -> Iterator[tuple[Placed, Placed | None]]:
        """Yield every layer of a kind with the one right before it; dropout of rate 0 is not there."""
        there = [p for p in self.layers if not (isinstance(p.layer, Dropout) and p.layer.rate == 0)]
        for before, placed in zip([None, *there], there, strict=False):
            if isinstance(placed.layer, kind):
                yield placed, before

    # ------------------------------------------------------------------ how long it trains

    @property
    def epochs(self) -> float | None:
        """How many epochs there are; None where the spec says steps and the data are not at hand."""
        training = self.spec.training
        if training.steps is None:
            return training.epochs or DEFAULT_EPOCHS
        return training.steps / self.clock.steps_per_epoch if self.sizes else None

    @property
    def clock(self) -> Clock:
        """How long the training is; with a nominal number of steps an epoch where the data are not at hand."""
        training = self.spec.training
        rows = self.sizes.rows if self.sizes else None
        if training.batch_size == "full":
            an_epoch = 1
        elif rows is None:
            an_epoch = NOMINAL_STEPS
        else:
            an_epoch = -(-rows // min(rows, training.batch_size * training.accumulate))
        return Clock(training.steps or (training.epochs or DEFAULT_EPOCHS) * an_epoch, an_epoch)

    def share(self, length: Length) -> float | None:
        """Return a length as a share of the training; None where only the data know it."""
        if isinstance(length, float):
            return length
        in_steps = isinstance(length, str) and "step" in length
        is_known = self.sizes is not None or self.spec.training.batch_size == "full"
        if not is_known and in_steps != (self.spec.training.steps is not None):
            return None
        return steps_in(length, self.clock) / self.clock.total_steps


def _chains(placed: Placed) -> Iterator[tuple[Placed, ...]]:
    """Yield the chains of layers within a layer that is not written out."""
    layer, path = placed.layer, (*placed.path, "layers")
    if isinstance(layer, Parallel):
        for i, branch in enumerate(layer.layers):
            yield tuple(_unrolled([branch], path, is_bypassed=placed.is_bypassed, first=i))
    elif isinstance(layer, TiedEmbedding):
        yield tuple(_unrolled(layer.layers, path, is_bypassed=placed.is_bypassed))


def _unrolled(layers: Sequence[Layer], path: Loc, *, is_bypassed: bool, first: int = 0) -> Iterator[Placed]:
    for i, layer in enumerate(layers, first):
        here = (*path, i, layer.name)
        if isinstance(layer, Sequential) and not isinstance(layer, MIXERS):
            times = layer.times if isinstance(layer, Repeat) else 1
            bypassed = is_bypassed or isinstance(layer, Residual)
            for _ in range(times):
                yield from _unrolled(layer.layers, (*here, "layers"), is_bypassed=bypassed)
        else:
            yield Placed(layer, here, is_bypassed)
