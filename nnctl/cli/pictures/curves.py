"""The curves of a run as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnctl.cli.pictures.figure import plain, png

if TYPE_CHECKING:
    from nnctl.runs.store import Run

__all__ = ["draw_curves"]

_TRAIN, _VALIDATION, _PLAIN = "#4477aa", "#ee6677", "#228833"  # distinguishable with any colour vision (Tol, 2021)

_FLAT = 0.05
"""A loss that changes by less than this share of itself has an axis so high: magnified, noise looks like learning."""


def draw_curves(run: Run) -> Path:
    """Draw loss, metrics, learning rate and gradient norm over the epochs into ``plots/curves.png``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    records = run.records.read()
    best = run.read_json("run.json").get("summary", {}).get("best_epoch")
    names = [name.removeprefix("train_") for name in records[0] if name.startswith("train_")] if records else []
    panels = [*names, "lr", "grad_norm"]
    columns = 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(9, 3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for i, name in enumerate(panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        _panel(axes, records, name)
        if best is not None:
            axes.axvline(best, color="0.6", linewidth=1, linestyle=":", label=f"best epoch ({best})")
        axes.set_xlabel("epoch")
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.25)
    figure.suptitle(plain(f"{run.name}, seed {run.record.get('environment', {}).get('seed')}"))
    run.write_bytes("plots/curves.png", png(figure))
    return run.path / "plots" / "curves.png"


def _panel(axes: Any, records: list[dict[str, Any]], name: str) -> None:
    titles = {"lr": "learning rate", "grad_norm": "gradient norm"}
    axes.set_title(plain(titles.get(name, name.replace("_", " "))), fontsize=10)
    lines = {f"train_{name}": ("train", _TRAIN), f"val_{name}": ("validation", _VALIDATION)}
    if name in titles:
        lines = {name: ("last step" if name == "lr" else "mean", _PLAIN), "grad_norm_max": ("largest", _VALIDATION)}
        lines = lines if name == "grad_norm" else {name: lines[name]}
    axes.xaxis.get_major_locator().set_params(integer=True)
    drawn: list[float] = []
    for key, (label, colour) in lines.items():
        points = [(record["epoch"], record[key]) for record in records if record.get(key) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker="." if len(points) < 40 else None)
            drawn += [value for _, value in points]
    positive = bool(drawn) and min(drawn) > 0
    if positive and name in ("loss", "lr", "grad_norm") and max(drawn) > 20 * min(drawn):
        axes.set_yscale("log")
    elif drawn and min(drawn) == max(drawn) > 0:
        axes.set_ylim(0, 2 * drawn[0])
    elif name == "loss" and drawn and max(drawn) - min(drawn) < _FLAT * max(map(abs, drawn)):
        middle, half = (min(drawn) + max(drawn)) / 2, _FLAT * max(map(abs, drawn)) / 2
        axes.set_ylim(middle - half, middle + half)
