"""The order of the rows, and the size of the part that judges."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.finding import Finding, Rule

__all__ = ["judge_order", "judge_validation", "measure_order"]

SORTED = 0.5
ENOUGH = 20
SMALL = 20
WORTH_SPLITTING = 50

ORDER = Rule(
    "sorted-rows",
    about="Rows with like targets stand together, and are used in that order.",
    why="Many files list one class after the other. Batches that are taken in that order hold one class only: the "
    "network learns to say that class, then the next one, and forgets. A split that cuts off the end of the file gives "
    "the validation part classes that the training part has hardly any of.",
    threshold="How much more often than by chance the next row has the same class, 1 if always, 0 if as by chance (in "
    "a regression: the correlation of each target's rank with the next one's). Above 0.5 in 20 rows or more: fails "
    "where training.shuffle is false and there is more than one batch, or where data.split.shuffle is false.",
    fix="Shuffle: training.shuffle=true and data.split.shuffle=true, which are the defaults.",
)

SMALL_VALIDATION = Rule(
    "small-validation",
    about="The validation part is too small to tell which model is better, or there is none.",
    why="An accuracy p on n rows has a standard error of sqrt(p (1 - p) / n). With 20 rows, 90 % may as well be 77 % "
    "or 100 %: early stopping and every choice between models then follow chance.",
    threshold="Warns below 20 rows, where the 95 % interval around 90 % reaches 13 points to either side, and where 50 "
    "or more rows train and there is neither a validation nor a test part.",
    fix="Give it more rows, data.split.validation=0.2, or train with several seeds and compare the spread.",
)


def measure_order(view: View) -> dict[str, Any]:
    """Return how far the rows of the training and validation part are sorted by their targets, as the file has them."""
    if view.y is None or len(view.pool) < ENOUGH:
        return {"sortedness": None}
    y = view.y[np.sort(view.pool)]
    if view.classes is None:
        rank = np.argsort(np.argsort(y[:, 0], kind="stable"), kind="stable").astype(np.float64)
        if y[:, 0].min() == y[:, 0].max():
            return {"sortedness": None}
        return {"sortedness": float(np.corrcoef(rank[:-1], rank[1:])[0, 1])}
    shares = np.bincount(y) / len(y)
    by_chance = float(np.square(shares).sum())
    same = float((y[1:] == y[:-1]).mean())
    return {"sortedness": (same - by_chance) / (1 - by_chance) if by_chance < 1 else None}


def judge_order(view: View, found: dict[str, Any]) -> Iterator[Finding]:
    """Judge the order of the rows together with how they are split and taken into batches."""
    sortedness = found["sortedness"]
    if sortedness is None:
        return
    figures: dict[str, Any] = {"value": sortedness, "threshold": SORTED}
    if sortedness <= SORTED:
        yield ORDER.passed(
            f"rows with like targets do not stand together in the source ({max(0.0, sortedness):.2f} of 1).", **figures
        )
        return
    said = f"rows with like targets stand together in the source ({sortedness:.2f} of 1)"
    if view.experiment is None:
        yield ORDER.passed(f"{said}: shuffle before splitting, which nnctl does by itself.", **figures)
        return
    spec = view.experiment.spec
    one_batch = view.experiment.batch_rows >= len(view.parts["train"])
    drawn = spec.data.split.time is None and not set(view.parts) <= {"train", *view.table.parts}
    faults = ["training.shuffle is false"] * (not spec.training.shuffle and not one_batch)
    faults += ["data.split.shuffle is false"] * (not spec.data.split.shuffle and drawn)
    if faults:
        keys = [fault.split(" ", 1)[0] for fault in faults]
        yield ORDER.fail(
            f"{said}, and {' and '.join(faults)}.",
            where=keys[0],
            fix=f"Set {' and '.join(f'{key}=true' for key in keys)}, which is the default.",
            **figures,
        )
    else:
        yield ORDER.passed(f"{said}, but the rows are shuffled.", **figures)


def judge_validation(view: View) -> Iterator[Finding]:
    """Judge the number of validation rows."""
    if "validation" not in view.parts:
        rows = len(view.parts["train"])
        if "test" not in view.parts and rows >= WORTH_SPLITTING:
            yield SMALL_VALIDATION.warn(f"{rows:,} rows train, and no row tells how it does on new ones.", value=0)
        return
    n = len(view.parts["validation"])
    share = 100 * 1.96 * sqrt(0.9 * 0.1 / n)
    said = f"{n:,} validation rows"
    if view.classes is not None:
        said += f": an accuracy of 90 % is known to {share:.1f} points to either side"
    judge = SMALL_VALIDATION.warn if n < SMALL else SMALL_VALIDATION.passed
    yield judge(f"{said}.", where="data.split", value=n, threshold=SMALL)
