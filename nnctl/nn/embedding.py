"""Embedding: a vector for every token, and the network that ends as it began, with the same vectors."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float, Shape, as_rows, column_sums
from nnctl.core.component import PositiveInt
from nnctl.core.errors import DataError
from nnctl.nn.compose import Sequential
from nnctl.nn.initializers import Initializer, Normal
from nnctl.nn.layer import Context, Layer, Param, Part, ShapeError, Views
from nnctl.nn.memory import INT, Use

__all__ = ["Embedding", "TiedEmbedding"]

_WHOLE = 1e-3  # how far a token may lie from a whole number, for what has been through float32

Token = Annotated[int, Field(ge=0)]


class Embedding(Layer, name="embedding"):
    """Look up a vector for every token, the row of W that the token numbers.

    forward:   y = W[x], the same as the one-hot rows of x times W
    backward:  dW_v = Σ dy over all positions with x = v;  dx = 0, a token has no slope

    Shapes: x (B, T) or (B, ...) of whole numbers from 0 to size - 1, W (size, D), y (B, ..., D).

    The token `padding` gives a vector of zeros, and its row of W has no gradient. The sum of dW runs in the order of
    the positions, so the bits are always the same.

    Memory: y and the tokens, and in training as many places in W as dy has numbers, each of 8 bytes.

    Source: Bengio, Ducharme, Vincent and Jauvin (2003), "A neural probabilistic language model", section 2, the
    matrix C.
    """

    width: PositiveInt
    """D, the numbers that stand for a token."""
    size: PositiveInt | Literal["vocabulary"] = "vocabulary"
    """How many tokens there are; ``vocabulary`` means as many as the data have."""
    padding: Token | None = None
    """The token that stands for nothing, if there is one."""
    init: Initializer = Field(default_factory=lambda: Normal(std=1.0))
    """Initial vectors: N(0, 1) whatever the `init` of the spec, since a token picks one row and sums over none."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "output_dim": "width",
        "embedding_dim": "width",
        "dim": "width",
        "input_dim": "size",
        "num_embeddings": "size",
        "vocab_size": "size",
        "vocabulary_size": "size",
        "padding_idx": "padding",
        "embeddings_initializer": "init",
    }
    advice: ClassVar[Mapping[str, str]] = {"mask_zero": "Masks come from the data; 'padding: 0' makes token 0 a zero."}

    def vocabulary(self) -> int | None:
        """Return how many tokens it knows."""
        return _settled(self.size, "vocabulary")

    def with_vocabulary(self, size: int) -> Self:
        """Return the layer with its size settled."""
        return self.model_copy(update={"size": size}) if self.size == "vocabulary" else self

    def params(self, shape: Shape) -> dict[str, Param]:  # noqa: ARG002
        """Return W (size, D)."""
        return {"W": Param((_settled(self.size, "vocabulary"), self.width), "kernel", self.init)}

    def flop(self, shape: Shape) -> int:  # noqa: ARG002
        """Return 0: looking up multiplies nothing."""
        return 0

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y and the tokens, and of the places in W that every value of dy is added to."""
        return use.rows * prod(shape) * _held_for_a_token(self.width, use)

    def out_shape(self, shape: Shape) -> Shape:
        """Return (..., D)."""
        _settled(self.size, "vocabulary")
        return (*shape, self.width)

    def forward(self, p: Views, x: Array, ctx: Context) -> Float:
        """Return the rows of W."""
        y = ctx.out("y", (*x.shape, self.width))
        ctx.saved = tokens_of(x, len(p.W), ctx)
        return look_up(p.W, ctx.saved, self.padding, out=y)

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:  # noqa: ARG002
        """Fill dW; return zeros where dx is asked for."""
        g.W.fill(0)
        add_rows(g.W, ctx.saved, dy, ctx)
        if self.padding is not None:
            g.W[self.padding] = 0
        if not ctx.need_dx:
            return None
        dx = ctx.out("dx", ctx.saved.shape)
        dx.fill(0)
        return dx


class TiedEmbedding(Sequential, name="tied_embedding"):
    """Embed tokens, run layers, and score every token by its own vector: input and output share one matrix.

    forward:   y = F(sqrt(D) W[x]) W' + b, with F the layers
    backward:  db = 1' dy,  dh = dy W with h the output of F,  dW = dy' h and what the embedding adds,
               dW_v = sqrt(D) Σ da over all positions with x = v,  da = J_F' dh;  dx = 0

    Shapes: x (B, T) of whole numbers from 0 to size - 1, W (size, D), b (size), F (B, T, D) to (B, T, D),
    y (B, T, size): the logits of the next token, for `cross_entropy`.

    W starts at N(0, 1 / D), so that the embedding has variance one, and so have the logits of a normalized h. The token
    `padding` is embedded as zeros; as an output it is like any other.

    Memory: y, size numbers a position; a, dh and the tokens, and in training as many places in W as a has numbers, each
    of 8 bytes.

    Source: Press and Wolf (2017), "Using the output embedding to improve language models", arXiv:1608.05859; the factor
    sqrt(D) from Vaswani et al. (2017), section 3.4, arXiv:1706.03762. The bias b is ours.
    """

    width: PositiveInt
    """D, the numbers that stand for a token; the layers must give as many back."""
    size: PositiveInt | Literal["outputs"] = "outputs"
    """How many tokens there are; ``outputs`` means as many as the data and the loss ask for."""
    padding: Token | None = None
    """The token that stands for nothing, if there is one."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        word: field for word, field in Embedding.field_synonyms.items() if field != "init"
    }

    def vocabulary(self) -> int | None:
        """Return how many tokens it knows."""
        return _settled(self.size, "outputs")

    def with_outputs(self, outputs: int) -> Self:
        """Return the composite with its size settled, and ``outputs`` in every part."""
        settled = super().with_outputs(outputs)
        return settled.model_copy(update={"size": outputs}) if self.size == "outputs" else settled

    def params(self, shape: Shape) -> dict[str, Param]:  # noqa: ARG002
        """Return W (size, D) and b (size)."""
        size = _settled(self.size, "outputs")
        W = Param((size, self.width), "kernel", Normal(std=1 / sqrt(self.width)))
        return {"W": W, "b": Param((size,), "bias")}

    def buffers(self, shape: Shape, use: Use) -> int:
        """Return the numbers of y, the embedded tokens, dh and the places that their gradient is added to."""
        dh = self.width * use.training
        outputs = prod(self.out_shape(shape))
        return use.rows * (outputs + prod(shape) * (_held_for_a_token(self.width, use) + dh))

    def chained(self, shape: Shape) -> tuple[tuple[Part, ...], Shape]:
        """Return the layers as parts, from (..., D) to (..., D), and the shape (..., size) of the scores."""
        parts, inner = super().chained((*shape, self.width))
        if inner[-1:] != (self.width,):
            raise ShapeError(f"tied_embedding needs layers that give back its width {self.width}. Got {inner}.")
        return parts, (*inner[:-1], _settled(self.size, "outputs"))

    def forward(self, p: Views, x: Array, ctx: Context) -> Float:
        """Return the scores of all tokens at every position."""
        tokens = tokens_of(x, len(p.W), ctx)
        a = look_up(p.W, tokens, self.padding, out=ctx.out("a", (*x.shape, self.width)))
        np.multiply(a, sqrt(self.width), out=a)
        h = super().forward(p, a, ctx)
        ctx.saved = tokens, h
        y = ctx.out("y", (*h.shape[:-1], len(p.W)))
        np.dot(as_rows(h), p.W.T, out=as_rows(y))
        np.add(y, p.b, out=y)
        return y

    def backward(self, p: Views, g: Views, dy: Float, ctx: Context) -> Float | None:
        """Fill dW and db; return zeros where dx is asked for."""
        tokens, h = ctx.saved
        rows = as_rows(dy)
        np.dot(rows.T, as_rows(h), out=g.W)
        column_sums(rows, out=g.b)
        dh = ctx.out("dh", h.shape)
        np.dot(rows, p.W, out=as_rows(dh))
        da = super().backward(p, g, dh, ctx)
        assert da is not None
        np.multiply(da, sqrt(self.width), out=da)
        if self.padding is not None:
            np.copyto(da, 0, where=(tokens == self.padding)[..., None])
        add_rows(g.W, tokens, da, ctx)
        if not ctx.need_dx:
            return None
        dx = ctx.out("dx", tokens.shape)
        dx.fill(0)
        return dx


