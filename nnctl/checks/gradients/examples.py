"""In which fields and shapes every registered component is checked.

A component without an entry is tried as its name says it, with its defaults, in every shape that it takes; so a new
activation or loss is checked without a line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import ValidationError

from nnctl.core.arrays import Float, Shape
from nnctl.core.errors import DataError
from nnctl.core.random import stream
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.losses import Loss
from nnctl.optim.gradients import Regularizer

__all__ = ["FLAT", "IMAGE", "LAYERS", "SEQUENCE", "layer_examples", "loss_examples", "penalty_examples"]

FLAT, SEQUENCE, IMAGE = (4,), (3, 4), (2, 3, 4)

LAYERS: dict[str, list[tuple[Any, Shape]]] = {
    "alpha_dropout": [("alpha_dropout", FLAT), ({"alpha_dropout": 0.1}, IMAGE), ({"alpha_dropout": 0.0}, (1,))],
    "attention": [
        ({"attention": 2}, SEQUENCE),
        ({"attention": {"heads": 4, "causal": True}}, (5, 8)),
        ({"attention": {"heads": 2, "rotary": True, "bias": False}}, (4, 8)),
        ({"attention": {"heads": 2, "dropout": 0.3, "causal": True}}, SEQUENCE),
        ({"attention": 1}, (1, 1)),
    ],
    "avg_pool": [
        ("avg_pool", (5, 6, 3)),
        ({"avg_pool": {"kernel": 3, "stride": 2, "padding": "same"}}, (5, 6, 3)),
        ({"avg_pool": {"kernel": 2, "stride": 3, "padding": 1}}, (7, 4)),
    ],
    "batch_norm": [
        ("batch_norm", FLAT),
        ({"batch_norm": {"momentum": 0.5, "eps": 0.1}}, SEQUENCE),
        ("batch_norm", IMAGE),
        ("batch_norm", (1,)),
    ],
    "conv1d": [
        ({"conv1d": 3}, (7, 4)),
        ({"conv1d": {"channels": 6, "kernel": 4, "padding": "same", "dilation": 2}}, (7, 4)),
        ({"conv1d": {"channels": 4, "groups": 4, "stride": 2, "padding": 1, "bias": False}}, (7, 4)),
        ({"conv1d": 2}, (3, 1)),
    ],
    "conv2d": [
        ({"conv2d": 3}, (5, 6, 4)),
        ({"conv2d": {"channels": 6, "kernel": [2, 3], "padding": "same"}}, (5, 6, 4)),
        ({"conv2d": {"channels": 6, "stride": 2, "padding": "same", "groups": 2}}, (5, 6, 4)),
        ({"conv2d": {"channels": 8, "groups": 4, "dilation": 2, "padding": 2, "bias": False}}, (5, 6, 4)),
        ({"conv2d": {"channels": 5, "kernel": 1}}, (2, 3, 4)),
        ({"conv2d": {"channels": 5, "kernel": 1, "stride": [2, 3]}}, (5, 6, 4)),
        ({"conv2d": {"channels": 2, "kernel": 2, "padding": 3}}, (2, 3, 4)),
        ({"conv2d": {"channels": 9, "padding": 1}}, (4, 3, 8)),
        ({"conv2d": {"channels": 4, "kernel": 5, "padding": "same"}}, (3, 2, 1)),
    ],
    "conv2d_transpose": [
        ({"conv2d_transpose": 3}, (2, 3, 4)),
        ({"conv2d_transpose": {"channels": 3, "stride": 2, "padding": "same"}}, (2, 3, 4)),
        ({"conv2d_transpose": {"channels": 3, "kernel": 2, "stride": [2, 3], "padding": "same"}}, (2, 3, 4)),
        ({"conv2d_transpose": {"channels": 2, "kernel": [4, 3], "stride": 2, "padding": 1, "bias": False}}, (5, 6, 4)),
        ({"conv2d_transpose": {"channels": 2, "dilation": 2, "padding": [1, 0]}}, (1, 2, 3)),
    ],
    "cross_attention": [
        ({"cross_attention": {"heads": 2, "memory": 1}}, SEQUENCE),
        ({"cross_attention": {"heads": 1, "memory": 4, "dropout": 0.3}}, (6, 2)),
        ({"cross_attention": {"heads": 3, "memory": 2, "bias": False}}, (5, 6)),
    ],
    "dense": [
        ({"dense": 3}, FLAT),
        ({"dense": 4}, FLAT),
        ({"dense": {"units": 3, "bias": False}}, FLAT),
        ({"dense": {"units": 1, "init": "orthogonal", "bias_init": {"constant": 0.1}}}, SEQUENCE),
        ({"dense": 2}, IMAGE),
        ({"dense": 2}, (1,)),
    ],
    "dropout": [("dropout", FLAT), ({"dropout": 0.2}, SEQUENCE), ({"dropout": 0.0}, FLAT), ({"dropout": 0.9}, (1,))],
    "elu": [("elu", FLAT), ({"elu": 0.3}, SEQUENCE), ({"elu": 2.0}, (1,))],
    "embedding": [
        ({"embedding": {"width": 3, "size": 5}}, (4,)),
        ({"embedding": {"width": 2, "size": 3, "padding": 0}}, (2, 3)),
        ({"embedding": {"width": 1, "size": 1}}, (1,)),
    ],
    "flatten": [("flatten", FLAT), ("flatten", SEQUENCE), ("flatten", IMAGE)],
    "gelu": [("gelu", FLAT), ("gelu", IMAGE), ({"gelu": "erf"}, FLAT), ({"gelu": "erf"}, SEQUENCE)],
    "global_avg_pool": [("global_avg_pool", IMAGE), ("global_avg_pool", (7, 4))],
    "global_max_pool": [("global_max_pool", IMAGE), ("global_max_pool", (7, 4))],
    "gru": [
        ({"gru": 3}, SEQUENCE),
        ({"gru": {"units": 2, "reset": "before", "returns": "sequence"}}, SEQUENCE),
        ({"gru": {"units": 2, "layers": 2, "bidirectional": "concat", "returns": "mean"}}, (12, 1)),
        ({"gru": {"units": 3, "reset": "before", "bidirectional": "sum"}}, (1, 2)),
    ],
    "group_norm": [
        ({"group_norm": 2}, FLAT),
        ({"group_norm": 1}, SEQUENCE),
        ({"group_norm": {"groups": 2, "eps": 0.1}}, IMAGE),
        ({"group_norm": 6}, (5, 6)),
        ({"group_norm": 1}, (2, 1)),
    ],
    "instance_norm": [("instance_norm", IMAGE), ({"instance_norm": 0.1}, SEQUENCE)],
    "layer_norm": [("layer_norm", FLAT), ({"layer_norm": {"eps": 0.1}}, SEQUENCE), ("layer_norm", IMAGE)],
    "leaky_relu": [("leaky_relu", FLAT), ({"leaky_relu": 0.3}, SEQUENCE), ({"leaky_relu": 0.0}, FLAT)],
    "lenet": [({"lenet": {"kernel": 3, "outputs": 3}}, (9, 8, 1))],
    "linear": [("linear", FLAT), ("linear", SEQUENCE)],
    "lstm_classifier": [({"lstm_classifier": {"units": 2, "depth": 2, "dropout": 0.1, "outputs": 3}}, SEQUENCE)],
    "max_pool": [
        ("max_pool", (5, 6, 3)),
        ({"max_pool": {"kernel": 3, "stride": 2, "padding": "same"}}, (5, 6, 3)),
        ({"max_pool": {"kernel": [1, 2], "stride": [2, 1], "padding": [0, 1]}}, (5, 6, 3)),
        ({"max_pool": {"kernel": 3, "stride": 1}}, (7, 4)),
        ({"max_pool": 3}, (7, 4)),
        ({"max_pool": 1}, (3, 4)),
    ],
    "lstm": [
        ({"lstm": 3}, SEQUENCE),
        ({"lstm": {"units": 1, "returns": "sequence"}}, (23, 1)),
        ({"lstm": {"units": 2, "layers": 2, "dropout": 0.5, "bidirectional": "concat"}}, SEQUENCE),
        ({"lstm": {"units": 2, "bidirectional": "sum", "returns": "mean", "forget_bias": 0.0}}, (1, 3)),
    ],
    "position": [("position", SEQUENCE), ("position", (5, 3)), ({"position": "learned"}, SEQUENCE)],
    "mlp": [
        ({"mlp": {"hidden": [5, 3], "norm": "batch_norm", "dropout": 0.2, "outputs": 2}}, FLAT),
        ({"mlp": {"hidden": [4], "activation": "selu", "dropout": 0.1, "outputs": 1}}, IMAGE),
    ],
    "parallel": [
        ({"parallel": [{"dense": 3}, {"dense": 2}]}, FLAT),
        ({"parallel": ["linear", {"sequential": [{"dense": 3}, "batch_norm", "tanh"]}, "dropout"]}, SEQUENCE),
        ({"parallel": {"layers": [{"dense": 4}, "linear", {"residual": ["selu"]}], "merge": "sum"}}, IMAGE),
    ],
    "prelu": [("prelu", FLAT), ({"prelu": {"shared": True}}, SEQUENCE), ("prelu", IMAGE), ("prelu", (1,))],
    "relu": [("relu", FLAT), ("relu", IMAGE), ("relu", (1,))],
    "repeat": [
        ({"repeat": {"layers": [{"dense": 4}, "tanh"], "times": 3}}, FLAT),
        ({"repeat": [{"dense": 4}, "layer_norm", "dropout"]}, SEQUENCE),
    ],
    "reshape": [({"reshape": [-1, 3]}, IMAGE), ({"reshape": [2, 2, 1]}, FLAT)],
    "residual": [
        ({"residual": [{"dense": 5}, "relu", {"dense": 4}]}, FLAT),
        ({"residual": ["linear"]}, FLAT),
        ({"residual": [{"residual": ["linear", "dropout"]}, "linear"]}, SEQUENCE),
        ({"residual": ["batch_norm", "prelu"]}, SEQUENCE),
        ({"residual": {"layers": [{"dense": 3}, "tanh"], "projection": True}}, SEQUENCE),
        (
            {"residual": {"layers": [{"conv2d": {"channels": 3, "stride": 2, "padding": "same"}}], "projection": True}},
            (5, 6, 2),
        ),
        ({"residual": ["linear"]}, FLAT),
    ],
    "rnn": [
        ({"rnn": 3}, SEQUENCE),
        ({"rnn": {"units": 4, "activation": "relu", "returns": "sequence"}}, SEQUENCE),
        ({"rnn": {"units": 2, "layers": 3, "dropout": 0.2, "bidirectional": "sum", "returns": "sequence"}}, (11, 2)),
        ({"rnn": {"units": 2, "bidirectional": "concat"}}, (2, 1)),
    ],
    "resnet": [({"resnet": {"blocks": [1, 1], "channels": 2, "outputs": 3}}, (5, 4, 1))],
    "rms_norm": [("rms_norm", FLAT), ({"rms_norm": 0.1}, SEQUENCE), ("rms_norm", IMAGE), ("rms_norm", (1,))],
    "segment": [
        ({"segment": {"layers": [{"dense": 4}, "tanh"], "start": 1}}, SEQUENCE),
        ({"segment": {"layers": ["linear"], "stop": 1}}, IMAGE),
        ({"segment": {"layers": [{"dense": 3}, "flatten"], "start": 1, "stop": 3, "alone": True}}, (5, 2)),
    ],
    "selu": [("selu", FLAT), ("selu", SEQUENCE)],
    "sequential": [
        ({"sequential": [{"dense": 3}, "relu"]}, FLAT),
        ({"sequential": ["flatten", "dropout", {"dense": 3}]}, SEQUENCE),
        ({"sequential": ["linear"]}, FLAT),
        ({"sequential": ["linear", {"sequential": ["relu"]}]}, FLAT),
    ],
    "sigmoid": [("sigmoid", FLAT), ("sigmoid", SEQUENCE)],
    "softmax": [("softmax", FLAT), ("softmax", SEQUENCE), ("softmax", (1,))],
    "softplus": [("softplus", FLAT), ("softplus", SEQUENCE)],
    "spatial_dropout": [({"spatial_dropout": 0.3}, IMAGE), ("spatial_dropout", SEQUENCE)],
    "swiglu": [("swiglu", FLAT), ("swiglu", SEQUENCE), ("swiglu", (2,))],
    "swish": [("swish", FLAT), ({"swish": 2.0}, SEQUENCE)],
    "tanh": [("tanh", FLAT), ("tanh", SEQUENCE)],
    "tied_embedding": [
        ({"tied_embedding": {"width": 3, "size": 5, "layers": [{"dense": 4}, "tanh", {"dense": 3}]}}, (4,)),
        ({"tied_embedding": {"width": 2, "size": 4, "padding": 1, "layers": ["position", {"attention": 1}]}}, (3,)),
    ],
    "transformer_block": [
        ({"transformer_block": 2}, SEQUENCE),
        ({"transformer_block": {"heads": 2, "ff": 5, "activation": "swiglu", "causal": True}}, SEQUENCE),
        ({"transformer_block": {"heads": 1, "ff": 3, "activation": "relu", "placement": "post"}}, SEQUENCE),
        ({"transformer_block": {"heads": 2, "ff": 5, "dropout": 0.2, "rotary": True}}, SEQUENCE),
        ({"transformer_block": {"heads": 2, "ff": 3, "causal": True, "memory": 2}}, (5, 4)),
        ({"transformer_block": {"heads": 1, "ff": 3, "placement": "post", "memory": 1}}, SEQUENCE),
    ],
    "transformer_decoder": [
        ({"transformer_decoder": {"width": 4, "heads": 2, "depth": 1, "ff": 3, "tied": True, "outputs": 5}}, (3,)),
    ],
    "transformer_encoder": [
        ({"transformer_encoder": {"width": 4, "heads": 2, "ff": 3, "inputs": "numbers", "outputs": 2}}, (3, 2)),
    ],
    "weight_norm": [
        ({"weight_norm": [{"dense": 3}]}, FLAT),
        ({"weight_norm": [{"conv2d": 3}, "tanh", {"dense": {"units": 2, "bias": False}}]}, (4, 3, 2)),
        ({"weight_norm": [{"residual": [{"dense": 4}, "batch_norm"]}]}, SEQUENCE),
        ({"weight_norm": [{"lstm": {"units": 2, "bidirectional": "concat"}}]}, SEQUENCE),
        ({"weight_norm": [{"attention": 2}, {"transformer_block": 2}]}, SEQUENCE),
    ],
}
"""A few spellings of each layer, with shapes that it takes."""

LOSSES: dict[str, list[Any]] = {
    "binary_cross_entropy": ["binary_cross_entropy", {"binary_cross_entropy": {"label_smoothing": 0.2}}],
    "cross_entropy": ["cross_entropy", {"cross_entropy": {"label_smoothing": 0.2}}],
    "huber": ["huber", {"huber": 0.3}],
}

PENALTIES: dict[str, list[Any]] = {
    "l1": [{"l1": 0.1}, {"l1": {"rate": 1e-4, "biases": True}}],
    "l2": [{"l2": 0.1}, {"l2": {"rate": 1e-4, "biases": True}}],
    "max_norm": [{"max_norm": 1.0}],
}

_ROWS = 6


def layer_examples(name: str) -> list[tuple[Layer, Shape]]:
    """Return the layers of that name that are checked, each with the shape of a sample; [] if none can be made."""
    if name in LAYERS:
        return [(Layer.parse(spelling), shape) for spelling, shape in LAYERS[name]]
    layer = _default(Layer, name)
    return [] if layer is None else [(layer, shape) for shape in (FLAT, SEQUENCE, IMAGE) if _takes(layer, shape)]


def loss_examples(name: str) -> Iterator[tuple[str, Loss, Float, Float, Float | None]]:
    """Yield the losses of that name with a batch for each: in words, loss, outputs z, targets t, weights w."""
    spellings = LOSSES.get(name) or [name]
    for loss in (_default(Loss, spelling) for spelling in spellings):
        if loss is None:
            continue
        for classes, targets in ((2, 1), (5, 3)):
            for soft in (False, True):
                batch = _batch(loss, classes, targets, soft=soft)
                if batch is None:
                    continue
                z, t = batch
                kind = f"{z.shape[1]} outputs{', soft labels' if soft else ''}"
                yield kind, loss, z, t, None
                yield f"{kind}, weighted", loss, z, t, stream(3, "gradcheck/w").uniform(0.2, 3.0, _ROWS)


def penalty_examples(name: str) -> list[Regularizer]:
    """Return the penalties of that name that are checked."""
    made = [_default(Regularizer, spelling) for spelling in PENALTIES.get(name) or [name]]
    return [penalty for penalty in made if penalty is not None]


def _default(family: Any, spelling: Any) -> Any:
    try:
        return family.parse(spelling)
    except ValidationError:  # it has a required field, and no example above says what to put there
        return None


def _takes(layer: Layer, shape: Shape) -> bool:
    try:
        layer.out_shape(shape)
    except ShapeError:
        return False
    return True


def _batch(loss: Loss, classes: int, targets: int, *, soft: bool) -> tuple[Float, Float] | None:
    rng = stream(5, f"gradcheck/{loss.name}")
    try:
        width = loss.outputs(classes if loss.task == "classification" else None, targets)
        y: Any
        if loss.task == "regression":
            if soft:
                return None
            y = rng.normal(size=(_ROWS, width))
        elif soft:
            y = rng.dirichlet(np.ones(width), _ROWS) if width > 1 else rng.uniform(size=(_ROWS, 1))
        else:
            y = rng.integers(0, classes, _ROWS)
        return rng.normal(size=(_ROWS, width)), loss.encode(y, width, np.float64)
    except (ValueError, DataError):  # not for so many classes, or not for soft labels
        return None
