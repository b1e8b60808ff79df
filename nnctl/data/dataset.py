"""What a network is trained and judged on: the parts of a data set as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from numpy.typing import DTypeLike

from nnctl.core.arrays import Array, Float, Shape
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.series import Series
from nnctl.data.targets import Task

if TYPE_CHECKING:
    from nnctl.data.audio import Recordings
    from nnctl.data.augment.text import TrainingTexts

__all__ = ["Prepared", "Split"]


@dataclass(frozen=True, eq=False)
class Split:
    r"""One part of a data set, ready for the network.

    Parameters
    ----------
    x : float array (N, \*input_shape), or int array (N, T)
        Encoded and scaled inputs; or tokens.
    y : int array (N,) or (N, T), or float array (N, outputs)
        Class indices of every row, or of every position; or scaled regression targets.
    weight : float array (N,) or None
        How much each row counts in the loss.
    rows : int array (N,)
        Where each row stands in the source, counted from 0; a row that was made has a number beyond all others.
    lengths : int array (N,) or None
        How many positions of every row are there, where rows are sequences of different lengths.
    made : int
        How many of the rows, the last ones, stand in no source, but were made of others.
    """

    x: Array
    y: Array
    weight: Float | None
    rows: Array
    lengths: Array | None = None
    made: int = 0

    def __len__(self) -> int:
        return len(self.x)

    def astype(self, dtype: DTypeLike) -> Split:
        """Return the split in another precision; class indices and tokens stay as they are."""
        x, y = (a if a.dtype.kind == "i" else a.astype(dtype, copy=False) for a in (self.x, self.y))
        weight = None if self.weight is None else self.weight.astype(dtype, copy=False)
        return replace(self, x=x, y=y, weight=weight)

    @property
    def of_source(self) -> Split:
        """The split without the rows that were made."""
        if not self.made:
            return self
        n = len(self) - self.made
        weight, lengths = (None if a is None else a[:n] for a in (self.weight, self.lengths))
        return Split(self.x[:n], self.y[:n], weight, self.rows[:n], lengths)


@dataclass(frozen=True, eq=False)
class Prepared:
    """The parts of a data set and the preprocessing that was learned from the first.

    Parameters
    ----------
    train : Split
        What the network learns from.
    validation, test : Split or None
        What chooses between models, and what is kept for the last word.
    preprocessing : Preprocessing
        What makes network inputs of new raw rows.
    notes : tuple of str
        What a person should know, such as categories that only the validation part has.
    recordings : Recordings or None
        The sounds of all rows of the source, where the spec augments sounds.
    series : Series or None
        What the rows are windows of, where they are those of a time series; ``Split.rows`` are then their origins.
    texts : TrainingTexts or None
        The texts of the training part and what rewrites them, where the spec augments texts.
    """

    train: Split
    validation: Split | None
    test: Split | None
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()
    recordings: Recordings | None = None
    series: Series | None = field(default=None, kw_only=True)
    texts: TrainingTexts | None = None

    @property
    def of_source(self) -> Prepared:
        """The data without the rows that were made."""
        return replace(self, train=self.train.of_source) if self.train.made else self

    def astype(self, dtype: DTypeLike) -> Prepared:
        """Return the same data in another precision."""
        validation = self.validation and self.validation.astype(dtype)
        test = self.test and self.test.astype(dtype)
        return replace(self, train=self.train.astype(dtype), validation=validation, test=test)

    @property
    def task(self) -> Task:
        """Classification or regression."""
        return self.preprocessing.task

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the network's inputs; empty where a row is not a vector."""
        return self.preprocessing.features

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names by index; None for a regression."""
        return self.preprocessing.classes

    @property
    def input_shape(self) -> Shape:
        """The shape of one row."""
        return self.preprocessing.input_shape

    @property
    def outputs(self) -> int:
        """How many classes, or how many values a regression predicts."""
        return self.preprocessing.outputs
