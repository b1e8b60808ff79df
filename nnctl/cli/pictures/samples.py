"""Sample images with their labels, as a sheet; and images before and after augmentation."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from nnctl.cli.pictures.figure import plain, png

__all__ = ["draw", "draw_augmented"]


def draw(figures: Mapping[str, Any]) -> bytes:
    """Draw the images of ``figures["samples"]`` as a PNG, one class a line."""
    sheet = figures["samples"]
    low, high = sheet["range"]
    more = f"; {sheet['left_out']} more classes are not drawn" if sheet["left_out"] else ""
    by = f"by {figures['target']}, " if sheet["lines"][0]["label"] else ""
    return _sheet(sheet, f"First images of the training part, {by}black is {low:.3g}, white {high:.3g}{more}")


def draw_augmented(figures: Mapping[str, Any]) -> bytes:
    """Draw the images of ``figures["augmented"]`` as a PNG: as they are, then as the first epochs show them."""
    sheet = figures["augmented"]
    epochs = len(sheet["lines"][0]["pixels"]) - 1
    return _sheet(sheet, f"Training images by {figures['target']}: as they are, then in epochs 1 to {epochs}", gap=True)


def _sheet(sheet: Mapping[str, Any], title: str, *, gap: bool = False) -> bytes:
    """Draw lines of images; with a gap after the first of each line."""
    import numpy as np  # noqa: PLC0415 - not needed for --help
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines, shape = sheet["lines"], tuple(sheet["shape"])
    across = max(len(line["pixels"]) for line in lines)
    figure = Figure(figsize=(0.75 * across + 1.2, 0.75 * len(lines) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    cells = figure.add_gridspec(len(lines), across + gap, width_ratios=[1, *[0.3] * gap, *[1] * (across - 1)])
    for i, line in enumerate(lines):
        for k, pixels in enumerate(line["pixels"]):
            image = np.frombuffer(b64decode(pixels), np.uint8).reshape(shape)
            axes = figure.add_subplot(cells[i, k + (gap and k > 0)])
            axes.imshow(image if shape[2] > 1 else image[..., 0], cmap="gray", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
            if k == 0 and line["label"]:
                label = plain(line["label"] if len(line["label"]) <= 12 else f"{line['label'][:11]}…")
                axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11)
    figure.suptitle(plain(title), fontsize=10)
    return png(figure)
