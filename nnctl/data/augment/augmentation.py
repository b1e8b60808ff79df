"""Augmentation: the family of all that changes training rows on their way to the network.

Rows are changed as they are drawn: the data stay as they are, and no other part is touched. What is changed are the
network's inputs, after scaling. The numbers that decide about a row depend on the seed, the place in the list of
augmentations, the epoch and the row alone, so that neither the order of the batches, nor their size, nor an
interruption changes what becomes of a row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import Component
from nnctl.core.random import words
from nnctl.data.batches import is_positionwise
from nnctl.data.dataset import Prepared
from nnctl.data.pictures import picture_shape
from nnctl.data.scaling import Affine
from nnctl.data.tokens import Texts

if TYPE_CHECKING:
    from nnctl.data.audio import AudioEncoder

__all__ = ["Augmentation", "Chance", "Inputs", "Mixing", "Pairs", "Probability", "beta"]

Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, eq=False)
class Chance:
    """The random numbers of some rows, the same ones whenever they are asked for.

    Parameters
    ----------
    seed : int
    purpose : str
        Which augmentation they are for.
    epoch : int
    rows : int array (B,)
        Where the rows stand in the source.
    """

    seed: int
    purpose: str
    epoch: int
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)

    def uniform(self, count: int) -> Float:
        """Return numbers between 0 and 1, neither of which occurs; float64 (B, count)."""
        return (words(self.seed, self.purpose, self.epoch, self.rows, count) + 0.5) / 2**32

    def normal(self, count: int) -> Float:
        """Return numbers of the standard normal distribution, (B, count); those of Box and Muller (1958)."""
        u = self.uniform(count + count % 2).astype(np.float32)
        radius = np.sqrt(-2 * np.log(u[:, ::2]))
        angle = np.float32(2 * np.pi) * u[:, 1::2]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :count]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What an augmentation needs to know of the network's inputs.

    Parameters
    ----------
    shape : tuple of int
        Of one row.
    picture : tuple of int or None
        Height, width and channels of a row that is a picture.
    scaling : Affine
        What made the inputs of the source's values.
    is_category : bool array (D,) or None
        Which features are 0 or 1 because they stand for a category.
    is_code : bool array (D,) or None
        Which features are the places of categories in a list, as `encoding: ordinal` makes them.
    is_token : bool
        Whether a row is a sequence of tokens, which are names and not quantities.
    is_text : bool
        Whether the tokens of a row are those of a text with a target of its own.
    varies : bool
        Whether rows have different lengths.
    audio : AudioEncoder or None
        What makes features of recordings, where the rows are such.
    lengths : int array or None
        How many steps of each training row are there, by its place in the source; None where all are.
    """

    shape: Shape
    picture: Shape | None
    scaling: Affine
    is_category: Array | None = None
    is_code: Array | None = None
    is_token: bool = False
    is_text: bool = False
    varies: bool = False
    audio: AudioEncoder | None = None
    lengths: Array | None = None

    @classmethod
    def of(cls, data: Prepared) -> Inputs:
        """Return what a data set's inputs are."""
        pre, train = data.preprocessing, data.train
        shape = data.input_shape
        return cls(
            shape,
            None if pre.audio is not None else picture_shape(shape, data.features),
            pre.scaling,
            None if pre.encoder is None else pre.encoder.is_onehot,
            None if pre.encoder is None else pre.encoder.is_code,
            is_token=train.x.dtype.kind in "iu",
            is_text=isinstance(pre.text, Texts),
            varies=train.lengths is not None,
            audio=pre.audio,
            lengths=None if train.lengths is None else _by_place(train.rows, train.lengths),
        )

    def lengths_of(self, rows: Array) -> Array:
        """Return how many steps of some rows are there, given by their places in the source."""
        return np.full(len(rows), self.shape[0]) if self.lengths is None else self.lengths[rows]

    @cached_property
    def of_pixels(self) -> Affine:
        """The scaling, with a center and a scale for every pixel and channel (H, W, C)."""
        assert self.picture is not None
        spread = self.scaling.spread(self.shape)
        return Affine(spread.center.reshape(self.picture), spread.scale.reshape(self.picture))

    @property
    def pixels_are_alike(self) -> bool:
        """Whether every pixel is scaled as every other, so that one can take the place of another."""
        return all(bool((part == part[:1, :1]).all()) for part in (self.of_pixels.center, self.of_pixels.scale))

    @cached_property
    def black(self) -> Float:
        """What 0 became by scaling, for every channel (C,)."""
        affine = self.of_pixels
        return np.asarray(-affine.center[0, 0] / affine.scale[0, 0])


