"""Windowed: sources whose rows are windows of a time series, each with the values that follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Float
from nnctl.core.component import Items, PositiveInt
from nnctl.core.errors import DataError
from nnctl.data.series import Series, Windowing
from nnctl.data.sources.source import Source
from nnctl.data.table import Table, counted

__all__ = ["Windowed"]

Horizon = PositiveInt | Annotated[Items[PositiveInt], Field(min_length=2, max_length=2)]
"""So many steps ahead, or all from the first to the second."""


class Windowed(Source):
    """Windows of a time series; the network sees x (lookback, D) and says the targets some steps behind it."""

    inputs: Items[str] = ()
    """The columns that the network sees; left out, all that hold numbers, the targets among them."""
    lookback: PositiveInt = 24
    """How many steps the network sees, T."""
    horizon: Horizon = 1
    """How many steps ahead the target is; [1, 24] asks for every one of the next 24 at once."""
    stride: PositiveInt | None = None
    """Steps from one window to the next; left out, 1, or `lookback` where every position has targets."""
    forecast_at: Literal["end", "every position"] = "end"
    """Whether there is a forecast at the last step of a window, or at every one of them (sequence to sequence). The
    network must not look ahead then: no second direction, and attention only with ``causal: true``."""
    season: PositiveInt | None = None
    """Steps after which the series repeats itself, 24 for hours of a day: the network is then compared with the
    forecast that the last season comes again, too."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "features": "inputs",
        "input_columns": "inputs",
        "window": "lookback",
        "window_size": "lookback",
        "input_width": "lookback",
        "input_chunk_length": "lookback",
        "context_length": "lookback",
        "sequence_length": "lookback",
        "seq_len": "lookback",
        "n_lags": "lookback",
        "lags": "lookback",
        "steps_ahead": "horizon",
        "forecast_horizon": "horizon",
        "prediction_length": "horizon",
        "output_chunk_length": "horizon",
        "step": "stride",
        "sequence_stride": "stride",
        "seasonality": "season",
        "period": "season",
        "target": "targets",
        "labels": "targets",
        "timestamp": "time",
        "time_column": "time",
        "date": "time",
        "group": "series",
        "group_ids": "series",
        "id": "series",
        "static_id": "series",
        "fill": "impute",
    }

    @model_validator(mode="after")
    def _horizon_rises(self) -> Self:
        if isinstance(self.horizon, tuple) and self.horizon[0] > self.horizon[1]:
            first, last = self.horizon
            raise PydanticCustomError(
                "nnctl", f"horizon must rise from the first step to the last. Got [{first}, {last}]."
            )
        return self

    @property
    def windowing(self) -> Windowing:
        """How windows are cut."""
        first, last = self.horizon if isinstance(self.horizon, tuple) else (self.horizon, self.horizon)
        everywhere = self.forecast_at == "every position"
        stride = self.stride or (self.lookback if everywhere else 1)
        return Windowing(self.lookback, first, last, everywhere, stride, self.season)

    def table_of(self, x: Float, series: Series, notes: tuple[str, ...] = ()) -> Table:
        """Return the rows x (S, D) with their series."""
        return Table(x, series.values, series.inputs, ", ".join(series.names), series=series, notes=notes)

    def refuse_too_short(self, table: Table) -> Table:
        """Return the table, or raise where no window with its targets fits into it.

        Raises
        ------
        DataError
            With the rows that there are, and those that are needed.
        """
        series = table.series
        assert series is not None
        form, longest = series.form, series.longest_run
        if longest < form.rows:
            parts = len(series.runs)
            where = f"the longest of {parts:,} runs without a gap has" if parts > 1 else "the series has"
            raise DataError(
                f"{self.name}: {where} {counted(longest, 'row')}, and a window of lookback {form.lookback} with a "
                f"target {counted(form.last, 'step')} behind it needs {form.rows}. Take a smaller lookback or horizon, "
                f"or a longer series{', or gaps: ignore' if parts > 1 else ''}."
            )
        return table
