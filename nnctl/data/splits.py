"""Splitting: which rows train, which choose between models, and which are kept for the last word."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array
from nnctl.core.component import Schema
from nnctl.core.errors import DataError
from nnctl.core.random import stream
from nnctl.data.table import PartName, Table, counted, rows_of

__all__ = ["SplitPlan", "split_rows"]

DEFAULT_SHARE = 0.15
PARTS: tuple[PartName, ...] = ("train", "validation", "test")


def _is_share_or_count(size: float) -> float:
    if isinstance(size, float) and size >= 1:
        raise PydanticCustomError("nnctl", f"must be a share < 1 or a whole number of rows. Got {size:g}.")
    return size


Size = Annotated[int | float, Field(ge=0), AfterValidator(_is_share_or_count)]


class SplitPlan(Schema):
    """How the rows are divided into a training, a validation and a test part.

    The test part is drawn first and the validation part from what is left; both sizes are shares of all rows and are
    rounded up. The draw is a pure function of the run's seed. Parts that the source defines are kept as they are, and
    shares are then shares of its training part.
    """

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "groups": "group",
        "stratified": "stratify",
        "test_size": "test",
        "val": "validation",
        "validation_size": "validation",
        "validation_split": "validation",
    }

    validation: Size | None = None
    """The validation part: a share below 1, or a number of rows; 0 for none. Left out: the source's own, or 0.15."""
    test: Size | None = None
    """The test part, likewise. It cannot be given where the source has a test part of its own."""
    stratify: bool | None = None
    """Give every class its share of every part. Left out: yes for classes, unless group, time or shuffle forbid."""
    group: str | None = None
    """A column whose rows with equal values stay together in one part, such as the patient; it is no input then.
    Sizes then count groups."""
    time: str | None = None
    """A column of numbers or dates (2024-12-31, 31.12.2024, 12/31/2024): the latest rows become the test part, those
    before them the validation part; it is no input then."""
    shuffle: bool = True
    """Draw rows at random. With false the last rows of the file become the test part."""


def split_rows(
    table: Table, plan: SplitPlan, labels: Array | None, classes: tuple[str, ...], seed: int
) -> dict[PartName, Array]:
    """Return the sorted row numbers of every part that is not empty; the parts are a partition of the table.

    Parameters
    ----------
    table : Table
        With the group and time columns in `side`.
    labels : int array (N,) or None
        Class indices; None for regression.
    classes : tuple of str
        The names of the classes, for messages.

    Raises
    ------
    DataError
        A part would be empty or lack a class, or the plan contradicts the source's own parts.
    """
    stratified = _is_stratified(plan, labels)
    parts = dict(table.parts)
    pool = parts.pop("train", rows_of(0, len(table)))
    units = len(pool) if plan.group is None else len(np.unique(table.side[plan.group][pool]))
    rng = stream(seed, "split")
    drawn: list[PartName] = []
    for name in ("test", "validation"):
        n = _size_of(name, plan, table, units)
        if n == 0:
            continue
        pool, parts[name] = _carve(pool, n, table, plan, labels=labels if stratified else None, rng=rng, name=name)
        drawn.append(name)
    parts["train"] = pool
    if labels is not None:
        _check_classes(parts, labels, classes, ["train", *drawn] if stratified else ["train"])
    return {name: parts[name] for name in PARTS if name in parts and len(parts[name])}


def _is_stratified(plan: SplitPlan, labels: Array | None) -> bool:
    rivals = [key for key in ("group", "time") if getattr(plan, key) is not None] + ["shuffle: false"] * (
        not plan.shuffle
    )
    if plan.group is not None and plan.time is not None:
        raise DataError("data.split: group and time exclude each other. Leave one out.")
    if not plan.stratify:
        return plan.stratify is None and labels is not None and not rivals
    if labels is None:
        raise DataError("data.split: stratify needs classes, and this is a regression. Leave stratify out.")
    if rivals:
        raise DataError(f"data.split: stratify and {rivals[0]} exclude each other. Leave one out.")
    return True


