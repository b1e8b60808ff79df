"""Normalization of every sample by itself, over its positions and a group of its channels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

import numpy as np

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import PositiveInt
from nnctl.nn.layer import Context, ShapeError, Views
from nnctl.nn.memory import Use
from nnctl.nn.norm import Normalization
from nnctl.nn.windows import blanked, mask_of

__all__ = ["GroupNorm", "InstanceNorm"]


class Grouped(Normalization):
    """A normalization over the positions and a group of channels; see `group_norm`."""

    @abstractmethod
    def count(self, channels: int) -> int:
        """Return the number of groups."""

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, if its channels can be parted into groups of more than one value."""
        super().out_shape(shape)
        groups = self.count(shape[-1])
        if shape[-1] % groups:
            fitting = ", ".join(str(n) for n in range(1, shape[-1] + 1) if shape[-1] % n == 0)
            raise ShapeError(f"the groups must divide the {shape[-1]} channels: {fitting}. Got {groups}.")
        if prod(shape) == groups:
            raise ShapeError(
                f"{self.name}: {groups} groups of an input {shape} have one value each, which is its own mean, and all "
                f"would become 0. Take fewer groups, or layer_norm."
            )
        return shape

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of x - μ and y, of dy times x - μ, and of figures for every channel and group."""
        channels, positions = shape[-1], prod(shape[:-1])
        figures = channels * (3 + 2 * use.training) + self.count(channels)
        present = positions * (use.rows if use.padded else 1)
        return use.rows * (prod(shape) * (2 + use.training) + figures) + present

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return γ x̂ + β."""
        B, C = len(x), x.shape[-1]
        x3 = x.reshape(B, -1, C)
        mask = mask_of(x, self.name, ctx)
        present, n = self._present(x3, mask, ctx)
        centred = ctx.out("centred", x3.shape)
        y = ctx.out("y", x3.shape)
        there = x3 if mask is None else blanked(x, mask, 0.0, y)
        np.subtract(x3, self._group_mean(present, there, n, ctx), out=centred)
        if mask is not None:
            blanked(centred, mask, 0.0, centred)
        np.multiply(centred, centred, out=y)
        r = ctx.out("r", (B, 1, C))
        np.add(self._group_mean(present, y, n, ctx), self.eps, out=r)
        np.sqrt(r, out=r)
        np.divide(1, r, out=r)
        ctx.saved = centred, r, present, n, mask
        np.multiply(centred, np.multiply(r, p.gamma, out=ctx.out("a", r.shape)), out=y)
        np.add(y, p.beta, out=y)
        return y.reshape(x.shape)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dγ and dβ; return dx, in the memory of dy."""
        centred, r, present, n, mask = ctx.saved
        dy3 = dy.reshape(centred.shape)
        if mask is not None:
            blanked(dy3, mask, 0.0, dy3)
        a, b, c = (ctx.out(name, r.shape) for name in "abc")
        product = np.multiply(dy3, centred, out=ctx.out("product", centred.shape))
        _sums(present, product, out=b)
        np.multiply(b, r, out=b)  # Σ dy x̂ of every sample and channel
        _sums(present, dy3, out=c)  # Σ dy
        np.sum(b, axis=(0, 1), out=g.gamma)
        np.sum(c, axis=(0, 1), out=g.beta)
        if not ctx.need_dx:
            return None
        # dx = a dy - b centred - c, with one a, b and c for every sample and channel
        np.multiply(r, p.gamma, out=a)
        for sums in (b, c):
            np.multiply(sums, p.gamma, out=sums)
            self._mean_of_sums(sums, n, ctx)
            np.multiply(sums, r, out=sums)
        np.multiply(b, r, out=b)
        np.multiply(dy3, a, out=dy3)
        np.subtract(dy3, np.multiply(centred, b, out=product), out=dy3)
        np.subtract(dy3, c, out=dy3)
        if mask is not None:
            blanked(dy3, mask, 0.0, dy3)
        return dy3.reshape(dy.shape)

    def _present(self, x3: Float, mask: Array | None, ctx: Context) -> tuple[Float, Any]:
        """Return a weight for every position, 1 or with a mask 0, (1 or B, 1, P), and the values of a group."""
        B, P, C = x3.shape
        each = C // self.count(C)
        if mask is None:
            present = ctx.out("present", (1, 1, P))
            present.fill(1)
            return present, P * each
        present = ctx.out("present", (B, 1, P))
        np.copyto(present, mask[:, None])
        return present, np.maximum(each * present.sum(axis=2, keepdims=True), 1)

    def _group_mean(self, present: Float, values: Float, n: Any, ctx: Context) -> Float:
        """Return the mean of every group of every sample, once for each of its channels, (B, 1, C)."""
        sums = _sums(present, values, out=ctx.out("sums", (len(values), 1, values.shape[-1])))
        return self._mean_of_sums(sums, n, ctx)

    def _mean_of_sums(self, sums: Float, n: Any, ctx: Context) -> Float:
        """Turn the sums of channels, (B, 1, C), into the mean of their group, in place."""
        B, _, C = sums.shape
        by_group = sums.reshape(B, self.count(C), -1)
        mean = np.sum(by_group, axis=2, keepdims=True, out=ctx.out("mean", (*by_group.shape[:2], 1)))
        np.copyto(by_group, np.divide(mean, n, out=mean))
        return sums


class GroupNorm(Grouped, name="group_norm"):
    """Normalize every sample by itself, over its positions and a group of its channels, whatever the batch.

    forward:   y = γ x̂ + β,  x̂ = (x - μ) r,  r = 1 / sqrt(σ² + eps);  μ and σ² the mean and the (biased) variance of
               the n = H W C / groups values of a group
    backward:  dβ = Σ dy,  dγ = Σ dy x̂ over samples and positions;  with dx̂ = γ dy:
               dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)), means over the group

    Shapes: x, y (B, H, W, C), (B, T, C) or (B, C); γ, β (C). Neighbouring channels form a group. One group is layer
    norm over positions, too; as many groups as channels is instance_norm.

    Padding of short sequences counts for nothing: it is left out of μ and σ², and has no gradient.

    Source: Wu and He (2018), "Group normalization", eq. 1 to 3 and 7, arXiv:1803.08494.
    """

    groups: PositiveInt
    """How many groups the channels are parted into; it must divide them. The source takes 32."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"num_groups": "groups", "n_groups": "groups"}
    advice: ClassVar[Mapping[str, str]] = {
        "num_channels": "The channels come from what is before the layer: leave it out."
    }

    def count(self, channels: int) -> int:  # noqa: ARG002
        """Return the number of groups."""
        return self.groups


class InstanceNorm(Grouped, name="instance_norm"):
    """Normalize every channel of every sample by itself, over its positions: takes contrast and colour out of images.

    forward:   y = γ x̂ + β,  x̂ = (x - μ) r,  r = 1 / sqrt(σ² + eps);  μ and σ² the mean and the (biased) variance of
               the n = H W values of a channel
    backward:  that of group_norm with a group for each channel

    Shapes: x, y (B, H, W, C) or (B, T, C), with more than one position; γ, β (C). (PyTorch leaves γ and β out unless
    asked, and can keep running statistics; here training and inference are the same.)

    Padding of short sequences counts for nothing: it is left out of μ and σ², and has no gradient.

    Source: Ulyanov, Vedaldi and Lempitsky (2016), "Instance normalization: the missing ingredient for fast
    stylization", eq. 2, arXiv:1607.08022, with γ and β.
    """

    def count(self, channels: int) -> int:
        """Return the number of channels."""
        return channels


def _sums(present: Float, values: Float, out: Float) -> Float:
    """Sum over the positions that are there, (B, P, C) -> (B, 1, C)."""
    # As a product with ones: 100 us where np.einsum takes 305 (64 images of 32 x 32 x 32).
    return np.matmul(present, values, out=out)
