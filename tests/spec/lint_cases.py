"""Specs in which a rule of lint speaks, and beside each one in which it is silent, by the sections that differ."""

from __future__ import annotations

FINE = {
    "data": "{source: digits}",
    "architecture": "[dense: 64, relu, dense: 64, relu, dense: outputs]",
    "loss": "cross_entropy",
    "optimizer": "{adam: 1e-3}",
    "training": "{epochs: 20, batch_size: 32}",
}
REGRESSION = {"data": "{source: diabetes, target_scaling: standard}", "loss": "mse"}
RAW_TARGETS = {"data": "{source: diabetes}", "loss": "mse"}
LONG = {"training": "{epochs: 80}"}


def hidden(*layers: str) -> dict[str, str]:
    return {"architecture": f"[{', '.join(layers)}, dense: outputs]"}


def deep(times: int, *layers: str) -> dict[str, str]:
    return hidden(f"repeat: {{layers: [{', '.join(layers)}], times: {times}}}")


def foretelling(*layers: str, source: str = "{text: book.txt}") -> dict[str, str]:
    return {**hidden("embedding: 8", *layers), "data": f"{{source: {source}}}", "clip": "{norm: 1}"}


SQUASH = "[dense: 64, relu, dense: outputs, {last}]"
NORMED = ("dense: {units: 64, bias: false}", "batch_norm", "relu")
PLATEAU = "{reduce_on_plateau: {patience: 3}}"
BOTH_WAYS = "gru: {units: 8, returns: sequence, bidirectional: concat}"

