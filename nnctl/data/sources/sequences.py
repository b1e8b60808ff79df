"""Toy sequences, drawn anew from a seed; each asks for something else to be remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array
from nnctl.core.component import NonNegative, PositiveInt
from nnctl.data.memory import refuse_too_large
from nnctl.data.sources.generated import Generated
from nnctl.data.table import Table

__all__ = ["Adding", "Brackets", "Copy", "Parity", "Reversal", "SineWaves"]


class Sequences(Generated):
    """N sequences of T steps, x (N, T, D). They need no scaling: what they hold is about one in size."""

    samples: PositiveInt = 2000
    """How many sequences, N."""
    length: Annotated[int, Field(ge=2)] = 20
    """Steps of each, T."""
    noise: NonNegative = 0.0
    """Standard deviation of the Gaussian noise on the inputs."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "steps": "length",
        "seq_len": "length",
        "sequence_length": "length",
        "n_samples": "samples",
    }

    def load(self, base: Path, seed: int) -> Table:
        """Draw the sequences."""
        size = self.samples * self.length * self.width * 8 * 3  # drawn in steps
        refuse_too_large(size, f"{self.name}: {self.samples:,} sequences of {self.length:,} steps")
        return super().load(base, seed)

    @property
    def width(self) -> int:
        """Features of a step, D."""
        return 1

    def table(self, x: Array, y: Array, target: str, rng: np.random.Generator) -> Table:
        """Return the sequences, with noise, and their targets."""
        if self.noise:
            x = x + self.noise * rng.standard_normal(x.shape)
        return Table(x, y, (), target, sequence=True)


class Adding(Sequences, name="adding"):
    """The adding problem: two of T numbers are marked, and their sum is asked for.

    Every step holds a number from U(0, 1) and a mark, which is 1 at one step of the first half and at one of the second
    half, else 0. Whoever always says 1 has an R² of 0 and a mean squared error of 1/6; to do better, one must remember
    a number over up to T steps, and not the others. A regression.

    Source: Hochreiter and Schmidhuber (1997), "Long short-term memory", experiment 4; in the form of Arjovsky, Shah and
    Bengio (2016), "Unitary evolution recurrent neural networks", section 5.2, arXiv:1511.06464.
    """

    length: Annotated[int, Field(ge=2)] = 50
    """Steps of each, T."""

    @property
    def width(self) -> int:
        """The number and its mark."""
        return 2

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, T, 2) and the sum."""
        N, T = self.samples, self.length
        x = np.zeros((N, T, 2))
        x[:, :, 0] = rng.uniform(size=(N, T))
        rows = np.arange(N)
        first, second = rng.integers(0, T // 2, N), rng.integers(T // 2, T, N)
        x[rows, first, 1] = x[rows, second, 1] = 1
        return self.table(x, x[rows, first, 0] + x[rows, second, 0], "sum", rng)


class Copy(Sequences, name="copy"):
    """Recall one of the first symbols at the end: the copy problem, asked one symbol at a time.

    The first `remember` steps each show one of `symbols` symbols (a 1 among zeros), then nothing comes (zeros) until
    the last step, which says with a 1 in another place which of them is asked for. Guessing is right once in
    `symbols` times. A classification.

    Source: after the copying problem of Arjovsky, Shah and Bengio (2016), "Unitary evolution recurrent neural
    networks", section 5.1, arXiv:1511.06464, there with all symbols to be written out.
    """

    symbols: Annotated[int, Field(ge=2)] = 4
    """How many symbols there are, K."""
    remember: PositiveInt = 3
    """How many of them are shown, fewer than `length`: the last step is for the question."""

    @model_validator(mode="after")
    def _a_step_is_left(self) -> Self:
        if self.remember >= self.length:
            raise PydanticCustomError("nnctl", f"remember must be < length {self.length}. Got {self.remember}.")
        return self

    @property
    def width(self) -> int:
        """The symbols, and the question."""
        return self.symbols + self.remember

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, T, symbols + remember) and the symbol that is asked for."""
        N, shown = self.samples, self.remember
        x = np.zeros((N, self.length, self.width))
        symbols, asked = rng.integers(0, self.symbols, (N, shown)), rng.integers(0, shown, N)
        rows = np.arange(N)
        x[rows[:, None], np.arange(shown), symbols] = 1
        x[rows, -1, self.symbols + asked] = 1
        return self.table(x, symbols[rows, asked], "symbol", rng)


class Parity(Sequences, name="parity"):
    """Whether the number of ones is odd: every single bit turns the answer around.

    No part of a sequence tells anything about the answer, so there is no way to learn it little by little. A state of
    one bit suffices. A classification.
    """

    length: Annotated[int, Field(ge=2)] = 12
    """Steps of each, T."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, T, 1), 0 or 1, and the parity."""
        bits = rng.integers(0, 2, (self.samples, self.length))
        return self.table(bits[:, :, None].astype(np.float64), bits.sum(axis=1) % 2, "odd", rng)


