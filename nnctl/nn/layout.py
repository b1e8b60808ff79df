"""Where every parameter lies: the plan of a network, made before anything is allocated."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nnctl.core.arrays import Shape
from nnctl.core.machine import cores
from nnctl.nn.activations import Activation
from nnctl.nn.compose import Sequential
from nnctl.nn.initializers import Auto, Initializer, Zeros
from nnctl.nn.layer import Layer, Param, ShapeError
from nnctl.nn.memory import Use, borrowed, held
from nnctl.nn.parallel import Parallel
from nnctl.nn.segment import Segment

__all__ = ["EVALUATED", "Layout", "Row", "Slot"]

EVALUATED = 1 << 22
"""Numbers that inference holds at a time, in every thread; larger blocks are no faster."""


@dataclass(frozen=True)
class Slot:
    """A parameter in its place: ``theta[start:stop]``, or ``state[start:stop]`` where it is not trained."""

    name: str
    param: Param
    init: Initializer
    start: int

    @property
    def stop(self) -> int:
        """The end of its slice."""
        return self.start + self.param.size


@dataclass(frozen=True)
class Row:
    """One layer in the architecture table."""

    path: str
    layer: Layer
    depth: int
    in_shape: Shape
    out_shape: Shape
    params: int


@dataclass(frozen=True)
class Layout:
    """Every parameter of a network in its place, kernels first, so that decay and penalties act on one slice.

    Parameters
    ----------
    layers : sequence of Layer
    shape : tuple of int
        Shape of one sample.
    init, bias_init : Initializer
        Defaults for kernels and biases whose layer names none.

    Raises
    ------
    ShapeError
        Where a layer cannot take what reaches it; `path` leads to it.
    """

    layers: tuple[Layer, ...]
    shape: Shape
    init: Initializer = field(default_factory=Auto)
    bias_init: Initializer = field(default_factory=Zeros)
    rows: tuple[Row, ...] = field(init=False)
    slots: tuple[Slot, ...] = field(init=False)

    def __post_init__(self) -> None:
        root = self.root
        try:
            rows = tuple(_walk(root, self.shape, "", 0))
        except ShapeError as error:
            error.path = error.path[1:]  # the root's own "layers" is the spec's architecture
            raise
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "slots", tuple(self._placed(rows)))

    @property
    def root(self) -> Sequential:
        """The network as one layer."""
        return Sequential(layers=self.layers)

    @property
    def out_shape(self) -> Shape:
        """Shape of the network's output for one sample."""
        return self.rows[0].out_shape

    @property
    def size(self) -> int:
        """Number of trained parameters, the length of theta."""
        return sum(slot.param.size for slot in self.slots if slot.param.trainable)

    @property
    def decayed(self) -> int:
        """Number of parameters with weight decay: theta[:decayed]."""
        return sum(slot.param.size for slot in self.slots if slot.param.decayed)

    @property
    def state_size(self) -> int:
        """Number of statistics that are kept but not trained."""
        return sum(slot.param.size for slot in self.slots if not slot.param.trainable)

    def held(self, use: Use) -> int:
        """Return the numbers in the buffers of a replica, the scratch that all layers share among them."""
        return held(self.root, self.shape, use) + borrowed(self.root, self.shape, use)

    def largest_product(self, batch: int) -> int:
        """Return the floating point operations of the layer with the largest matrix products in a forward pass.

        Layers whose work replicas share are left out: theirs are many small products.
        """
        return batch * max((row.layer.flop(row.in_shape) for row in self.rows if not row.layer.sharded), default=0)

    def flop(self, batch: int) -> int:
        """Return the floating point operations of all matrix products in a forward pass."""
        return batch * sum(row.layer.flop(row.in_shape) for row in self.rows)

    @property
    def two_ways(self) -> bool:
        """Whether nine tenths of the work are done by layers of two directions, which can run side by side."""
        paired = sum(row.layer.flop(row.in_shape) for row in self.rows if row.layer.paired)
        return 2 * paired > 0.9 * self.flop(1)

    @property
    def sharded(self) -> bool:
        """Whether a layer is among them whose work is divided better by rows than by the threads of BLAS."""
        return any(row.layer.sharded for row in self.rows)

    @property
    def shortest(self) -> int:
        """The fewest positions of a sequence that all layers take: kernels must fit, and some want one length only."""
        longest, *rest = self.shape
        if not all(row.layer.any_length for row in self.rows):
            return longest

        def fits(positions: int) -> bool:
            try:
                self.root.out_shape((positions, *rest))
            except ShapeError:
                return False
            return True

        return bisect_left(range(1, longest), True, key=fits) + 1

    def refuse_nothing_left(self, positions: int) -> None:
        """Raise where a sequence of so many positions, in a batch of longer ones, loses all of them on its way.

        Looked at are the layers up to the first that takes one length only, or that leaves others a way around.

        Raises
        ------
        ShapeError
            From the layer that no position leaves; `path` leads to it.
        """
        others = (Parallel, Segment)
        ends = (row.path for row in self.rows[1:] if not row.layer.any_length or isinstance(row.layer, others))
        end = next((int(path.partition(".")[0]) for path in ends), len(self.layers))
        try:
            Sequential.model_construct(layers=self.layers[:end]).out_shape((positions, *self.shape[1:]))
        except ShapeError as error:
            error.path = error.path[1:]
            raise

    @property
    def evaluation_rows(self) -> int:
        """Rows of a block in inference: as many as hold `EVALUATED` numbers, at most 1024.

        A fixed number for a network, because the bits of a matrix product depend on how many rows it has.
        """
        row = held(self.root, self.shape, Use(2)) - held(self.root, self.shape, Use(1))
        return max(1, min(1024, EVALUATED // max(1, row)))

    @property
    def readers(self) -> int:
        """How many threads share inference: one for each core where the work is divided better by rows."""
        return min(cores(), 8) if self.sharded else 1

    def _placed(self, rows: Sequence[Row]) -> Iterator[Slot]:
        wanted = [
            (f"{row.path}.{name}", param, self._init_for(rows, i, param))
            for i, row in enumerate(rows)
            for name, param in row.layer.params(row.in_shape).items()
        ]
        kernels = [each for each in wanted if each[1].decayed]
        others = [each for each in wanted if each[1].trainable and not each[1].decayed]
        statistics = [each for each in wanted if not each[1].trainable]
        for vector in ([*kernels, *others], statistics):
            start = 0
            for name, param, init in vector:
                yield Slot(name, param, init, start)
                start += param.size

    def _init_for(self, rows: Sequence[Row], i: int, param: Param) -> Initializer:
        init = param.init or (self.init if param.multiplies else self.bias_init)
        if not isinstance(init, Auto):
            return init
        return _suited_to(rows[i + 1 :]) if param.multiplies else Zeros()


def _walk(layer: Layer, shape: Shape, path: str, depth: int) -> Iterator[Row]:
    out_shape = layer.out_shape(shape)
    yield Row(path, layer, depth, shape, out_shape, sum(p.size for p in layer.params(shape).values() if p.trainable))
    for part in layer.parts(shape):
        yield from _walk(part.layer, part.shape, f"{path}/{part.label}".lstrip("/"), depth + 1)


def _suited_to(following: Sequence[Row]) -> Initializer:
    """Return the initializer that suits the next activation, if one comes before the next kernel."""
    for row in following:
        if isinstance(row.layer, Activation):
            return Initializer.parse(row.layer.suits)
        if any(param.role == "kernel" for param in row.layer.params(row.in_shape).values()):
            break
    return Initializer.parse(Activation.suits)
