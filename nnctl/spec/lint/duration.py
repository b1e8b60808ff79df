"""How long it trains: the schedule, early stopping, and what they watch."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Literal

from nnctl.core.finding import Finding, Rule
from nnctl.data.sources.generated import Gate
from nnctl.optim.clock import Length
from nnctl.optim.schedules import Cosine, MultiStep, OneCycle, Polynomial, ReduceOnPlateau, Schedule, Step
from nnctl.spec.lint.reading import Reading
from nnctl.train.metrics import Metric

__all__ = ["findings"]

LONG_WARMUP = 0.5
MANY_EPOCHS = 100
GONE = 1e-3
"""The rate at half of the training over the first one, below which the second half does nothing."""
LARGE_DELTA = 0.1

WARMUP = Rule(
    "warmup-too-long",
    "The warm-up takes up most of the training, or all of it.",
    "A warm-up lets the first steps be small, while the weights are still random. It should be over soon: a training "
    "that ends within its warm-up never reaches the learning rate of the spec.",
    f"Warns beyond {LONG_WARMUP:.0%} of the training, fails from the whole of it on.",
    "Set schedule.warmup to a share such as 0.1 (0.3 for one_cycle), or train longer.",
    "Goyal et al. (2017), arXiv:1706.02677",
)
BEYOND = Rule(
    "schedule-beyond-training",
    "The schedule changes the learning rate only after the training has ended.",
    "A step at epoch 80 of a training of 50 epochs never comes; a cycle longer than the training is cut off while the "
    "rate is still high. What was meant to lower the noise at the end does not happen.",
    "",
    "Give lengths as shares of the training: 0.5 instead of 80 epochs.",
)
DIES = Rule(
    "schedule-dies-early",
    "The learning rate is practically zero for most of the training.",
    "Factors multiply: 0.1 every two epochs is 1e-10 after twenty. From then on the weights stand still, and the "
    "epochs that are left cost time and teach nothing.",
    f"Warns where the rate in the middle of the training is below {GONE:g} of the optimizer's.",
    "Lower it less often or by less, or use cosine, which falls to the end.",
)
PLATEAU_MODE = Rule(
    "plateau-mode",
    "The schedule waits for the monitored figure to change the wrong way.",
    "reduce_on_plateau looks at the figure that early_stopping monitors. With mode min, a rising accuracy looks like "
    "no improvement at all, and the learning rate is cut again and again while the network is still learning.",
    "",
    "Write 'reduce_on_plateau: {mode: max}' for accuracy and the like, min for a loss.",
)
STOPPING_MODE = Rule(
    "stopping-mode",
    "Early stopping takes a worse figure for a better one.",
    "With mode max on a loss, or min on an accuracy, the first epochs look best: training stops when the network "
    "improves, and the weights of the worst epoch are kept.",
    "",
    "Leave early_stopping.mode out: it follows from the figure.",
)
NEVER = Rule(
    "patience-too-long",
    "The patience is as long as the training, so that it never stops early.",
    "Early stopping ends the training after `patience` evaluations without improvement. Where there are no more than "
    "that in the whole training, it can end nothing.",
    "Warns where patience is at least the number of evaluations.",
    "Make it a tenth to a fifth of the epochs, or train longer.",
    "Prechelt (1998), Early stopping - but when?",
)
RESTLESS = Rule(
    "patience-too-short",
    "The training stops at the first evaluation that is a little worse.",
    "The validation loss of a network goes up and down from epoch to epoch by chance. With a patience of one, or with "
    "a min_delta that no ordinary epoch improves by, the first unlucky one ends the training.",
    f"Warns for a patience of 1, and for min_delta from {LARGE_DELTA:g} on.",
    "Set patience to 5 to 20, and min_delta to 1e-3 or less.",
    "Prechelt (1998), Early stopping - but when?",
)
WATCHES_TRAINING = Rule(
    "stopping-on-training-figure",
    "Early stopping watches the training part, though there is a validation part.",
    "The training loss falls as long as the network memorises; it does not show when it stops to learn what holds for "
    "other rows. That is what the validation part is for.",
    "",
    "Monitor val_loss, or leave monitor out.",
    "Prechelt (1998), Early stopping - but when?",
)
NO_STOPPING = Rule(
    "no-early-stopping",
    "A long training at a lasting learning rate, with nothing that ends it when it no longer helps.",
    "After enough epochs a network begins to memorise its rows, and the validation loss rises again. Without early "
    "stopping the last weights are the result, not the best ones.",
    f"Warns from {MANY_EPOCHS} epochs on with a validation part, where the schedule does not bring the rate to zero.",
    "Add 'early_stopping: {patience: 10}', or a schedule that ends, such as cosine.",
    "Prechelt (1998), Early stopping - but when?",
)
PLATEAU_NEVER = Rule(
    "plateau-never-acts",
    "Early stopping ends the training before the schedule lowers the rate.",
    "Both wait for the same figure to get better. Where early stopping has the shorter patience, or the training is "
    "too short, the schedule never acts.",
    "",
    "Give reduce_on_plateau half of the patience of early_stopping, or less.",
)


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with the schedule and with early stopping."""
    yield from _warmup(reading)
    yield from _beyond(reading)
    yield from _plateau(reading)
    yield from _stopping(reading)
    yield from _no_stopping(reading)


def _warmup(reading: Reading) -> Iterator[Finding]:
    schedule = reading.spec.schedule
    share = reading.share(schedule.warmup)
    if share is not None and share > LONG_WARMUP:
        judged = WARMUP.fail if share >= 1 else WARMUP.warn
        yield judged(
            f"the warm-up takes {share:.0%} of the training.",
            where=reading.where("schedule", schedule.name, "warmup"),
            value=share,
            threshold=LONG_WARMUP,
        )


