"""The columns of a table as a sheet of histograms, by class."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

from nnctl.cli.pictures.figure import plain, png

__all__ = ["draw"]

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")  # for any colour vision (Tol, 2021)
_WIDEST = 4


def draw(figures: Mapping[str, Any]) -> bytes:
    """Draw the histograms of ``figures["histograms"]`` as a PNG.

    In each panel the heights of one class are shares of that class's rows, so that rare classes can be compared with
    common ones. A column may say what they are shares of instead, ``shares_of``, and how many of them each class has,
    ``totals``, where not all are drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    sheet = figures["histograms"]
    columns, groups = sheet["columns"], sheet["groups"]
    across = min(_WIDEST, max(2, ceil(sqrt(len(columns)))))
    down = max(1, -(-len(columns) // across))
    figure = Figure(figsize=(3 * across, 2.3 * down + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    for k, column in enumerate(columns):
        axes = figure.add_subplot(down, across, k + 1)
        _panel(axes, column)
        if k % across == 0 or columns[k - 1].get("shares_of") != column.get("shares_of"):
            axes.set_ylabel(f"share of {column.get('shares_of', 'rows')}", fontsize=8)
    more = f"; {sheet['left_out']} more columns are not drawn" if sheet["left_out"] else ""
    said = f"Columns of the training part by {figures['target']}" if len(groups) > 1 else "Columns"
    figure.suptitle(plain(f"{said}, the most interesting first{more}"), fontsize=11)
    if len(groups) > 1:
        from matplotlib.patches import Patch  # noqa: PLC0415

        patches = [Patch(color=_COLOURS[g], label=plain(_short(name))) for g, name in enumerate(groups)]
        figure.legend(handles=patches, loc="outside lower center", ncols=min(6, len(groups)), frameon=False, fontsize=9)
    return png(figure)


def _panel(axes: Any, column: Mapping[str, Any]) -> None:
    counts = column["counts"]
    totals = column.get("totals") or [sum(group) for group in counts]
    for g, (group, total) in enumerate(zip(counts, totals, strict=True)):
        shares = [count / max(1, total) for count in group]
        if "edges" in column:
            axes.stairs(shares, column["edges"], color=_COLOURS[g], linewidth=1.3)
            axes.stairs(shares, column["edges"], color=_COLOURS[g], fill=True, alpha=0.15)
            if column.get("whole"):
                axes.xaxis.get_major_locator().set_params(integer=True)
        else:
            width = 0.8 / len(counts)
            at = [i - 0.4 + width * (g + 0.5) for i in range(len(shares))]
            axes.bar(at, shares, width, color=_COLOURS[g])
    if "labels" in column:
        labels = [plain(_short(label, 12)) for label in column["labels"]]
        slanted = sum(map(len, labels)) > 22 and max(map(len, labels)) > 2
        axes.set_xticks(range(len(labels)), labels, rotation=40 if slanted else 0, ha="right" if slanted else "center")
    axes.set_title(plain(_short(column["name"], 30)), fontsize=9)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _short(text: str, limit: int = 24) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
