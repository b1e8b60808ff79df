"""What every picture shares: names of data that are only names, and the bytes of a PNG."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

from nnctl.core.inert import inert

__all__ = ["plain", "png"]

_LONGEST = 160


def plain(text: str) -> str:
    r"""Return a text as Matplotlib draws it letter by letter.

    Between two ``$`` it would read mathematics, and a name that begins with ``_`` it would leave out of a legend.
    """
    shown = inert(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
    return f"{' ' * shown.startswith('_')}{shown}".replace("$", r"\$")


def png(figure: Any) -> bytes:
    """Return a figure as a PNG; letters that the font lacks are boxes, and nothing is said of them."""
    picture = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(picture, dpi=110, format="png")
    return picture.getvalue()
