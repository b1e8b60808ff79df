"""Sample images with their labels, as a sheet."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from io import BytesIO
from typing import Any

__all__ = ["draw"]


def draw(figures: Mapping[str, Any]) -> bytes:
    """Draw the images of ``figures["samples"]`` as a PNG, one class a line."""
    import numpy as np  # noqa: PLC0415 - not needed for --help
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    sheet = figures["samples"]
    lines, shape = sheet["lines"], tuple(sheet["shape"])
    across = max(len(line["pixels"]) for line in lines)
    figure = Figure(figsize=(0.75 * across + 1.2, 0.75 * len(lines) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    for i, line in enumerate(lines):
        for k, pixels in enumerate(line["pixels"]):
            image = np.frombuffer(b64decode(pixels), np.uint8).reshape(shape)
            axes = figure.add_subplot(len(lines), across, i * across + k + 1)
            axes.imshow(image if shape[2] > 1 else image[..., 0], cmap="gray", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
            if k == 0 and line["label"]:
                label = (line["label"] if len(line["label"]) <= 12 else f"{line['label'][:11]}…").replace("$", r"\$")
                axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11)
    low, high = sheet["range"]
    more = f"; {sheet['left_out']} more classes are not drawn" if sheet["left_out"] else ""
    by = f"by {figures['target']}, " if lines[0]["label"] else ""
    title = f"First images of the training part, {by}black is {low:.3g}, white {high:.3g}{more}"
    figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    picture = BytesIO()
    figure.savefig(picture, dpi=110, format="png")
    return picture.getvalue()