def _held_for_a_token(width: int, use: Use) -> int:
    return width + INT + 1 + INT * width * use.training + use.back


def tokens_of(x: Array, size: int, ctx: Context) -> Array:
    """Return x as whole numbers.

    Raises
    ------
    DataError
        Where a value is no whole number from 0 to size - 1.
    """
    with np.errstate(invalid="ignore"):  # a value that is no number is told below
        tokens = np.rint(x, out=ctx.out("tokens", x.shape, np.intp), casting="unsafe")
    rest = np.subtract(x, tokens, out=ctx.out("rest", x.shape))
    off = np.max(np.abs(rest, out=rest), initial=0)
    if tokens.min(initial=0) < 0 or tokens.max(initial=0) >= size or not off < _WHOLE:
        wrong = x[(tokens < 0) | (tokens >= size) | ~(rest < _WHOLE)]
        others = f" and {len(wrong) - 1} more of this batch" if len(wrong) > 1 else ""
        raise DataError(
            f"an embedding of size {size} takes the tokens 0 to {size - 1}, whole numbers. Got {wrong[0]:g}{others}. "
            f"Tokens must not be scaled ('scaling: none'), and the size must be their highest plus one."
        )
    return tokens


def look_up(W: Float, tokens: Array, padding: int | None, out: Float) -> Float:
    """Fill `out` with the row of W for every token, and zeros for `padding`."""
    np.take(W, tokens, axis=0, out=out, mode="clip")  # without "clip" NumPy makes a copy first
    if padding is not None:
        np.copyto(out, 0, where=(tokens == padding)[..., None])
    return out


def add_rows(into: Float, tokens: Array, rows: Float, ctx: Context) -> None:
    """Add to every row of `into` the sum of the `rows` with its token, in their order.

    One by one on flat arrays, for which np.add.at has a fast loop: 0.3 ms where np.add.at on rows takes 1.8, and sorted
    sums (np.add.reduceat) 0.3 to 0.7 (2048 rows of 128).
    """
    D = into.shape[1]
    places = ctx.out("places", (tokens.size, D), np.intp)
    np.multiply(tokens.reshape(-1, 1), D, out=places)
    np.add(places, np.arange(D), out=places)
    np.add.at(into.reshape(-1), places.reshape(-1), rows.reshape(-1))


def _settled(size: int | str, word: str) -> int:
    if not isinstance(size, str):
        return size
    if word == "vocabulary":
        raise ShapeError(
            "reads tokens, and the inputs are none: 'vocabulary' has no number. For numbers write a dense layer in its "
            "place ('inputs: numbers' in a transformer_encoder); for tokens of your own give 'size'."
        )
    raise ShapeError(f"'{word}' has no number yet: it comes from the data.")
