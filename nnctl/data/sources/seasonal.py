"""Seasonal: a made-up load with the weather that drives it, to forecast from a fresh clone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Float
from nnctl.core.component import Items, NonNegative, Positive, PositiveInt
from nnctl.core.random import stream
from nnctl.data.memory import refuse_too_large
from nnctl.data.series import Series
from nnctl.data.sources.generated import Seed
from nnctl.data.sources.windowed import Windowed
from nnctl.data.table import Table
from nnctl.data.times import Grid

__all__ = ["Seasonal"]

MEMORY = 0.9
"""What is left of the weather's deviation after a step."""

Column = Literal["load", "weather"]


class Seasonal(Windowed, name="seasonal"):
    """A load with a trend, two seasons and noise, and the weather, which moves it some steps later.

    ``weather_t = sin(2 pi t / season) + u_t`` with ``u_t = 0.9 u_{t-1} + sqrt(1 - 0.9^2) e_t``, and
    ``load_t = 10 + trend t / samples + 2 sin(2 pi t / season) + sin(2 pi t / long_season) + effect u_{t - lead}
    + noise e'_t``, with e and e' from N(0, 1). Up to `lead` steps ahead the weather tells what is to come of the load;
    nothing tells the noise. A regression.
    """

    samples: PositiveInt = 3000
    """How many steps."""
    season: PositiveInt | None = 24
    """Steps of the short season, which the network is compared with, too."""
    long_season: Positive = 168.0
    """Steps of the long one."""
    trend: float = 2.0
    """What the load rises by from the first step to the last."""
    lead: Annotated[int, Field(ge=0)] = 6
    """Steps by which the weather is ahead of the load."""
    effect: float = 1.0
    """How much the weather moves the load."""
    noise: NonNegative = 0.2
    """Standard deviation of the noise of the load."""
    inputs: Items[Column] = ("load", "weather")
    """What the network sees."""
    targets: Annotated[Items[Column], Field(min_length=1)] = ("load",)
    """What is to be foretold."""
    seed: Seed | None = None
    """Of the series alone; left out, the run's seed."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - drawn, not read
        """Draw the series.

        Raises
        ------
        DataError
            No window fits.
        """
        refuse_too_large(self.samples * 8 * 20, f"{self.name}: {self.samples:,} samples")  # some columns, in steps
        columns = self.draw(stream(seed if self.seed is None else self.seed, "data"))
        x, values = (np.stack([columns[name] for name in names], axis=1) for names in (self.inputs, self.targets))
        t = np.arange(self.samples, dtype=np.float64)
        one = np.zeros(self.samples, np.int64)
        grid = Grid("number", 1.0)
        series = Series(self.windowing, values, self.targets, t, grid, one, one, inputs=self.inputs)
        return self.refuse_too_short(self.table_of(x, series))

    def draw(self, rng: np.random.Generator) -> dict[str, Float]:
        """Return the columns."""
        t = np.arange(-self.lead, self.samples, dtype=np.float64)
        deviation = _remembering(rng.standard_normal(len(t)))
        season = 2 * np.pi * t / (self.season or 24)
        weather = np.sin(season) + deviation
        now = slice(self.lead, None)
        load = (
            10.0
            + self.trend * t[now] / self.samples
            + 2.0 * np.sin(season[now])
            + np.sin(2 * np.pi * t[now] / self.long_season)
            + self.effect * deviation[: self.samples]
            + self.noise * rng.standard_normal(self.samples)
        )
        return {"load": load, "weather": weather[now]}


def _remembering(drawn: Float) -> Float:
    """Return an autoregressive series of variance 1 for draws from N(0, 1)."""
    found = drawn.copy()
    for i in range(1, len(found)):
        found[i] = MEMORY * found[i - 1] + np.sqrt(1 - MEMORY**2) * drawn[i]
    return found
