"""The loss and the penalties beside it."""

from __future__ import annotations

from collections.abc import Iterator

from nnctl.core.finding import Finding, Rule
from nnctl.nn.losses import Perceptron
from nnctl.optim.gradients import L1, L2, MaxNorm
from nnctl.optim.optimizers import Adam, AdamW, RMSprop
from nnctl.spec.lint.reading import Reading

__all__ = ["findings"]

SMOOTHING = 0.3
STRONG_L2, STRONG_L1, TIGHT_BALL = 0.1, 1e-2, 0.5
STRONG_DECAY = 0.01
"""Penalties beyond what is usual; decay is the share of the weights that one step takes away."""

LABEL_SMOOTHING = Rule(
    "label-smoothing",
    "So much label smoothing hides the labels.",
    "With smoothing e the target of the true class is 1 - e + e/K. A little (0.1) keeps a network from being sure of "
    "everything; much of it asks the network to be unsure, and classes that are hard to tell apart are not told apart.",
    f"Warns beyond {SMOOTHING}.",
    "Set label_smoothing to 0.1 or leave it out.",
    "Szegedy et al. (2016), section 7, arXiv:1512.00567; Müller, Kornblith and Hinton (2019), arXiv:1906.02629",
)
PERCEPTRON = Rule(
    "perceptron-loss-with-hidden-layers",
    "The perceptron's loss is zero where all scores are zero.",
    "Rosenblatt's criterion counts mistakes by the size of the score and asks for no margin. A network with hidden "
    "layers can make its loss small by making its scores small, without getting anything right.",
    "",
    "Use cross_entropy or hinge; keep the perceptron loss for a single dense layer.",
    "Rosenblatt (1958)",
)
L2_WITH_ADAM = Rule(
    "l2-with-adam",
    "L2 in the gradient is not weight decay where the optimizer rescales gradients.",
    "Adam and RMSprop divide each gradient by its own size, and the pull of L2 with it: weights with large gradients "
    "are hardly decayed, those with small ones much. AdamW shrinks all weights by the same share, which is what is "
    "meant.",
    "",
    "Write 'optimizer: {adamw: {lr: ..., weight_decay: 1e-2}}' and take l2 out of regularizers.",
    "Loshchilov and Hutter (2019), arXiv:1711.05101",
)
PENALTY = Rule(
    "strong-penalty",
    "The pull on the weights is so strong that the data hardly count.",
    "A penalty trades fit for small weights. Where it is too strong all weights go to (nearly) zero, the network says "
    "the same for every row, and the loss stays at that of a constant guess.",
    f"Warns for l2 beyond {STRONG_L2:g}, l1 beyond {STRONG_L1:g}, max_norm under {TIGHT_BALL:g}, and weight decay that "
    f"takes more than {STRONG_DECAY:.0%} of the weights in a step (lr * weight_decay); fails where a step takes all.",
    "Make it ten times smaller and compare: l2 1e-5 to 1e-2, l1 1e-5 to 1e-3, max_norm 3 to 4, weight_decay 1e-4 to "
    "1e-1 are usual.",
    "Goodfellow, Bengio and Courville (2016), chapter 7",
)


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with the loss and the penalties."""
    spec = reading.spec
    smoothing = getattr(spec.loss, "label_smoothing", 0.0)
    if smoothing > SMOOTHING:
        yield LABEL_SMOOTHING.warn(
            f"{smoothing:.0%} of every label is spread over all classes.",
            where=reading.where("loss", spec.loss.name, "label_smoothing"),
            value=smoothing,
            threshold=SMOOTHING,
        )
    if isinstance(spec.loss, Perceptron) and reading.hidden:
        yield PERCEPTRON.warn(
            f"the perceptron loss with {len(reading.hidden)} hidden layer(s).", where=reading.where("loss")
        )
    yield from _penalties(reading)
    yield from _decay(reading)


def _penalties(reading: Reading) -> Iterator[Finding]:
    for i, penalty in enumerate(reading.spec.regularizers):
        where = reading.where("regularizers", i, penalty.name)
        if isinstance(penalty, L2) and isinstance(reading.spec.optimizer, Adam | RMSprop):
            yield L2_WITH_ADAM.warn(f"l2 with {reading.spec.optimizer.name}.", where=where)
        match penalty:
            case L2(rate=rate) if rate > STRONG_L2:
                yield PENALTY.warn(f"l2 with rate {rate:g}.", where=where, value=rate, threshold=STRONG_L2)
            case L1(rate=rate) if rate > STRONG_L1:
                yield PENALTY.warn(f"l1 with rate {rate:g}.", where=where, value=rate, threshold=STRONG_L1)
            case MaxNorm(limit=limit) if limit < TIGHT_BALL:
                yield PENALTY.warn(
                    f"the weights of a unit may be no longer than {limit:g}.",
                    where=where,
                    value=limit,
                    threshold=TIGHT_BALL,
                )


def _decay(reading: Reading) -> Iterator[Finding]:
    optimizer = reading.spec.optimizer
    if not isinstance(optimizer, AdamW):
        return
    share = optimizer.lr * optimizer.weight_decay
    if share > STRONG_DECAY:
        judged = PENALTY.fail if share >= 1 else PENALTY.warn
        yield judged(
            f"every step takes {min(share, 1):.2g} of the weights away (lr {optimizer.lr:g} times weight_decay "
            f"{optimizer.weight_decay:g}).",
            where=reading.where("optimizer", optimizer.name, "weight_decay"),
            value=share,
            threshold=STRONG_DECAY,
        )
