"""The transformer block: attention between the positions, then a small network at every position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnctl.core.arrays import Shape
from nnctl.core.component import PositiveInt, Share
from nnctl.nn.attention import Attention
from nnctl.nn.compose import Chain, Residual, chain
from nnctl.nn.cross_attention import CrossAttention
from nnctl.nn.dense import Dense
from nnctl.nn.dropout import Dropout
from nnctl.nn.gelu import Gelu
from nnctl.nn.glu import Swiglu
from nnctl.nn.layer import Layer, Part, ShapeError
from nnctl.nn.norm import LayerNorm
from nnctl.nn.segment import Segment

__all__ = ["TransformerBlock"]


class TransformerBlock(Chain, name="transformer_block"):
    """Let the positions look at each other, then think about what they saw; both are added to what was there.

    forward:   pre:   u = x + A(N_1(x)),    y = u + F(N_2(u))
               post:  u = N_1(x + A(x)),    y = N_2(u + F(u))
               with A the attention, F(u) = φ(u W_1 + b_1) W_2 + b_2 at every position, and N the norm
               with `memory` the cross-attention C comes between the two: u + C(N_3(u)), or N_3(u + C(u)), in place of u
    backward:  the chain rule through these layers

    Shapes: x, y (B, T, D); W_1 (D, ff), or (D, 2 ff) with `swiglu`; W_2 (ff, D).

    It is short for residual, norm, attention, dense and dropout layers, and has their parameters. The norm must work on
    every position by itself, as layer_norm and rms_norm do. A stack of pre-norm blocks leaves its sum unnormalized: put
    a norm after the last.

    A stack without `causal` is an encoder, one with it a decoder, as in language models. With `memory` it is a decoder
    beside an encoder: the first positions hold what the encoder made of a sequence of its own (see `segment`) and pass
    unchanged; the others look at each other, then at them.

    Source: Vaswani et al. (2017), "Attention is all you need", sections 3.1 and 3.3, arXiv:1706.03762, for post;
    Xiong et al. (2020), "On layer normalization in the transformer architecture", figure 1, arXiv:2002.04745, for pre.
    """

    heads: PositiveInt
    """Heads of the attention; they must divide the width of the input."""
    ff: PositiveInt | None = None
    """Units of the network at every position; by default four times the width, or 8/3 of it with `swiglu`."""
    activation: Layer = Field(default_factory=Gelu)
    """Its activation: gelu, relu, swiglu or any other that keeps the shape."""
    norm: Layer = Field(default_factory=LayerNorm)
    """The norm: layer_norm or another layer that keeps the shape."""
    placement: Literal["pre", "post"] = "pre"
    """Whether the norm stands before attention and network, or after their sums; `post` needs a warm-up when deep."""
    causal: bool = False
    """Whether a position sees only itself and what comes before it."""
    rotary: bool = False
    """Whether the attention turns queries and keys by their position; else put a position layer before the blocks."""
    memory: Annotated[int, Field(ge=0)] = 0
    """How many positions in front are a memory for the others to look at; see segment for how they get there."""
    dropout: Share = 0.0
    """Share to drop in training: of the weights of the attention, and of what attention and network add."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "num_heads": "heads",
        "n_heads": "heads",
        "nhead": "heads",
        "n_head": "heads",
        "dim_feedforward": "ff",
        "ff_dim": "ff",
        "intermediate_size": "ff",
        "feed_forward": "ff",
        "d_ff": "ff",
        "normalization": "norm",
        "is_causal": "causal",
        "use_causal_mask": "causal",
        "rope": "rotary",
    }
    advice: ClassVar[Mapping[str, str]] = {
        "norm_first": "Write 'placement: pre' for true and 'placement: post' for false.",
        "d_model": "The width is that of the input.",
        "embed_dim": "The width is that of the input.",
        "num_layers": "Repeat the block: 'repeat: {layers: [transformer_block: ...], times: 6}'.",
    }

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged, (T, D)."""
        if len(shape) != 2:
            raise ShapeError(f"transformer_block needs a sequence (T, D). Got {shape}.")
        return super().out_shape(shape)

    def chained(self, shape: Shape) -> tuple[tuple[Part, ...], Shape]:
        """Return the layers that it is short for."""
        try:
            return chain(self._layers(shape[-1]), shape)
        except ShapeError as error:
            error.path = ()  # what it is made of is not written in the spec
            raise

    def _layers(self, width: int) -> tuple[Layer, ...]:
        attention = Attention(heads=self.heads, causal=self.causal, rotary=self.rotary, dropout=self.dropout)
        gated = isinstance(self.activation, Swiglu)
        ff = self.ff or (8 * width // 3 if gated else 4 * width)
        network = (Dense(units=2 * ff if gated else ff), self.activation, Dense(units=width))
        dropped = (Dropout(rate=self.dropout),) if self.dropout else ()
        look, think = self._added(attention, *dropped), self._added(*network, *dropped)
        if not self.memory:
            return (*look, *think)
        cross = CrossAttention(heads=self.heads, memory=self.memory, dropout=self.dropout)
        recall, *after = self._added(cross, *dropped)
        return (
            Segment(layers=look, start=self.memory),
            recall,
            Segment(layers=(*after, *think), start=self.memory),
        )

    def _added(self, *layers: Layer) -> tuple[Layer, ...]:
        if self.placement == "pre":
            return (Residual(layers=(self.norm, *layers)),)
        return (Residual(layers=layers), self.norm)
