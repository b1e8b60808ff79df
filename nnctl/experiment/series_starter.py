"""The first spec for a time series: windows of the past, a small recurrent network, comments that teach the choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnctl.core import yaml
from nnctl.core.arrays import Float
from nnctl.core.errors import DataError
from nnctl.core.mistakes import Loc
from nnctl.data.series import Series
from nnctl.data.sources.time_series import TimeSeries
from nnctl.data.times import Grid
from nnctl.experiment.inspection import Findings

__all__ = ["SeriesFindings", "as_series", "series_spec"]

FEWEST = 100
REGULAR = 0.99
"""So many of the rows come one step after the row before."""
REMEMBERS = 0.7
"""The correlation of a target with itself one step earlier from which its past is taken to tell its future."""
SEASONS = {("second", 3600.0): 24, ("second", 86400.0): 7, ("month", 1.0): 12}
"""Steps of a season, by unit and step of the times: hours of a day, days of a week, months of a year."""


@dataclass(frozen=True)
class SeriesFindings:
    """What was found out about a file that holds a time series.

    Parameters
    ----------
    source : dict
        As a spec spells it.
    title : str
    rows : int
    target : str
    season : int or None
    correlation : float
        Of the target with itself one step earlier.
    """

    source: dict[str, Any]
    title: str
    rows: int
    target: str
    season: int | None
    correlation: float


def as_series(found: Findings, base: Path) -> SeriesFindings | None:
    """Return how a table with dates is read as a time series, where it is plainly one; else None.

    It is where the dates are on a regular grid, each there once, the target is a quantity, there are rows enough, and
    the target resembles itself one step earlier.

    Parameters
    ----------
    found : Findings
        Of a file.
    base : Path
        The directory of the spec to be.
    """
    if not found.time or found.task != "regression" or found.rows < FEWEST or not isinstance(found.source, dict):
        return None
    [fields] = found.source.values()
    if fields.get("header") is False:
        return None
    shared = {name: fields[name] for name in ("separator", "decimal", "text_encoding") if name in fields}
    target = fields["target"]
    spelled = {"path": fields["path"], "time": found.time, "targets": [target], **shared}
    series, more = _read(spelled, base)
    if series is None or series.grid.step is None:
        return None
    steps, y = series.grid.steps(series.at), series.values[:, 0]
    correlation = _with_itself(y)
    if (np.abs(steps - 1) > 0.5).mean() > 1 - REGULAR or correlation < REMEMBERS:
        return None
    if set(fields.get("drop", ())) & set(series.inputs):
        more |= {"inputs": [name for name in series.inputs if name not in fields["drop"]]}
    season = _season(series.grid, found.rows)
    lookback = 2 * season if season else min(24, found.rows // 20)
    windows = {"lookback": lookback, "horizon": 1, **({"season": season} if season else {})}
    return SeriesFindings(
        {"time_series": spelled | more | windows}, found.title, found.rows, target, season, correlation
    )


def series_spec(found: SeriesFindings, name: str, command: str) -> str:
    """Return the text of a spec that forecasts the next step of a series.

    Parameters
    ----------
    found : SeriesFindings
    name : str
        What its runs are called.
    command : str
        What was typed to get it.
    """
    spec: dict[str, Any] = {
        "name": name,
        "seed": 0,
        "data": {
            "source": found.source,
            "split": {"validation": 0.15, "test": 0.15},
            "scaling": "standard",
            "target_scaling": "standard",
        },
        "architecture": [{"gru": 32}, {"dense": "outputs"}],
        "loss": "mse",
        "optimizer": {"adam": {"lr": 0.005}},
        "schedule": "one_cycle",
        "clip": {"norm": 1.0},
        "training": {"epochs": 30, "batch_size": 32 if found.rows >= 500 else 16},
        "metrics": ["rmse", "mae"],
        "early_stopping": {"monitor": "val_loss", "patience": 10},
    }
    return yaml.dump(spec, _comments(found, command))


def _read(spelled: dict[str, Any], base: Path) -> tuple[Series | None, dict[str, Any]]:
    """Return the series and what its reader had to be told besides; None where the file does not hold one."""
    for more in ({}, {"impute": "last"}):
        try:
            return TimeSeries.parse({"time_series": spelled | more | {"lookback": 1}}).load(base, 0).series, more
        except DataError:
            continue
    return None, {}


def _with_itself(y: Float) -> float:
    """Return the correlation of a series with itself one step earlier; 0 where it never changes."""
    before, after = y[:-1] - y[:-1].mean(), y[1:] - y[1:].mean()
    spread = float(np.sqrt((before @ before) * (after @ after)))
    return float(before @ after) / spread if spread else 0.0


def _season(grid: Grid, rows: int) -> int | None:
    season = SEASONS.get((grid.unit, grid.step or 0.0))
    return season if season and rows >= 20 * season else None


def _comments(found: SeriesFindings, command: str) -> dict[Loc, str]:
    """Return what stands above each key."""
    return {
        (): (
            f"{found.title}, a time series: a starting point, written by `{command}`.\n"
            "nnctl validate     checks this file and shows the network\n"
            "nnctl train        trains it; then: nnctl predict RUN FILE forecasts\n"
            "nnctl explain NAME tells what a word means, and what could stand for it\n"
        ),
        ("seed",): "\nThe one number that all chance follows from.",
        ("data",): (
            "\nThe network sees windows of `lookback` rows with all columns of numbers and foretells the target "
            "`horizon` steps behind; horizon: [1, 12] asks for the next twelve at once. `season` is for the naive "
            "forecast alone, which the result is compared with."
        ),
        ("data", "split"): "The latest times test, those before them validate: nothing is drawn, nothing looks ahead.",
        ("data", "target_scaling"): "Predictions and metrics are in the target's own units.",
        ("architecture",): (
            "\nA state that reads one row after another, and what follows from it. Try a linear network first, which "
            "is often as good: [flatten, dense: outputs]."
        ),
        ("loss",): "\nWhat is made small: the mean squared error. With outliers in the target try huber or mae.",
        ("optimizer",): "\nHow weights follow the gradient. The learning rate lr matters most of all: nnctl lr-find",
        ("clip",): "\nA limit on the length of the gradient, which can grow where a state goes through many steps.",
        ("training",): "\nAn epoch sees every training window once.",
        ("metrics",): "\nIn the target's units. Below them stands what the naive forecast does on the same windows.",
        ("early_stopping",): "\nStop when the validation part no longer improves for so many epochs; keep the best.",
    }
