"""SMOTE: rows of rare classes made of rows between those that there are, by imbalanced-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float
from nnctl.core.component import PositiveInt
from nnctl.core.errors import DataError
from nnctl.core.random import stream
from nnctl.data.augment.augmentation import Augmentation, Inputs
from nnctl.data.columns import ColumnEncoder
from nnctl.data.dataset import Prepared, Split
from nnctl.data.table import counted

__all__ = ["Smote"]


class Smote(Augmentation, name="smote"):
    """Rare classes are filled up with rows that were made: each lies between a row of the class and a neighbour of it.

    x = x_i + u (x_j - x_i),   u ~ U(0, 1),   j one of the `neighbours` nearest rows of the same class

    Done once, before the training, on its part alone, after encoding and scaling, so that it stands first in the list.
    The part is then larger: the training figures of the epochs are of all its rows, the final ones of those of the
    source. Where there are one-hot columns it is SMOTE-NC: a row that was made has the most frequent category of the
    neighbours. It needs the package imbalanced-learn: ``pip install 'nnctl[smote]'``.

    Weights in the loss (`class_weight: balanced`) do without rows that nobody measured; try them first. Elor and
    Averbuch-Elor (2022), "To SMOTE, or not to SMOTE?", arXiv:2201.08528, ask when it helps.

    Source: Chawla, Bowyer, Hall and Kegelmeyer (2002), "SMOTE: synthetic minority over-sampling technique", section
    4.2, and 6.1 for SMOTE-NC, arXiv:1106.1813; imbalanced-learn's `SMOTE` and `SMOTENC`.
    """

    comes_first = makes_rows = True

    neighbours: PositiveInt = 5
    """How many of the nearest rows of its class a row may be mixed with; k in the paper."""
    ratio: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How many rows a rare class has afterwards, as a share of the most frequent one."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "k": "neighbours",
        "k_neighbors": "neighbours",
        "n_neighbors": "neighbours",
        "neighbors": "neighbours",
        "sampling_strategy": "ratio",
    }

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse what is no table, or has no numbers in which a row can be near another."""
        if inputs.is_token or len(inputs.shape) != 1:
            return f"makes rows of a table, and a row here is {'a text' if inputs.is_token else inputs.shape}."
        if inputs.is_category is not None and inputs.is_category.all():
            return "finds neighbours by numbers, and all columns are categories. Use class_weight: balanced."
        if inputs.is_code is not None and inputs.is_code.any():
            return "would make categories between categories of ordinal codes. Use encoding: onehot."
        return None

    def misfit(self, data: Prepared) -> str | None:
        """Refuse what has no rare classes that could be filled up."""
        data = data.of_source
        y, names = data.train.y, data.classes
        if names is None or y.ndim != 1:
            return "fills up rare classes, and here every row has no class of its own."
        if data.train.weight is not None:
            return "cannot tell what the rows it makes weigh, and the rows here have weights. Use class_weight."
        if not isinstance(data.train.x, np.ndarray):
            return "needs all rows in memory."
        have = np.bincount(y, minlength=len(names))
        few = [k for k in np.flatnonzero(self._wanted(have) > have) if have[k] <= self.neighbours]
        if few:
            n = int(have[few[0]])
            way = f"Set neighbours to at most {n - 1}" if n > 1 else "It needs two rows at least"
            return (
                f"mixes a row with one of {self.neighbours} neighbours of its class, and '{names[few[0]]}' has "
                f"{counted(n, 'row')} in the training part. {way}, or use class_weight: balanced."
            )
        return None

    def enlarged(self, data: Prepared, seed: int) -> Prepared:
        """Return the data with the made rows behind those of the training part.

        Raises
        ------
        DataError
            imbalanced-learn is not installed.
        """
        train, names = data.train, data.classes
        assert names is not None
        have = np.bincount(train.y, minlength=len(names))
        wanted = self._wanted(have)
        x, y = self._resampled(train, data.preprocessing.encoder, {k: int(n) for k, n in enumerate(wanted) if n}, seed)
        made = len(y) - len(train)
        others = (part.rows for part in (train, data.validation, data.test) if part is not None)
        after = 1 + max(int(rows.max()) for rows in others)
        rows = np.concatenate([train.rows, np.arange(after, after + made)])
        more = replace(train, x=x.astype(train.x.dtype), y=y.astype(train.y.dtype), rows=rows, made=made)
        said = ", ".join(f"{names[k]} {have[k]:,} to {wanted[k]:,}" for k in np.flatnonzero(wanted > have))
        what = f"{counted(made, 'row')} made for the training part ({said})" if made else "nothing to make"
        return replace(data, train=more, notes=(*data.notes, f"smote: {what}"))

    def _wanted(self, have: Array) -> Array:
        """Return how many rows each class is to have; a class without rows stays without."""
        return np.where(have > 0, np.maximum(have, np.round(self.ratio * have.max()).astype(have.dtype)), 0)

    def _resampled(
        self, train: Split, encoder: ColumnEncoder | None, wanted: dict[int, int], seed: int
    ) -> tuple[Float, Array]:
        """Return the rows of the training part, the made ones behind them, and the classes of all."""
        library = _library()
        chance = int(stream(seed, "smote").integers(2**31))
        settings: dict[str, Any] = {
            "sampling_strategy": wanted,
            "k_neighbors": self.neighbours,
            "random_state": chance,
        }
        if encoder is None or not encoder.is_onehot.any():
            x, y = library.SMOTE(**settings).fit_resample(train.x, train.y)
            return x, y
        numbers = len(encoder.numeric)
        places = range(numbers, numbers + len(encoder.categories))
        method = library.SMOTENC(categorical_features=list(places), **settings)
        coded, y = method.fit_resample(_coded(train.x, encoder), train.y)
        return _one_hot(coded, encoder), y


def _coded(x: Float, encoder: ColumnEncoder) -> Float:
    """Return the rows with one column for every category column, which holds the place of the category."""
    start, columns = len(encoder.numeric), [x[:, : len(encoder.numeric)]]
    for known in encoder.categories:
        columns.append(x[:, start : start + len(known)].argmax(axis=1, keepdims=True))
        start += len(known)
    return np.hstack(columns)


def _one_hot(coded: Float, encoder: ColumnEncoder) -> Float:
    """Return what `_coded` was given."""
    numbers = len(encoder.numeric)
    codes = coded[:, numbers:].astype(np.intp).T
    return np.hstack(
        [coded[:, :numbers], *(np.eye(len(known))[code] for known, code in zip(encoder.categories, codes, strict=True))]
    )


def _library() -> Any:
    try:
        return import_module("imblearn.over_sampling")
    except ImportError:
        raise DataError(
            "data.augment: smote needs the package imbalanced-learn, which is not installed. "
            "Type: pip install 'nnctl[smote]', or use class_weight: balanced in the loss."
        ) from None
