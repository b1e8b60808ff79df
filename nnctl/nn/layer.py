"""The layer contract: what every layer is, and what it may rely on.

A layer is a frozen component and holds no arrays. It has four verbs:

``params(shape)``
    the parameters and statistics it wants for inputs of `shape` (without the batch axis);
``out_shape(shape)``
    the shape of what it returns, or a ShapeError that says why the input does not fit;
``forward(p, x, ctx)``
    its output for a batch `x` of shape (B, *shape);
``backward(p, g, dy, ctx)``
    the gradients of its parameters, written into `g`, and the gradient ``dx`` of its input.

`p` and `g` are named views into the network's flat vectors: ``p.W`` lies in theta, ``g.W`` in grad, and statistics that
are not trained (``p.running_mean``) lie in state. `ctx` is the layer's scratch. The terms, each of them tested over the
whole registry:

1. ``forward`` never writes to ``x``.
2. ``backward`` may destroy ``dy`` and nothing else; a composite that fans out copies first.
3. ``backward`` overwrites every field of ``g``; there is no zero_grad.
4. A second call with the same shape allocates nothing through ``ctx.out``; a smaller last batch sees exact views.
5. In float64, <dy, J v> = <J' dy, v> for the input and for every parameter.
6. ``out_shape`` is true, a batch of one works, and ``training=False`` is deterministic and draws no random number.

Rows are samples: ``x (B, D_in)``, ``W (D_in, D_out)``, ``y = x W + b``. Textbooks that write column vectors,
``z = W a + b`` with ``W (n_out, n_in)``, show the transpose of what stands here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from nnctl.core.arrays import Array, Float, Shape
from nnctl.core.component import Component
from nnctl.core.random import bits
from nnctl.nn.initializers import Initializer
from nnctl.nn.memory import Use
from nnctl.nn.names import LAYERS

__all__ = ["Bound", "Context", "Layer", "Param", "Part", "Pass", "ShapeError", "Solo", "Views", "Watch"]


class Views(SimpleNamespace):
    """A layer's parameters by name, each a view into a flat vector of the network."""


