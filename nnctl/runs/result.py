"""What a run came to, or has come to so far: its best value, its figures, its length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import float_info
from typing import Any, Literal

from nnctl.core.foreign import json_of, read_up_to
from nnctl.runs.listing import Entry
from nnctl.runs.records import MOST_BYTES

__all__ = ["LESS_IS_BETTER", "Mode", "Result", "mode_of", "result_of"]

Mode = Literal["min", "max"]

LESS_IS_BETTER = frozenset({"loss", "log_loss", "perplexity", "mse", "rmse", "mae", "mase"})
"""The figures, without ``train_``, ``val_`` or ``test_``, of which less is better; of all others more is."""

_LARGEST = float_info.max
_PARTS = {"train": "train", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run.

    Parameters
    ----------
    monitor : str or None
        The figure that its best epoch was chosen by, such as ``val_loss``.
    mode : {"min", "max"}
        Which way that figure is better.
    best_value, best_epoch : float and int, or None
        The best value of the monitored figure, and its epoch.
    epochs : int or None
    seconds : float or None
    parameters : int or None
    weights : {"best", "last"} or None
        Which weights the run kept; None before its end.
    figures : mapping
        ``train_loss``, ``val_accuracy``, ``test_loss``, ... of the weights that it kept; before its end the recorded
        ones of its best epoch.
    """

    monitor: str | None
    mode: Mode
    best_value: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    parameters: int | None = None
    weights: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    def figure(self, name: str) -> float | None:
        """Return the best value for the monitored figure, and for another one that of the weights that were kept."""
        return self.best_value if name == self.monitor else self.figures.get(name)


def mode_of(figure: str) -> Mode:
    """Return which way a figure is better."""
    return "min" if figure.split("_", 1)[-1] in LESS_IS_BETTER else "max"


def result_of(entry: Entry) -> Result:
    """Return the result of a run; before its end it is read from metrics.jsonl."""
    summary = entry.summary
    if "epochs" not in summary:
        return _so_far(entry)
    monitor = summary.get("monitor") if isinstance(summary.get("monitor"), str) else None
    weights = summary.get("weights")
    return Result(
        monitor,
        _mode(entry, monitor),
        best_value=_number(summary.get("best_value")),
        best_epoch=_whole(summary.get("best_epoch")),
        epochs=_whole(summary.get("epochs")),
        seconds=_number(summary.get("seconds")),
        parameters=_whole(summary.get("parameters")),
        weights=weights if isinstance(weights, str) else None,
        figures=_of_forecast(summary.get("forecast")) | _figures(summary.get("metrics")),
    )


def _so_far(entry: Entry) -> Result:
    last, best = _last_and_best(f"{entry.path}/metrics.jsonl")
    stopping = entry.spec.get("early_stopping")
    monitor = stopping.get("monitor") if isinstance(stopping, dict) else None
    if not isinstance(monitor, str):
        monitor = next((name for name in ("val_loss", "train_loss") if name in (best or last)), None)
    figures = {name: _number(value) for name, value in best.items() if name.startswith(("train_", "val_"))}
    return Result(
        monitor,
        _mode(entry, monitor),
        best_value=_number(best.get(monitor)) if monitor else None,
        best_epoch=_whole(best.get("epoch")),
        epochs=_whole(last.get("epoch")) or 0,
        seconds=_number(last.get("seconds")),
        figures={name: value for name, value in figures.items() if value is not None},
    )


def _last_and_best(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the last whole record and the last that was the best so far; {} where there is none."""
    try:
        raw = read_up_to(path, MOST_BYTES)
    except (OSError, ValueError):
        return {}, {}
    whole = raw.rfind(b"\n")  # a torn last line has no end
    last = _record(raw, whole - 1)
    best = last if last.get("best") is True else _record(raw, raw.rfind(b'"best": true', 0, max(whole, 0)))
    return last, best


def _record(raw: bytes, at: int) -> dict[str, Any]:
    """Return the record of the line that holds a byte."""
    if at < 0:
        return {}
    end = raw.find(b"\n", at)
    try:
        record = json_of(raw[raw.rfind(b"\n", 0, at) + 1 : end])
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _mode(entry: Entry, monitor: str | None) -> Mode:
    stopping = entry.spec.get("early_stopping")
    mode = stopping.get("mode") if isinstance(stopping, dict) else None
    return mode if mode in ("min", "max") else mode_of(monitor or "loss")


def _figures(metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, dict):
        return {}
    found = {}
    for part, prefix in _PARTS.items():
        figures = metrics.get(part)
        for name, value in figures.items() if isinstance(figures, dict) else ():
            figure = _number(value)
            if figure is not None:
                found[f"{prefix}_{name}"] = figure
    return found


def _of_forecast(forecast: Any) -> dict[str, float]:
    """Return the errors of a forecast as figures of the part that it was measured on."""
    if not isinstance(forecast, dict) or forecast.get("part") != "test" or not isinstance(forecast.get("errors"), dict):
        return {}
    return _figures({"test": forecast["errors"].get("network")})


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_LARGEST <= value <= _LARGEST else None  # which also leaves out what is not a number


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