def _beyond(reading: Reading) -> Iterator[Finding]:
    schedule = reading.spec.schedule
    lengths: list[tuple[str, Length]] = []
    match schedule:
        case Step():
            lengths = [("every", schedule.every)]
        case MultiStep():
            lengths = [("at", length) for length in schedule.at]
        case Cosine() if schedule.cycle is not None:
            lengths = [("cycle", schedule.cycle)]
        case _:
            pass
    for field, length in lengths:
        share = reading.share(length)
        if share is not None and (share > 1 or (share == 1 and field != "cycle")):
            yield BEYOND.warn(
                f"{length} is {share:.2g} times the length of the training.",
                where=reading.where("schedule", schedule.name, field),
                value=share,
                threshold=1,
            )
            return
    rate = _rate_at_half(reading, schedule)
    if rate is not None and rate < GONE:
        yield DIES.warn(
            f"in the middle of the training the rate is {rate:.1g} of the optimizer's.",
            where=reading.where("schedule", schedule.name),
            value=rate,
            threshold=GONE,
        )


def _rate_at_half(reading: Reading, schedule: Schedule) -> float | None:
    """Return the rate in the middle of the training over the optimizer's; None where only the data know it."""
    clock = reading.clock
    if isinstance(schedule, ReduceOnPlateau) or any(
        reading.share(length) is None for length in (schedule.warmup, getattr(schedule, "every", 0))
    ):
        return None
    warmup = reading.share(schedule.warmup) or 0
    return None if warmup > LONG_WARMUP else schedule.lr_at(clock.total_steps // 2, 1.0, clock)


def _plateau(reading: Reading) -> Iterator[Finding]:
    schedule, stopping = reading.spec.schedule, reading.spec.early_stopping
    if not isinstance(schedule, ReduceOnPlateau):
        return
    better = _better(stopping.monitor if stopping else None)
    if better is not None and schedule.mode != better:
        monitored = stopping.monitor if stopping and stopping.monitor else "the loss"
        yield PLATEAU_MODE.fail(
            f"mode is {schedule.mode}, and {monitored} gets better by growing."
            if better == "max"
            else f"mode is {schedule.mode}, and {monitored} gets better by falling.",
            where=reading.where("schedule", schedule.name, "mode"),
        )
    patience = stopping.patience if stopping else inf
    shortest = min(patience, _evaluations(reading) or inf)
    if schedule.patience >= shortest:
        ends = "early stopping's" if patience == shortest else "and the training's evaluations are"
        yield PLATEAU_NEVER.warn(
            f"its patience is {schedule.patience}, {ends} {shortest:g}.",
            where=reading.where("schedule", schedule.name, "patience"),
            value=schedule.patience,
            threshold=shortest,
        )


def _stopping(reading: Reading) -> Iterator[Finding]:
    stopping = reading.spec.early_stopping
    if stopping is None:
        return
    better = _better(stopping.monitor)
    if stopping.mode is not None and better is not None and stopping.mode != better:
        yield STOPPING_MODE.fail(
            f"mode is {stopping.mode}, and {stopping.monitor or 'the loss'} is better when it is "
            f"{'large' if better == 'max' else 'small'}.",
            where=reading.where("early_stopping", "mode"),
        )
    if (stopping.monitor or "").startswith("train_") and reading.spec.data.split.validation != 0:
        yield WATCHES_TRAINING.warn(f"{stopping.monitor} is watched.", where=reading.where("early_stopping", "monitor"))
    evaluations = _evaluations(reading)
    if evaluations is not None and stopping.patience >= evaluations:
        yield NEVER.warn(
            f"patience {stopping.patience} in a training of {evaluations:g} evaluations.",
            where=reading.where("early_stopping", "patience"),
            value=stopping.patience,
            threshold=evaluations,
        )
    if stopping.patience == 1:
        yield RESTLESS.warn("patience is 1.", where=reading.where("early_stopping", "patience"), value=1)
    elif stopping.min_delta >= LARGE_DELTA and reading.spec.loss.task == "classification":
        yield RESTLESS.warn(
            f"only an improvement by more than {stopping.min_delta:g} counts.",
            where=reading.where("early_stopping", "min_delta"),
            value=stopping.min_delta,
            threshold=LARGE_DELTA,
        )


def _no_stopping(reading: Reading) -> Iterator[Finding]:
    spec, epochs = reading.spec, reading.epochs
    falls = isinstance(spec.schedule, Cosine | OneCycle | Polynomial)
    validates = spec.data.split.validation != 0 and not isinstance(spec.data.source, Gate)
    if spec.early_stopping is None and validates and not falls and epochs is not None and epochs >= MANY_EPOCHS:
        yield NO_STOPPING.warn(
            f"{epochs:g} epochs at a lasting rate.",
            where=reading.where("training", "epochs"),
            value=epochs,
            threshold=MANY_EPOCHS,
        )


def _evaluations(reading: Reading) -> float | None:
    """Return how often the monitored figure is measured."""
    return None if reading.epochs is None else reading.epochs // reading.spec.training.evaluate_every


def _better(monitor: str | None) -> Literal["min", "max"] | None:
    """Return which way the monitored figure gets better; None for one that is not known."""
    figure = (monitor or "val_loss").partition("_")[2]
    if figure == "loss":
        return "min"
    member = Metric.members().get(figure)
    return None if member is None else "max" if member.greater_is_better else "min"
