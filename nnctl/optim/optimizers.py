"""Optimizers: how a gradient becomes a step. A few lines each, on flat vectors.

All parameters of a network are one vector `theta`, all gradients one vector `grad`, and what an optimizer remembers is
one vector for each of its moments. So a step is a handful of passes over long vectors, whatever the network looks like
(Adam over 17 thousand parameters takes 19 us; the same Adam tensor by tensor takes 2.5 times as long). The same step as
one loop, for a compiler, is in `nnctl.optim.loops`.

Notation: θ parameters, g gradient, α learning rate (`lr`), t number of the step, counted from 1. Products, squares and
roots of vectors are element by element.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from math import sqrt
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from nnctl.core.arrays import Float
from nnctl.core.component import Component, NonNegative, Positive, Share
from nnctl.core.threads import together
from nnctl.optim import loops
from nnctl.optim.slots import Block, Slots

__all__ = ["SGD", "Adam", "AdamW", "Momentum", "Optimizer", "RMSprop"]

Epsilon = Annotated[float, Field(ge=1e-30)]  # what is smaller may be zero in float32, and then 0 / 0 is not a number

FLUSH_EVERY = 512
"""Steps from one `Slots.flush_denormals` to the next."""


class Optimizer(Component, family="optimizer"):
    """A rule that turns a gradient into a step of the parameters."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "adam_w": "adamw",
        "amsgrad": "adam",
        "gd": "sgd",
        "gradient_descent": "sgd",
        "heavy_ball": "momentum",
        "nag": "momentum",
        "nesterov": "momentum",
        "rms_prop": "rmsprop",
        "sgd_momentum": "momentum",
        "stochastic_gradient_descent": "sgd",
    }
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "learning_rate": "lr",
        "learning_rate_init": "lr",
        "eta": "lr",
        "eta0": "lr",
        "step_size": "lr",
        "betas": "beta1",
        "beta_1": "beta1",
        "beta_2": "beta2",
        "momentum": "beta",
        "mu": "beta",
        "rho": "beta",
        "alpha": "beta",
        "smoothing": "beta",
        "wd": "weight_decay",
        "epsilon": "eps",
        "nesterovs_momentum": "nesterov",
    }

    advice: ClassVar[Mapping[str, str]] = {
        "decay": "Of the learning rate it is a schedule, schedule: cosine; of the weights weight_decay of adamw.",
        "weight_decay": "Write regularizers: [{l2: 1e-4}].",
    }

    lr: Positive = 1e-2
    """Learning rate α: the length of a step. The schedule starts from it."""

    def moment_names(self) -> tuple[str, ...]:
        """Return the names of the moments that the rule keeps."""
        return ()

    def start(self, n: int, dtype: DTypeLike = np.float32, threads: int = 1) -> Slots:
        """Return the slots for n parameters before the first step."""
        return Slots(self.moment_names(), n, dtype, threads)

    def step(self, theta: Float, grad: Float, lr: float, slots: Slots, decayed: int = 0) -> None:
        """Change theta in place by one step.

        Parameters
        ----------
        theta, grad : arrays (n,)
            Parameters and gradient; the gradient is left unchanged.
        lr : float
            The learning rate of this step, as the schedule gave it.
        slots : Slots
            What `start` returned; changed in place.
        decayed : int
            The first `decayed` parameters have weight decay (kernels stand before biases and norms in theta).
        """
        lr = float(lr)
        slots.steps += 1
        if len(slots.lanes) == 1:
            self._walk(slots.lanes[0], theta, grad, lr, slots.steps, decayed)
        else:
            together([partial(self._walk, lane, theta, grad, lr, slots.steps, decayed) for lane in slots.lanes])
        # Where a third of the gradients is zero, Adam soon takes 19 us a step with this and 21 us without.
        if slots.steps % FLUSH_EVERY == 0:
            slots.flush_denormals()

    def _walk(self, lane: Sequence[Block], theta: Float, grad: Float, lr: float, t: int, decayed: int) -> None:
        """Change theta and the moments block by block."""
        shrink = self.decay(lr)
        for block in lane:
            part, w = block.part, theta[block.part]
            if shrink != 1 and part.start < decayed:
                w[: decayed - part.start] *= shrink
            self.update(w, grad[part], lr, t, block)

    @abstractmethod
    def update(self, theta: Float, grad: Float, lr: float, t: int, block: Block) -> None:
        """Change one block of theta and of the moments in place by step number t."""

    def decay(self, lr: float) -> float:  # noqa: ARG002 - only decoupled decay looks at it
        """Return the factor by which decoupled weight decay shrinks the decayed parameters in one step."""
        return 1.0

    @abstractmethod
    def step_size(self, lr: float, slots: Slots) -> float | Float:
        """Return what the rule multiplies a lasting gradient by: D in θ ← θ - D g, a number or an array (n,).

        Asked after the step. What acts on θ then, and is to weigh as much as a gradient does (L1's soft threshold),
        scales with it.
        """


