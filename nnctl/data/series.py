"""Time series: rows that follow one another, and the windows that a network sees of them.

A window is `lookback` rows in a row. It ends at a row, its origin, and its targets are the rows that come `horizon`
steps behind it. Row numbers are those of the table, which is sorted by series and time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nnctl.core.arrays import Array, Float
from nnctl.data.times import Grid, written

__all__ = ["Series", "Windowing"]


@dataclass(frozen=True)
class Windowing:
    """How windows are cut from a series.

    Parameters
    ----------
    lookback : int
        Rows of a window, T.
    first, last : int
        The horizon: how many steps behind its origin the first and the last target of a window are.
    everywhere : bool
        Whether every position of a window is an origin with targets of its own, and not its last one alone.
    stride : int
        Rows from one window to the next.
    season : int or None
        Steps after which the series repeats itself, for the seasonal naive forecast.
    """

    lookback: int
    first: int = 1
    last: int = 1
    everywhere: bool = False
    stride: int = 1
    season: int | None = None

    @property
    def horizons(self) -> Array:
        """How many steps ahead each target is, (H,)."""
        return np.arange(self.first, self.last + 1)

    @property
    def rows(self) -> int:
        """How many rows a window needs with all of its targets."""
        return self.lookback + self.last


@dataclass(frozen=True, eq=False)
class Series:
    """One or several series with the windows that are cut from them.

    Parameters
    ----------
    form : Windowing
    values : float64 array (S, K)
        The targets in their own units; nan where one is not known, in a file to predict from.
    names : tuple of str
        What the K targets are called.
    at : float64 array (S,)
        When each row was, in units of the grid.
    grid : Grid
    run : int array (S,)
        Which unbroken run of steps each row is in; it rises, and no window reaches from one into another.
    member : int array (S,)
        Which of the series each row is of.
    members : tuple of str
        The names of several series; empty where there is one.
    """

    form: Windowing
    values: Float
    names: tuple[str, ...]
    at: Float
    grid: Grid
    run: Array
    member: Array
    members: tuple[str, ...] = ()
    inputs: tuple[str, ...] = field(default=())
    """The names of the D inputs."""

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """The first row of every run, and the one behind its last."""
        borders = [0, *(np.flatnonzero(np.diff(self.run)) + 1).tolist(), len(self.run)]
        return list(pairwise(borders))

    @property
    def longest_run(self) -> int:
        """Rows of the longest run."""
        return max(stop - start for start, stop in self.runs)

    # ------------------------------------------------------------------ windows

    def origins(self) -> Array:
        """Return the last rows of the windows (N,) that have all of their rows and targets within a run."""
        T, ahead, stride = self.form.lookback, self.form.last, self.form.stride
        return np.concatenate([np.arange(start + T - 1, stop - ahead, stride) for start, stop in self.runs])

    def all_origins(self) -> Array:
        """Return the last rows of all windows that there are to forecast from, their targets known or not.

        Where every position has targets of its own, windows stand side by side, and the last ends with its run.
        """
        T, stride = self.form.lookback, self.form.stride if self.form.everywhere else 1
        found = [np.arange(stop - 1, start + T - 2, -stride)[::-1] for start, stop in self.runs]
        return np.concatenate(found)

    def windows(self, x: Array) -> Array:
        """Return a view (S - T + 1, T, D) of rows x (S, D): the window that ends at row i is number i - T + 1."""
        return np.moveaxis(sliding_window_view(x, self.form.lookback, axis=0), -1, 1)

    def inputs_of(self, x: Array, origins: Array) -> Array:
        """Return the windows (N, T, D) of rows x (S, D) that end at the origins, a copy."""
        found: Array = self.windows(x)[origins - (self.form.lookback - 1)]
        return found

    def positions(self, origins: Array) -> Array:
        """Return the rows (N, P) that forecasts are made at: the origins, or every row of their windows."""
        back = np.arange(self.form.lookback - 1, -1, -1) if self.form.everywhere else np.zeros(1, np.intp)
        return origins[:, None] - back

    def targets_of(self, y: Float, origins: Array) -> Float:
        """Return the targets of windows: rows y (S, K) at all horizons; nan beyond the end of a run.

        Shape (N, H K), or (N, T, H K) where every position has targets.
        """
        at = self.positions(origins)[:, :, None]
        return self._laid_out(self._taken(y, at, at + self.form.horizons))

    def _taken(self, y: Float, at: Array, rows: Array) -> Float:
        """Return y at `rows`, and nan at those that are not in the run of the row `at`."""
        inside = np.clip(rows, 0, len(y) - 1)
        is_there = (inside == rows) & (self.run[inside] == self.run[at])
        return np.where(is_there[..., None], y[inside], np.nan)

    def _laid_out(self, found: Float) -> Float:
        """Return (N, P, H, K) as the network gives it."""
        flat = found.reshape(*found.shape[:2], -1)
        return flat if self.form.everywhere else flat[:, 0]

    # ------------------------------------------------------------------ what may be known when

    def spans(self, origins: Array) -> tuple[Array, Array]:
        """Return when the first and the last target of every window are."""
        first = self.positions(origins)[:, 0] + self.form.first
        return self.at[first], self.at[origins + self.form.last]

    def seen(self, origins: Array) -> Array:
        """Return which rows (S,) stand in these windows, as input or as target."""
        is_seen = np.zeros(len(self.at), np.bool_)
        is_seen[self.input_rows(origins)] = True
        is_seen[self.target_rows(origins)] = True
        return is_seen

    def input_rows(self, origins: Array) -> Array:
        """Return the rows that are an input of one of these windows, each once."""
        return self._covered(origins - self.form.lookback + 1, origins)

    def target_rows(self, origins: Array) -> Array:
        """Return the rows that are a target of one of these windows, each once."""
        return self._covered(self.positions(origins)[:, 0] + self.form.first, origins + self.form.last)

    def _covered(self, first: Array, last: Array) -> Array:
        steps = np.zeros(len(self.at) + 1, np.int64)
        np.add.at(steps, first, 1)
        np.add.at(steps, last + 1, -1)
        return np.flatnonzero(np.cumsum(steps)[:-1])

    # ------------------------------------------------------------------ the naive forecast

    def persistence(self, origins: Array) -> Float:
        """Return the forecast that nothing changes, ``y(t + h) = y(t)``, in the form of the targets."""
        at = self.positions(origins)[:, :, None]
        return self._laid_out(self.values[np.broadcast_to(at, (*at.shape[:2], len(self.form.horizons)))])

    def seasonal(self, origins: Array) -> Float:
        """Return the forecast that the last season comes again, ``y(t + h) = y(t + h - m ceil(h / m))``.

        Where the run began less than a season ago it is the value at the origin.
        """
        m = self.form.season
        assert m is not None
        at, h = self.positions(origins)[:, :, None], self.form.horizons
        found = self._laid_out(self._taken(self.values, at, at + h - m * -(-h // m)))
        return np.where(np.isnan(found), self.persistence(origins), found)

    def errors_of_training(self, train: Array) -> Float:
        """Return the mean absolute errors (members, K) of the naive forecast by one step, or one season, in training.

        They are what errors are measured by in the mean absolute scaled error; nan where nothing ever changes.

        Source: Hyndman and Koehler (2006), "Another look at measures of forecast accuracy", equation of q_t.
        """
        m = self.form.season or 1
        seen = self.seen(train)
        there = np.flatnonzero(seen[m:] & seen[:-m] & (self.run[m:] == self.run[:-m])) + m
        errors = np.abs(self.values[there] - self.values[there - m])
        count = max(1, len(self.members))
        found = np.full((count, self.values.shape[1]), np.nan)
        for k in range(count):
            of_member = errors[self.member[there] == k]
            if len(of_member):
                found[k] = of_member.mean(axis=0)
        found[found == 0] = np.nan
        return found

    # ------------------------------------------------------------------ for people

    def places(self, origins: Array) -> dict[str, list[Any]]:
        """Return what each forecast is about: `series`, `from` when, for which `time`, how many `steps` ahead.

        One entry for every position and horizon, in the order of the targets. The time is None where it lies beyond the
        rows and they are on no regular grid.
        """
        at = np.broadcast_to(self.positions(origins)[:, :, None], self._shape(origins)).ravel()
        ahead = np.broadcast_to(self.form.horizons, self._shape(origins)).ravel()
        when = self._taken(self.at[:, None], at, at + ahead)[:, 0]
        if self.grid.step is not None:
            when = np.where(np.isnan(when), self.at[at] + ahead * self.grid.step, when)
        both = written(np.concatenate([self.at[at], when]), self.grid.unit)
        found: dict[str, list[Any]] = {"series": [self.members[k] for k in self.member[at]]} if self.members else {}
        return found | {"from": both[: len(at)], "time": both[len(at) :], "steps": ahead.tolist()}

    def _shape(self, origins: Array) -> tuple[int, int, int]:
        return len(origins), self.form.lookback if self.form.everywhere else 1, len(self.form.horizons)
