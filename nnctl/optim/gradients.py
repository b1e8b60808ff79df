"""What is done to gradients and weights around a step: the norm, clipping, and penalties.

A training step calls, in this order: `Regularizer.add_gradient`, `global_norm`, `Clip.apply`, `Optimizer.step`,
`Regularizer.after_update`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import inf, sqrt
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Float
from nnctl.core.component import Component, Positive
from nnctl.optim.blocks import blocks

__all__ = ["L1", "L2", "Clip", "ClipNorm", "ClipValue", "MaxNorm", "Regularizer", "global_norm"]


def global_norm(grad: Float) -> float:
    """Return the Euclidean norm of all gradients together, ‖g‖ = √Σ g².

    True also where the squares leave the range of float32: a gradient of 1e30 or 1e-30 has its norm, not inf or 0.
    An infinite entry gives inf, an entry that is not a number gives nan.
    """
    square = float(np.vdot(grad, grad))  # not np.dot, which warns where the sum overflows
    if 1e-30 < square < inf:
        return sqrt(square)
    largest = float(np.max(np.abs(grad), initial=0))
    if not 0 < largest < inf:
        return largest
    scaled = grad.astype(np.float64) / largest
    return largest * sqrt(float(np.vdot(scaled, scaled)))


class Clip(Component, family="clip"):
    """A bound on the gradient, set before the optimizer sees it."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "clip_by_global_norm": "norm",
        "clip_by_norm": "norm",
        "clip_by_value": "value",
        "clip_norm": "norm",
        "clip_value": "value",
        "clipnorm": "norm",
        "clipvalue": "value",
        "global_clipnorm": "norm",
        "global_norm": "norm",
        "grad_norm": "norm",
        "gradient_clip_val": "norm",
        "max_grad_norm": "norm",
        "max_norm": "norm",
        "max_value": "value",
    }

    @abstractmethod
    def apply(self, grad: Float, norm: float) -> None:
        """Bound grad (n,) in place; `norm` is its `global_norm`."""


class ClipNorm(Clip, name="norm"):
    """Shorten a gradient that is longer than allowed, and keep its direction.

    g ← g · c / (‖g‖ + 1e-6)    where ‖g‖ > c, over all parameters together

    A gradient whose norm is not finite is left as it is, for the training step to find.

    Source: Pascanu, Mikolov and Bengio (2013), arXiv:1211.5063, Algorithm 1; the 1e-6 is PyTorch's.
    """

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "c": "max_norm",
        "clip_norm": "max_norm",
        "max": "max_norm",
        "threshold": "max_norm",
        "value": "max_norm",
    }

    max_norm: Positive
    """c: the largest norm that passes unchanged; 1 to 5 is usual."""

    def apply(self, grad: Float, norm: float) -> None:
        """Scale grad in place where its norm is above the bound."""
        if self.max_norm < norm < inf:
            np.multiply(grad, self.max_norm / (norm + 1e-6), out=grad)


class ClipValue(Clip, name="value"):
    """Bound every entry of the gradient by itself, which may change its direction.

    g ← min(max(g, -c), c)

    Source: Mikolov (2012), "Statistical language models based on neural networks", PhD thesis, Brno.
    """

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "c": "max_value",
        "clip_value": "max_value",
        "max": "max_value",
        "threshold": "max_value",
        "value": "max_value",
    }

    max_value: Positive
    """c: the largest size of an entry."""

    def apply(self, grad: Float, norm: float) -> None:  # noqa: ARG002 - each entry is judged alone
        """Clip the entries of grad in place."""
        # 6 us on 50 thousand floats; np.minimum and np.maximum with scalars take 34 us.
        np.clip(grad, -self.max_value, self.max_value, out=grad)


class Regularizer(Component, family="regularizer"):
    """A pull on the weights that is no part of the data's loss.

    It may add to the loss (`penalty`) and to the gradient (`add_gradient`), or change the weights after the optimizer
    has (`after_update`). What a member does not name below it does not do.
    """

    synonyms: ClassVar[Mapping[str, str]] = {
        "elastic_net": "l1",
        "lasso": "l1",
        "max_norm_constraint": "max_norm",
        "maxnorm": "max_norm",
        "ridge": "l2",
        "tikhonov": "l2",
        "weight_decay": "l2",
    }
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "alpha": "rate",
        "lambda": "rate",
        "l1": "rate",
        "l2": "rate",
        "strength": "rate",
        "weight_decay": "rate",
        "bias": "biases",
        "c": "limit",
        "max_value": "limit",
        "max_norm": "limit",
    }

    acts_after: ClassVar[bool] = False
    """Whether `after_update` does anything; where no regularizer does, `Optimizer.step_size` need not be asked."""

    def penalty(self, theta: Float, decayed: int) -> float:  # noqa: ARG002
        """Return what is added to the loss; theta[:decayed] are the kernels."""
        return 0.0

    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        """Add the gradient of the penalty to grad in place.

        scratch is working memory of any length from 1 on; the vectors are walked in blocks of it.
        """

    def after_update(self, theta: Float, kernels: Sequence[Float], step_size: float | Float, decayed: int) -> None:
        """Change theta in place after the optimizer's step.

        Parameters
        ----------
        theta : array (n,)
            All parameters; theta[:decayed] are the kernels.
        kernels : sequence of arrays (D_in, D_out)
            Views of theta, one a kernel, with the incoming weights of a unit in a column.
        step_size : float or array (n,)
            `Optimizer.step_size` of this step.
        decayed : int
            How many of the parameters are kernels.
        """


