"""What a time series is like, and whether what comes later is like what came before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.finding import Finding, Rule
from nnctl.data.series import Series

__all__ = ["judge_series", "measure_series"]

BEYOND = 0.05
DRAWN = 4000

BEYOND_TRAINING = Rule(
    "beyond-training",
    about="Later targets lie beyond all that the training part holds.",
    why="A network learns what follows from what it has seen, and says little that is beyond it: its units level off "
    "or go on in straight lines. A series that keeps rising leaves the range of its training part, and the forecasts "
    "stay behind. Shuffling is no way out: the future is not there when the network is used.",
    threshold=f"Warns where more than {BEYOND:.0%} of the targets of the validation or test part are smaller or larger "
    f"than every target of the training part.",
    fix="Take the trend out in the file, such as the change since the step or the season before, and foretell that; or "
    "train on a longer history.",
    source="Hyndman and Athanasopoulos (2021), Forecasting: principles and practice, section 9.1",
)


def measure_series(view: View) -> dict[str, Any]:
    """Return the share of later targets beyond those of training, and every target over time, with its parts.

    Returns
    -------
    dict
        ``steps``, ``runs``, ``step`` and ``unit`` of the times; ``beyond`` by part; and of the first series ``at``,
        ``targets`` (by name) and ``borders``, when each part has its first target.
    """
    series = _series(view)
    rows = {name: series.target_rows(origins) for name, origins in view.parts.items()}
    first = np.flatnonzero(series.member == series.member[0])
    shown = first[:: max(1, len(first) // DRAWN)]
    known = series.values[rows["train"]]
    low, high = known.min(0), known.max(0)
    return {
        "steps": len(series.at),
        "runs": len(series.runs),
        "step": series.grid.step,
        "unit": series.grid.unit,
        "beyond": {
            name: float(((series.values[of] < low) | (series.values[of] > high)).mean())
            for name, of in rows.items()
            if name != "train"
        },
        "at": series.at[shown].tolist(),
        "targets": {name: series.values[shown, k].tolist() for k, name in enumerate(series.names)},
        "borders": {name: float(series.at[of].min()) for name, of in rows.items()},
    }


def judge_series(found: dict[str, Any]) -> Iterator[Finding]:
    """Judge whether later targets are such as the training part has."""
    for part, share in found["beyond"].items():
        judge = BEYOND_TRAINING.warn if share > BEYOND else BEYOND_TRAINING.passed
        said = f"{share:.1%} of the targets are beyond those of the training part."
        yield judge(said, where=f"{part} part", value=share, threshold=BEYOND)


def _series(view: View) -> Series:
    assert view.table.series is not None
    return view.table.series
