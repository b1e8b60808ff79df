"""Activations in the wrong place: hidden ones that stop the gradient, output ones that bar values, missing ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from nnctl.core.finding import Finding, Rule
from nnctl.data.scaling import MinMax, NoScaling
from nnctl.nn.activations import Activation, Sigmoid, Softmax, Softplus, Tanh
from nnctl.nn.losses import Margin
from nnctl.nn.rectifiers import Relu
from nnctl.spec.lint.reading import Block, Reading

__all__ = ["findings"]

SIGMOIDS = 2
"""From this many hidden layers of sigmoid on there is advice; from twice as many on it is a failure."""
TANHS = 5
"""From this many hidden layers of tanh on there is advice."""

SIGMOID = Rule(
    "sigmoid-in-deep-network",
    "Several hidden layers of sigmoid hardly let a gradient through.",
    "The slope of a sigmoid is at most 1/4, so each layer passes on at most a quarter of the gradient that reaches it "
    "(times its weights): after five layers the first one gets a thousandth and hardly learns. Its outputs are all "
    "positive besides, which makes the units of the next layer pull in the same direction.",
    f"Warns from {SIGMOIDS} hidden layers of sigmoid on, fails from {2 * SIGMOIDS}; layers that are normalized or "
    f"within a residual are not counted.",
    "Use relu or gelu in hidden layers; keep sigmoid for the output of two classes, which binary_cross_entropy brings.",
    "LeCun, Bottou, Orr and Müller (1998), Efficient BackProp; Glorot and Bengio (2010)",
)
TANH = Rule(
    "tanh-in-deep-network",
    "Many hidden layers of tanh weaken the gradient.",
    "tanh is flat where its input is large, and every layer multiplies the gradient by a slope below 1. A few layers "
    "are fine with xavier_normal; with many, what reaches the first layers is small.",
    f"Warns from {TANHS} hidden layers of tanh on; layers that are normalized or within a residual are not counted.",
    "Use relu or gelu, or put layer_norm before each tanh.",
    "Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks",
)
HIDDEN_SOFTMAX = Rule(
    "softmax-in-hidden-layer",
    "A softmax between hidden layers makes its units compete for a sum of 1.",
    "The outputs of a softmax add up to 1, so with 64 units each is about 1/64, and one can only grow as the others "
    "shrink. The next layer sees almost constant numbers and the layers before get almost no gradient. softmax belongs "
    "to the output of a classifier, where cross_entropy brings it.",
    "",
    "Replace it with relu or gelu.",
    "Bridle (1990)",
)
SQUASHED = Rule(
    "squashed-regression-output",
    "The last activation bars values that the target has.",
    "A regression predicts what leaves the last layer. After a sigmoid that is a number from 0 to 1, after tanh one "
    "from -1 to 1, after relu none below 0: targets outside cannot be reached, however long it trains, and where the "
    "activation is flat the gradient is zero.",
    "Compares the range of the last activation with the range that data.target_scaling gives the targets.",
    "Leave out the activation after 'dense: outputs', or scale the targets into its range: "
    "target_scaling: {minmax: {range: [0, 1]}}.",
)
MARGIN = Rule(
    "squashed-margin",
    "With tanh at the end the margin of the hinge loss is never reached.",
    "Hinge asks for a score of at least 1 on the right side; tanh never reaches 1. So the loss is never zero, weights "
    "grow without end, and the flat ends of tanh take the gradient away.",
    "",
    "Leave out the tanh: hinge works on raw scores.",
)
MISSING = Rule(
    "no-activation-between",
    "Two linear layers follow each other with nothing that bends between them.",
    "A linear map of a linear map is a linear map: x (W1 W2) is x W with another W. However many dense layers stand "
    "there, without an activation between them they can draw no other border than one of them could.",
    "",
    "Put an activation between them, such as '- relu'.",
    "Minsky and Papert (1969)",
)
TWICE = Rule(
    "activation-twice",
    "Two activations stand right behind each other.",
    "The second one only sees what the first one let through: a sigmoid of a relu is never below 1/2, a relu of a relu "
    "changes nothing. Most often one of the two was left from an earlier version.",
    "",
    "Keep one of them.",
)
RANGES: dict[type[Activation], tuple[float, float]] = {
    Sigmoid: (0, 1),
    Softmax: (0, 1),
    Tanh: (-1, 1),
    Relu: (0, float("inf")),
    Softplus: (0, float("inf")),
}
"""What the outputs of an activation lie between."""


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with the activations."""
    yield from _hidden_softmax(reading)
    yield from _output(reading)
    yield from _missing(reading)
    yield from _twice(reading)
    yield from _deep(reading)


