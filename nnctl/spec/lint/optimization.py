"""The optimizer's constants, clipping, and the portions in which it gets the data."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from nnctl.core.finding import Finding, Rule
from nnctl.nn.losses import Perceptron
from nnctl.optim.gradients import ClipNorm, ClipValue
from nnctl.optim.optimizers import SGD, Adam, Momentum, Optimizer, RMSprop
from nnctl.spec.lint.reading import Reading

__all__ = ["findings", "usual_rates"]

FAR_ABOVE = 10.0
"""A learning rate so many times above the usual range is a failure."""
TIGHT_NORM, TIGHT_VALUE = 0.01, 1e-4
BATCH = 32
"""Rows of a usual batch; with no more in all, or in a batch, a smaller one is no way to more updates."""
FEW_UPDATES = 100

LEARNING_RATE = Rule(
    "learning-rate-range",
    "The learning rate lies outside of what is usual for the optimizer.",
    "The learning rate is the one number that decides most. Adam moves every weight by about lr in a step, whatever "
    "the gradient, so that 0.1 throws all weights about; sgd moves by lr times the gradient and wants more. Classical "
    "momentum adds up 1 / (1 - beta) steps: with beta 0.9 it moves ten times as far as sgd with the same lr.",
    f"Usual: 1e-5 to 3e-2 for adam, adamw and rmsprop; 1e-4 to 1 for sgd, and for lr / (1 - beta) with momentum. Fails "
    f"from {FAR_ABOVE:g} times above.",
    "Ask for a suggestion with: nnctl lr-find SPEC. Without one start at 1e-3 for adam and 1e-1 for sgd.",
    "Bengio (2012), Practical recommendations for gradient-based training of deep architectures, arXiv:1206.5533",
)
CONSTANTS = Rule(
    "optimizer-constants",
    "A constant of the optimizer is far from what works for others.",
    "beta says how long the optimizer remembers: 0.9 is ten steps, 0.999 a thousand. With too long a memory it "
    "overshoots and swings; with beta2 below beta1, Adam's measure of size is more restless than its direction, and "
    "single steps become long. A large eps makes Adam a slow sgd.",
    "Warns for beta or beta1 beyond 0.99, beta2 under 0.9 or under beta1, rmsprop's beta under 0.5, eps over 1e-3.",
    "Leave it out: the defaults are those of the papers.",
    "Kingma and Ba (2015), arXiv:1412.6980; Reddi, Kale and Kumar (2018), arXiv:1904.09237",
)
CLIP = Rule(
    "tight-clipping",
    "The gradient is clipped so short that steps hardly move.",
    "Clipping is for the rare gradient that would throw the weights far away; it should leave ordinary ones alone. "
    "With a bound below all of them, every step has the same tiny length (sgd and momentum), or the gradient no longer "
    "says how far the goal is.",
    f"Warns for a norm under {TIGHT_NORM:g} and a value under {TIGHT_VALUE:g}.",
    "Clip the norm at 1 to 5, or look at grad_norm of a run and take several times its median.",
    "Pascanu, Mikolov and Bengio (2013), arXiv:1211.5063",
)
FEW = Rule(
    "few-updates",
    "The training is over after a few steps of the optimizer.",
    "A network learns by updates, not by epochs. One whole pass over the data as a single batch is one update; fifty "
    "such epochs move the weights fifty times, which is rarely enough from random ones.",
    f"Warns under {FEW_UPDATES} updates in all, for a network with hidden layers.",
    f"Make training.batch_size smaller ({BATCH}) or training.epochs larger.",
    "Masters and Luschi (2018), Revisiting small batch training for deep neural networks, arXiv:1804.07612",
)
UNSHUFFLED = Rule(
    "unshuffled-batches",
    "The batches come in the order of the file, the same in every epoch.",
    "Files are often sorted by class or by time. A batch of one class pulls the network towards that class, and the "
    "next one away from it. Drawn at random, every batch resembles the whole.",
    "",
    "Leave training.shuffle out, or set it to true.",
    "Bengio (2012), arXiv:1206.5533",
)


def usual_rates(optimizer: Optimizer) -> tuple[float, float]:
    """Return the usual range of an optimizer's learning rate, in its own form."""
    if isinstance(optimizer, Adam | RMSprop):
        return 1e-5, 3e-2
    shorter = 1 - optimizer.beta if isinstance(optimizer, Momentum) and optimizer.form == "classical" else 1.0
    return 1e-4 * shorter, 1.0 * shorter


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with the optimizer, the clipping and the batches."""
    yield from _rate(reading)
    yield from _constants(reading)
    yield from _clip(reading)
    yield from _batches(reading)


def _rate(reading: Reading) -> Iterator[Finding]:
    optimizer = reading.spec.optimizer
    if isinstance(reading.spec.loss, Perceptron) and isinstance(optimizer, SGD):
        return  # from zero weights every rate draws the same borders
    low, high = usual_rates(optimizer)
    where = reading.where("optimizer", optimizer.name, "lr")
    if low <= optimizer.lr <= high:
        yield LEARNING_RATE.passed(
            f"{optimizer.lr:g} lies within {low:g} to {high:g}, the usual range of {optimizer.name}.",
            where=where,
            value=optimizer.lr,
        )
        return
    bound = low if optimizer.lr < low else high
    judged = LEARNING_RATE.fail if optimizer.lr >= FAR_ABOVE * high else LEARNING_RATE.warn
    way = "below" if optimizer.lr < low else "above"
    yield judged(
        f"{optimizer.lr:g} lies {way} {low:g} to {high:g}, the usual range of {optimizer.name}.",
        where=where,
        value=optimizer.lr,
        threshold=bound,
    )


def _constants(reading: Reading) -> Iterator[Finding]:
    optimizer = reading.spec.optimizer
    odd: list[tuple[str, str]] = []
    match optimizer:
        case Adam():
            if optimizer.beta1 > 0.99:
                odd.append(("beta1", f"beta1 {optimizer.beta1:g} remembers {1 / (1 - optimizer.beta1):,.0f} steps"))
            if optimizer.beta2 < max(0.9, optimizer.beta1):
                odd.append(("beta2", f"beta2 {optimizer.beta2:g} with beta1 {optimizer.beta1:g}"))
        case Momentum() if optimizer.beta > 0.99:
            odd.append(("beta", f"beta {optimizer.beta:g} remembers {1 / (1 - optimizer.beta):,.0f} steps"))
        case RMSprop() if optimizer.beta < 0.5:
            odd.append(("beta", f"beta {optimizer.beta:g} forgets the size of gradients at once"))
        case _:
            pass
    eps = getattr(optimizer, "eps", 0.0)
    if eps > 1e-3:
        odd.append(("eps", f"eps {eps:g} is larger than most gradients"))
    for field, said in odd:
        yield CONSTANTS.warn(f"{said}.", where=reading.where("optimizer", optimizer.name, field))


def _clip(reading: Reading) -> Iterator[Finding]:
    clip = reading.spec.clip
    bound, tight = inf, 0.0
    match clip:
        case ClipNorm():
            bound, tight = clip.max_norm, TIGHT_NORM
        case ClipValue():
            bound, tight = clip.max_value, TIGHT_VALUE
        case _:
            pass
    if clip is not None and bound < tight:
        yield CLIP.warn(
            f"the gradient's {clip.name} is held to {bound:g}.",
            where=reading.where("clip", clip.name),
            value=bound,
            threshold=tight,
        )


def _batches(reading: Reading) -> Iterator[Finding]:
    training = reading.spec.training
    steps = reading.clock.total_steps
    is_known = training.batch_size == "full" or training.steps is not None or reading.sizes is not None
    if reading.hidden and is_known and steps < FEW_UPDATES:
        few_rows = reading.sizes is not None and reading.sizes.rows <= BATCH
        small = few_rows or (training.batch_size != "full" and training.batch_size <= BATCH)
        longer = f"Make training.{'steps' if training.steps else 'epochs'} larger."
        key = "steps" if training.steps else "batch_size" if training.batch_size == "full" else "epochs"
        yield FEW.warn(
            f"the weights are updated {steps} times in all.",
            where=reading.where("training", key),
            value=steps,
            threshold=FEW_UPDATES,
            fix=longer if small or training.steps else None,
        )
    if not training.shuffle and training.batch_size != "full" and not isinstance(reading.spec.loss, Perceptron):
        yield UNSHUFFLED.warn("training.shuffle is false.", where=reading.where("training", "shuffle"))
