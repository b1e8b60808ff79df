"""Layers that get in each other's way: batch norm, dropout, widths and depth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from nnctl.core.finding import Finding, Rule
from nnctl.nn.alpha_dropout import AlphaDropout
from nnctl.nn.conv import Kernel
from nnctl.nn.dense import Dense
from nnctl.nn.dropout import Dropout
from nnctl.nn.norm import BatchNorm, Normalization
from nnctl.nn.rectifiers import Selu
from nnctl.spec.lint.reading import Reading

__all__ = ["findings"]

FEW_ROWS = 32
"""A batch of fewer rows has too uncertain a mean and variance for batch norm."""
HIGH_RATE = 0.7
HIGH_INPUT_RATE = 0.5
"""Dropout beyond these shares of hidden units and of inputs is more than regularization."""
DEEP = 15
"""So many hidden layers want residuals around them."""
NARROW = 8
"""A layer that is so many times narrower than both of its neighbours lets little through."""

SMALL_BATCH = Rule(
    "batch-norm-on-small-batches",
    "Batch norm estimates mean and variance from too few rows.",
    "In training, batch norm takes the mean and the variance of each feature from the batch. With few rows these are "
    "mostly noise, and what the network learns with them does not fit the running statistics that it uses afterwards. "
    "With a single row there is no variance at all: every output is the same, whatever the input.",
    f"Warns with batches under {FEW_ROWS} rows, fails with a batch of one.",
    "Make training.batch_size 32 or more, or use layer_norm, which does not look at the batch.",
    "Ioffe and Szegedy (2015), arXiv:1502.03167; Wu and He (2018), arXiv:1803.08494",
)
BIAS = Rule(
    "bias-before-batch-norm",
    "The bias of a layer right before batch norm does nothing.",
    "Batch norm subtracts the mean of every feature, and a bias is part of that mean: it is taken away again at once, "
    "its gradient is zero, and it never learns. Batch norm has a shift of its own.",
    "",
    "Write 'dense: {units: 64, bias: false}'.",
    "Ioffe and Szegedy (2015), section 3.2, arXiv:1502.03167",
)
DROPOUT_THEN_NORM = Rule(
    "dropout-before-batch-norm",
    "Dropout right before batch norm shifts the variance between training and inference.",
    "Dropout raises the variance of its outputs in training and not in inference. Batch norm learns the variance of "
    "training and applies it in inference, where it is wrong: the network is worse there than it was in training.",
    "",
    "Put dropout behind batch norm and the activation, or leave one of them out.",
    "Li, Chen, Hu and Yang (2019), Understanding the disharmony between dropout and batch normalization by variance "
    "shift, arXiv:1801.05134",
)
OUTPUT_DROPOUT = Rule(
    "dropout-on-output",
    "Dropout after the last dense layer drops the predictions themselves.",
    "Dropout makes hidden units independent of each other. Behind the last layer it sets scores of classes, or the "
    "predicted values, to zero by chance: the loss then asks the network to be right with a random part of its answer "
    "missing, which it cannot learn.",
    "",
    "Move it before the last dense layer.",
)
RATE = Rule(
    "dropout-rate",
    "Dropout drops so much that little is left to learn from.",
    "With rate 0.8 a layer keeps a fifth of its units in a step: a network five times narrower is trained, with more "
    "noise. 0.2 to 0.5 is usual for hidden units, 0.1 to 0.2 for inputs.",
    f"Warns beyond {HIGH_RATE} for hidden units and beyond {HIGH_INPUT_RATE} for inputs.",
    "Set the rate to 0.5 or less; 0.2 for inputs.",
    "Srivastava et al. (2014), appendix A.4",
)
OUTPUT_NORM = Rule(
    "normalization-on-output",
    "A normalization after the last dense layer forces the predictions to mean 0 and variance 1.",
    "Logits have to grow for a confident answer, and predicted values have the target's scale. A normalization at the "
    "end forbids both until its own scale has learned its way around it.",
    "",
    "Leave it out.",
)
SELU_COMPANY = Rule(
    "selu-with-dropout-or-normalization",
    "SELU keeps mean and variance by itself, which dropout and normalization undo.",
    "SELU is made so that activations come out with mean 0 and variance 1 if they go in so. Dropout sets units to 0, "
    "which is not SELU's resting value, and changes the variance; a normalization does the work that SELU was chosen "
    "to save.",
    "",
    "Write alpha_dropout in place of dropout and leave normalization out, or use relu or gelu with them.",
    "Klambauer, Unterthiner, Mayr and Hochreiter (2017), arXiv:1706.02515",
)
NO_RESIDUAL = Rule(
    "deep-without-residual",
    "So many layers in a row are hard to train without a way around them.",
    "Every layer changes the gradient on its way back. Over many layers it fades or explodes, also with a good "
    "initialization and with normalization; residual connections give it a path that nothing bends.",
    f"Warns from {DEEP} hidden layers in a row on.",
    "Wrap groups of layers in 'residual: [...]', or use fewer layers.",
    "He, Zhang, Ren and Sun (2016), arXiv:1512.03385",
)
BOTTLENECK = Rule(
    "bottleneck",
    "A hidden layer is so narrow that little gets through it.",
    "All that later layers know of a row is what the narrowest layer keeps of it. A single relu unit is worse than "
    "narrow: where it is negative, the network says the same for every row and nothing before it learns.",
    f"Warns for a hidden layer of one unit, for one {NARROW} times narrower than both neighbours, and for one of fewer "
    f"than log2(K) units before K classes.",
    "Make the layer wider.",
)


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with normalization, dropout, widths and depth."""
    yield from _norm(reading)
    yield from _dropout(reading)
    yield from _selu(reading)
    yield from _shape(reading)


