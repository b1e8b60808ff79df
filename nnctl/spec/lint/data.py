"""What a spec does to its data, as far as it can be told without reading them."""

from __future__ import annotations

from collections.abc import Iterator

from nnctl.core.finding import Finding, Rule
from nnctl.data.scaling import MinMax, NoScaling, Pixels
from nnctl.data.sources import Source, bundled, card, delimited, generated, openml, parquet, time_series
from nnctl.data.sources.labelled_texts import LabelledTexts
from nnctl.data.sources.text import Corpus
from nnctl.data.sources.windowed import Windowed
from nnctl.spec.lint.reading import Reading

__all__ = ["findings"]

WIDE = 10.0
NARROW = 0.1
"""Inputs between which ends are too far apart, or too close, for weights of the usual size."""
MUCH_HELD_BACK = 0.6

INPUT_SCALING = Rule(
    "input-scaling",
    "The inputs go into the network in their own units.",
    "A column in thousands beside one in tenths rules the first layer: its weights see gradients ten thousand times "
    "as large, so that no learning rate suits both. Large inputs also drive units into their flat ends, or dead, in "
    "the first steps.",
    "",
    "Leave data.scaling out (standard), or use pixels for images.",
    "LeCun, Bottou, Orr and Müller (1998), Efficient BackProp, section 4.3",
)
SCALING_RANGE = Rule(
    "scaling-range",
    "The scaling brings the inputs into a range that suits no network.",
    "Weights are drawn for inputs around 0 that spread by about 1. Inputs of thousandths give signals and gradients "
    "that are as small; inputs of hundreds saturate units at once.",
    f"Warns where the range is narrower than {NARROW:g} or reaches beyond {WIDE:g}; and for pixels on columns that are "
    f"none, or with a white that is not the data's.",
    "Use standard for tables; pixels with the data's own white for images ({pixels: 16} for digits).",
    "LeCun, Bottou, Orr and Müller (1998), Efficient BackProp, section 4.3",
)
TARGET_SCALING = Rule(
    "target-scaling",
    "The targets of the regression are large, and not scaled.",
    "A new network predicts numbers around 0. Where the targets are around 150, the first thing that it must learn is "
    "to add 150 to everything; the loss starts in the ten thousands, and gradients are as large.",
    "",
    "Write 'target_scaling: standard' below data; metrics and predictions stay in the target's own units.",
    "Bishop (1995), Neural networks for pattern recognition, section 8.2",
)
IDLE_TARGET_SCALING = Rule(
    "target-scaling-ignored",
    "Targets are scaled in a regression only.",
    "The loss is one for classes, and classes have no scale. The key does nothing; perhaps another loss was meant.",
    "",
    "Take data.target_scaling out, or use a regression loss such as mse.",
)
CLASSES = Rule(
    "regression-on-classes",
    "A regression loss is used where there are classes to tell apart.",
    "With mse, class 2 is twice as much as class 1, and a row of class 0 is less wrong as 1 than as 2. Classes have no "
    "such order, and what the network says is no probability.",
    "",
    "Use cross_entropy, or binary_cross_entropy for two classes.",
    "Bishop (2006), section 4.3",
)
NO_VALIDATION = Rule(
    "no-validation",
    "There is no validation part: nobody sees whether the network learns or memorises.",
    "The training loss falls in both cases. Only rows that are not trained on show the difference, and tell when to "
    "stop and which of two specs is better.",
    "",
    "Leave data.split.validation out (0.15).",
    "Hastie, Tibshirani and Friedman (2009), section 7.2",
)
NO_TEST = Rule(
    "no-test",
    "There is no test part for the last word.",
    "Whoever chooses an epoch, a learning rate or a width by the validation part has used it up: its figure is too "
    "good. Rows that nothing was chosen by give the honest one.",
    "",
    "Leave data.split.test out (0.15).",
    "Hastie, Tibshirani and Friedman (2009), section 7.2",
)
LITTLE_LEFT = Rule(
    "little-training-data",
    "Most rows are held back, and few are left to learn from.",
    "Validation and test parts need enough rows to be trusted, and no more: what they take is missing in training.",
    f"Warns where they take more than {MUCH_HELD_BACK:.0%} of the rows.",
    "Take 0.15 for each.",
)
ORDERED = Rule(
    "split-in-file-order",
    "The last rows of the file become the test part.",
    "Files are often sorted, by class, by place or by date. The parts then hold different things, and a network is "
    "tested on what it has never seen the like of.",
    "",
    "Leave data.split.shuffle out. Where the rows are a series in time, name the column: split: {time: date}.",
)

