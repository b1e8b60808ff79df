"""Presets: well-known architectures in one line, written out into plain layers when a spec is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from nnctl.core.component import Items, PositiveInt, Share
from nnctl.nn.activations import Tanh
from nnctl.nn.alpha_dropout import AlphaDropout
from nnctl.nn.compose import Residual
from nnctl.nn.conv import Conv2d
from nnctl.nn.dense import Dense
from nnctl.nn.dropout import Dropout
from nnctl.nn.embedding import Embedding
from nnctl.nn.global_pool import GlobalAvgPool
from nnctl.nn.layer import Layer
from nnctl.nn.lstm import Lstm
from nnctl.nn.norm import BatchNorm
from nnctl.nn.pool import AvgPool
from nnctl.nn.preset import Preset
from nnctl.nn.rectifiers import Relu, Selu
from nnctl.nn.shape import Flatten

__all__ = ["Depth", "LeNet", "LstmClassifier", "Mlp", "Outputs", "ResNet"]

Outputs: TypeAlias = PositiveInt | Literal["outputs"]
Depth: TypeAlias = Annotated[int, Field(gt=0, le=1000)]


class Mlp(Preset, name="mlp"):
    """Preset: a multilayer perceptron, for rows of features; images and sequences are flattened.

    forward:   flatten;  for every hidden layer: dense, norm, activation, dropout;  dense: outputs
    backward:  the chain rule through these layers

    Shapes: x (B, D) or (B, ..., D), y (B, outputs).

    Norm and dropout are there where they are named. Behind selu, dropout is alpha_dropout.

    Source: Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors".
    """

    hidden: Annotated[Items[PositiveInt], Field(min_length=1)]
    """Units of every hidden layer."""
    activation: Layer = Field(default_factory=Relu)
    """What follows every hidden layer."""
    norm: Layer | None = None
    """A normalization between each hidden layer and its activation, such as batch_norm."""
    dropout: Share = 0.0
    """Share of the hidden units to drop in training."""
    outputs: Outputs = "outputs"
    """Width of the output; ``outputs`` means as many as the data and the loss ask for."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "hidden_layer_sizes": "hidden",
        "hidden_layers": "hidden",
        "units": "hidden",
        "layers": "hidden",
        "normalization": "norm",
    }

    def layers(self) -> Iterator[Layer]:
        """Yield the layers that it stands for."""
        yield Flatten()
        for units in self.hidden:
            yield Dense(units=units, bias=not isinstance(self.norm, BatchNorm))  # which takes every bias away
            if self.norm is not None:
                yield self.norm
            yield self.activation
            if self.dropout:
                kind = AlphaDropout if isinstance(self.activation, Selu) else Dropout
                yield kind(rate=self.dropout)
        yield Dense(units=self.outputs)