class L2(Regularizer, name="l2"):
    """Penalise large weights by their squares.

    penalty:   λ/2 Σ w²
    gradient:  λ w

    Through the gradient it also enters Adam's moments; for decay that does not, see adamw.

    Source: Krogh and Hertz (1991), "A simple weight decay can improve generalization"; ridge regression: Hoerl and
    Kennard (1970).
    """

    rate: Positive
    """λ: its weight against the loss; 1e-5 to 1e-2 is usual."""

    biases: bool = False
    """Whether to penalise biases and norms too, and not kernels only."""

    def penalty(self, theta: Float, decayed: int) -> float:
        """Return λ/2 Σ w²."""
        w = theta if self.biases else theta[:decayed]
        return self.rate / 2 * float(np.vdot(w, w))

    def add_gradient(self, theta: Float, grad: Float, decayed: int, scratch: Float) -> None:
        """Add λ w to grad."""
        for part in blocks(len(theta) if self.biases else decayed, len(scratch)):
            pull = np.multiply(theta[part], self.rate, out=scratch[: part.stop - part.start])
            np.add(grad[part], pull, out=grad[part])


class L1(Regularizer, name="l1"):
    """Penalise weights by their size, so that those which matter little become exactly zero.

    penalty:       λ Σ |w|
    after a step:  w ← sign(w) max(|w| - d λ, 0)      with d the optimizer's step size for w

    The subgradient λ sign(w) in the gradient would do the same in the mean, but carry weights back and forth across
    zero and never set one to it. So the step is split: the optimizer takes the loss, then this takes the penalty
    exactly (the proximal step, a soft threshold). d is α for sgd, α / (1 - β) for classical momentum and α / (√v̂ + ε)
    for adam, so that the method comes to rest where the loss's gradient is -λ sign(w), or at w = 0 where the gradient
    is smaller than λ. The recorded gradient norm is that of the loss without this penalty.

    Source: Daubechies, Defrise and De Mol (2004), arXiv:math/0307152 (ISTA); Duchi and Singer (2009), "Efficient online
    and batch learning using forward backward splitting"; in the optimizer's own metric: Yun, Lozano and Yang (2021),
    "Adaptive proximal gradient methods for structured neural networks".
    """

    acts_after = True

    rate: Positive
    """λ: its weight against the loss; 1e-5 to 1e-3 is usual."""

    biases: bool = False
    """Whether to penalise biases and norms too, and not kernels only."""

    def penalty(self, theta: Float, decayed: int) -> float:
        """Return λ Σ |w|."""
        w = theta if self.biases else theta[:decayed]
        return self.rate * float(np.abs(w).sum())

    def after_update(self, theta: Float, kernels: Sequence[Float], step_size: float | Float, decayed: int) -> None:  # noqa: ARG002
        """Move every penalised weight towards zero by d λ, and no further than zero."""
        w = theta if self.biases else theta[:decayed]
        d = step_size if isinstance(step_size, float) else step_size[: len(w)]
        w -= np.clip(w, -self.rate * d, self.rate * d)


class MaxNorm(Regularizer, name="max_norm"):
    """Keep the incoming weights of every unit within a ball.

    after a step:  w ← w · c / max(‖w‖, c)      for every column w of every kernel W (..., D_out)

    Source: Srebro and Shraibman (2005), "Rank, trace-norm and max-norm"; for networks Srivastava et al. (2014),
    "Dropout: a simple way to prevent neural networks from overfitting", section 5.1.
    """

    acts_after = True

    limit: Positive
    """c: the largest Euclidean norm of a unit's incoming weights; 3 to 4 is usual."""

    def after_update(self, theta: Float, kernels: Sequence[Float], step_size: float | Float, decayed: int) -> None:  # noqa: ARG002
        """Scale every column that is longer than the limit back to it."""
        for W in kernels:
            columns = W.reshape(-1, W.shape[-1])
            norms = np.sqrt(np.einsum("ij,ij->j", columns, columns))
            np.multiply(W, self.limit / np.maximum(norms, self.limit), out=W)