def _by_place(rows: Array, values: Array) -> Array:
    """Return values (N,) by the places of their rows in the source; 0 where there is none."""
    found = np.zeros(rows.max() + 1, values.dtype)
    found[rows] = values
    return found


class Augmentation(Component, family="augmentation"):
    """A change of training rows on their way to the network."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "backtranslation": "back_translation",
        "brightness": "color_jitter",
        "colorjitter": "color_jitter",
        "colour_jitter": "color_jitter",
        "contrast": "color_jitter",
        "crop": "random_crop",
        "deletion": "random_deletion",
        "freq_mask": "frequency_mask",
        "frequency_masking": "frequency_mask",
        "gaussian_noise": "noise",
        "horizontal_flip": "flip",
        "random_brightness": "color_jitter",
        "random_contrast": "color_jitter",
        "random_erasing": "cutout",
        "random_flip": "flip",
        "random_horizontal_flip": "flip",
        "random_rotation": "rotation",
        "random_saturation": "color_jitter",
        "random_vertical_flip": "flip",
        "rotate": "rotation",
        "saturation": "color_jitter",
        "add_noise": "white_noise",
        "background_noise": "white_noise",
        "pitch": "pitch_shift",
        "spec_augment": "time_mask",
        "specaugment": "time_mask",
        "speed": "time_stretch",
        "time_masking": "time_mask",
        "shift": "random_crop",
        "smotenc": "smote",
        "swap": "random_swap",
        "synonym_replacement": "synonyms",
        "translation": "random_crop",
        "vertical_flip": "flip",
        "word_dropout": "random_deletion",
    }

    comes_first: ClassVar[bool] = False
    """Whether it is done once, before the training, so that nothing can stand before it."""
    makes_rows: ClassVar[bool] = False
    """Whether all it does is done then: it makes rows, and changes none on their way to the network."""
    changes_sound: ClassVar[bool] = False
    """Whether it changes a recording, before the features are made of it."""

    def located(self, base: Path) -> Augmentation:  # noqa: ARG002 - those with files depend on it
        """Return the augmentation with its paths made absolute, so that it can be used from any directory."""
        return self

    def refusal(self, inputs: Inputs) -> str | None:
        """Return why such inputs cannot be changed in this way, or None."""
        if inputs.is_token:
            return "changes numbers, and the inputs are tokens, which only stand for something."
        return None

    def misfit(self, data: Prepared) -> str | None:  # noqa: ARG002 - those that look at the targets depend on it
        """Return why rows with such targets cannot be changed in this way, or None."""
        return None

    def enlarged(self, data: Prepared, seed: int) -> Prepared:  # noqa: ARG002 - those that make rows depend on it
        """Return the data with the rows that it makes once, before the training."""
        return data

    def apply(self, x: Float, chance: Chance, inputs: Inputs) -> Float:  # noqa: ARG002 - mixing needs other rows too
        """Return the rows x (B, ...) changed; x may be overwritten."""
        raise TypeError(f"{self.name} needs more than the rows themselves.")


class Pairs(NamedTuple):
    """Which row each is mixed with, and how.

    Parameters
    ----------
    partner : int array (B,)
        The other row, by its place in the training part.
    share : float array (B,)
        How much of a row is kept, from 0 to 1.
    box : int array (4, B) or None
        Top, bottom, left and right end of what the partner gives.
    """

    partner: Array
    share: Float
    box: Array | None = None


class Mixing(Augmentation):
    """A mixture of two training rows and, by the same shares, of their targets.

    The partner of a row is any row of the training part, as what stands before in the list has changed it.
    """

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse tokens, and rows of different lengths."""
        if inputs.varies:
            return "mixes two rows place by place, and the rows here have different lengths."
        return super().refusal(inputs)

    def misfit(self, data: Prepared) -> str | None:
        """Refuse targets of every position."""
        if is_positionwise(data.train.y):
            return "mixes the targets of two rows, and here every position of a sequence has its own."
        return super().misfit(data)

    @abstractmethod
    def pairs(self, chance: Chance, inputs: Inputs, total: int) -> Pairs:
        """Return what each row is mixed with, out of `total` rows."""

    @abstractmethod
    def mix(self, x: Float, other: Float, pairs: Pairs, inputs: Inputs) -> Float:
        """Return the mixtures of the rows x and their partners, both (B, ...); x may be overwritten."""


def beta(alpha: float, u: Float) -> Float:
    """Return draws from Beta(alpha, alpha) for numbers u between 0 and 1, by the inverse of its distribution."""
    from scipy.special import betaincinv  # noqa: PLC0415 - only needed here

    return np.asarray(betaincinv(alpha, alpha, u))
