"""The flow of the gradient through the layers of a network as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, nan
from typing import Any

from nnctl.cli.pictures.figure import plain, png

__all__ = ["draw"]

_DEPTH = ("#882e72", "#1965b0", "#4eb265", "#f1932d", "#dc050c")  # from input to output (Tol, 2021, rainbow)
_BAD = "#ee6677"
_LEGIBLE = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
"""Behind a word that lines may cross."""
_NAMED = 12
"""So many layers have their names beside a panel; of more, every second, third ... one has."""


def draw(figures: Mapping[str, Any], name: str = "") -> bytes:
    """Draw gradients, updates and units over the steps that were measured, a line for every layer; a PNG.

    Parameters
    ----------
    figures : mapping
        As `nnctl.train.health.Health.figures` returns them: the names of the layers' weights from the input to the
        output, ``kernels``, and a record for every measured step, ``samples``.
    name : str, optional
        The run's, which stands above.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    from nnctl.train.flow import ROWS  # noqa: PLC0415
    from nnctl.train.health import DEAD, RATIOS, SATURATED, VANISHED  # noqa: PLC0415

    samples, kernels = figures["samples"], figures["kernels"]
    kinds = [kind for kind in ("dead", "saturated") if samples and samples[0][kind]]
    figure = Figure(figsize=(10, 3 * (2 + len(kinds))), layout="constrained")
    FigureCanvasAgg(figure)
    if name:
        figure.suptitle(plain(name))
    panels = list(figure.subplots(2 + len(kinds), 1, sharex=True))

    _panel(panels[0], samples, "mean_grad", kernels, title="Gradient: mean |g| of each layer's weights")
    _panel(panels[1], samples, "update_ratio", kernels, title="Update: length of a step over length of the weights")
    for axes, low, high in ((panels[0], VANISHED, None), (panels[1], *RATIOS)):
        axes.set_yscale("log")
        _shade(axes, low, high)
    for axes, kind in zip(panels[2:], kinds, strict=True):
        bounds = DEAD if kind == "dead" else SATURATED
        what = "Dead relu units: 0 for each of" if kind == "dead" else "Saturated sigmoid and tanh outputs on"
        _panel(axes, samples, kind, list(samples[0][kind]), title=f"{what} up to {ROWS} training rows")
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        for verdict, bound in bounds.items():
            _mark(axes, bound, f"{verdict}s")
    _mark(panels[1], 1e-3, "healthy")
    panels[-1].set_xscale("log")
    # Left of the first step is room for words; a training may end before its first look.
    panels[-1].set_xlim(left=0.5, right=None if samples else 10)
    panels[-1].xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    panels[-1].set_xlabel("step")
    return png(figure)


def _panel(axes: Any, samples: Sequence[Mapping[str, Any]], figure: str, layers: Sequence[str], title: str) -> None:
    """Draw one figure of each layer; what is zero lies a decade below the least that is not."""
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415

    colours = LinearSegmentedColormap.from_list("depth", _DEPTH)
    steps = [sample["step"] for sample in samples]
    lines = {layer: [sample[figure][layer] for sample in samples] for layer in layers}
    shares = figure in {"dead", "saturated"}
    least = min((value for line in lines.values() for value in line if value and value > 0), default=1e-9) / 10
    every = ceil(len(layers) / _NAMED) or 1
    for i, (layer, line) in enumerate(lines.items()):
        heights = [nan if value is None else value if shares else max(value, least) for value in line]
        axes.plot(
            steps,
            heights,
            color=colours(i / max(1, len(layers) - 1)),
            marker="." if len(steps) < 40 else None,
            label=plain(layer.removesuffix(".W")) if i % every == 0 or layer == layers[-1] else None,
        )
    none = not shares and any(value == 0 for line in lines.values() for value in line)
    axes.set_title(f"{title}{'; zero at the bottom' if none else ''}", fontsize=11)
    axes.grid(alpha=0.25)
    if layers:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))


def _mark(axes: Any, height: float, label: str) -> None:
    """Draw a bound, with a word beside it."""
    axes.axhline(height, color="0.4", linewidth=1, linestyle=":")
    place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    # Far outside of what is shown, the word would take all room from the panels.
    axes.annotate(label, (0, height), (4, 2), fontsize=8, color="0.3", annotation_clip=True, bbox=_LEGIBLE, **place)


def _shade(axes: Any, low: float, high: float | None) -> None:
    """Shade what is too small or too large, where the lines come near to it."""
    bottom, top = axes.get_ylim()
    if bottom <= 0:
        return  # all weights are zero, and no line was drawn
    place = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "fontsize": 8,
        "color": "0.3",
        "bbox": _LEGIBLE,
    }
    if bottom < low:
        axes.axhspan(bottom, low, color=_BAD, alpha=0.12, linewidth=0)
        axes.annotate("too small", (0, 0), (4, 4), **place)
    if high is not None and top > high:
        axes.axhspan(high, top, color=_BAD, alpha=0.12, linewidth=0)
        axes.annotate("too large", (0, 1), (4, -11), **place)
    axes.set_ylim(bottom, top)