def _hidden_softmax(reading: Reading) -> Iterator[Finding]:
    for block in reading.hidden:
        for placed in block.activations:
            if isinstance(placed.layer, Softmax):
                yield HIDDEN_SOFTMAX.fail("softmax stands in a hidden layer.", where=reading.where(*placed.path))
                return


def _output(reading: Reading) -> Iterator[Finding]:
    output, spec = reading.output, reading.spec
    if output is None or not output.activations:
        return
    last = output.activations[-1]
    where = reading.where(*last.path)
    if isinstance(spec.loss, Margin) and spec.loss.margin > 0 and isinstance(last.layer, Tanh):
        yield MARGIN.warn(
            f"{spec.loss.name} asks for a score of {spec.loss.margin:g}; tanh stays below it.", where=where
        )
    bounds = next((span for kind, span in RANGES.items() if isinstance(last.layer, kind)), None)
    if spec.loss.task != "regression" or bounds is None:
        return
    scaling, (low, high) = spec.data.target_scaling, bounds
    if isinstance(scaling, MinMax):
        if low <= scaling.range[0] and scaling.range[1] <= high:
            return
        reached = f"target_scaling brings the targets into {scaling.range[0]:g} to {scaling.range[1]:g}"
    elif isinstance(scaling, NoScaling):
        reached = "the targets are not scaled"
    else:
        reached = f"target_scaling: {scaling.name} gives targets on both sides of 0 and beyond 1"
    span = f"from {low:g} to {high:g}" if high < float("inf") else f"no value below {low:g}"
    said = f"{last.layer.name} gives {span}, and {reached}."
    # Targets that are not scaled may happen to lie above zero.
    is_sure = not isinstance(scaling, NoScaling) or high < float("inf")
    yield (SQUASHED.fail if is_sure else SQUASHED.warn)(said, where=where)


def _missing(reading: Reading) -> Iterator[Finding]:
    for block, following in pairwise(reading.blocks):
        if following.kernel is None or block.mixer.is_bypassed != following.mixer.is_bypassed:
            continue
        if block.is_linear and getattr(block.kernel, "groups", 1) == 1:  # a convolution in groups, then one of 1 x 1
            yield MISSING.warn(
                f"nothing bends between this layer and the next one ({following.mixer.layer.name}).",
                where=reading.where(*block.mixer.path),
            )
            return


def _twice(reading: Reading) -> Iterator[Finding]:
    for block in reading.blocks:
        for first, second in pairwise(block.after):
            if first in block.activations and second in block.activations:
                yield TWICE.warn(
                    f"{second.layer.name} follows {first.layer.name} at once.", where=reading.where(*second.path)
                )
                return


def _deep(reading: Reading) -> Iterator[Finding]:
    sigmoids, tanhs = _plain(reading, Sigmoid), _plain(reading, Tanh)
    if len(sigmoids) >= SIGMOIDS:
        judged = SIGMOID.fail if len(sigmoids) >= 2 * SIGMOIDS else SIGMOID.warn
        yield judged(
            f"{len(sigmoids)} hidden layers of sigmoid: at most {0.25 ** len(sigmoids):.1g} of a gradient comes "
            f"through their slopes.",
            where=_where_of(reading, sigmoids[0]),
            value=len(sigmoids),
            threshold=SIGMOIDS,
        )
    if len(tanhs) >= TANHS:
        yield TANH.warn(
            f"{len(tanhs)} hidden layers of tanh, none of them normalized.",
            where=_where_of(reading, tanhs[0]),
            value=len(tanhs),
            threshold=TANHS,
        )


def _plain(reading: Reading, kind: type[Activation]) -> list[Block]:
    """Return the hidden blocks with such an activation that have neither a normalization nor a way around them."""
    return [
        block
        for block in reading.hidden
        if any(isinstance(placed.layer, kind) for placed in block.activations)
        and not block.is_normed
        and not block.mixer.is_bypassed
    ]


def _where_of(reading: Reading, block: Block) -> str:
    assert block.activation is not None
    return reading.where(*block.activation.path)
