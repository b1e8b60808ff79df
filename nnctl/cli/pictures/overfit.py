"""How the loss on one batch falls with each learning rate, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from nnctl.cli.pictures.figure import plain, png
from nnctl.cli.words import counted

__all__ = ["draw"]

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")  # Tol (2021), bright
_LEAST = 1e-4
"""What is drawn for a loss at its floor or below: the axis is logarithmic."""
_MOST = 30
"""A loss beyond this many first losses is drawn there, so that what diverges leaves the others readable."""


def draw(figures: Mapping[str, Any]) -> bytes:
    """Draw the loss above its floor at each step, one line for each learning rate; a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for rung, colour in zip(sorted(figures["rungs"], key=lambda rung: -rung["lr"]), _COLOURS, strict=False):
        _line(axes, rung, figures["floor"], colour)
    if figures["task"] == "classification":
        axes.axhline(figures["goal"]["above_floor"], color="0.4", linewidth=1, linestyle=":")
        axes.annotate(
            f"goal: {figures['goal']['above_floor']}",
            (0, figures["goal"]["above_floor"]),  # where every curve is still high
            (4, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=8,
            color="0.3",
        )
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel(plain(f"{figures['loss']} above its floor of {figures['floor']:.3g}"))
    axes.set_title(f"One batch of {counted(figures['size'], 'row')}, trained on again and again", fontsize=11)
    axes.grid(alpha=0.25)
    axes.legend(title="learning rate", frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1))
    return png(figure)


def _line(axes: Any, rung: Mapping[str, Any], floor: float, colour: str) -> None:
    most = max(_MOST * (rung["first_loss"] - floor), 1.0) if isfinite(rung["first_loss"]) else 1.0
    points = [
        (step, min(max(loss - floor, _LEAST), most) if isfinite(loss) else most)
        for step, loss in zip(rung["curve"]["step"], rung["curve"]["loss"], strict=True)
    ]
    spec = " (spec)" if rung["factor"] == 1 else ""
    label = f"{rung['lr']:.3g}{spec}: {'not learned' if rung['outcome'] == 'short' else rung['outcome']}"
    width = 2.2 if rung["outcome"] == "learned" else 1.3
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=width, label=label)
    if rung["outcome"] != "short":
        axes.plot(*points[-1], marker="o" if rung["outcome"] == "learned" else "x", color=colour, markersize=7)
