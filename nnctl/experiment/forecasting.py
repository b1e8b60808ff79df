"""Forecasts of time series: beside the naive ones, which cost nothing, and with the times that they are for."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.data.dataset import Split
from nnctl.data.series import Series
from nnctl.experiment.assembly import Experiment
from nnctl.nn.network import Network
from nnctl.train.metrics import MAE, RMSE

__all__ = ["beside_naive", "by_time", "naive_forecasts", "refuse_to_look_ahead", "scores", "traces"]


def naive_forecasts(series: Series, origins: Array) -> dict[str, Float]:
    """Return what one can say without a network, in the form of the targets.

    ``persistence``: nothing changes; ``seasonal naive``, where there is a season: the last one comes again.
    """
    found = {"persistence": series.persistence(origins)}
    return found if series.form.season is None else found | {"seasonal naive": series.seasonal(origins)}


def beside_naive(experiment: Experiment, network: Network) -> dict[str, Any] | None:
    """Return the errors of the network and of the naive forecasts on the same windows; None of other data.

    The windows are those of the test part, or of the validation part where there is none, or else of training.

    Returns
    -------
    dict or None
        ``part``, ``season``, ``errors`` (of ``network``, ``persistence`` and ``seasonal naive`` each ``rmse`` and
        ``mae`` in the units of the targets, and ``mase``), ``steps`` and ``rmse_by_step`` of each (the error at every
        horizon).
    """
    data = experiment.data
    series = data.series
    if series is None:
        return None
    parts = {"test": data.test, "validation": data.validation, "training": data.train}
    name, part = next((name, part) for name, part in parts.items() if part is not None)
    said = {"network": _said(experiment, network, part), **naive_forecasts(series, part.rows)}
    truth = series.targets_of(series.values, part.rows)
    scale = series.errors_of_training(data.train.rows)
    return {
        "part": name,
        "season": series.form.season,
        "errors": {who: scores(series, part.rows, truth, values, scale) for who, values in said.items()},
        "steps": series.form.horizons.tolist(),
        "rmse_by_step": {who: _by_step(series, truth, values) for who, values in said.items()},
    }


def scores(series: Series, origins: Array, truth: Float, said: Float, scale: Float) -> dict[str, float]:
    """Return RMSE, MAE and MASE of forecasts.

    ``MASE = mean |e| / q`` with the q of each series and target: the mean absolute error of the naive forecast in the
    training part. Below 1 a forecast is better than that one was.

    Source: Hyndman and Koehler (2006), "Another look at measures of forecast accuracy".
    """
    y, p = (a.reshape(-1, a.shape[-1]) for a in (truth, said))
    errors = np.abs(said - truth).reshape(len(origins), -1, series.values.shape[1])
    with np.errstate(invalid="ignore"):
        scaled = errors / scale[series.member[origins]][:, None, :]
    known = scaled[np.isfinite(scaled)]
    return {
        "rmse": RMSE().score(y, p, p),
        "mae": MAE().score(y, p, p),
        "mase": float(known.mean()) if len(known) else float("nan"),
    }


def traces(experiment: Experiment, network: Network, most: int = 400) -> dict[str, Any] | None:
    """Return what a picture of the forecasts over the judged part shows: every target at the longest horizon.

    Returns
    -------
    dict or None
        ``part``, ``step`` (how far ahead), ``unit`` of the times, and for each of ``targets`` its ``name``, ``at``,
        ``truth``, ``network``, ``persistence`` and ``seasonal naive``; the last `most` windows of the first series.
    """
    data = experiment.data
    series = data.series
    if series is None:
        return None
    parts = {"test": data.test, "validation": data.validation, "training": data.train}
    name, part = next((name, part) for name, part in parts.items() if part is not None)
    first = series.member[part.rows[0]]
    rows = np.flatnonzero(series.member[part.rows] == first)[-most:]
    origins = part.rows[rows]
    shown = Split(part.x[rows], part.y[rows], None, origins)
    said = {
        "truth": series.targets_of(series.values, origins),
        "network": _said(experiment, network, shown),
        **naive_forecasts(series, origins),
    }
    K, step = series.values.shape[1], series.form.last
    at = series.positions(origins).reshape(-1) + step
    columns = {who: values.reshape(len(at), -1)[:, -K:] for who, values in said.items()}
    return {
        "part": name,
        "step": step,
        "unit": series.grid.unit,
        "at": series.at[at].tolist(),
        "series": series.members[first] if series.members else None,
        "targets": [
            {"name": target, **{who: values[:, k].tolist() for who, values in columns.items()}}
            for k, target in enumerate(series.names)
        ],
    }


def refuse_to_look_ahead(experiment: Experiment, network: Network) -> None:
    """Raise where forecasts at every position of a window see the positions behind, which they are to foretell.

    Raises
    ------
    SpecError
        Another last row of a window changes what the network says at the rows before it.
    """
    series = experiment.data.series
    if series is None or not series.form.everywhere:
        return
    window = experiment.data.train.x[:1]
    other = window.copy()
    other[0, -1] += 1
    before, after = network.predict(window)[0, :-1], network.predict(other)[0, :-1]
    if not np.allclose(before, after, rtol=1e-4, atol=1e-5):
        raise experiment.loaded.error(
            ("architecture",),
            "the network sees the steps that it is to foretell: what it says at a position depends on those behind it. "
            "Leave second directions out, and write 'causal: true' in attention; or forecast_at: end.",
        )


def by_time(series: Series, origins: Array, said: Array) -> dict[str, Any]:
    """Return the fields of a prediction for forecasts (N, H K), or (N, T, H K), one row for each position and horizon.

    ``rows``, ``said``, ``figures`` and ``truth`` (N P H, K), nan where it is not known; ``places`` as `Series.places`,
    ``names`` of the targets.
    """
    K = series.values.shape[1]
    values = said.reshape(-1, K)
    truth = series.targets_of(series.values, origins).reshape(-1, K)
    return {
        "rows": np.repeat(series.positions(origins).ravel() + 1, len(series.form.horizons)),
        "said": values,
        "figures": values[:, :0],
        "truth": truth if np.isfinite(truth).any() else None,
        "places": series.places(origins),
        "names": series.names,
    }


def _said(experiment: Experiment, network: Network, part: Split) -> Float:
    return experiment.judge.predictions(network.predict(part.x))


def _by_step(series: Series, truth: Float, said: Float) -> list[float]:
    H, K = len(series.form.horizons), series.values.shape[1]
    errors = (said - truth).reshape(-1, H, K)
    found: list[float] = np.sqrt(np.square(errors).mean(axis=0)).mean(axis=1).tolist()
    return found