class SGD(Optimizer, name="sgd"):
    """Stochastic gradient descent: a step against the gradient.

    θ ← θ - α g

    Source: Robbins and Monro (1951), "A stochastic approximation method".
    """

    advice: ClassVar[Mapping[str, str]] = {
        "momentum": "Write optimizer: {momentum: {beta: 0.9}}.",
        "nesterov": "Write optimizer: {momentum: {nesterov: true}}.",
    }

    def update(self, theta: Float, grad: Float, lr: float, t: int, block: Block) -> None:  # noqa: ARG002
        """Change theta by one step."""
        if compiled := loops.sgd.compiled.get(theta.dtype):
            compiled(theta, grad, lr)
            return
        np.multiply(grad, lr, out=block.scratch)
        np.subtract(theta, block.scratch, out=theta)

    def step_size(self, lr: float, slots: Slots) -> float:  # noqa: ARG002
        """Return α."""
        return lr


class Momentum(Optimizer, name="momentum"):
    """Gradient descent with a velocity that remembers earlier gradients.

    classical:  v ← β v + g              θ ← θ - α v
    averaged:   v ← β v + (1 - β) g      θ ← θ - α v
    nesterov:   v as above               θ ← θ - α (β v + g), or with (1 - β) g in the averaged form

    A lasting gradient g brings the classical v to g / (1 - β) and the averaged v to g, so the two forms are the same
    method: classical with α (1 - β) is averaged with α. Between them α differs by a factor of 10 at β = 0.9.

    Source: Polyak (1964) for the velocity; Nesterov (1983), as a momentum by Sutskever et al. (2013), who take the
    gradient ahead of θ, and written for the gradient at θ by Bengio et al. (2013, arXiv:1212.0901). As in PyTorch, and
    other than in both, α stands outside v, so that a change of α acts at once.
    """

    beta: Share = 0.9
    """How much of the velocity is kept each step; the memory is about 1 / (1 - β) steps long."""

    form: Literal["classical", "averaged"] = "classical"
    """Whether the gradient enters the velocity whole (PyTorch, Keras) or weighted with 1 - β (many textbooks)."""

    nesterov: bool = False
    """Whether to step along the velocity that the next step will have, instead of the present one."""

    def moment_names(self) -> tuple[str, ...]:
        """Return the velocity; in the averaged form it is kept divided by 1 - β, which makes it the classical one."""
        return ("v",)

    def update(self, theta: Float, grad: Float, lr: float, t: int, block: Block) -> None:  # noqa: ARG002
        """Change v and theta by one step."""
        (v,), scratch = block.moments, block.scratch
        rate = lr * (1 - self.beta) if self.form == "averaged" else lr
        loop = loops.nesterov if self.nesterov else loops.momentum
        if compiled := loop.compiled.get(theta.dtype):
            compiled(theta, grad, v, self.beta, rate)
            return
        np.multiply(v, self.beta, out=v)
        np.add(v, grad, out=v)
        if self.nesterov:
            np.multiply(v, self.beta, out=scratch)
            np.add(scratch, grad, out=scratch)
            np.multiply(scratch, rate, out=scratch)
        else:
            np.multiply(v, rate, out=scratch)
        np.subtract(theta, scratch, out=theta)

    def step_size(self, lr: float, slots: Slots) -> float:  # noqa: ARG002
        """Return α / (1 - β) for the classical form, α for the averaged one."""
        return lr if self.form == "averaged" else lr / (1 - self.beta)


class RMSprop(Optimizer, name="rmsprop"):
    """Gradient descent with each gradient divided by its own root mean square.

    v ← β v + (1 - β) g²
    θ ← θ - α g / (√v + ε)

    ε stands outside the root, as in PyTorch; the textbook form √(v + ε) needs an ε of the size of its square. v starts
    at zero and is not corrected for that, so the first step is 1 / √(1 - β) times as long as the later ones.

    Source: Tieleman and Hinton (2012), Coursera "Neural networks for machine learning", lecture 6e.
    """

    lr: Positive = 1e-3
    """Learning rate α: about the change of every parameter in one step."""

    beta: Share = 0.9
    """How much of the mean square is kept each step (elsewhere called ρ or α)."""

    eps: Epsilon = 1e-8
    """ε: keeps the quotient finite where the gradient has always been near zero."""

    def moment_names(self) -> tuple[str, ...]:
        """Return the mean square, kept divided by 1 - β."""
        return ("v",)

    def update(self, theta: Float, grad: Float, lr: float, t: int, block: Block) -> None:  # noqa: ARG002
        """Change v and theta by one step."""
        (v,), scratch = block.moments, block.scratch
        root = sqrt(1 - self.beta)  # √v = root √(v / (1 - β)): the slot's scale moves into ε and α, one pass less
        if compiled := loops.rmsprop.compiled.get(theta.dtype):
            compiled(theta, grad, v, self.beta, self.eps / root, lr / root)
            return
        np.multiply(grad, grad, out=scratch)
        np.multiply(v, self.beta, out=v)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.add(scratch, self.eps / root, out=scratch)
        np.divide(grad, scratch, out=scratch)
        np.multiply(scratch, lr / root, out=scratch)
        np.subtract(theta, scratch, out=theta)

    def step_size(self, lr: float, slots: Slots) -> Float:
        """Return α / (√v + ε)."""
        root = sqrt(1 - self.beta)
        return _quotient(lr / root, slots.moments["v"], self.eps / root)


