"""Texts before and after augmentation, with the words that are new to their place in colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from nnctl.cli.pictures.figure import plain, png

__all__ = ["draw_augmented"]

_LETTERS, _LINES = 88, 3
_NEW, _SAME, _HEAD = "#AA3377", "#222222", "#4477AA"
_POINTS, _ADVANCE, _LINE_INCHES = 9, 0.602, 0.18
"""The font's size, how wide its letters are in that size, and how high a line is."""
_MARGIN = 12
"""Letters that the word before a text takes."""


class _Piece(NamedTuple):
    """A word, where it stands, and whether it is new."""

    word: str
    line: int
    column: int
    is_new: bool


def draw_augmented(figures: Mapping[str, Any]) -> bytes:
    """Draw the texts of ``figures["augmented_texts"]`` as a PNG: as they are, then as the first epochs show them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    texts = figures["augmented_texts"]["texts"]
    epochs = len(texts[0]["after"])
    rows = list(_rows(texts))
    height = rows[-1][0] + 2
    width = (_MARGIN + _LETTERS + len("...")) * _ADVANCE * _POINTS / 72
    figure = Figure(figsize=(width + 0.4, _LINE_INCHES * height + 0.5))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.2 / (width + 0.4), 0.0, width / (width + 0.4), 1 - 0.4 / (_LINE_INCHES * height + 0.5)))
    axes.set(xlim=(0, _MARGIN + _LETTERS + len("...")), ylim=(height - 1, -1))
    axes.axis("off")
    for y, x, word, colour in rows:
        weight = "bold" if colour == _NEW else "normal"
        axes.text(
            x, y, plain(word), color=colour, weight=weight, family="DejaVu Sans Mono", fontsize=_POINTS, va="baseline"
        )
    figure.suptitle(f"Training texts: as they are, then in epochs 1 to {epochs}; what changed is bold", fontsize=10)
    return png(figure)


def _rows(texts: list[Mapping[str, Any]]) -> Iterator[tuple[int, int, str, str]]:
    """Yield line, column, word and colour of all that is drawn."""
    y = 0
    for text in texts:
        label = f", {text['label']}" if text["label"] else ""
        yield y, 0, f"row {text['row']}{label}"[: _LETTERS + _MARGIN], _HEAD
        y += 1
        before = text["before"].split()
        for when, words in [("as it is", before)] + [
            (f"epoch {k}", after.split()) for k, after in enumerate(text["after"], 1)
        ]:
            yield y, 0, when, _HEAD
            last = 0
            for piece in _laid_out(words, _new(before, words)):
                yield y + piece.line, _MARGIN + piece.column, piece.word, _NEW if piece.is_new else _SAME
                last = piece.line
            y += last + 1
        y += 1


def _new(before: list[str], after: list[str]) -> set[int]:
    """Return the places of the words of `after` that `before` does not have there."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return {j for kind, _, _, start, stop in matcher.get_opcodes() if kind != "equal" for j in range(start, stop)}


def _laid_out(words: list[str], new: set[int]) -> Iterator[_Piece]:
    """Yield the words in lines of a few letters; what is beyond the last line is left out."""
    line, column = 0, 0
    for i, whole in enumerate(words):
        word = whole[:_LETTERS]
        if column and column + len(word) > _LETTERS:
            line, column = line + 1, 0
        if line == _LINES:
            yield _Piece("...", line - 1, _LETTERS, is_new=False)
            return
        yield _Piece(word, line, column, i in new)
        column += len(word) + 1