class Brackets(Sequences, name="brackets"):
    """Whether round and square brackets are nested well: ``([])[]`` is, ``([)]`` is not.

    Half of the sequences are; the others are such ones with two brackets exchanged, so that counting the brackets tells
    nothing. One has to remember which are open, in their order. A classification.
    """

    length: Annotated[int, Field(ge=4, multiple_of=2)] = 20
    """Steps of each, T; an even number."""

    @property
    def width(self) -> int:
        """One place for each of ( [ ) ]."""
        return 4

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, T, 4), a 1 in the place of the bracket, and whether it is nested well."""
        words = [_nested(self.length, rng) for _ in range(self.samples)]
        valid = rng.permutation(self.samples) % 2
        for word, is_valid in zip(words, valid, strict=True):
            if not is_valid:
                _exchange_two(word, rng)
        x = np.eye(4)[np.array(words)]
        return self.table(x, valid, "nested", rng)


class Reversal(Sequences, name="reversal"):
    """Say a sequence of symbols backwards: one sequence turned into another, for an encoder and a decoder.

    A row holds 2 T steps: the T symbols, then what a decoder is given while it writes the answer, a sign to start and
    the answer but for its last symbol. The targets are the T symbols of the answer, the last one first. What stands
    before a symbol of the answer says nothing about it, so that whoever does not look at the first T steps is right
    once in `symbols` times. A classification at each of the last T steps.

    Source: the reversed input of Sutskever, Vinyals and Le (2014), "Sequence to sequence learning with neural
    networks", section 3.3, arXiv:1409.3215, here as the task; the input for both halves as in `segment`.
    """

    length: Annotated[int, Field(ge=2)] = 10
    """Symbols of each, T."""
    symbols: Annotated[int, Field(ge=2)] = 8
    """How many symbols there are, K."""

    @property
    def width(self) -> int:
        """The symbols, and the sign to start."""
        return self.symbols + 1

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, 2 T, symbols + 1), a 1 in the place of the symbol, and the reversed symbols (N, T)."""
        source = rng.integers(0, self.symbols, (self.samples, self.length))
        answer = source[:, ::-1]
        start = np.full((self.samples, 1), self.symbols)
        x = np.eye(self.width)[np.concatenate([source, start, answer[:, :-1]], axis=1)]
        table = self.table(x, answer, "symbol", rng)
        return replace(table, classes=tuple(map(str, range(self.symbols))))


class SineWaves(Sequences, name="sine_waves"):
    """A noisy sine wave of an unknown phase: which frequency it has, or how it goes on.

    ``x_t = sin(2 pi f t / T + phase) + noise``, the phase even on the circle. With `predict: frequency` f is a whole
    number from 1 to `frequencies`, and a classification; with `predict: next` it is any number from 1 to `frequencies`
    and the target the value at step T, without noise, a regression.
    """

    noise: NonNegative = 0.1
    """Standard deviation of the Gaussian noise on the inputs."""
    frequencies: Annotated[int, Field(ge=2)] = 4
    """The highest frequency, in periods a sequence."""
    predict: Literal["frequency", "next"] = "frequency"
    """What is asked for."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, T, 1) and the frequency, or the next value."""
        N, T = self.samples, self.length
        if self.predict == "frequency":
            frequency = rng.integers(1, self.frequencies + 1, N).astype(np.float64)
        else:
            frequency = rng.uniform(1, self.frequencies, N)
        phase = rng.uniform(0, 2 * np.pi, N)
        wave = np.sin(2 * np.pi * frequency[:, None] * np.arange(T + 1) / T + phase[:, None])
        y = frequency.astype(np.int64) if self.predict == "frequency" else wave[:, T]
        return self.table(wave[:, :T, None], y, self.predict, rng)


_OPEN = 2
"""The brackets are numbered ( [ ) ], so that each closes the one `_OPEN` before it."""


def _nested(length: int, rng: np.random.Generator) -> list[int]:
    """Return a word of brackets that are nested well: at every step an even chance to open one, where both can be."""
    word: list[int] = []
    open_ones: list[int] = []
    draws = rng.integers(0, 2, (length, 2)).tolist()
    for step, (opens, kind) in enumerate(draws):
        if not open_ones or (opens and len(open_ones) < length - step):
            open_ones.append(kind)
            word.append(kind)
        else:
            word.append(open_ones.pop() + _OPEN)
    return word


def _exchange_two(word: list[int], rng: np.random.Generator) -> None:
    """Exchange two brackets of a well-nested word so that it no longer is; there are such two in every word."""
    while True:
        i, j = rng.integers(0, len(word), 2).tolist()
        word[i], word[j] = word[j], word[i]
        if not _is_nested(word):
            return
        word[i], word[j] = word[j], word[i]


def _is_nested(word: list[int]) -> bool:
    open_ones: list[int] = []
    for bracket in word:
        if bracket < _OPEN:
            open_ones.append(bracket)
        elif not open_ones or open_ones.pop() != bracket - _OPEN:
            return False
    return not open_ones
