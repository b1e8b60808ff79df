"""Data sets of openml.org, fetched and cached by scikit-learn."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnctl.core.component import PositiveInt
from nnctl.core.errors import DataError
from nnctl.data.sources.frames import FrameSource
from nnctl.data.table import Table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OpenML"]


class OpenML(FrameSource, name="openml"):
    """A data set of openml.org by its name or number (Vanschoren et al., 2014), kept in scikit-learn's data folder."""

    dataset: str | int
    """Its name, such as ``titanic``, or its number."""
    version: PositiveInt | Literal["active"] = "active"
    """Which version of a name; ``active`` is the oldest that is in good standing, as in scikit-learn."""
    target: str | None = None  # type: ignore[assignment]
    """The column to predict; left out, the one that the data set proposes."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - fetched, not drawn
        """Fetch the data set, or take it from the cache."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            bunch = self._fetch()
        table = self.table_of(_frame_of(bunch), self.target or bunch.target_names[0], {})
        return replace(table, notes=tuple(f"openml: {' '.join(str(warning.message).split())}" for warning in said))

    def _fetch(self) -> Any:
        from sklearn.datasets import fetch_openml  # noqa: PLC0415 - a second to import, and only needed here

        if isinstance(self.dataset, int):
            which: dict[str, Any] = {"data_id": self.dataset}
        else:
            which = {"name": self.dataset, "version": self.version}
        try:
            return fetch_openml(
                **which, as_frame=False, parser="liac-arff", target_column=self.target or "default-target"
            )
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"openml: '{self.dataset}' cannot be fetched: {type(error).__name__}: {error}. "
                f"Is there a network, and is there a data set of this name and version, with this target?"
            ) from error


def _frame_of(bunch: Any) -> pl.DataFrame:
    """Return inputs and targets as one frame; codes of categories become their texts again."""
    import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

    if not isinstance(bunch.data, np.ndarray):
        raise DataError("openml: the data set is sparse, which is not supported.")
    columns: dict[str, Any] = {}
    for name, values in zip(bunch.feature_names, bunch.data.T, strict=True):
        categories = (bunch.categories or {}).get(name)
        numbers = values.astype(np.float64)
        columns[name] = (
            numbers if categories is None else [None if np.isnan(c) else categories[int(c)] for c in numbers]
        )
    if len(bunch.target_names) == 1:
        columns[bunch.target_names[0]] = bunch.target
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))
