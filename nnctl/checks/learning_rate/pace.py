"""How much is trained to find a learning rate: as much as it takes, or as much as a large network lets one afford."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from nnctl.data.batches import is_positionwise
from nnctl.data.table import counted
from nnctl.experiment.assembly import Experiment

__all__ = ["Pace"]

STEPS, SWEEPS = 100, 3
SHORT_RUN = 2
"""Steps of a short run, in steps of a sweep."""
LADDER = 9
"""Learning rates that short runs are usually made with."""
WORK = 4e11
"""Floating point operations that are spent where nobody says how many steps and sweeps there are to be; a fixed sum and
no time, so that every machine finds the same."""
FEWEST_RUN = 20
"""Steps of a short run, at the least."""
FEW_ANSWERS = 512
"""Answers in a batch, of rows or of positions, that are enough for a gradient where steps have to be saved."""


@dataclass(frozen=True)
class Pace:
    """How many sweeps there are, the steps of each and of a short run, and the rows of a batch; in words, if few."""

    sweeps: int
    steps: int
    run_steps: int
    rows: int
    words: str = ""

    @classmethod
    def of(cls, experiment: Experiment, steps: int | None, sweeps: int | None) -> Self:
        """Return the pace that was asked for, else the usual one, else the one that can be afforded."""
        rows = experiment.batch_rows
        usual = cls(sweeps or SWEEPS, steps or STEPS, SHORT_RUN * (steps or STEPS), rows)
        operations = 3 * experiment.layout.flop(1)
        affordable = WORK / max(1, operations)
        if steps or sweeps or usual.sweeps * (usual.steps + LADDER * usual.run_steps) * rows <= affordable:
            return usual
        y = experiment.data.train.y
        rows = min(rows, max(1, FEW_ANSWERS // (y.shape[1] if is_positionwise(y) else 1)))
        left = max(int(affordable / rows) - STEPS, 0)
        run_steps = min(max(left // LADDER, FEWEST_RUN), usual.run_steps)
        words = (
            f" A row takes {operations:.1e} floating point operations, so there was one sweep and not {SWEEPS}, and "
            f"short runs of {run_steps} steps and not {usual.run_steps}, with batches of {counted(rows, 'row')}: a "
            f"rough answer. --steps or --sweeps ask for more."
        )
        return cls(1, STEPS, run_steps, rows, words)

    def with_its_batches(self, experiment: Experiment) -> Experiment:
        """Return the experiment with batches of so few rows."""
        if self.rows == experiment.batch_rows:
            return experiment
        training = experiment.spec.training.model_copy(update={"batch_size": self.rows, "accumulate": 1})
        return experiment.variant(training=training)
