"""The targets: how many rows each class has, and how large the values of a regression are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.checks.outlying import judge_outlying, measure_outlying
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted

__all__ = ["judge_classes", "judge_values", "measure_classes", "measure_values"]

IMBALANCE = 10
LARGE, HUGE, TINY = 10, 1000, 0.01
CAPPED = 0.01

BALANCE = Rule(
    "class-balance",
    about="Some class has far fewer rows than another.",
    why="A network that never says the rare class is right nearly always, so accuracy looks fine and means nothing. "
    "Most batches hold no row of the rare class, and its gradient drowns in that of the others.",
    threshold="Warns where the largest class of the training part has more than ten times the rows of the smallest, "
    "unless the loss has a class_weight or data.augment a smote.",
    fix="Weigh the classes, `class_weight: balanced` in the loss, and judge by balanced_accuracy, f1 or roc_auc.",
    source="He and Garcia (2009), Learning from imbalanced data",
)

ABSENT = Rule(
    "class-absent",
    about="A part of the data has no row of some class.",
    why="How well a class is told apart cannot be measured on a part that has none of it, and a class that the "
    "training part lacks cannot be learned. It happens where rows stand in the order of their classes and are split in "
    "that order, and where a class has few rows.",
    threshold="Fails where a part lacks a class of which it should have 3 rows or more by its share of the training "
    "part; warns where it should have fewer.",
    fix="Split at random and by class: data.split.shuffle=true, data.split.stratify=true.",
)

CONSTANT_TARGET = Rule(
    "constant-target",
    about="The target of a regression never changes.",
    why="There is nothing to predict: whoever always says the one value is right. A network learns that within a few "
    "steps and its loss looks splendid; R2 is not even defined. Mostly the wrong column was named, or it was read "
    "wrongly.",
    threshold="Fails where every training row has the same target.",
    fix="Look at the column: is it the one to predict, and is it read as it should be (separator, units)?",
)

TARGET_SCALE = Rule(
    "target-scale",
    about="The targets of a regression are far larger or smaller than what a new network says.",
    why="The outputs of a new network are around 1. To reach targets of 100,000, weights have to grow for thousands of "
    "steps, or, with a squared error, the first gradients are so large that everything diverges.",
    threshold="As the network sees them, a target's mean or standard deviation: warns above 10 or where the standard "
    "deviation is below 0.01, fails above 1,000.",
    fix="Set data.target_scaling=standard; metrics and predictions stay in the targets' own units.",
)

CAPPED_TARGET = Rule(
    "capped-target",
    about="Many targets are equal to the largest or smallest one.",
    why="That is how it looks where values beyond a limit were cut off. For these rows the true value is not known, "
    "and the network learns that nothing lies beyond the limit.",
    threshold="For targets of more than 100 distinct values: warns where more than 1 % of the rows have the largest "
    "one, or the smallest one unless that is 0.",
    fix="Keep it in mind, predict whether the limit is reached instead, or leave these rows out.",
)


def measure_classes(view: View) -> dict[str, Any]:
    """Return the classes and how many rows of each there are in every part."""
    assert view.classes is not None
    assert view.y is not None
    counts = {
        name: np.bincount(view.y[rows], minlength=len(view.classes)).tolist() for name, rows in view.parts.items()
    }
    return {"names": list(view.classes), "counts": counts}


def judge_classes(view: View, found: dict[str, Any]) -> Iterator[Finding]:
    """Judge the rows of each class."""
    names, train = found["names"], np.array(found["counts"]["train"])
    yield from _absent(found)
    most, least = int(train.argmax()), int(train.argmin())
    ratio = float(train[most] / max(1, train[least]))
    share = train[most] / train.sum()
    figures: dict[str, Any] = {"value": ratio, "threshold": IMBALANCE}
    row = "row" if view.experiment is None else "training row"
    said = (
        f"class {names[least]} has {counted(int(train[least]), row)}, class {names[most]} {train[most]:,}; "
        f"always guessing {names[most]} is right in {share:.1%}"
    )
    if ratio == 1:
        yield BALANCE.passed(f"{len(names)} classes of {counted(int(train[least]), row)} each.", **figures)
    elif ratio <= IMBALANCE:
        yield BALANCE.passed(f"{len(names)} classes: {said}.", **figures)
    elif view.experiment is not None and getattr(view.experiment.loss, "class_weight", None) is not None:
        yield BALANCE.passed(f"{said}; the loss weighs the classes.", **figures)
    elif view.experiment is not None and view.experiment.data.train.made:
        made = counted(view.experiment.data.train.made, "row")
        yield BALANCE.passed(f"{said}; {made} made by data.augment fill up the others.", **figures)
    else:
        if view.experiment is not None:
            rows = view.experiment.batch_rows
            empty = (1 - train[least] / train.sum()) ** rows
            said += f", and {empty:.0%} of the batches of {rows} have no row of class {names[least]}"
        yield BALANCE.warn(f"{said}.", **figures)


def _absent(found: dict[str, Any]) -> Iterator[Finding]:
    names = found["names"]
    train = np.array(found["counts"]["train"])
    for part, counts in found["counts"].items():
        missing = np.flatnonzero(np.array(counts) == 0)
        if not len(missing):
            continue
        expected = train[missing] / train.sum() * sum(counts)
        k = missing[expected.argmax()]
        more = f" ({len(missing) - 1} more likewise)" if len(missing) > 1 else ""
        said = f"no row of class {names[k]}{more}; by its share of the training part it should have "
        judge = ABSENT.fail if expected.max() >= 3 or part == "train" else ABSENT.warn
        yield judge(f"{said}{expected.max():.1f}.", where=f"{part} part", value=float(expected.max()), threshold=3)


def measure_values(view: View) -> dict[str, Any]:
    """Return the size of regression targets, in their own units and as the network sees them."""
    assert view.y is not None
    y = np.asarray(view.y, np.float64)[view.parts["train"]]
    distinct, counts = np.unique(y[:, 0], return_counts=True)
    found = {
        "min": y.min(0).tolist(),
        "mean": y.mean(0).tolist(),
        "max": y.max(0).tolist(),
        "std": y.std(0).tolist(),
        "distinct": len(distinct),
        "at_min": float(counts[0] / len(y)),
        "at_max": float(counts[-1] / len(y)),
        **measure_outlying(y, None if view.experiment is None else view.experiment.loss),
    }
    if view.data is not None:
        seen = view.data.train.y.astype(np.float64)
        found |= {"seen_mean": seen.mean(0).tolist(), "seen_std": seen.std(0).tolist()}
    return found


def judge_values(found: dict[str, Any]) -> Iterator[Finding]:
    """Judge the size of regression targets, whether a few lie far out, and whether they are cut off."""
    for low, high in zip(found["min"], found["max"], strict=True):
        if low == high:
            yield CONSTANT_TARGET.fail(f"the target is {low:,.6g} in every training row.", value=0.0, threshold=0.0)
            return
    yield judge_outlying(found)
    if "seen_mean" in found:
        mean, std = np.array(found["seen_mean"]), np.array(found["seen_std"])
        sizes = np.maximum(np.abs(mean), std)
        k = int(sizes.argmax())
        said = f"the targets that the network sees have mean {mean[k]:.3g} and standard deviation {std[k]:.3g}."
        if sizes[k] > HUGE:
            yield TARGET_SCALE.fail(said, value=float(sizes[k]), threshold=HUGE)
        elif sizes[k] > LARGE or std.min() < TINY:
            yield TARGET_SCALE.warn(said, value=float(sizes[k]), threshold=LARGE)
        else:
            yield TARGET_SCALE.passed(said, value=float(sizes[k]), threshold=LARGE)
    if found["distinct"] > 100:
        for end in ("max", "min"):
            share, limit = found[f"at_{end}"], found[end][0]
            if share > CAPPED and (end == "max" or limit != 0):
                yield CAPPED_TARGET.warn(
                    f"{share:.1%} of the targets are equal to the {'largest' if end == 'max' else 'smallest'}, "
                    f"{limit:,.6g}: they look cut off.",
                    value=share,
                    threshold=CAPPED,
                )
