"""The curves of several runs over one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnctl.cli.pictures.figure import plain, png
from nnctl.core.errors import DataError

if TYPE_CHECKING:
    from nnctl.runs.comparison import Comparison

__all__ = ["curves_of", "draw"]

_SPECS, _RUNS = 12, 20
"""More colours cannot be told apart, and more lines of one colour not be seen."""
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")  # Tol (2021): for any colour vision
_LINES = ("-", "--")


def curves_of(found: Comparison) -> dict[str, Any]:
    """Return what the picture shows, as plain data: the first specs of the table, each with the curves of its runs.

    A run whose records cannot be read is left out.
    """
    figure = found.metric if found.metric.startswith(("val_", "train_")) else "val_loss"
    labels = {group.settings: group.label for group in found.groups}
    specs: dict[str, dict[str, Any]] = {}
    for row in found.rows:
        spec = specs.get(row.settings, {"name": labels.get(row.settings, row.entry.name), "runs": []})
        if len(specs) - (row.settings in specs) == _SPECS or len(spec["runs"]) == _RUNS:
            continue
        points = _points(Path(row.entry.path), (figure, "train_loss"))
        if points:
            spec["runs"].append(points)
            specs[row.settings] = spec
    return {"figure": figure, "specs": list(specs.values())}


def draw(figures: Mapping[str, Any]) -> bytes:
    """Draw the compared figure, and beside it the training loss, over the epochs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    names = [figures["figure"]] if figures["figure"] == "train_loss" else [figures["figure"], "train_loss"]
    rows = -(-len(figures["specs"]) // 2)
    figure = Figure(figsize=(10, 4.2 + 0.22 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for i, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), i + 1)
        _panel(axes, name, figures["specs"])
    if figures["specs"]:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return png(figure)


def _panel(axes: Any, name: str, specs: list[dict[str, Any]]) -> None:
    drawn: list[float] = []
    for i, spec in enumerate(specs):
        several = len(spec["runs"]) > 1
        label = plain(f"{spec['name']}, {len(spec['runs'])} runs" if several else spec["name"])
        for run in spec["runs"]:
            epochs, values = run[name] or [[], []]
            axes.plot(
                epochs,
                values,
                label=label,
                color=_COLOURS[i % len(_COLOURS)],
                linestyle=_LINES[i // len(_COLOURS)],
                linewidth=0.9 if several else 1.5,
                marker="." if len(values) < 5 else None,
            )
            label = "_"  # one entry of the legend for all runs of a spec
            drawn += values
    axes.set_title(plain(name.replace("_", " ").replace("val ", "validation ")), fontsize=10)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25)
    if name.endswith("loss") and drawn and min(drawn) > 0 and max(drawn) > 20 * min(drawn):
        axes.set_yscale("log")


def _points(run: Path, names: tuple[str, ...]) -> dict[str, list[list[float]]]:
    """Return epochs and values of each figure; empty where the run has no records of them."""
    from nnctl.runs.records import Records  # noqa: PLC0415

    try:
        records = Records(run / "metrics.jsonl").read()
    except (DataError, OSError):
        return {}
    points = {}
    for name in names:
        have = [(r["epoch"], r[name]) for r in records if isinstance(r.get(name), int | float)]
        points[name] = [list(column) for column in zip(*have, strict=True)]
    return points if any(points.values()) else {}