RAW: tuple[type[Source], ...] = (
    bundled.Digits,
    bundled.Iris,
    bundled.Wine,
    bundled.BreastCancer,
    generated.SwissRoll,
)
"""Sets whose columns are in units of their own."""
ANY_UNITS: tuple[type[Source], ...] = (
    delimited.Csv,
    delimited.Tsv,
    parquet.Parquet,
    openml.OpenML,
    card.FromCard,
    time_series.TimeSeries,
)
"""Sources that may hold anything."""
CLASS_SETS: tuple[type[Source], ...] = (
    generated.Moons,
    generated.Circles,
    generated.Blobs,
    generated.Spirals,
)


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with the source, the scaling and the split."""
    yield from _targets(reading)
    yield from _scaling(reading)
    yield from _split(reading)


def _targets(reading: Reading) -> Iterator[Finding]:
    data, loss = reading.spec.data, reading.spec.loss
    is_regression = loss.task == "regression"
    if is_regression and isinstance(data.source, CLASS_SETS):
        yield CLASSES.warn(f"{loss.name} on the classes of {data.source.name}.", where=reading.where("loss"))
    elif is_regression and isinstance(data.target_scaling, NoScaling) and isinstance(data.source, bundled.Diabetes):
        yield TARGET_SCALING.warn(
            "the targets of diabetes run from 25 to 346.", where=reading.where("data", "target_scaling")
        )
    elif not is_regression and not isinstance(data.target_scaling, NoScaling):
        yield IDLE_TARGET_SCALING.warn(f"{loss.name} is for classes.", where=reading.where("data", "target_scaling"))


def _scaling(reading: Reading) -> Iterator[Finding]:
    source, scaling = reading.spec.data.source, reading.spec.data.scaling
    where = reading.where("data", "scaling", scaling.name)
    if isinstance(source.source() if isinstance(source, card.FromCard) else source, Corpus | LabelledTexts):
        return  # tokens are never scaled
    match scaling:
        case NoScaling():
            is_raw = isinstance(source, RAW) or (isinstance(source, bundled.Diabetes) and not source.scaled)
            # A file may hold scaled columns; where the data are at hand, they are measured instead.
            if is_raw or (isinstance(source, ANY_UNITS) and reading.sizes is None):
                held = "are in units of their own" if is_raw else "may be in any units"
                yield INPUT_SCALING.warn(f"the columns of {source.name} {held}.", where=where)
        case MinMax(range=(low, high)) if high - low < NARROW or max(abs(low), abs(high)) > WIDE:
            yield SCALING_RANGE.warn(f"the inputs are brought into {low:g} to {high:g}.", where=where)
        case Pixels(white=white) if isinstance(source, bundled.Digits) and white != 16:
            yield SCALING_RANGE.warn(
                f"white is {white:g}, and in digits it is 16: the inputs come out between 0 and {16 / white:.2g}.",
                where=where,
            )
        case Pixels() if isinstance(source, (*RAW, bundled.Diabetes)) and not isinstance(source, bundled.Digits):
            yield SCALING_RANGE.warn(f"the columns of {source.name} are no pixels.", where=where)
        case _:
            yield INPUT_SCALING.passed(f"the inputs are scaled: {scaling.name}.", where=where)


def _split(reading: Reading) -> Iterator[Finding]:
    split, source = reading.spec.data.split, reading.spec.data.source
    if isinstance(source, generated.Gate):
        return  # a truth table is all there is
    if split.validation == 0:
        yield NO_VALIDATION.warn("data.split.validation is 0.", where=reading.where("data", "split", "validation"))
    if split.test == 0:
        yield NO_TEST.warn("data.split.test is 0.", where=reading.where("data", "split", "test"))
    held_back = sum(_share(part, reading) for part in (split.validation, split.test))
    if held_back > MUCH_HELD_BACK:
        yield LITTLE_LEFT.warn(
            f"{held_back:.0%} of the rows are held back.",
            where=reading.where("data", "split"),
            value=held_back,
            threshold=MUCH_HELD_BACK,
        )
    if not split.shuffle and split.time is None and not isinstance(source, Windowed):
        yield ORDERED.warn("data.split.shuffle is false.", where=reading.where("data", "split", "shuffle"))


def _share(part: float | None, reading: Reading) -> float:
    """Return the share of the rows that a part takes, as far as it is known."""
    if part is None or part < 1:
        return part or 0.0
    return part / (part + reading.sizes.rows) if reading.sizes else 0.0
