"""The picture of a range test: the curve with every reading of it, and the short runs that decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnctl.cli.pictures.figure import plain, png

__all__ = ["draw"]

_CURVE, _SUGGESTION, _SPEC, _FAILED = "#4477aa", "#228833", "#aa3377", "#ee6677"  # for any colour vision (Tol, 2021)
_RULES = (("#ccbb44", "-."), ("#66ccee", "--"), ("#332288", (0, (1, 1))), ("#ee6677", ":"))

_FAR = 4
"""Where the loss before training is so many times the lowest at the end, short runs are drawn on a log scale."""


def draw(figures: Mapping[str, Any]) -> bytes:
    """Return a PNG: loss over learning rate, and below it, on the same axis, what the short runs came to."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    confirmed = bool(figures["trials"])
    figure = Figure(figsize=(9.5, 7.5 if confirmed else 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 if confirmed else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_sweeps(panels[0], figures)
    if confirmed:
        _draw_trials(panels[1], figures)
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(figures["rates"][0], figures["rates"][-1])
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    panels[-1].set_xlabel(plain(f"learning rate of {figures['optimizer']} (log scale)"))
    return png(figure)


def _draw_sweeps(axes: Any, figures: Mapping[str, Any]) -> None:
    axes.set_title(f"Range test: the learning rate grows over {len(figures['rates'])} steps", fontsize=11)
    axes.set_ylabel("loss of the batch before the step")
    for i, losses in enumerate(figures["sweeps"]):
        label = {"label": f"{len(figures['sweeps'])} sweeps"} if i == 0 else {}
        axes.plot(figures["rates"][: len(losses)], losses, color="0.75", linewidth=0.8, **label)
    curve = figures["curve"]
    if curve is None:
        return
    axes.plot(curve["lr"], curve["loss"], color=_CURVE, linewidth=2, label="median, smoothed")
    for (rule, lr), (colour, style) in zip(figures["rules"].items(), _RULES, strict=True):
        if lr is not None:
            axes.axvline(lr, color=colour, linestyle=style, linewidth=1.3, label=f"{rule}: {lr:.2g}")
    _mark_suggestion(axes, figures)
    low, high = min(curve["loss"]), max(curve["start"], min(curve["loss"]))
    room = 0.25 * (high - low) or 1.0
    highest = max((loss for losses in figures["sweeps"] for loss in losses[:10]), default=high)
    axes.set_ylim(low - room, max(high, highest) + room)


def _draw_trials(axes: Any, figures: Mapping[str, Any]) -> None:
    axes.set_title(f"Short runs of {figures['run_steps']} steps at a constant learning rate", fontsize=11)
    axes.set_ylabel("loss at the end")
    ended = [trial for trial in figures["trials"] if not trial["diverged"]]
    starts = [(trial["lr"], loss) for trial in ended for loss in trial["losses"]]
    axes.plot([lr for lr, _ in starts], [loss for _, loss in starts], ".", color="0.7", label="each start")
    axes.plot([t["lr"] for t in ended], [t["loss"] for t in ended], "o-", color=_CURVE, label="their mean")
    start, lowest = figures["curve"]["start"], min((loss for _, loss in starts), default=0.0)
    if 0 < lowest < start / _FAR:  # or the line of the start would press the others together
        axes.set_yscale("log")
    axes.axhline(start, color="0.5", linewidth=1, linestyle="--", label="before training")
    diverged = [trial["lr"] for trial in figures["trials"] if trial["diverged"]]
    if diverged:
        top = axes.get_xaxis_transform()
        axes.plot(diverged, [0.95] * len(diverged), "x", color=_FAILED, transform=top, label="diverged")
    _mark_suggestion(axes, figures)
    axes.axvline(figures["lr"], color=_SPEC, linewidth=1.5, linestyle=":", label=f"the spec's: {figures['lr']:g}")


def _mark_suggestion(axes: Any, figures: Mapping[str, Any]) -> None:
    if figures["suggestion"] is None:
        return
    least, most = figures["interval"]
    axes.axvline(figures["suggestion"], color=_SUGGESTION, linewidth=2, label=f"suggestion: {figures['suggestion']:g}")
    if most > least:
        axes.axvspan(least, most, color=_SUGGESTION, alpha=0.12, linewidth=0, label=f"interval: {least:g} to {most:g}")