def _norm(reading: Reading) -> Iterator[Finding]:
    output = reading.output
    for placed in output.after if output else ():
        if isinstance(placed.layer, Normalization):
            yield OUTPUT_NORM.fail(
                f"{placed.layer.name} stands after the last dense layer.", where=reading.where(*placed.path)
            )
    norms = list(reading.following(BatchNorm))
    rows = reading.sizes.rows if reading.spec.training.batch_size == "full" and reading.sizes else None
    batch = rows if reading.spec.training.batch_size == "full" else reading.spec.training.batch_size
    of_rows = any(isinstance(b.mixer.layer, Dense) and p in b.after for b in reading.blocks for p, _ in norms)
    if of_rows and isinstance(batch, int) and batch < FEW_ROWS:  # on images every pixel counts as a row
        judged = SMALL_BATCH.fail if batch == 1 else SMALL_BATCH.warn
        yield judged(
            f"batch_norm with batches of {batch} row{'s' if batch > 1 else ''}.",
            where=reading.where("training", "batch_size"),
            value=batch,
            threshold=FEW_ROWS,
        )
    for placed, before in norms:
        if before is not None and isinstance(before.layer, Dropout):
            yield DROPOUT_THEN_NORM.warn("batch_norm stands right after dropout.", where=reading.where(*placed.path))
            break
    idle = [before for _, before in norms if before and isinstance(before.layer, Dense | Kernel) and before.layer.bias]
    if idle:
        yield BIAS.warn(
            f"{len(idle)} layer{'s' if len(idle) > 1 else ''} right before batch_norm with a bias.",
            where=reading.where(*idle[0].path),
        )


def _dropout(reading: Reading) -> Iterator[Finding]:
    behind = {id(placed) for placed in reading.output.after} if reading.output else set()
    for i, placed in enumerate(reading.layers):
        layer = placed.layer
        if not isinstance(layer, Dropout) or layer.rate == 0:
            continue
        where = reading.where(*placed.path)
        if id(placed) in behind:
            yield OUTPUT_DROPOUT.fail(f"dropout {layer.rate:g} stands after the last dense layer.", where=where)
            continue
        on_inputs = i == 0 and reading.branch is None
        limit = HIGH_INPUT_RATE if on_inputs else HIGH_RATE
        if layer.rate > limit:
            what = "inputs" if on_inputs else "units"
            yield RATE.warn(
                f"{layer.rate:.0%} of the {what} are dropped in every step.",
                where=where,
                value=layer.rate,
                threshold=limit,
            )


def _selu(reading: Reading) -> Iterator[Finding]:
    for block in reading.hidden:
        if not any(isinstance(placed.layer, Selu) for placed in block.after):
            continue
        for placed in block.after:
            layer = placed.layer
            drops = isinstance(layer, Dropout) and not isinstance(layer, AlphaDropout) and layer.rate > 0
            if drops or isinstance(layer, Normalization):
                yield SELU_COMPANY.warn(f"{placed.layer.name} beside selu.", where=reading.where(*placed.path))
                return


def _shape(reading: Reading) -> Iterator[Finding]:
    plain = [block for block in reading.hidden if block.kernel is not None and not block.mixer.is_bypassed]
    if len(plain) >= DEEP:
        yield NO_RESIDUAL.warn(
            f"{len(plain)} hidden layers in a row, without a residual.",
            where=reading.where(*plain[0].mixer.path),
            value=len(plain),
            threshold=DEEP,
        )
    outputs = reading.sizes.outputs if reading.sizes else None
    for block, after in pairwise(reading.blocks):
        following = after.units or outputs
        if block.units is None:
            continue
        is_squeezed = all(width is not None and width >= NARROW * block.units for width in (block.fan_in, following))
        is_short = outputs is not None and 2**block.units < outputs
        if block.units == 1 or is_squeezed or is_short:
            around = f"{block.fan_in or 'the inputs'} before it, {following or 'the outputs'} after it"
            yield BOTTLENECK.warn(
                f"{block.units} unit{'s' if block.units > 1 else ''}, with {around}.",
                where=reading.where(*block.mixer.path),
                value=block.units,
            )
            return
