"""RMS normalization: layer norm without the mean."""

from __future__ import annotations

from math import prod

import numpy as np

from nnctl.core.arrays import Float, Shape, as_rows, column_sums
from nnctl.nn.initializers import Constant
from nnctl.nn.layer import Context, Param, Views
from nnctl.nn.memory import Use
from nnctl.nn.norm import Normalization

__all__ = ["RmsNorm"]


class RmsNorm(Normalization, name="rms_norm"):
    """Divide every sample by the root of the mean square of its features; nothing is subtracted and nothing added.

    forward:   y = γ x̂,  x̂ = x r,  r = 1 / sqrt(mean(x²) + eps), the mean over the last axis
    backward:  dγ = Σ dy x̂ over samples and positions;  with dx̂ = γ dy:  dx = r (dx̂ - x̂ mean(dx̂ x̂))

    Shapes: x, y (B, ..., D); γ (D): half the parameters of layer_norm. With γ = 1 the direction of x stays.

    Memory: x̂ and y, and in training dy x̂: three arrays as large as x, and some figures a row; dx takes that of dy.

    Source: Zhang and Sennrich (2019), "Root mean square layer normalization", eq. 4, arXiv:1910.07467; eps under the
    root as in the frameworks.
    """

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return gamma (D), starting at one."""
        return {"gamma": Param(shape[-1:], "scale", Constant(value=1.0))}

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of x̂ and y, of dy times x̂, and of one or two figures for every row."""
        return use.rows * (prod(shape) * (2 + use.training) + prod(shape[:-1]) * (1 + use.back))

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return γ x̂."""
        r = ctx.out("r", (*x.shape[:-1], 1))
        normal = ctx.out("normal", x.shape)
        np.vecdot(x, x, out=r[..., 0])
        np.divide(r, x.shape[-1], out=r)
        np.add(r, self.eps, out=r)
        np.sqrt(r, out=r)
        np.divide(1, r, out=r)
        np.multiply(x, r, out=normal)
        ctx.saved = normal, r
        y = ctx.out("y", x.shape)
        np.multiply(normal, p.gamma, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dγ; return dx, in the memory of dy."""
        normal, r = ctx.saved
        product = np.multiply(dy, normal, out=ctx.out("product", dy.shape))
        column_sums(as_rows(product), out=g.gamma)
        if not ctx.need_dx:
            return None
        slant = ctx.out("slant", r.shape)  # mean(dx̂ x̂)
        np.multiply(dy, p.gamma, out=dy)
        np.vecdot(dy, normal, out=slant[..., 0])
        np.divide(slant, dy.shape[-1], out=slant)
        np.subtract(dy, np.multiply(normal, slant, out=product), out=dy)
        np.multiply(dy, r, out=dy)
        return dy