class LeNet(Preset, name="lenet"):
    """Preset: LeNet-5, the small convolutional network for images.

    forward:   conv2d: 6 (same), activation, avg_pool;  conv2d: 16, activation, avg_pool;  flatten;  dense: 120,
               activation;  dense: 84, activation;  dense: outputs
    backward:  the chain rule through these layers

    Shapes: x (B, H, W, C), y (B, outputs).

    On images of 28 x 28 as in the source, whose third convolution sees the whole image and is the dense layer of 120
    here; its pooling has no weights, all its maps see all others, and its output is no radial basis function. Images of
    fewer than 12 rows or columns want a smaller kernel.

    Source: LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to document recognition",
    section II.B.
    """

    kernel: PositiveInt = 5
    """Size of both kernels."""
    activation: Layer = Field(default_factory=Tanh)
    """What follows every layer but the last; relu learns faster."""
    pool: Layer = Field(default_factory=AvgPool)
    """What halves the image, twice: avg_pool or max_pool."""
    outputs: Outputs = "outputs"
    """Width of the output; ``outputs`` means as many as the data and the loss ask for."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"kernel_size": "kernel", "pooling": "pool"}

    def layers(self) -> Iterator[Layer]:
        """Yield the layers that it stands for."""
        yield from (Conv2d(channels=6, kernel=self.kernel, padding="same"), self.activation, self.pool)
        yield from (Conv2d(channels=16, kernel=self.kernel), self.activation, self.pool)
        yield Flatten()
        for units in (120, 84):
            yield from (Dense(units=units), self.activation)
        yield Dense(units=self.outputs)


class ResNet(Preset, name="resnet"):
    """Preset: a residual network for small images, of stages that halve the image and double the channels.

    forward:   conv2d, norm, activation;  for every block: residual of (conv2d, norm, activation, conv2d, norm),
               activation;  global_avg_pool;  dense: outputs
    backward:  the chain rule through these layers

    Shapes: x (B, H, W, C), y (B, outputs).

    The first block of every stage but the first has stride 2 and a projection. With blocks [n, n, n] it has 6 n + 2
    layers with weights, projections not counted. Convolutions before a norm have no bias.

    Source: He, Zhang, Ren and Sun (2016), "Deep residual learning for image recognition", section 4.2, with projections
    (option B) where the source pads with zeros, arXiv:1512.03385.
    """

    blocks: Annotated[Items[Depth], Field(min_length=1, max_length=8)] = (3, 3, 3)
    """Blocks of every stage."""
    channels: PositiveInt = 16
    """Channels of the first stage; each further one has twice as many."""
    norm: Layer = Field(default_factory=BatchNorm)
    """The normalization: batch_norm, or group_norm for small batches."""
    activation: Layer = Field(default_factory=Relu)
    """The activation."""
    outputs: Outputs = "outputs"
    """Width of the output; ``outputs`` means as many as the data and the loss ask for."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "depth": "blocks",
        "layers": "blocks",
        "filters": "channels",
        "width": "channels",
        "normalization": "norm",
    }

    def layers(self) -> Iterator[Layer]:
        """Yield the layers that it stands for."""
        yield from (self._conv(self.channels), self.norm, self.activation)
        for stage, blocks in enumerate(self.blocks):
            for block in range(blocks):
                halves = stage > 0 and block == 0
                yield self._block(self.channels * 2**stage, halves=halves)
                yield self.activation
        yield from (GlobalAvgPool(), Dense(units=self.outputs))

    def _block(self, channels: int, *, halves: bool) -> Residual:
        first = self._conv(channels, stride=2 if halves else 1)
        inner = (first, self.norm, self.activation, self._conv(channels), self.norm)
        return Residual(layers=inner, projection=halves)

    def _conv(self, channels: int, stride: int = 1) -> Conv2d:
        return Conv2d(channels=channels, kernel=3, stride=stride, padding="same", bias=False)


class LstmClassifier(Preset, name="lstm_classifier"):
    """Preset: a recurrent network that reads a sequence and then says one thing about it.

    forward:   embedding, where the input is tokens;  lstm;  dropout;  dense: outputs
    backward:  the chain rule through these layers

    Shapes: x (B, T) of tokens or (B, T, D), y (B, outputs).

    Source: Graves and Schmidhuber (2005), "Framewise phoneme classification with bidirectional LSTM and other neural
    network architectures", for both directions; here one answer for the whole sequence.
    """

    units: PositiveInt
    """Width of the state."""
    embedding: PositiveInt | None = None
    """Width of the vectors for tokens; left out where the sequences are of numbers."""
    depth: Depth = 1
    """How many LSTM layers stand on one another."""
    bidirectional: Literal[False, "concat", "sum"] = False
    """Whether a second set of units reads from the end, and how the two are merged."""
    returns: Literal["last", "mean"] = "last"
    """Whether the last state decides, or the mean of all."""
    dropout: Share = 0.0
    """Share to drop between the layers and before the output."""
    outputs: Outputs = "outputs"
    """Width of the output; ``outputs`` means as many as the data and the loss ask for."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "hidden_size": "units",
        "layers": "depth",
        "num_layers": "depth",
        "embedding_dim": "embedding",
    }

    def layers(self) -> Iterator[Layer]:
        """Yield the layers that it stands for."""
        if self.embedding is not None:
            yield Embedding(width=self.embedding)
        yield Lstm(
            units=self.units,
            layers=self.depth,
            bidirectional=self.bidirectional,
            returns=self.returns,
            dropout=self.dropout,
        )
        if self.dropout:
            yield Dropout(rate=self.dropout)
        yield Dense(units=self.outputs)
