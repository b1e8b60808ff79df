"""Dropout that keeps mean 0 and variance 1."""

from __future__ import annotations

from math import sqrt

import numpy as np

from nnctl.core.arrays import Float
from nnctl.nn.dropout import Dropout, dropout_mask, drops, share_kept
from nnctl.nn.layer import Context, Views
from nnctl.nn.rectifiers import SELU_FLOOR

__all__ = ["AlphaDropout"]


class AlphaDropout(Dropout, name="alpha_dropout"):
    """Dropout for selu: what is dropped becomes the lowest value of a selu, and mean 0 and variance 1 stay.

    forward:   y = a (x m + α' (1 - m)) + b, every m being 0 with probability `rate`, else 1;  α' = -λ α = -1.7581;
               with q = 1 - rate:  a = 1 / sqrt(q + α'² q (1 - q)),  b = -a (1 - q) α';  without training y = x
    backward:  dx = a m dy

    Shapes: x, y (B, ...). It goes behind each selu in place of dropout, which would shift the mean and spread that selu
    holds steady. The rate is rounded as in dropout.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter (2017), "Self-normalizing neural networks", section "New dropout
    technique", arXiv:1706.02515, which finds rates of 0.05 and 0.1 to do well.
    """

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:  # noqa: ARG002
        """Return x with a share of its values at α', brought back to mean 0 and variance 1."""
        if not drops(self.rate, ctx):
            ctx.saved = None
            return x
        q = share_kept(self.rate)
        a = 1 / sqrt(q + SELU_FLOOR**2 * q * (1 - q))
        mask = ctx.saved = dropout_mask(self.rate, x.shape, ctx.bits(), ctx)  # m / q
        np.multiply(mask, a * q, out=mask)
        # a (x m + α' (1 - m)) + b = (x - α') a m + a α' q
        y = np.subtract(x, SELU_FLOOR, out=ctx.out("y", x.shape))
        np.multiply(y, mask, out=y)
        return np.add(y, a * SELU_FLOOR * q, out=y)