CASES = [
    ("sigmoid-in-deep-network", "warn", deep(2, "dense: 64", "sigmoid"), deep(1, "dense: 64", "sigmoid")),
    ("sigmoid-in-deep-network", "fail", deep(4, "dense: 64", "sigmoid"), deep(4, "dense: 64", "layer_norm", "sigmoid")),
    ("tanh-in-deep-network", "warn", deep(5, "dense: 64", "tanh"), deep(4, "dense: 64", "tanh")),
    (
        "tanh-in-deep-network",
        "warn",
        deep(6, "dense: 64", "tanh"),
        hidden("dense: 64", "repeat: {layers: [{residual: [dense: 64, tanh]}], times: 6}"),
    ),
    ("softmax-in-hidden-layer", "fail", hidden("dense: 64", "softmax"), {"architecture": "[dense: outputs, softmax]"}),
    (
        "squashed-regression-output",
        "fail",
        {**REGRESSION, "architecture": SQUASH.format(last="sigmoid")},
        {
            "loss": "mse",
            "architecture": SQUASH.format(last="sigmoid"),
            "data": "{source: diabetes, target_scaling: minmax}",
        },
    ),
    (
        "squashed-regression-output",
        "warn",
        {"data": "{source: friedman}", "loss": "mse", "architecture": SQUASH.format(last="relu")},
        {**REGRESSION, "architecture": SQUASH.format(last="leaky_relu")},
    ),
    (
        "squashed-regression-output",
        "fail",
        {**REGRESSION, "architecture": SQUASH.format(last="relu")},
        {"architecture": SQUASH.format(last="softmax")},
    ),
    (
        "squashed-margin",
        "warn",
        {"loss": "hinge", "architecture": SQUASH.format(last="tanh")},
        {"loss": "perceptron", "architecture": "[dense: outputs, tanh]", "optimizer": "sgd"},
    ),
    (
        "no-activation-between",
        "warn",
        hidden("dense: 64", "dropout: 0.2", "dense: 64", "relu"),
        hidden("dense: 64", "residual: [layer_norm, dense: 64, relu]"),
    ),
    ("activation-twice", "warn", hidden("dense: 64", "relu", "tanh"), hidden("dense: 64", "relu", "linear")),
    ("batch-norm-on-small-batches", "warn", {**hidden(*NORMED), "training": "{batch_size: 31}"}, hidden(*NORMED)),
    (
        "batch-norm-on-small-batches",
        "fail",
        {**hidden(*NORMED), "training": "{batch_size: 1}"},
        {**hidden("dense: 64", "layer_norm", "relu"), "training": "{batch_size: 1}"},
    ),
    ("bias-before-batch-norm", "warn", hidden("dense: 64", "batch_norm", "relu"), hidden(*NORMED)),
    (
        "dropout-before-batch-norm",
        "warn",
        hidden("dense: 64", "dropout: 0.2", "batch_norm", "relu"),
        hidden("dense: {units: 64, bias: false}", "dropout: 0", "batch_norm", "relu", "dropout: 0.2"),
    ),
    (
        "dropout-on-output",
        "fail",
        {"architecture": SQUASH.format(last="dropout: 0.2")},
        hidden("dense: 64", "relu", "dropout: 0.2"),
    ),
    ("dropout-rate", "warn", hidden("dense: 64", "relu", "dropout: 0.71"), hidden("dense: 64", "relu", "dropout: 0.7")),
    (
        "dropout-rate",
        "warn",
        hidden("dropout: 0.6", "dense: 64", "relu"),
        hidden("dropout: 0.2", "dense: 64", "relu"),
    ),
    (
        "normalization-on-output",
        "fail",
        {"architecture": SQUASH.format(last="layer_norm")},
        hidden("dense: 64", "relu", "layer_norm"),
    ),
    (
        "selu-with-dropout-or-normalization",
        "warn",
        hidden("dense: 64", "selu", "dropout: 0.1"),
        hidden("dense: 64", "selu", "dropout: 0"),
    ),
    ("deep-without-residual", "warn", deep(15, "dense: 64", "relu"), deep(14, "dense: 64", "relu")),
    (
        "bottleneck",
        "warn",
        hidden("dense: 64", "relu", "dense: 1", "relu"),
        hidden("dense: 64", "relu", "dense: 8", "relu"),
    ),
    (
        "bottleneck",
        "warn",
        hidden("dense: 64", "relu", "dense: 8", "relu", "dense: 64", "relu"),
        hidden("dense: 64", "relu", "dense: 9", "relu", "dense: 64", "relu"),
    ),
    ("no-symmetry-breaking", "fail", {"init": "zeros"}, {"init": "zeros", "architecture": "[dense: outputs]"}),
    (
        "no-symmetry-breaking",
        "fail",
        hidden("dense: {units: 64, init: {constant: 0.1}}", "relu"),
        {"architecture": "[dense: 64, relu, dense: {units: outputs, init: zeros}]"},
    ),
    (
        "init-for-activation",
        "warn",
        {**deep(4, "dense: 64", "relu"), "init": "xavier_normal"},
        {**deep(3, "dense: 64", "relu"), "init": "xavier_normal"},
    ),
    (
        "init-for-activation",
        "warn",
        {**deep(2, "dense: 64", "tanh"), "init": "he_uniform"},
        {**deep(2, "dense: 64", "layer_norm", "tanh"), "init": "he_uniform"},
    ),
    (
        "selu-without-lecun",
        "warn",
        {**hidden("dense: 64", "selu"), "init": "he_normal"},
        {**hidden("dense: 64", "selu"), "init": "auto"},
    ),
    (
        "weight-scale",
        "warn",
        {**deep(6, "dense: 64", "relu"), "init": "{normal: 0.05}"},
        {**deep(6, "dense: 64", "relu"), "init": "{normal: 0.17}"},
    ),
    ("weight-scale", "warn", {"init": "{normal: 1.0}"}, {**hidden("dense: 64", "relu"), "init": "{uniform: 0.3}"}),
    ("weight-scale", "warn", {"init": "{he_normal: 5.0}"}, {"init": "{orthogonal: 1.41}"}),
    ("large-biases", "warn", {"bias_init": "{constant: -1.0}"}, {"bias_init": "{constant: 0.1}"}),
    (
        "label-smoothing",
        "warn",
        {"loss": "{cross_entropy: {label_smoothing: 0.5}}"},
        {"loss": "{cross_entropy: {label_smoothing: 0.1}}"},
    ),
    (
        "perceptron-loss-with-hidden-layers",
        "warn",
        {"loss": "perceptron"},
        {"loss": "perceptron", "architecture": "[dense: outputs]"},
    ),
    (
        "l2-with-adam",
        "warn",
        {"regularizers": "[l2: 1e-3]"},
        {"regularizers": "[l2: 1e-3]", "optimizer": "{momentum: 1e-2}"},
    ),
    (
        "strong-penalty",
        "warn",
        {"regularizers": "[l2: 0.2]", "optimizer": "sgd"},
        {"regularizers": "[l2: 0.1]", "optimizer": "sgd"},
    ),
    ("strong-penalty", "warn", {"regularizers": "[l1: 0.1]"}, {"regularizers": "[l1: 1e-3]"}),
    ("strong-penalty", "warn", {"regularizers": "[max_norm: 0.1]"}, {"regularizers": "[max_norm: 3]"}),
    (
        "strong-penalty",
        "fail",
        {"optimizer": "{adamw: {lr: 1e-2, weight_decay: 100}}"},
        {"optimizer": "{adamw: {lr: 1e-2, weight_decay: 1}}"},
    ),
    ("learning-rate-range", "warn", {"optimizer": "{adam: 0.1}"}, {"optimizer": "{adam: 3e-2}"}),
    ("learning-rate-range", "fail", {"optimizer": "{rmsprop: 0.3}"}, {"optimizer": "{sgd: 1.0}"}),
    ("learning-rate-range", "warn", {"optimizer": "{adam: 1e-6}"}, {"optimizer": "{adam: 1e-5}"}),
    (
        "learning-rate-range",
        "warn",
        {"optimizer": "{momentum: 0.3}"},
        {"optimizer": "{momentum: {lr: 0.3, form: averaged}}"},
    ),
    (
        "optimizer-constants",
        "warn",
        {"optimizer": "{momentum: {lr: 1e-3, beta: 0.995}}"},
        {"optimizer": "{momentum: {lr: 1e-3, beta: 0.99}}"},
    ),
    ("optimizer-constants", "warn", {"optimizer": "{adam: {beta2: 0.5}}"}, {"optimizer": "{adam: {beta2: 0.95}}"}),
    ("optimizer-constants", "warn", {"optimizer": "{rmsprop: {beta: 0.1}}"}, {"optimizer": "rmsprop"}),
    ("optimizer-constants", "warn", {"optimizer": "{adam: {eps: 1.0}}"}, {"optimizer": "{adam: {eps: 1e-4}}"}),
    ("tight-clipping", "warn", {"clip": "{norm: 1e-3}"}, {"clip": "{norm: 1}"}),
    ("tight-clipping", "warn", {"clip": "{value: 1e-5}"}, {"clip": "{value: 0.5}"}),
    (
        "few-updates",
        "warn",
        {"training": "{epochs: 99, batch_size: full}"},
        {"training": "{epochs: 100, batch_size: full}", "early_stopping": "{patience: 10}"},
    ),
    (
        "unshuffled-batches",
        "warn",
        {"training": "{shuffle: false}"},
        {
            "training": "{epochs: 200, shuffle: false, batch_size: full}",
            "early_stopping": "{}",
        },
    ),
    ("warmup-too-long", "fail", {"schedule": "{cosine: {warmup: 20}}"}, {"schedule": "{cosine: {warmup: 10}}"}),
    ("warmup-too-long", "warn", {"schedule": "{cosine: {warmup: 0.6}}"}, {"schedule": "{cosine: {warmup: 500 steps}}"}),
    (
        "schedule-beyond-training",
        "warn",
        {"schedule": "{multi_step: {at: [5, 20]}}"},
        {"schedule": "{multi_step: {at: [5]}}"},
    ),
    ("schedule-beyond-training", "warn", {"schedule": "{cosine: {cycle: 21}}"}, {"schedule": "{cosine: {cycle: 20}}"}),
    ("schedule-dies-early", "warn", {"schedule": "{step: {every: 2}}"}, {"schedule": "{step: {every: 6}}"}),
    (
        "plateau-mode",
        "fail",
        {**LONG, "schedule": PLATEAU, "early_stopping": "{monitor: val_accuracy}"},
        {**LONG, "schedule": PLATEAU, "early_stopping": "{monitor: val_loss}"},
    ),
    (
        "plateau-mode",
        "fail",
        {**LONG, "schedule": "{reduce_on_plateau: {mode: max, patience: 3}}"},
        {
            **LONG,
            "schedule": "{reduce_on_plateau: {mode: max, patience: 3}}",
            "early_stopping": "{monitor: val_accuracy}",
        },
    ),
    ("stopping-mode", "fail", {"early_stopping": "{mode: max}"}, {"early_stopping": "{mode: min}"}),
    ("patience-too-long", "warn", {"early_stopping": "{patience: 20}"}, {"early_stopping": "{patience: 19}"}),
    (
        "patience-too-long",
        "warn",
        {"early_stopping": "{patience: 10}", "training": "{epochs: 20, evaluate_every: 2}"},
        {"early_stopping": "{patience: 9}", "training": "{epochs: 20, evaluate_every: 2}"},
    ),
    ("patience-too-short", "warn", {"early_stopping": "{patience: 1}"}, {"early_stopping": "{patience: 2}"}),
    ("patience-too-short", "warn", {"early_stopping": "{min_delta: 0.5}"}, {"early_stopping": "{min_delta: 1e-3}"}),
    (
        "stopping-on-training-figure",
        "warn",
        {"early_stopping": "{monitor: train_loss}"},
        {"early_stopping": "{monitor: train_loss}", "data": "{source: xor, split: {validation: 0, test: 0}}"},
    ),
    ("no-early-stopping", "warn", {"training": "{epochs: 100}"}, {"training": "{epochs: 100}", "schedule": "cosine"}),
    (
        "plateau-never-acts",
        "warn",
        {**LONG, "schedule": "reduce_on_plateau", "early_stopping": "{patience: 10}"},
        {**LONG, "schedule": "reduce_on_plateau", "early_stopping": "{patience: 11}"},
    ),
    ("looks-ahead", "fail", foretelling(BOTH_WAYS), foretelling("gru: {units: 8, returns: sequence}")),
    (
        "looks-ahead",
        "fail",
        foretelling(BOTH_WAYS, source="{seasonal: {forecast_at: every position}}"),
        foretelling(BOTH_WAYS, source="{seasonal: {}}"),
    ),
    (
        "looks-ahead",
        "fail",
        foretelling("position", "transformer_block: 4"),
        foretelling("transformer_block: {heads: 4, causal: true}"),
    ),
    (
        "looks-ahead",
        "fail",
        foretelling("conv1d: {channels: 8, padding: same}", "relu"),
        foretelling("conv1d: {channels: 8, kernel: 1}", "relu"),
    ),
    ("recurrent-without-clipping", "warn", hidden("lstm: 32"), {**hidden("lstm: 32"), "clip": "{norm: 1}"}),
    (
        "attention-without-position",
        "warn",
        hidden("transformer_block: 4", "layer_norm", "global_avg_pool"),
        hidden("position", "transformer_block: 4", "layer_norm", "global_avg_pool"),
    ),
    (
        "attention-without-position",
        "warn",
        hidden("attention: 4", "flatten"),
        hidden("transformer_block: {heads: 4, causal: true}", "flatten"),
    ),
    (
        "post-norm-without-warmup",
        "warn",
        hidden("position", "repeat: {layers: [transformer_block: {heads: 4, placement: post}], times: 4}", "flatten"),
        {
            **hidden(
                "position", "repeat: {layers: [transformer_block: {heads: 4, placement: post}], times: 4}", "flatten"
            ),
            "schedule": "{cosine: {warmup: 0.1}}",
        },
    ),
    (
        "no-activation-between",
        "warn",
        hidden("conv2d: 16", "conv2d: 32", "relu", "flatten"),
        hidden("conv2d: {channels: 16, groups: 16}", "conv2d: {channels: 32, kernel: 1}", "relu", "flatten"),
    ),
    (
        "no-activation-between",
        "warn",
        hidden("conv2d: 16", "flatten", "dense: 16", "relu"),
        hidden("conv2d: 16", "max_pool", "flatten", "dense: 16", "relu"),
    ),
    (
        "no-symmetry-breaking",
        "fail",
        {**hidden("conv2d: 16", "relu", "flatten"), "init": "zeros"},
        hidden("conv2d: 16", "relu", "flatten"),
    ),
    (
        "bias-before-batch-norm",
        "warn",
        hidden("conv2d: 16", "batch_norm", "relu", "flatten"),
        {
            **hidden("conv2d: {channels: 16, bias: false}", "batch_norm", "relu", "flatten"),
            "training": "{epochs: 20, batch_size: 8}",
        },
    ),
    ("input-scaling", "warn", {"data": "{source: wine, scaling: none}"}, {"data": "{source: moons, scaling: none}"}),
    (
        "scaling-range",
        "warn",
        {"data": "{source: digits, scaling: pixels}"},
        {"data": "{source: digits, scaling: {pixels: 16}}"},
    ),
    ("scaling-range", "warn", {"data": "{source: wine, scaling: pixels}"}, {"data": "{source: wine, scaling: robust}"}),
    (
        "scaling-range",
        "warn",
        {"data": "{source: wine, scaling: {minmax: {range: [0, 100]}}}"},
        {"data": "{source: wine, scaling: {minmax: {range: [-1, 1]}}}"},
    ),
    ("target-scaling", "warn", RAW_TARGETS, REGRESSION),
    ("target-scaling-ignored", "warn", {"data": "{source: digits, target_scaling: standard}"}, REGRESSION),
    ("regression-on-classes", "warn", {"data": "{source: moons}", "loss": "mse"}, {"data": "{source: moons}"}),
    (
        "no-validation",
        "warn",
        {"data": "{source: digits, split: {validation: 0}}"},
        {"data": "{source: xor, split: {validation: 0, test: 0}}"},
    ),
    (
        "no-test",
        "warn",
        {"data": "{source: digits, split: {test: 0}}"},
        {"data": "{source: digits, split: {test: 0.1}}"},
    ),
    (
        "little-training-data",
        "warn",
        {"data": "{source: digits, split: {validation: 0.3, test: 0.4}}"},
        {"data": "{source: digits, split: {validation: 0.3, test: 0.3}}"},
    ),
    (
        "split-in-file-order",
        "warn",
        {"data": "{source: digits, split: {shuffle: false}}"},
        {"data": "{source: {csv: {path: a.csv, target: y}}, split: {shuffle: false, time: date}}"},
    ),
]
