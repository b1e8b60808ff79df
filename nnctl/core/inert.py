"""Text from data, specs and runs, so that a terminal shows it and obeys nothing in it."""

from __future__ import annotations

import json
import re

__all__ = ["inert", "inert_json"]


def inert(text: str, keep: str = "") -> str:
    r"""Return a text in which what is no sign to be seen is written as Python writes it, ``\x1b`` or ``\u202e``.

    Escape sequences, control characters of either set, marks that turn the direction of writing, line breaks, spaces of
    unusual width and lone halves of surrogate pairs are.

    Parameters
    ----------
    keep : str
        Characters to leave, such as the line breaks of a message.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def inert_json(text: str) -> str:
    """Return a JSON text that says the same, with what is no sign to be seen written by its number."""
    return _BEYOND_ASCII.sub(lambda found: _by_number(found[0]), text)


_BEYOND_ASCII = re.compile(r"[\x7f-\U0010ffff]")


def _by_number(c: str) -> str:
    return c if c.isprintable() else json.dumps(c)[1:-1]
