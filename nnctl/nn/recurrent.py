"""What recurrent layers have in common: layers upon layers, both directions, and which outputs are returned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import PositiveInt, Share
from nnctl.core.threads import together
from nnctl.nn.direction import Direction
from nnctl.nn.dropout import Dropout
from nnctl.nn.initializers import Initializer, Orthogonal
from nnctl.nn.layer import Bound, Context, Layer, Part, ShapeError, Views
from nnctl.nn.memory import Use
from nnctl.nn.windows import mask_of

__all__ = ["Recurrent"]

WORTH_MEETING = 100_000
"""From this many outputs of each of two directions on, threads for both pay: a batch of 64, 25 steps and 64 units take
4.1 ms so, and 5.8 ms one after the other; with half the units 3.1 ms, and 2.7."""


class _Level(NamedTuple):
    """One layer of the stack, bound: the dropout before it, and its one or two directions."""

    dropout: Bound | None
    directions: tuple[Bound, ...]


class Recurrent(Layer):
    """A stack of recurrent layers over sequences (B, T, D).

    Where a mask says that a sequence is padded, the state stays as it is and the output is 0: what stands there changes
    no output, no state and no gradient. On the way from the end a sequence begins with its last position that is there.
    """

    units: PositiveInt
    """Width H of the state."""
    layers: PositiveInt = 1
    """How many of them stand on one another; each reads the whole output sequence of the one before."""
    bidirectional: Literal[False, "concat", "sum"] = False
    """Whether a second set of units reads the sequence from its end, and whether the outputs of the two stand side by
    side (``concat``, 2 H wide) or are added (``sum``)."""
    returns: Literal["last", "sequence", "mean"] = "last"
    """``last``: the state after the whole sequence, one vector; of the second direction, which ends at the first
    position, the one there. ``sequence``: the output of every position. ``mean``: their mean over the positions."""
    dropout: Share = 0.0
    """Share of the outputs that is dropped on the way from one layer to the next; not behind the last one."""
    init: Initializer | None = None
    """Initial W; by default the `init` of the spec, whose ``auto`` is xavier_normal here."""
    recurrent_init: Initializer = Field(default_factory=Orthogonal)
    """Initial U, gate by gate: a rotation neither shrinks the state nor lets it grow."""

    sharded: ClassVar[bool] = True
    advice: ClassVar[Mapping[str, str]] = {
        "return_sequences": "Write 'returns: sequence'.",
        "batch_first": "Sequences are (B, T, D) here; leave it out.",
        "input_size": "It follows from the data; leave it out.",
        "bias": "It is always there; leave it out.",
        "use_bias": "It is always there; leave it out.",
    }
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "return": "returns",
        "output": "returns",
        "hidden_size": "units",
        "hidden": "units",
        "num_layers": "layers",
        "n_layers": "layers",
        "kernel_initializer": "init",
        "recurrent_initializer": "recurrent_init",
        "merge_mode": "bidirectional",
        "nonlinearity": "activation",
        "reset_after": "reset",
        "unit_forget_bias": "forget_bias",
    }

    @abstractmethod
    def direction(self, *, backwards: bool) -> Direction:
        """Return one layer of one direction."""

    def shared(self) -> dict[str, Any]:
        """Return the fields that a direction has too."""
        return {"units": self.units, "init": self.init, "recurrent_init": self.recurrent_init}

    @property
    def width(self) -> int:
        """Width of the output."""
        return 2 * self.units if self.bidirectional == "concat" else self.units

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Return every layer's directions, and before all but the first the dropout."""
        T, D = self._checked(shape)
        found = []
        for i in range(self.layers):
            if self.dropout and i > 0:
                found.append(Part(f"{i}.dropout", Dropout(rate=self.dropout), (T, D)))
            found.append(Part(f"{i}.forward", self.direction(backwards=False), (T, D)))
            if self.bidirectional:
                found.append(Part(f"{i}.backward", self.direction(backwards=True), (T, D)))
            D = self.width
        return tuple(found)

    def out_shape(self, shape: Shape) -> Shape:
        """Return (T, width) with ``returns: sequence``, else (width,)."""
        T, _ = self._checked(shape)
        return (T, self.width) if self.returns == "sequence" else (self.width,)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y and dx, and of what the directions of a layer return together."""
        (T, D), ways = shape, 2 if self.bidirectional else 1
        merged = (self.layers - 1 + (self.returns == "mean")) * T * self.width * (ways - 1)
        dy = T * (ways * self.units if self.returns == "last" else self.width) + T * D * use.dx
        return use.rows * (prod(self.out_shape(shape)) + merged + dy * use.training)

    def _checked(self, shape: Shape) -> tuple[int, int]:
        if len(shape) != 2 or 0 in shape:
            seen = shape or "a single number"
            advice = f" Put '- reshape: [{shape[0]}, -1]' before it to read line by line." if len(shape) == 3 else ""
            raise ShapeError(f"{self.name} needs sequences, (steps, features) a sample. Got {seen}.{advice}")
        return shape[0], shape[1]

    # ------------------------------------------------------------------ inside, sequences are (T, units, B)

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return the last output, all of them, or their mean."""
        mask = mask_of(x, self.name, ctx)
        sequence: Float = x.transpose(1, 2, 0)
        outputs: list[Float] = []
        for i, level in enumerate(self._levels(ctx)):
            if i > 0:
                sequence = self._merged(outputs, f"outputs {i - 1}", ctx)
            if level.dropout is not None:
                sequence = level.dropout.forward(sequence)
            walks = [partial(direction.forward, sequence) for direction in level.directions]
            outputs = _of_both(level, walks, x.shape[0] * x.shape[1] * self.units)
        y = ctx.out("y", (len(x), *self.out_shape(x.shape[1:])))
        if self.returns == "last":
            ends = [output[place] for output, place in zip(outputs, _ends(x, mask), strict=False)]
            self._merge([end if mask is None else end.T for end in ends], y.T)
        elif self.returns == "mean":
            np.sum(self._merged(outputs, "outputs", ctx), axis=0, out=y.T)
            np.divide(y, _lengths(x, mask), out=y)
        else:
            self._merge(outputs, y.transpose(1, 2, 0))
        ctx.saved = x, mask
        if self.returns != "sequence":
            ctx.mask = None  # no sequence is left
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:  # noqa: ARG002
        """Return dx, or None where nobody reads it."""
        x, mask = ctx.saved
        levels = self._levels(ctx)
        for direction in levels[0].directions:  # the second one comes after weights, and yet reads the layer's input
            direction.ctx.need_dx = ctx.need_dx
        doutputs = self._doutputs(dy, x, mask, ctx)
        for level in reversed(levels[1:]):
            doutputs = self._divided(_through(level, doutputs))
        dsequence = _through(levels[0], doutputs)
        if not ctx.need_dx:
            return None
        dx = ctx.out("dx", x.shape)
        np.copyto(dx, dsequence.transpose(2, 0, 1))
        return dx

    def _levels(self, ctx: Context) -> list[_Level]:
        """Return the layers of the stack, each with the dropout before it."""
        levels, parts = [], list(ctx.parts)
        while parts:
            dropout = parts.pop(0) if isinstance(parts[0].layer, Dropout) else None
            directions = tuple(parts.pop(0) for _ in range(2 if self.bidirectional else 1))
            levels.append(_Level(dropout, directions))
        return levels

    def _merged(self, outputs: list[Float], name: str, ctx: Context) -> Float:
        """Return the outputs of both directions as one, (T, width, B)."""
        if len(outputs) == 1:
            return outputs[0]
        T, _, B = outputs[0].shape
        merged = ctx.out(name, (T, self.width, B))
        self._merge(outputs, merged)
        return merged

    def _merge(self, outputs: list[Float], into: Float) -> None:
        """Write the outputs of both directions, (..., H, B), side by side or added, into (..., width, B)."""
        if self.bidirectional == "sum":
            np.add(outputs[0], outputs[1], out=into)
        else:
            for k, output in enumerate(outputs):
                np.copyto(into[..., k * self.units : (k + 1) * self.units, :], output)

    def _divided(self, dmerged: Float) -> list[Float]:
        """Return the gradients of what was merged. A direction leaves the one it is given as it is, where it counts."""
        if not self.bidirectional:
            return [dmerged]
        if self.bidirectional == "sum":
            return [dmerged, dmerged]
        return [dmerged[..., : self.units, :], dmerged[..., self.units :, :]]

    def _doutputs(self, dy: Float, x: Float, mask: Array | None, ctx: Context) -> list[Float]:
        """Return the gradients of the last layer's outputs, one (T, H, B) for each direction."""
        B, T = x.shape[:2]
        if self.returns == "last":
            found = []
            for k, (dend, place) in enumerate(zip(self._divided(dy.T), _ends(x, mask), strict=False)):
                doutput = ctx.out(f"doutput {k}", (T, self.units, B))
                doutput.fill(0)
                doutput[place] = dend if mask is None else dend.T
                found.append(doutput)
            return found
        doutputs = ctx.out("doutputs", (T, self.width, B))
        if self.returns == "mean":
            np.divide(dy, _lengths(x, mask), out=dy)
            np.copyto(doutputs, dy.T)
        else:
            np.copyto(doutputs, dy.transpose(1, 2, 0))
        return self._divided(doutputs)


