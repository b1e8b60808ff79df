"""Sequences that are shorter than others: whether a position of them is left behind every kernel of a network."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Array
from nnctl.data.dataset import Prepared
from nnctl.data.table import counted, shown_rows
from nnctl.nn.layer import ShapeError
from nnctl.nn.layout import Layout
from nnctl.spec.load import LoadedSpec

__all__ = ["lost_in_prediction", "lost_in_training"]


def lost_in_training(loaded: LoadedSpec, data: Prepared, layout: Layout) -> tuple[str, ...]:
    """Return a note on the rows of all parts of which nothing is left, with the place of the first layer to blame."""
    if data.train.lengths is None:
        return ()
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    lengths = np.concatenate([part.lengths for part in parts])
    reason = _reason(int(lengths.min()), layout)
    if reason is None:
        return ()
    lost = np.sort(np.concatenate([part.rows for part in parts])[_lost(lengths, layout)])
    said = f"nothing is left of {counted(len(lost), 'row')} ({shown_rows(lost)}): {reason}"
    return (loaded.told(("architecture", *reason.path), said),)


def lost_in_prediction(lengths: Array | None, layout: Layout) -> tuple[str, ...]:
    """Return a note on the rows to be predicted, of so many positions each, of which nothing is left."""
    lost = np.flatnonzero([] if lengths is None else _lost(lengths, layout))
    if not len(lost):
        return ()
    those = f"{counted(len(lost), 'row')} ({shown_rows(lost)})"
    return (f"nothing is left of {those} behind the kernels of the network; what it says of them means nothing.",)


def _lost(lengths: Array, layout: Layout) -> Array:
    """Return which rows of so many positions lose all of them, bool (N,)."""
    return np.isin(lengths, [n for n in np.unique(lengths) if _reason(int(n), layout) is not None])


def _reason(positions: int, layout: Layout) -> ShapeError | None:
    """Return why nothing is left of a sequence of so many positions, or None where something is."""
    try:
        layout.refuse_nothing_left(positions)
    except ShapeError as error:
        return error
    return None