def _size_of(name: PartName, plan: SplitPlan, table: Table, units: int) -> int:
    """Return how many units (rows, or groups) the part draws from the pool; 0 where the source gives the part."""
    size = plan.test if name == "test" else plan.validation
    if name in table.parts:
        if size is not None:
            raise DataError(f"data.split: the source has a {name} part of its own. Leave '{name}: {size:g}' out.")
        return 0
    size = DEFAULT_SHARE if size is None else size
    return math.ceil(size * units) if isinstance(size, float) else size


def _carve(
    pool: Array,
    n: int,
    table: Table,
    plan: SplitPlan,
    *,
    labels: Array | None,
    rng: np.random.Generator,
    name: PartName,
) -> tuple[Array, Array]:
    """Return the pool without the part, and the part; both sorted."""
    if plan.group is not None:
        return _carve_groups(pool, n, table.side[plan.group][pool], rng, name)
    if n >= len(pool):
        raise DataError(
            f"data.split: the {name} part takes {counted(n, 'row')} of {len(pool):,} and leaves none to train on. "
            f"Sizes are shares of all {len(table):,} rows."
        )
    if labels is not None:
        order = _stratified_order(labels[pool], n, rng)
    elif plan.time is not None:
        order = np.argsort(table.side[plan.time][pool], kind="stable")
    else:
        order = rng.permutation(len(pool)) if plan.shuffle else rows_of(0, len(pool))
    return np.sort(pool[order[:-n]]), np.sort(pool[order[-n:]])


def _stratified_order(labels: Array, n: int, rng: np.random.Generator) -> Array:
    """Return a random order of the rows whose last n hold every class in its proportion.

    The classes that are kept follow the largest remainders of their exact shares, as in scikit-learn's
    StratifiedShuffleSplit, which breaks ties at random where here the first class wins.
    """
    counts = np.bincount(labels)
    exact = counts * ((len(labels) - n) / len(labels))
    kept = np.floor(exact).astype(np.int64)
    short = len(labels) - n - kept.sum()
    kept[np.argsort(kept - exact, kind="stable")[:short]] += 1
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_drawn = rank >= np.repeat(kept, counts)
    return np.concatenate([by_class[~is_drawn], by_class[is_drawn]])


def _carve_groups(pool: Array, n: int, groups: Array, rng: np.random.Generator, name: PartName) -> tuple[Array, Array]:
    from sklearn.model_selection import GroupShuffleSplit  # noqa: PLC0415 - a second to import, and only needed here

    there = len(np.unique(groups))
    if n >= there:
        raise DataError(
            f"data.split: the {name} part takes {counted(n, 'group')} of {there:,} and leaves none to train on."
        )
    splitter = GroupShuffleSplit(n_splits=1, test_size=n, random_state=int(rng.integers(2**31)))
    kept, drawn = next(splitter.split(pool, groups=groups))
    return np.sort(pool[kept]), np.sort(pool[drawn])


def _check_classes(
    parts: Mapping[PartName, Array], labels: Array, classes: tuple[str, ...], checked: Sequence[PartName]
) -> None:
    total = np.bincount(labels, minlength=len(classes))
    for name in checked:
        there = np.bincount(labels[parts[name]], minlength=len(classes))
        left_out = np.flatnonzero(there == 0)
        if len(left_out):
            k = left_out[0]
            part = "training" if name == "train" else name
            others = f" ({len(left_out) - 1} other classes likewise)" * (len(left_out) > 1)
            raise DataError(
                f"data.split: the {part} part has no row of class '{classes[k]}'{others}: "
                f"{counted(int(total[k]), 'row')} of {len(labels):,} {'is' if total[k] == 1 else 'are'} of that class. "
                f"Get more of them, drop the class, or split another way: "
                f"other sizes (0 for no such part), stratify, shuffle, or another seed."
            )
