"""Weight normalization: every kernel as lengths times directions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from nnctl.core.arrays import Float, Shape, as_rows, column_sums
from nnctl.nn.compose import Sequential
from nnctl.nn.initializers import Constant
from nnctl.nn.layer import Context, Layer, Param, Part, Views
from nnctl.nn.memory import Use

__all__ = ["WeightNorm"]


class WeightNorm(Sequential, name="weight_norm"):
    """Run layers whose kernels are learned as a length and a direction for every unit.

    forward:   W = g v / ||v|| in the place of every kernel of the layers and of what they are made of
    backward:  dg = Σ dW v / ||v||,  dv = g / ||v|| (dW - dg v / ||v||), sums and norms over all axes but the last

    Shapes: v as W, (..., units); g (1, units). The parameters of a kernel W are called W_v and W_g.

    It starts as the layers do without it: v as their init draws W, and g = ||v||. (The source also sets g and b from a
    first batch of data.) Weight decay, penalties and `max_norm` act on g, which is as long as W: so they do to W what
    they would do without it. A unit whose v is drawn as zero has no direction: it stays zero and learns nothing.

    Memory: W, v / ||v|| and dW v / ||v|| of every kernel, in every replica.

    Source: Salimans and Kingma (2016), "Weight normalization: a simple reparameterization to accelerate training of
    deep neural networks", eq. 2 and 3, arXiv:1602.07868.
    """

    def _expanded(self) -> tuple[Layer, ...]:
        return tuple(map(_reparameterized, self.layers))


class _Reparameterized(Layer):
    """What a layer does otherwise whose kernels are lengths times directions; stands before the layer's own class."""

    def params(self, shape: Shape) -> dict[str, Param]:
        """Return W_v and W_g for every kernel W, and the other parameters as they are."""
        found = {}
        for name, param in super().params(shape).items():
            if param.decayed:
                found[f"{name}_v"] = replace(param, role="direction")
                found[f"{name}_g"] = Param((1, param.shape[-1]), "kernel", Constant(value=1.0))
            else:
                found[name] = param
        return found

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return what the layer holds, and the numbers of W, v / ||v||, 1 / ||v|| and dW v / ||v||."""
        kernels = [param for param in super().params(shape).values() if param.decayed]
        own = sum(param.size * (2 + use.training) + param.shape[-1] for param in kernels)
        return super().buffers(shape, use) + own

    def settle(self, p: Views) -> None:
        """Set every g to ||v||, so that W starts as v."""
        super().settle(p)
        for v, g in _pairs(p).values():
            g[...] = _lengths(v)

    def parts(self, shape: Shape) -> tuple[Part, ...]:
        """Return the parts, their kernels written likewise."""
        return tuple(replace(part, layer=_reparameterized(part.layer)) for part in super().parts(shape))

    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return the layer's output with W = g v / ||v||."""
        for name, (v, g) in _pairs(p).items():
            length = _lengths(v)
            inverse = ctx.out(f"inverse length of {name}", length.shape)
            inverse.fill(0)
            np.divide(1, length, out=inverse, where=length > 0)
            direction = np.multiply(v, inverse, out=ctx.out(f"direction of {name}", v.shape))
            np.multiply(direction, g, out=ctx.out(f"the whole {name}", v.shape))
        return super().forward(_whole(p, ctx), x, ctx)  # type: ignore[safe-super]

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dv and dg, and what else the layer fills; return dx."""
        dkernels = {name: dv for name, (dv, _) in _pairs(g).items()}  # the layer leaves its dW in the memory of dv
        dx = super().backward(_whole(p, ctx), _with(g, dkernels), dy, ctx)  # type: ignore[safe-super]
        for name, (dv, dg) in _pairs(g).items():
            direction = ctx.out(f"direction of {name}", dv.shape)
            product = np.multiply(dv, direction, out=ctx.out(f"product of {name}", dv.shape))
            column_sums(as_rows(product), out=dg[0])
            np.subtract(dv, np.multiply(direction, dg, out=product), out=dv)
            np.multiply(dv, ctx.out(f"inverse length of {name}", dg.shape) * getattr(p, f"{name}_g"), out=dv)
        return dx


def _reparameterized(layer: Layer) -> Layer:
    """Return the layer with its kernels as lengths times directions."""
    made: Layer = _reparameterized_kind(type(layer)).model_construct(**dict(layer))
    return made


@cache
def _reparameterized_kind(kind: type[Layer]) -> Any:
    made: Any = type(kind.__name__, (_Reparameterized, kind), {"__module__": __name__, "__doc__": kind.__doc__})
    made.name = kind.name
    return made


def _pairs(views: Views) -> dict[str, tuple[Float, Float]]:
    """Return what stands for every kernel, by the kernel's name: v and g, or their gradients."""
    found = vars(views)
    names = [name.removesuffix("_g") for name in found if name.endswith("_g")]
    return {name: (found[f"{name}_v"], found[f"{name}_g"]) for name in names if f"{name}_v" in found}


def _whole(p: Views, ctx: Context) -> Views:
    """Return the parameters as the layer itself knows them, with the W of the last forward pass."""
    return _with(p, {name: ctx.out(f"the whole {name}", v.shape) for name, (v, _) in _pairs(p).items()})


def _with(views: Views, kernels: dict[str, Float]) -> Views:
    replaced = {f"{name}_{letter}" for name in kernels for letter in "vg"}
    return Views(**{name: a for name, a in vars(views).items() if name not in replaced}, **kernels)


def _lengths(v: Float) -> Float:
    """Return the length of every column, (1, units)."""
    rows = as_rows(v)
    squares: Float = np.einsum("ij,ij->j", rows, rows)
    return np.sqrt(squares[None])
