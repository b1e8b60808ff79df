"""Causes in the data, and where they meet the network: scale of inputs, reach of outputs, a loss that does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np

from nnctl.checks.causes.evidence import Evidence
from nnctl.core.finding import Finding, Rule
from nnctl.nn.activations import Activation
from nnctl.nn.loss import Classification
from nnctl.nn.norm import LayerNorm

__all__ = ["loss_and_output", "outlying_targets", "target_range", "unscaled_inputs"]

LARGE = 10.0
"""Means or spreads beyond this are no scale for a network, whose weights suit inputs and targets around 1."""
SMALL = 0.01
"""A spread below this is next to constant."""
ROWS_LOOKED_AT = 4096

UNSCALED_INPUTS = Rule(
    id="overfit-unscaled-inputs",
    about="The inputs are far from mean 0 and spread 1, and the network did not learn its batch.",
    why="Initial weights are chosen for inputs of about unit size. Inputs in the hundreds drive units into saturation "
    "or out of the range where they answer at all, and make the loss steep in some directions and flat in others, so "
    "that no single learning rate suits all weights. Inputs that hardly vary say next to nothing.",
    threshold="mean or standard deviation of an input above 10 in size, or all standard deviations below 0.01",
    fix="Set data.scaling to standard, or to pixels for images.",
    source="LeCun, Bottou, Orr and Müller (1998), Efficient BackProp, section 4.3",
)

TARGET_RANGE = Rule(
    id="overfit-target-range",
    about="The targets lie where the network's outputs cannot get, or can hardly get.",
    why="A sigmoid answers between 0 and 1, a tanh between -1 and 1, a relu never below 0: a target outside is never "
    "met. A linear output can reach everything, but starts near 0 and moves by about one learning rate a step: targets "
    "in the thousands take thousands of steps, and their squared errors give gradients to match.",
    threshold="a target outside the range of the output activation, or a mean or standard deviation above 10 in size",
    fix="Set data.target_scaling to standard, and let a regression end with 'dense: outputs' and no activation.",
)

LOSS_AND_OUTPUT = Rule(
    id="overfit-loss-and-output",
    about="What comes last in the network and the loss do not fit each other.",
    why="cross_entropy and binary_cross_entropy turn scores of either sign and any size into probabilities themselves; "
    "an activation before them that lets only some scores through forbids some answers. A softmax makes its outputs "
    "sum to one, which a regression's targets do not: with a single output it says 1 whatever it sees. So does a "
    "layer_norm of a single output: what is less its own mean is zero.",
    threshold="",
    fix="Let the network end with 'dense: outputs' and no activation: the loss brings what it needs.",
)

OUTLYING_TARGETS = Rule(
    id="overfit-outlying-targets",
    about="All rows of the batch are learned but a few whose targets lie far from the others.",
    why="An outlier next to ordinary rows asks for a spike in the function, which takes many steps; and losses such as "
    "mae and huber pull no harder at it than at any other row, on purpose. The network is sound; perhaps the targets "
    "are not.",
    threshold="R2 of 0.99 without at most a fifth of the rows, each more than 3.5 robust standard deviations "
    "(1.4826 median absolute deviations) from the median",
    fix="Look at these rows: are their targets true? If so, this is the loss doing what it is for.",
    source="Iglewicz and Hoaglin (1993), How to detect and handle outliers, for the threshold of 3.5",
)


def unscaled_inputs(evidence: Evidence) -> Iterator[Finding]:
    """Inputs whose mean or spread is far from what weights are made for."""
    if evidence.experiment.data.preprocessing.tokens is not None:
        return  # numbers of tokens are names: their size means nothing
    x = evidence.experiment.data.train.x
    x = x[:: max(1, len(x) // ROWS_LOOKED_AT)].reshape(-1, *(x.shape[-1:]))
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    size = np.maximum(np.abs(mean), spread)
    k = int(size.argmax())
    names = evidence.experiment.data.features
    name = names[k] if len(names) == len(size) else f"input {k}"
    if size[k] > LARGE:
        yield evidence.blame(
            UNSCALED_INPUTS,
            f"{np.count_nonzero(size > LARGE)} of {len(size)} inputs are large; the largest, {name}, has mean "
            f"{mean[k]:,.4g} and standard deviation {spread[k]:,.4g}.",
            where="data.scaling",
            value=float(size[k]),
            threshold=LARGE,
        )
    elif spread.max() < SMALL:
        k = int(spread.argmax())
        yield evidence.blame(
            UNSCALED_INPUTS,
            f"no input varies by more than a standard deviation of {spread[k]:.2g}.",
            where="data.scaling",
            value=float(spread[k]),
            threshold=SMALL,
        )


def target_range(evidence: Evidence) -> Iterator[Finding]:
    """Targets of a regression that the outputs cannot reach, or only after a very long way."""
    if evidence.goal.frozen.experiment.loss.task != "regression":
        return
    bend, t = evidence.output_activation, evidence.targets
    low, high = _reach(bend)
    outside = np.count_nonzero((t < low) | (t > high))
    if bend is not None and outside:
        yield evidence.blame(
            TARGET_RANGE,
            f"{bend.name} answers from {low:g} to {high:g}; {outside} of {t.size} targets lie outside, which go from "
            f"{t.min():.4g} to {t.max():.4g}.",
            where="architecture",
            value=outside / t.size,
            threshold=0.0,
        )
    y = evidence.experiment.data.train.y
    mean, spread = y.mean(axis=0, dtype=np.float64), y.std(axis=0, dtype=np.float64)
    size = np.maximum(np.abs(mean), spread)
    k = int(size.argmax())
    if size[k] > LARGE:
        yield evidence.blame(
            TARGET_RANGE,
            f"the targets have mean {mean[k]:,.4g} and standard deviation {spread[k]:,.4g}; the outputs start near 0.",
            fix="Set data.target_scaling to standard.",
            where="data.target_scaling",
            value=float(size[k]),
            threshold=LARGE,
        )


def loss_and_output(evidence: Evidence) -> Iterator[Finding]:
    """An output activation that forbids answers which the loss asks for."""
    bend, loss = evidence.output_activation, evidence.goal.frozen.experiment.loss
    last = evidence.goal.frozen.experiment.layout.rows[-1]
    if isinstance(last.layer, LayerNorm) and last.in_shape == (1,):
        yield evidence.blame(
            LOSS_AND_OUTPUT,
            f"every row gets the same output: {last.path} subtracts from a single number its own mean.",
            where=last.path,
        )
    if bend is None:
        return
    if isinstance(loss, Classification):
        if bend.name not in loss.after:
            yield evidence.blame(
                LOSS_AND_OUTPUT,
                f"the outputs come out of {bend.name}, and {loss.name} needs scores of either sign and any size.",
                where="architecture",
            )
    elif bend.name == "softmax":
        yield evidence.blame(
            LOSS_AND_OUTPUT,
            f"the outputs come out of a softmax and sum to 1; the targets of a row sum to "
            f"{evidence.targets.sum(axis=1).mean():.4g} in the mean, and {loss.name} is for numbers of any size.",
            where="architecture",
        )


def outlying_targets(evidence: Evidence) -> Iterator[Finding]:
    """Rows that alone keep a regression from its goal."""
    rows = evidence.only_outliers_left
    if rows.any():
        t, frozen = evidence.targets[rows], evidence.goal.frozen
        yield evidence.blame(
            OUTLYING_TARGETS,
            f"{len(rows) - rows.sum()} of {len(rows)} rows are learned; the others, "
            f"{'row' if rows.sum() == 1 else 'rows'} {', '.join(map(str, frozen.rows[rows]))}, have targets far from "
            f"the rest: {', '.join(f'{value:.4g}' for value in t.ravel())}.",
            where="data",
            value=int(rows.sum()),
        )


def _reach(bend: Activation | None) -> tuple[float, float]:
    """Return the least and the largest value that an activation can answer with."""
    if bend is None:
        return -inf, inf
    alpha, beta = getattr(bend, "alpha", 1.0), getattr(bend, "beta", 1.0)
    return {
        "sigmoid": (0.0, 1.0),
        "softmax": (0.0, 1.0),
        "tanh": (-1.0, 1.0),
        "relu": (0.0, inf),
        "softplus": (0.0, inf),
        "elu": (-alpha, inf),
        "selu": (-1.7581, inf),
        "gelu": (-0.17, inf),
        "swish": (-0.2785 / beta, inf),
    }.get(bend.name, (-inf, inf))
