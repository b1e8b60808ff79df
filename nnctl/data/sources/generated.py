"""Toy problems, drawn anew from a seed; each shows one thing that a network can or cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array
from nnctl.core.component import NonNegative, Positive, PositiveInt
from nnctl.core.random import stream
from nnctl.data.memory import refuse_too_large
from nnctl.data.sources.source import Source
from nnctl.data.table import Table

__all__ = ["And", "Blobs", "Circles", "Friedman", "Moons", "Sine", "Spirals", "SwissRoll", "Xor"]

Seed = Annotated[int, Field(ge=0, lt=2**64)]


class Generated(Source):
    """Rows drawn from a random stream."""

    samples: PositiveInt = 500
    """How many rows, N."""
    noise: NonNegative = 0.1
    """Standard deviation of the Gaussian noise."""
    seed: Seed | None = None
    """Of the rows alone; left out, the run's seed."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - drawn, not read
        """Draw the rows."""
        refuse_too_large(self.samples * 8 * 40, f"{self.name}: {self.samples:,} samples")  # 10 columns, drawn in steps
        return self.draw(stream(seed if self.seed is None else self.seed, "data"))

    def draw(self, rng: np.random.Generator) -> Table:
        """Return N rows drawn from `rng`."""
        raise NotImplementedError

    def scikit_learn(self, maker: str, rng: np.random.Generator, **options: Any) -> tuple[Array, Array]:
        """Return x and y of one of scikit-learn's generators."""
        from sklearn import datasets  # noqa: PLC0415 - a second to import, and only needed here

        drawn = getattr(datasets, maker)(self.samples, random_state=int(rng.integers(2**31)), **options)
        return drawn[0], drawn[1]


def _plane(x: Array, y: Array, target: str = "class") -> Table:
    return Table(x, y, ("x1", "x2"), target)


class Moons(Generated, name="moons"):
    """Two interleaving half circles in the plane: no straight line parts them (scikit-learn's make_moons)."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, 2) and the moon, 0 or 1."""
        return _plane(*self.scikit_learn("make_moons", rng, noise=self.noise))


class Circles(Generated, name="circles"):
    """A small circle within a large one (scikit-learn's make_circles)."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Radius of the inner circle; that of the outer is 1."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, 2) and the circle, 1 for the inner."""
        return _plane(*self.scikit_learn("make_circles", rng, noise=self.noise, factor=self.factor))


class Blobs(Generated, name="blobs"):
    """Gaussian clouds, one a class (scikit-learn's make_blobs)."""

    noise: Positive = 1.0
    """Standard deviation of every cloud."""
    classes: Annotated[int, Field(ge=2)] = 3
    """How many clouds, K."""
    features: PositiveInt = 2
    """Dimensions of the space, D."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, D) and the cloud."""
        x, y = self.scikit_learn(
            "make_blobs", rng, centers=self.classes, n_features=self.features, cluster_std=self.noise
        )
        return Table(x, y, tuple(f"x{i + 1}" for i in range(self.features)), "class")


class SwissRoll(Generated, name="swiss_roll"):
    """A rolled-up sheet in space; the target is the place along the roll (scikit-learn's make_swiss_roll)."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, 3) and the angle in radians, 1.5 pi to 4.5 pi."""
        x, angle = self.scikit_learn("make_swiss_roll", rng, noise=self.noise)
        return Table(x, angle, ("x1", "x2", "x3"), "angle")


class Friedman(Generated, name="friedman"):
    """Regression on 5 of D uniform inputs, the others mean nothing (Friedman, 1991; scikit-learn's make_friedman1).

    ``y = 10 sin(pi x1 x2) + 20 (x3 - 0.5)^2 + 10 x4 + 5 x5 + noise``
    """

    noise: NonNegative = 1.0
    """Standard deviation of the Gaussian noise on y."""
    features: Annotated[int, Field(ge=5)] = 10
    """How many inputs, D >= 5."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, D) and y."""
        x, y = self.scikit_learn("make_friedman1", rng, noise=self.noise, n_features=self.features)
        return Table(x, y, tuple(f"x{i + 1}" for i in range(self.features)), "y")


class Gate(Generated):
    """A truth table of two inputs, repeated; the rows cycle through (0,0), (0,1), (1,0), (1,1)."""

    truth: ClassVar[tuple[int, int, int, int]]

    samples: PositiveInt = 4
    """How many rows; 4 is the truth table itself."""
    noise: NonNegative = 0.0
    """Standard deviation of the Gaussian noise on the inputs."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, 2) and the gate's output, 0 or 1."""
        corner = np.arange(self.samples) % 4
        x = np.stack([corner // 2, corner % 2], axis=1).astype(np.float64)
        x += self.noise * rng.standard_normal(x.shape)
        return _plane(x, np.array(self.truth)[corner], "output")


class Xor(Gate, name="xor"):
    """Exclusive or: what no single perceptron can learn (Minsky and Papert, 1969)."""

    truth = (0, 1, 1, 0)


class And(Gate, name="and"):
    """Logical and: linearly separable, so that a perceptron learns it."""

    truth = (0, 0, 0, 1)


class Spirals(Generated, name="spirals"):
    """Arms that wind around each other (after Lang and Witbrock, 1988, "Learning to tell two spirals apart").

    Arm k at parameter t in [0, 1]: radius t, angle ``2 pi (turns t + k / classes)``, plus noise on both coordinates.
    """

    noise: NonNegative = 0.02
    """Standard deviation of the Gaussian noise; the outer radius is 1."""
    classes: Annotated[int, Field(ge=2)] = 2
    """How many arms, K."""
    turns: Positive = 1.5
    """How often an arm winds around the centre."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, 2) and the arm."""
        arm = np.arange(self.samples) % self.classes
        t = np.sqrt(rng.uniform(size=self.samples))
        angle = 2 * np.pi * (self.turns * t + arm / self.classes)
        x = t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return _plane(x + self.noise * rng.standard_normal(x.shape), arm, "arm")


class Sine(Generated, name="sine"):
    """One input, one output: ``y = sin(2 pi periods x) + noise`` with x uniform in [-1, 1]."""

    periods: Positive = 1.0
    """Periods in a unit of x; the interval is two units long."""

    def draw(self, rng: np.random.Generator) -> Table:
        """Return x (N, 1) and y."""
        x = rng.uniform(-1, 1, size=(self.samples, 1))
        y = np.sin(2 * np.pi * self.periods * x[:, 0]) + self.noise * rng.standard_normal(self.samples)
        return Table(x, y, ("x",), "y")