class ShapeError(ValueError):
    """An input whose shape a layer cannot take; `path` leads to the layer in the architecture."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class Param:
    """One parameter that a layer asks for.

    Parameters
    ----------
    shape : tuple of int
    role : {"kernel", "direction", "bias", "scale"}
        Kernels have weight decay, L1, L2 and the network's `init`; biases have its `bias_init`. Scales and shifts of
        normalization have neither decay nor the network's init, and must bring their own. A direction is drawn as a
        kernel, but has no decay: its length does not matter.
    init : Initializer or None
        None takes the network's default for the role.
    fans : (int, int) or None
        Fan-in and fan-out for the initializer; by default the first and the last axis of the shape.
    trainable : bool
        False for statistics that forward keeps up to date; they live in the network's `state` and have no gradient.
    """

    shape: Shape
    role: Literal["kernel", "direction", "bias", "scale"] = "kernel"
    init: Initializer | None = None
    fans: tuple[int, int] | None = None
    trainable: bool = True

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def multiplies(self) -> bool:
        """Whether inputs are multiplied by it: a kernel, or the direction of one."""
        return self.role in {"kernel", "direction"}

    @property
    def decayed(self) -> bool:
        """Whether weight decay and penalties act on it."""
        return self.trainable and self.role == "kernel"


class Solo:
    """The team of one: what the replicas have to agree on is what this one says."""

    size = 1
    rank = 0

    def sum(self, values: Float) -> Float:
        """Return the sum of `values` over all replicas."""
        return values


@dataclass(slots=True)
class Pass:
    """What one pass through the network needs to know; shared by all layers of a replica."""

    seed: int = 0
    step: int = 0
    training: bool = False
    rows: int = 0
    """Rows that the replicas of this pass have together: a batch, or one micro-batch of several."""
    mask: Array | None = None
    """Which positions of every sequence are there, bool (B, T); None where all are. The others are padding."""
    team: Solo = field(default_factory=Solo)
    scratch: Context | None = None
    """Buffers that all layers of a replica use in turn."""
    watch: Watch | None = None
    """Called after every layer with what came out of it; for diagnosis."""
    lanes: int = 1
    """Threads that a replica may use for parts that do not wait for each other; no bit depends on it."""


class Context:
    """A layer's scratch: what forward keeps for backward, reused buffers, and what the pass needs.

    Attributes
    ----------
    saved : Any
        What forward leaves for backward.
    parts : tuple of Bound
        For a composite: its bound parts, in the order of `Layer.parts`.
    need_dx : bool
        Whether anyone reads the gradient of this layer's input. Where not, backward may return None.
    """

    __slots__ = ("_backing", "_views", "dtype", "need_dx", "now", "parts", "path", "saved")

    def __init__(
        self, path: str, dtype: np.dtype[Any], now: Pass, parts: tuple[Bound, ...] = (), need_dx: bool = True
    ) -> None:
        self.path = path
        self.dtype = dtype
        self.now = now
        self.parts = parts
        self.need_dx = need_dx
        self.saved: Any = None
        self._backing: dict[str, Array] = {}
        self._views: dict[tuple[str, Shape], Array] = {}

    @property
    def training(self) -> bool:
        """Whether this is a training pass: dropout drops, batch norm uses the batch."""
        return self.now.training

    @property
    def mask(self) -> Array | None:
        """Which positions of every sequence are there, bool (B, T), or None where all are.

        A layer that mixes positions lets what is padding change no output and no gradient; one that works on every
        position by itself need not look.
        """
        return self.now.mask

    @mask.setter
    def mask(self, mask: Array | None) -> None:
        """Leave the mask of what forward returns, where it is another than that of its input."""
        self.now.mask = mask

    @property
    def team(self) -> Solo:
        """The replicas that share this batch; ``ctx.team.sum(v)`` adds up what needs the whole batch."""
        return self.now.team

    def bits(self) -> np.random.Philox:
        """Return this layer's random bits for this step and replica; the same step draws the same bits."""
        return bits(self.now.seed, self.path, self.now.step, self.now.team.rank)

    def out(self, name: str, shape: Shape, dtype: Any = None) -> Array:
        """Return an uninitialised buffer that is reused by every later call with the same name.

        The first call allocates; later ones return a view of the same memory. A smaller shape is an exact, contiguous
        view of its front.
        """
        try:
            return self._views[name, shape]
        except KeyError:
            return self._new_view(name, shape, dtype or self.dtype)

    def scratch(self, name: str, shape: Shape, dtype: Any = None) -> Array:
        """Return an uninitialised buffer that all layers of this replica share, for use within one call.

        What stands in it is lost when the layer returns. A network of many layers holds the memory once, not for each.
        """
        if self.now.scratch is None:
            self.now.scratch = Context("", self.dtype, self.now)
        return self.now.scratch.out(name, shape, dtype)

    def _new_view(self, name: str, shape: Shape, dtype: Any) -> Array:
        size = prod(shape)
        backing = self._backing.get(name)
        if backing is None or backing.size < size:
            backing = self._backing[name] = np.empty(size, dtype)
            self._views = {key: view for key, view in self._views.items() if key[0] != name}
        view = self._views[name, shape] = backing[:size].reshape(shape)
        return view

    def nbytes(self) -> int:
        """Return the bytes held by this layer's buffers, its parts included."""
        return sum(b.nbytes for b in self._backing.values()) + sum(part.ctx.nbytes() for part in self.parts)


@dataclass(frozen=True)
class Part:
    """A layer inside a composite: the label of its tensors, the layer, and the shape of its input."""

    label: str
    layer: Layer
    shape: Shape


