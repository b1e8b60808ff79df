"""Presets of stacked transformer blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from nnctl.core.component import PositiveInt, Share
from nnctl.nn.compose import Repeat
from nnctl.nn.dense import Dense
from nnctl.nn.embedding import Embedding, TiedEmbedding
from nnctl.nn.gelu import Gelu
from nnctl.nn.global_pool import GlobalAvgPool, GlobalMaxPool
from nnctl.nn.layer import Layer
from nnctl.nn.norm import LayerNorm
from nnctl.nn.position import Position
from nnctl.nn.preset import Preset
from nnctl.nn.presets import Depth, Outputs
from nnctl.nn.transformer import TransformerBlock

__all__ = ["TransformerDecoder", "TransformerEncoder"]


class Transformer(Preset):
    """A stack of transformer blocks between an input and an output."""

    width: PositiveInt
    """D, the numbers of every position; the heads must divide it."""
    heads: PositiveInt = 4
    """Heads of every attention."""
    depth: Depth = 2
    """How many blocks."""
    ff: PositiveInt | None = None
    """Units of the network at every position; by default what transformer_block takes."""
    activation: Layer = Field(default_factory=Gelu)
    """Activation of the network at every position."""
    norm: Layer = Field(default_factory=LayerNorm)
    """The norm: layer_norm or rms_norm."""
    placement: Literal["pre", "post"] = "pre"
    """Where the norm stands in a block; with `pre` there is one more behind the last."""
    position: Literal["sinusoidal", "learned", "rotary", "none"] = "sinusoidal"
    """How the positions are told: waves, learned vectors, by turning queries and keys, or not at all."""
    dropout: Share = 0.0
    """Share to drop in the blocks."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "d_model": "width",
        "embed_dim": "width",
        "units": "width",
        "hidden_size": "width",
        "num_heads": "heads",
        "nhead": "heads",
        "n_head": "heads",
        "layers": "depth",
        "num_layers": "depth",
        "n_layer": "depth",
        "blocks": "depth",
        "dim_feedforward": "ff",
        "d_ff": "ff",
        "ff_dim": "ff",
        "intermediate_size": "ff",
        "positional_encoding": "position",
        "positions": "position",
    }

    def stack(self, *, causal: bool) -> Iterator[Layer]:
        """Yield the layers between input and output."""
        if self.position in {"sinusoidal", "learned"}:
            yield Position(kind=self.position)
        block = TransformerBlock(
            heads=self.heads,
            ff=self.ff,
            activation=self.activation,
            norm=self.norm,
            placement=self.placement,
            causal=causal,
            rotary=self.position == "rotary",
            dropout=self.dropout,
        )
        yield Repeat(layers=(block,), times=self.depth)
        if self.placement == "pre":
            yield self.norm


class TransformerEncoder(Transformer, name="transformer_encoder"):
    """Preset: a transformer that reads a whole sequence and says one thing about it, or one at every position.

    forward:   embedding of tokens, or dense for sequences of numbers;  position;  depth times transformer_block;  norm;
               the mean or the maximum over the positions;  dense: outputs
    backward:  the chain rule through these layers

    Shapes: x (B, T) of tokens or (B, T, D_in), y (B, outputs), or (B, T, outputs) with `pool: none`.

    Source: Vaswani et al. (2017), "Attention is all you need", section 3, arXiv:1706.03762; pooled as in Lin et al.
    (2014), "Network in network", arXiv:1312.4400.
    """

    inputs: Literal["tokens", "numbers"] = "tokens"
    """Whether the sequences are of tokens, or of numbers that measure something."""
    pool: Literal["mean", "max", "none"] = "mean"
    """How the positions become one vector; with ``none`` every position has an output of its own."""
    outputs: Outputs = "outputs"
    """Width of the output; ``outputs`` means as many as the data and the loss ask for."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"input": "inputs", "pooling": "pool"}

    def layers(self) -> Iterator[Layer]:
        """Yield the layers that it stands for."""
        yield Embedding(width=self.width) if self.inputs == "tokens" else Dense(units=self.width)
        yield from self.stack(causal=False)
        if self.pool != "none":
            yield GlobalAvgPool() if self.pool == "mean" else GlobalMaxPool()
        yield Dense(units=self.outputs)


class TransformerDecoder(Transformer, name="transformer_decoder"):
    """Preset: a language model, a transformer that predicts at every position what comes next from what comes before.

    forward:   embedding;  position;  depth times transformer_block, causal;  norm;  dense: outputs, or with `tied` the
               embedding again
    backward:  the chain rule through these layers

    Shapes: x (B, T) of tokens, y (B, T, outputs).

    Source: Radford, Narasimhan, Salimans and Sutskever (2018), "Improving language understanding by generative
    pre-training", section 3.1: the decoder of Vaswani et al. (2017), arXiv:1706.03762, without a second sequence.
    """

    tied: bool = False
    """Whether every token is scored by the vector that it is embedded with."""
    outputs: Outputs = "outputs"
    """How many tokens there are to predict; ``outputs`` means as many as the data and the loss ask for."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"tie_weights": "tied", "tie_word_embeddings": "tied"}

    def layers(self) -> Iterator[Layer]:
        """Yield the layers that it stands for."""
        stack = tuple(self.stack(causal=True))
        if self.tied:
            yield TiedEmbedding(width=self.width, size=self.outputs, layers=stack)
            return
        yield Embedding(width=self.width)
        yield from stack
        yield Dense(units=self.outputs)
