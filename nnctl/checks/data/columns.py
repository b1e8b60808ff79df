"""The raw columns, one by one: what they hold, what is missing, and which of them say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Rule
from nnctl.data.dates import dates_of
from nnctl.data.table import counted

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "columns_of",
    "hidden_missing_values",
    "identifiers",
    "identifying",
    "missing_values",
    "non_finite_values",
]

MANY_MISSING = 0.5
ENOUGH_ROWS = 20
"""In fewer rows, all values of a column may well be different by chance."""

MISSING = Rule(
    "missing-values",
    about="A column is more empty than full.",
    why="A missing number is filled with the median (or what `impute` says), a missing category becomes one of its "
    "own. Where most rows are filled, the network learns from the filling rather than from the column. That a value is "
    "missing may also say something by itself: a test that was never ordered, a question that was not answered.",
    threshold="Warns where more than half of the values of a column are missing.",
    fix="Drop the column, `drop: [NAME]` in the source, or find out why it is empty and collect it again.",
)

NON_FINITE = Rule(
    "non-finite-values",
    about="An input is infinite or not a number.",
    why="One NaN or infinity in a batch makes the loss and every weight NaN in a single step, and nothing that follows "
    "means anything. They come from a division by zero, the logarithm of 0, a sensor that failed, or a merge of two "
    "tables that found no partner.",
    threshold="Fails where there is one.",
    fix="Find out where it comes from. Remove these rows, or fill the values before nnctl reads them.",
)

HIDDEN = Rule(
    "hidden-missing-values",
    about="A number such as -999 seems to stand for a missing value.",
    why="Many programs write -999 or 99999 where nothing was measured. Read as a number it is an outlier that draws "
    "the mean away, so that after scaling all true values look alike.",
    threshold="Warns where a number of nines (two at least, with or without a sign) is the smallest or largest of its "
    "column, stands there more than once, and is either the only negative value or farther from the next value than "
    "all other values from each other.",
    fix="If it means missing, tell the source: `missing: ['', '-999']`. If it is a cap, keep it and know of it.",
)

IDENTIFIER = Rule(
    "identifier-columns",
    about="A column names or numbers the rows.",
    why="A running number, a patient's number or a UUID is different in every row, so a network can use it to learn "
    "the training rows by heart, and it says nothing about a new row. Where the rows are sorted by the target, the "
    "running number even gives the answer away.",
    threshold="Warns where texts are different in more than 90 % of the rows, or whole numbers in all rows: either "
    "rising or falling through the file, or so closely packed that n numbers drawn from their range R would all differ "
    "with probability exp(-n^2 / 2R) < exp(-5) (the birthday problem). From 21 rows on, and not for an only input.",
    fix="Leave it out: `drop: [NAME]` in the source.",
)


def columns_of(view: View) -> list[dict[str, Any]]:
    """Return what each raw column holds: type, missing, infinite and distinct values, smallest, mean, largest."""
    if not view.is_grid:
        return [_described(column) for column in view.frame]
    x = np.asarray(view.table.x)
    finite = np.isfinite(x) if x.dtype.kind == "f" else None
    values = x if finite is None or finite.all() else x[finite]
    shape = " x ".join(map(str, view.image_shape or x.shape[1:]))
    return [
        {
            "name": f"{counted(int(np.prod(x.shape[1:])), 'pixel' if view.image_shape else 'value')} ({shape})",
            "type": str(x.dtype),
            "rows": len(x),
            "missing": int(np.isnan(x).sum()) if x.dtype.kind == "f" else 0,
            "infinite": int(np.isinf(x).sum()) if x.dtype.kind == "f" else 0,
            "distinct": None,
            "min": float(values.min()),
            "mean": float(values.mean(dtype=np.float64)),
            "max": float(values.max()),
        }
    ]


def _described(column: pl.Series) -> dict[str, Any]:
    there = column.drop_nulls()
    found: dict[str, Any] = {
        "name": column.name,
        "rows": len(column),
        "missing": column.null_count(),
        "infinite": 0,
        "distinct": there.n_unique(),
        "min": None,
        "mean": None,
        "max": None,
    }
    if not column.dtype.is_numeric():
        return found | {"type": "text" if not len(there) or dates_of(column) is None else "date"}
    infinite = int(there.is_infinite().sum()) if column.dtype.is_float() else 0
    kind = "whole" if _are_whole(there) else "number"
    found |= {"type": kind, "infinite": infinite}
    if len(there) and not infinite:
        values = there.to_numpy()
        found |= {"min": float(values.min()), "mean": float(values.mean()), "max": float(values.max())}
    return found


def _are_whole(column: pl.Series) -> bool:
    return column.dtype.is_integer() or bool((column == column.floor()).all())


def missing_values(view: View, columns: list[dict[str, Any]]) -> Iterator[Finding]:
    """Judge how much is missing of every column; in an array a missing number is not filled but refused."""
    gaps = {column["name"]: column["missing"] / column["rows"] for column in columns if column["missing"]}
    if isinstance(view.table.x, np.ndarray):
        return
    for name, share in gaps.items():
        if share > MANY_MISSING:
            yield MISSING.warn(
                f"{share:.0%} of its values are missing.",
                where=name,
                value=share,
                threshold=MANY_MISSING,
                fix=MISSING.fix.replace("NAME", name),
            )
    if not gaps:
        yield MISSING.passed(f"no value is missing in {counted(len(columns), 'column')}.", value=0.0)
    elif max(gaps.values()) <= MANY_MISSING:
        worst = max(gaps, key=lambda name: gaps[name])
        yield MISSING.passed(
            f"{len(gaps)} of {counted(len(columns), 'column')} have missing values, most of them {worst}: "
            f"{gaps[worst]:.1%} of the rows.",
            value=gaps[worst],
            threshold=MANY_MISSING,
        )


def non_finite_values(view: View, columns: list[dict[str, Any]]) -> Iterator[Finding]:
    """Fail for every column with an infinity, and for every array with a NaN."""
    is_array = isinstance(view.table.x, np.ndarray)
    bad = [column for column in columns if column["infinite"] or (is_array and column["missing"])]
    for column in bad:
        kinds = [(column["infinite"], "infinite")] + [(column["missing"], "NaN")] * is_array
        said = " and ".join(f"{counted(n, 'value')} {'is' if n == 1 else 'are'} {kind}" for n, kind in kinds if n)
        count = column["infinite"] + column["missing"] * is_array
        yield NON_FINITE.fail(f"{said}.", where=column["name"], value=count, threshold=0)
    if not bad:
        yield NON_FINITE.passed("every number is finite.", value=0, threshold=0)


def hidden_missing_values(view: View) -> Iterator[Finding]:
    """Warn of numbers of nines at the far end of a column."""
    for column in [] if view.is_grid else view.frame:
        if not column.dtype.is_numeric():
            continue
        values, counts = np.unique(column.drop_nulls().to_numpy(), return_counts=True)
        values = values.astype(np.float64)
        if len(values) < 4 or not np.isfinite(values).all():
            continue
        for end, nearest, farthest in ((0, 1, -1), (-1, -2, 0)):
            is_far = abs(values[end] - values[nearest]) > abs(values[nearest] - values[farthest])
            stands_out = is_far or values[end] < 0 <= values[nearest]
            if counts[end] > 1 and stands_out and re.fullmatch(r"-?99+(\.0)?", str(values[end])):
                yield HIDDEN.warn(
                    f"{values[end]:g} stands in {counted(int(counts[end]), 'row')}; "
                    f"the next value is {values[nearest]:g}.",
                    where=column.name,
                    value=float(values[end]),
                    fix=HIDDEN.fix.replace("-999", f"{values[end]:.0f}"),
                )


def identifiers(view: View) -> Iterator[Finding]:
    """Warn of inputs that only tell the rows apart."""
    for name, reason in ({} if view.is_grid else identifying(view.frame)).items():
        yield IDENTIFIER.warn(reason, where=name, fix=IDENTIFIER.fix.replace("NAME", name))


def identifying(frame: pl.DataFrame) -> dict[str, str]:
    """Return the columns that look like identifiers, and why; an only column is none, for there is nothing else."""
    if len(frame) <= ENOUGH_ROWS or len(frame.columns) == 1:
        return {}
    reasons = {column.name: _identifies(column) for column in frame}
    return {name: reason for name, reason in reasons.items() if reason}


def _identifies(column: pl.Series) -> str:
    """Return why a column looks like an identifier, or ""."""
    there, n = column.drop_nulls(), len(column)
    distinct = there.n_unique()
    if not column.dtype.is_numeric():
        is_text = distinct > 0.9 * n and dates_of(column) is None
        return f"{distinct:,} distinct texts in {n:,} rows look like an identifier." if is_text else ""
    if distinct < n or not _are_whole(there):
        return ""
    values = there.to_numpy().astype(np.float64)
    if _is_monotone(values):
        return f"its {n:,} whole numbers go one way through the file, like a running number."
    packed = n * n / (2 * (values.max() - values.min() + 1))
    return f"its {n:,} whole numbers are all different, like numbers that were handed out." if packed > 5 else ""


def _is_monotone(values: Array) -> bool:
    steps = np.diff(values)
    return bool((steps > 0).all() or (steps < 0).all())