class Adam(Optimizer, name="adam"):
    """Adaptive moments: the mean of the gradient divided by the root of the mean of its square.

    m ← β₁ m + (1 - β₁) g                  mean of the gradient
    v ← β₂ v + (1 - β₂) g²                 mean of its square
    m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)   both start at zero; this corrects for it
    θ ← θ - α m̂ / (√v̂ + ε)
    amsgrad: v̂ is made from the largest v so far instead of v

    ε stands outside the root and v̂ is corrected before it is added, as in the paper's Algorithm 1; the textbook form
    √(v̂ + ε) needs an ε of the size of its square.

    Source: Kingma and Ba (2015), arXiv:1412.6980, Algorithm 1. AMSGrad: Reddi, Kale and Kumar (2018), arXiv:1904.09237;
    with bias correction after the maximum, as in PyTorch; the paper corrects nothing, so that its α / √v̂ can only fall,
    where here it can still rise while the correction wears off.
    """

    advice: ClassVar[Mapping[str, str]] = {
        "weight_decay": "Write optimizer: adamw, whose decay is no part of the gradient."
    }

    lr: Positive = 1e-3
    """Learning rate α: about the largest change of a parameter in one step."""

    beta1: Share = 0.9
    """β₁: how much of the mean is kept each step."""

    beta2: Share = 0.999
    """β₂: how much of the mean square is kept each step."""

    eps: Epsilon = 1e-8
    """ε: keeps the quotient finite where the gradient has always been near zero."""

    amsgrad: bool = False
    """Whether to divide by the largest mean square so far, so that a rare large gradient is never forgotten."""

    def moment_names(self) -> tuple[str, ...]:
        """Return the two means, kept divided by 1 - β₁ and 1 - β₂, and the largest v so far."""
        return ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def update(self, theta: Float, grad: Float, lr: float, t: int, block: Block) -> None:
        """Change m, v and theta by one step."""
        # The scale of the slots and both corrections are two numbers, not passes: ten passes instead of fifteen and no
        # new arrays, 17 us instead of 28 us on 17 thousand parameters.
        # With M = m / (1 - β₁), V = v / (1 - β₂):  α m̂ / (√v̂ + ε) = (α c₂ / c₁) M / (√V + c₂ ε).
        c1, c2 = self._corrections(t)
        eps, rate = c2 * self.eps, lr * c2 / c1
        loop = loops.amsgrad if self.amsgrad else loops.adam
        if compiled := loop.compiled.get(theta.dtype):
            compiled(theta, grad, *block.moments, self.beta1, self.beta2, eps, rate)
            return
        (m, v, *v_max), scratch = block.moments, block.scratch
        np.multiply(m, self.beta1, out=m)
        np.add(m, grad, out=m)
        np.multiply(grad, grad, out=scratch)
        np.multiply(v, self.beta2, out=v)
        np.add(v, scratch, out=v)
        if v_max:
            v = np.maximum(v_max[0], v, out=v_max[0])
        np.sqrt(v, out=scratch)
        np.add(scratch, eps, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, rate, out=scratch)
        np.subtract(theta, scratch, out=theta)

    def _corrections(self, t: int) -> tuple[float, float]:
        c1 = (1 - self.beta1**t) / (1 - self.beta1)
        c2 = sqrt((1 - self.beta2**t) / (1 - self.beta2))
        return c1, c2

    def step_size(self, lr: float, slots: Slots) -> Float:
        """Return α / (√v̂ + ε)."""
        _, c2 = self._corrections(slots.steps)
        return _quotient(lr * c2, slots.moments["v_max" if self.amsgrad else "v"], c2 * self.eps)


class AdamW(Adam, name="adamw"):
    """Adam with weight decay that acts on the weights themselves, not through the gradient.

    θ ← θ - α λ θ        (kernels only, not biases and norms)
    θ ← θ - α m̂ / (√v̂ + ε),   with m̂ and v̂ as in adam

    L2 in the gradient is divided by √v̂ like the rest of it, so that weights with large gradients decay least; decoupled
    decay shrinks all by the same share.

    Source: Loshchilov and Hutter (2019), arXiv:1711.05101, Algorithm 2. There the schedule alone
    scales the decay; here, as in PyTorch, the whole learning rate α does: λ here is the paper's λ over the first α.
    """

    weight_decay: NonNegative = 1e-2
    """λ: one step shrinks the kernels by the share α λ."""

    def decay(self, lr: float) -> float:
        """Return 1 - α λ."""
        return 1 - lr * self.weight_decay


def _quotient(rate: float, v: Float, eps: float) -> Float:
    root: Float = np.sqrt(v)
    np.add(root, eps, out=root)
    return np.divide(rate, root, out=root)
