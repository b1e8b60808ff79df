"""Source: the family of all that yields a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from nnctl.core.component import Component
from nnctl.data.table import Table

__all__ = ["Source"]


class Source(Component, family="source"):
    """Where the rows come from."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "cancer": "breast_cancer",
        "friedman1": "friedman",
        "make_blobs": "blobs",
        "make_circles": "circles",
        "make_friedman1": "friedman",
        "make_moons": "moons",
        "make_swiss_roll": "swiss_roll",
        "npy": "npz",
        "numpy": "npz",
        "spiral": "spirals",
    }

    def load(self, base: Path, seed: int) -> Table:
        """Return the rows.

        Parameters
        ----------
        base : Path
            Where relative paths start from.
        seed : int
            The run's; a generator draws from its stream "data".

        Raises
        ------
        DataError
            The rows cannot be read.
        """
        raise NotImplementedError
