"""Augmentation of rows of numbers of any shape: noise, and mixtures of two rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Float
from nnctl.core.component import Positive
from nnctl.data.augment.augmentation import Augmentation, Chance, Inputs, Mixing, Pairs, Probability, beta

__all__ = ["Mixup", "Noise"]


class Noise(Augmentation, name="noise"):
    """Gaussian noise on every feature or pixel: x <- x + std n, with n ~ N(0, 1).

    In the mean over small noise it is a penalty on the slope of the network. Features that stand for categories, 0 or
    1, are left alone.

    Source: Bishop (1995), "Training with noise is equivalent to Tikhonov regularization", eq. 1.
    """

    std: Positive = 0.1
    """Standard deviation of the noise, in units of the scaled inputs: with `standard` scaling, in theirs."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"sigma": "std", "stddev": "std", "scale": "std"}

    def apply(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return the rows with noise."""
        noise = chance.normal(math.prod(inputs.shape)).reshape(x.shape).astype(x.dtype, copy=False)
        noise *= x.dtype.type(self.std)
        if inputs.is_category is not None:
            noise[:, inputs.is_category] = 0
        x += noise
        return x


class Mixup(Mixing, name="mixup"):
    """Mixtures of two rows and of their targets: the network learns to change evenly from one to the other.

    x <- s x + (1 - s) x_partner,   t <- s t + (1 - s) t_partner,   s ~ Beta(alpha, alpha)

    The partner of a row is any row of the training part, and each row has a share s of its own, where the paper
    permutes the batch and shares one s in it. Weights of rows are mixed as the targets are. Every loss takes soft
    labels; in the training figures a row counts for each of its two classes by its share, so that a training accuracy
    of 1 is out of reach.

    Source: Zhang, Cisse, Dauphin and Lopez-Paz (2018), "mixup: beyond empirical risk minimization", eq. 1 and 2,
    arXiv:1710.09412.
    """

    alpha: Annotated[float, Field(gt=0)] = 0.2
    """The smaller, the closer to 0 or 1 the shares are; with 1 all are as likely."""
    probability: Probability = 1.0
    """Of a row to be mixed at all."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"p": "probability"}

    def pairs(self, chance: Chance, inputs: Inputs, total: int) -> Pairs:  # noqa: ARG002 - rows of any kind
        """Return partners and shares."""
        u = chance.uniform(3)
        share = np.where(u[:, 2] < self.probability, beta(self.alpha, u[:, 1]), 1.0)
        return Pairs((u[:, 0] * total).astype(np.intp), share)

    def mix(self, x: Float, other: Float, pairs: Pairs, inputs: Inputs) -> Float:  # noqa: ARG002 - rows of any kind
        """Return the mixtures."""
        share = pairs.share.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
        x -= other
        x *= share
        x += other
        return x
