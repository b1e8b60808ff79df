"""A time series with its parts, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from nnctl.cli.pictures.forecast import moments

__all__ = ["draw"]

_COLOURS = {"train": "#4477aa", "validation": "#ee6677", "test": "#228833"}  # distinguishable by all (Tol, 2021)
_MOST = 4


def draw(figures: Mapping[str, Any]) -> bytes:
    """Return a PNG with a panel for each target, the first few, over time; colours tell the parts.

    Parameters
    ----------
    figures : mapping
        Those of `nnctl data`, with ``series``.
    """
    import numpy as np  # noqa: PLC0415
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    found = figures["series"]
    targets = list(found["targets"].items())[:_MOST]
    figure = Figure(figsize=(11, 0.8 + 2.4 * len(targets)), layout="constrained")
    FigureCanvasAgg(figure)
    at = np.asarray(found["at"])
    when = np.asarray(moments(found["at"], found["unit"]))
    parts = list(found["borders"].items())
    for i, (name, values) in enumerate(targets):
        axes = figure.add_subplot(len(targets), 1, i + 1)
        axes.plot(when, values, color="0.8", linewidth=0.8)
        for k, (part, start) in enumerate(parts):
            stop = parts[k + 1][1] if k + 1 < len(parts) else np.inf
            inside = (at >= start) & (at < stop)
            axes.plot(when[inside], np.asarray(values)[inside], color=_COLOURS[part], linewidth=1, label=part)
        axes.set_ylabel(name.replace("$", r"\$"))
        axes.grid(alpha=0.25)
        axes.margins(x=0.01)
    axes.set_xlabel("time" if found["unit"] != "number" else "step")
    figure.axes[0].legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=9)
    figure.suptitle(f"{found['steps']:,} steps, the targets of each part")
    picture = BytesIO()
    figure.savefig(picture, dpi=110, format="png")
    return picture.getvalue()
