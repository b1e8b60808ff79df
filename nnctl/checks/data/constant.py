"""Columns and pixels that have one value only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted

__all__ = ["constant_columns", "measure_constant"]

MANY = 0.5

CONSTANT = Rule(
    "constant-columns",
    about="A column has the same value in all training rows.",
    why="What never changes can tell nothing apart: its weights learn only what a bias learns already. It is harmless "
    "as such, as at the margin of scanned digits; in a table it is mostly a column that was filtered by, or one that "
    "was read wrong. If it changes in new rows, the network meets an input that it has never been trained on.",
    threshold="Warns for a column of a table; for pictures where more than half of the pixels are constant; for "
    "sequences where more than half of a step's numbers are, at every step.",
    fix="Drop the column, `drop: [NAME]` in the source, or look at how it is read.",
)


CONSTANT_INPUTS = Rule(
    "constant-inputs",
    about="No input ever changes.",
    why="Every row looks the same to the network, so it can say the same of all of them and no more: whatever else is "
    "found, such as equal rows with different targets, follows from that. The file was read with the wrong separator "
    "or header, a key is the wrong one, or a filter has left one kind of row.",
    threshold="Fails where every input has one value in all training rows.",
    fix="Look at how the source is read: its separator, its header, its key.",
)


def measure_constant(view: View) -> dict[str, Any]:
    """Return which inputs have one value in the training part, and how many of these in the validation part too."""
    if view.data is None:
        names = [] if view.is_grid else [c.name for c in view.frame if c.drop_nulls().n_unique() <= 1]
        constant = _one_value(_flat(np.asarray(view.table.x))) if view.is_grid else None
        count = len(names) if constant is None else int(constant.sum())
        width = len(view.frame.columns) if constant is None else len(constant)
        found = {"inputs": width, "train": count, "train_and_validation": count, "names": names}
        return found if constant is None else {**found, "share": _share(view, constant)}
    train = view.inputs["train"]
    constant = _one_value(train)
    both = constant
    if "validation" in view.inputs:
        both = constant & (view.inputs["validation"] == train[0]).all(0)
    names = [view.names[k].split("=")[0] if view.is_onehot[k] else view.names[k] for k in np.flatnonzero(constant)]
    return {
        "inputs": len(view.names),
        "train": int(constant.sum()),
        "train_and_validation": int(both.sum()),
        "names": names[:100],
        "share": _share(view, constant),
    }


def _share(view: View, constant: Array) -> float:
    """Return the share that is constant: of pixels, of columns, or of a step's numbers, each at all steps."""
    if view.is_grid and view.image_shape is None:
        shape = view.table.x.shape if view.data is None else view.data.input_shape
        return float(constant.reshape(-1, shape[-1]).all(axis=0).mean())
    return float(constant.mean())


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1)


def _one_value(x: Array) -> Array:
    return np.asarray(x.max(0) == x.min(0))


def constant_columns(view: View, found: dict[str, Any]) -> Iterator[Finding]:
    """Judge the inputs that have one value only."""
    count, width = found["train"], found["inputs"]
    rows = len(view.parts["train"])
    what = "pixels" if view.image_shape else "values of a row" if view.is_grid else "columns"
    if count == width:
        said = f"{'the only input never changes' if width == 1 else f'none of {width} inputs ever changes'} in "
        yield CONSTANT_INPUTS.fail(f"{said}{counted(rows, 'row')}.", value=count, threshold=width)
    elif view.is_grid:
        said = f"{count} of {width} {what} have one value in all {rows:,} {'training ' if view.data else ''}rows"
        if "validation" in view.parts:
            said += f", {found['train_and_validation']} of them in the validation rows as well"
        figures = {"value": found["share"], "threshold": MANY}
        if found["share"] <= MANY:
            yield CONSTANT.passed(f"{said}.", **figures)
        elif view.image_shape is not None:
            yield CONSTANT.warn(f"{said}.", fix="Look at the pictures; cut a margin off before training.", **figures)
        else:
            said += f"; {found['share']:.0%} of the numbers of a step never change at any step"
            fix = "Leave out the numbers of a step that never change, or look at how the file is read."
            yield CONSTANT.warn(f"{said}.", fix=fix, **figures)
    elif count:
        names = ", ".join(found["names"][:5]) + (", ..." if count > 5 else "")
        yield CONSTANT.warn(
            f"{count} of {width} inputs {'has' if count == 1 else 'have'} one value in all {rows:,} rows: {names}.",
            value=count,
            threshold=0,
            fix=CONSTANT.fix.replace("NAME", names),
        )
    else:
        yield CONSTANT.passed(f"{counted(width, 'input')}, none of them with one value only.", value=0, threshold=0)
