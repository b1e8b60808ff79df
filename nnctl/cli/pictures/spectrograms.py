"""Spectrograms of recordings with their labels, as a sheet; and before and after augmentation."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from nnctl.cli.pictures.figure import plain, png

__all__ = ["draw", "draw_augmented"]

_WIDTH, _HEIGHT = 1.5, 1.05


def draw(figures: Mapping[str, Any]) -> bytes:
    """Draw the recordings of ``figures["sounds"]`` as a PNG, one class a line."""
    sheet = figures["sounds"]
    more = f"; {sheet['left_out']} more classes are not drawn" if sheet["left_out"] else ""
    by = f" by {figures['target']}" if sheet["lines"][0]["label"] else ""
    return _sheet(sheet, f"First recordings of the training part{by}{more}")


def draw_augmented(figures: Mapping[str, Any]) -> bytes:
    """Draw the recordings of ``figures["augmented_sounds"]`` as a PNG: as they are, then as in the first epochs."""
    sheet = figures["augmented_sounds"]
    epochs = len(sheet["lines"][0]["pixels"]) - 1
    title = f"Training recordings by {figures['target']}: as they are, then in epochs 1 to {epochs}"
    return _sheet(sheet, title, gap=True)


def _sheet(sheet: Mapping[str, Any], title: str, *, gap: bool = False) -> bytes:
    """Draw lines of spectrograms; with a gap after the first of each line."""
    import numpy as np  # noqa: PLC0415 - not needed for --help
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines, shape, bands = sheet["lines"], tuple(sheet["shape"]), len(sheet["hertz"])
    across = max(len(line["pixels"]) for line in lines)
    figure = Figure(figsize=(_WIDTH * across + 1.8, _HEIGHT * len(lines) + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    cells = figure.add_gridspec(len(lines), across + gap, width_ratios=[1, *[0.12] * gap, *[1] * (across - 1)])
    heights = [0, bands // 2, bands - 1]
    for i, line in enumerate(lines):
        for k, pixels in enumerate(line["pixels"]):
            image = np.frombuffer(b64decode(pixels), np.uint8).reshape(shape).T
            axes = figure.add_subplot(cells[i, k + (gap and k > 0)])
            extent = (0, sheet["seconds"], -0.5, bands - 0.5)
            axes.imshow(image, cmap="magma", vmin=0, vmax=255, origin="lower", aspect="auto", extent=extent)
            axes.set_yticks(heights if k == 0 else [])
            axes.tick_params(labelsize=8, labelbottom=i == len(lines) - 1)
            if k == 0:
                axes.set_yticklabels([_frequency(sheet["hertz"][height]) for height in heights])
                label = plain(line["label"] if len(line["label"]) <= 12 else f"{line['label'][:11]}…")
                axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11)
    figure.supxlabel("time in seconds", fontsize=10)
    scale = f"frequency in hertz on the mel scale; black is {sheet['decibels']:.0f} dB below the loudest"
    figure.suptitle(f"{plain(title)}\n{plain(scale)}", fontsize=10)
    return png(figure)


def _frequency(hertz: float) -> str:
    return f"{hertz / 1000:.2g}k" if hertz >= 1000 else f"{hertz:.0f}"