def _through(level: _Level, doutputs: list[Float]) -> Any:
    """Return the gradient of what a layer of the stack has read, or None where its directions return none."""
    dx: Any
    walks = [partial(direction.backward, dy) for direction, dy in zip(level.directions, doutputs, strict=True)]
    dx, *others = _of_both(level, walks, doutputs[0].size)
    for other in others:
        dx = None if other is None else np.add(dx, other, out=dx)
    return level.dropout.backward(dx) if level.dropout is not None else dx


def _of_both(level: _Level, walks: Sequence[Callable[[], Any]], outputs: int) -> list[Any]:
    """Return what comes of the walks of a layer, side by side where there are threads and it is worth their meeting.

    With an LSTM of 128 units both ways over 50 steps, batch 64, a training step takes 16 ms so; with a replica on each
    core, whose calls are half as long and twice as many, 19 ms.
    """
    now = level.directions[0].ctx.now
    if now.lanes == 1 or len(walks) == 1 or outputs < WORTH_MEETING or now.watch is not None:
        return [walk() for walk in walks]
    found: list[Any] = [None] * len(walks)

    def note(place: int) -> None:
        found[place] = walks[place]()

    together([partial(note, place) for place in range(len(walks))])
    return found


def _ends(x: Float, mask: Array | None) -> tuple[Any, Any]:
    """Return where the two directions end in (T, H, B): at the last position that is there, and at the first."""
    B, T = x.shape[:2]
    if mask is None:
        return T - 1, 0
    last, first = T - 1 - mask[:, ::-1].argmax(axis=1), mask.argmax(axis=1)
    return (last, slice(None), np.arange(B)), (first, slice(None), np.arange(B))


def _lengths(x: Float, mask: Array | None) -> Any:
    """Return how many positions every sequence has, (B, 1), at least 1; or the one number that all have."""
    if mask is None:
        return x.shape[1]
    return np.maximum(mask.sum(axis=1, keepdims=True), 1).astype(x.dtype)
