"""Forecasts against what came, with the naive one, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

__all__ = ["draw", "moments"]

_LINES = {  # distinguishable with any colour vision (Tol, 2021)
    "truth": ("#000000", "-", 1.4),
    "persistence": ("#bbbbbb", "-", 1.0),
    "seasonal naive": ("#ccbb44", "-", 1.0),
    "network": ("#ee6677", "-", 1.2),
}
_MOST = 3


def draw(found: Mapping[str, Any], title: str) -> bytes:
    """Return a PNG with a panel for each target, the first few: truth, network and naive forecasts over time.

    Parameters
    ----------
    found : mapping
        As `nnctl.experiment.forecasting.traces` returns it.
    title : str
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    targets = found["targets"][:_MOST]
    figure = Figure(figsize=(11, 0.8 + 2.9 * len(targets)), layout="constrained")
    FigureCanvasAgg(figure)
    at = moments(found["at"], found["unit"])
    for i, target in enumerate(targets):
        axes = figure.add_subplot(len(targets), 1, i + 1)
        for who, (colour, style, width) in _LINES.items():
            if who in target:
                front = {"truth": 3, "network": 4}.get(who, 2)
                axes.plot(at, target[who], style, color=colour, linewidth=width, label=who, zorder=front)
        axes.set_ylabel(target["name"].replace("$", r"\$"))
        axes.grid(alpha=0.25)
        axes.margins(x=0.01)
    axes.set_xlabel("time" if found["unit"] != "number" else "step")
    figure.axes[0].legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=9)
    of = f", series {found['series']}" if found["series"] is not None else ""
    ahead = f"{found['step']} step{'s' if found['step'] > 1 else ''} ahead"
    figure.suptitle(f"{title}: forecasts of the {found['part']} part, {ahead}{of}".replace("$", r"\$"))
    picture = BytesIO()
    figure.savefig(picture, dpi=110, format="png")
    return picture.getvalue()


def moments(at: list[float], unit: str) -> Any:
    """Return times as Matplotlib puts them on an axis."""
    import numpy as np  # noqa: PLC0415

    if unit == "number":
        return at
    whole = np.round(np.asarray(at)).astype(np.int64)
    return (whole - 12 * 1970).astype("datetime64[M]") if unit == "month" else whole.astype("datetime64[s]")
