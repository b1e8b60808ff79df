"""The network beside the naive forecast, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnctl.cli.words import number

__all__ = ["errors", "verdict"]

MEASURES = ("rmse", "mae", "mase")


def errors(forecast: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of a table with the errors of the network and of each naive forecast."""
    found = forecast["errors"]
    return [f"{forecast['part']} forecast", *MEASURES], [
        [who, *(number(figures[name]) if figures[name] is not None else "-" for name in MEASURES)]
        for who, figures in found.items()
    ]


def verdict(forecast: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the network compares with the best naive forecast."""
    rmse = {who: figures["rmse"] for who, figures in forecast["errors"].items()}
    if any(value is None for value in rmse.values()):
        return
    own = rmse.pop("network")
    best = min(rmse, key=lambda who: rmse[who])
    if rmse[best] > 0:
        share = own / rmse[best]
        worse = "" if share < 1 else f": it is {'no better' if share < 1.05 else 'worse'} than one that costs nothing"
        yield f"the network's rmse is {share:.2f} times that of the best naive forecast, {best}{worse}"