class Layer(Component, family="layer"):
    """A function of a batch with parameters; see the module for the contract."""

    synonyms: ClassVar[Mapping[str, str]] = LAYERS
    advice: ClassVar[Mapping[str, str]] = {
        "kernel_regularizer": "Penalties stand beside the architecture, for all kernels: regularizers: [{l2: 1e-4}].",
        "kernel_constraint": "Constraints stand beside the architecture: regularizers: [{max_norm: 3}].",
        "bias_regularizer": "Biases are not penalized: leave it out.",
        "input_shape": "It follows from the data: leave it out.",
        "input_dim": "It follows from the data: leave it out.",
        "in_features": "It follows from the data: leave it out.",
    }

    sharded: ClassVar[bool] = False
    """Whether its work is divided better by rows, a replica on each core, than by the threads of BLAS."""
    any_length: ClassVar[bool] = True
    """Whether it takes shorter sequences than were planned for; where not, every batch is padded to the full length."""

    @property
    def paired(self) -> bool:
        """Whether it can do its work while another part does as much: of two directions the second."""
        return False

    def flop(self, shape: Shape) -> int:
        """Return the floating point operations of its matrix products in a forward pass, for one sample.

        Two for every weight of a kernel at every position; layers of which that is not true say their own. Composites
        leave out their parts.
        """
        return 2 * prod(shape[:-1]) * sum(param.size for param in self.params(shape).values() if param.multiplies)

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return how many numbers its own buffers hold: those of ``ctx.out``, without those of its parts.

        The output and the gradient of the input; layers of which that is not true say their own. What the price of a
        network and the size of the blocks of inference go by.
        """
        return use.rows * (prod(self.out_shape(shape)) + use.back * prod(shape))

    def scratch(self, shape: Shape, use: Use) -> int:  # noqa: ARG002 - most layers borrow none
        """Return how many numbers of ``ctx.scratch`` it needs within a call."""
        return 0

    def params(self, shape: Shape) -> dict[str, Param]:  # noqa: ARG002 - most layers depend on it
        """Return the parameters for inputs of `shape`, by the name they have in ``p`` and ``g``."""
        return {}

    def settle(self, p: Views) -> None:
        """Set the parameters that start from what others were drawn as; called once all of them are drawn."""

    def parts(self, shape: Shape) -> tuple[Part, ...]:  # noqa: ARG002 - composites depend on it
        """Return the layers this one is made of, each with the shape of its own input; most have none."""
        return ()

    def with_outputs(self, outputs: int) -> Self:  # noqa: ARG002 - for the layers that can say `outputs`
        """Return this layer with ``outputs`` replaced by the width that the data asks for."""
        return self

    def with_vocabulary(self, size: int) -> Self:  # noqa: ARG002 - for the layers that can say `vocabulary`
        """Return this layer with ``vocabulary`` replaced by the number of tokens in the data."""
        return self

    def vocabulary(self) -> int | None:
        """Return how many tokens it takes, whole numbers from 0 on that name things; None for inputs that measure."""
        return None

    @abstractmethod
    def out_shape(self, shape: Shape) -> Shape:
        """Return the output shape for inputs of `shape`, both without the batch axis.

        Raises
        ------
        ShapeError
            Where the layer cannot take such an input.
        """

    @abstractmethod
    def forward(self, p: Views, x: Float, ctx: Context) -> Float:
        """Return the output for a batch; never writes to `x`."""

    @abstractmethod
    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Write the gradients of the parameters into `g` and return that of the input; may destroy `dy`."""

    def branches(self, ctx: Context) -> Array | None:  # noqa: ARG002 - functions with corners depend on it
        """Return which branch every value took in the last forward pass; None where the function has no corners.

        Such as the sign of a rectifier's input. Differences between points on different branches are no derivative.
        """
        return None


class Bound:
    """A layer with its views into theta, grad and state, and its scratch."""

    __slots__ = ("ctx", "g", "layer", "p")

    def __init__(self, layer: Layer, p: Views, g: Views, ctx: Context) -> None:
        self.layer = layer
        self.p = p
        self.g = g
        self.ctx = ctx

    def forward(self, x: Float) -> Float:
        """Return the layer's output for a batch."""
        y = self.layer.forward(self.p, x, self.ctx)
        if self.ctx.now.watch is not None:
            self.ctx.now.watch(self, "forward", y)
        return y

    def backward(self, dy: Float) -> Float | None:
        """Fill the layer's gradients and return that of its input, or None where nobody reads it."""
        dx = self.layer.backward(self.p, self.g, dy, self.ctx)
        if self.ctx.now.watch is not None:
            self.ctx.now.watch(self, "backward", dx)
        return dx


Watch: TypeAlias = Callable[[Bound, Literal["forward", "backward"], Float | None], None]
