"""Single columns that give the target away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.arrays import Array, Float
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted

__all__ = ["measure_leaks", "target_leaks"]

ROWS = 4000
"""So many rows are learned from, and so many are judged on, at most."""
FEWEST = 40
WIDEST = 4096
SKILL = 0.98
CONTINUOUS_SKILL = 0.995
RECODED = 0.9999

LEAK = Rule(
    "target-leak",
    about="One column alone predicts the target almost perfectly.",
    why="A column that is known only once the target is known (the date of the cancellation, the treatment for the "
    "disease, the price with tax) makes every score look splendid, and is not there, or not yet filled in, when the "
    "network is used. Some columns are honestly that good, and then there is little need of a network.",
    threshold="Each column alone predicts the other half of the rows: the commonest class (or the mean target) among "
    "the rows with the same, or else the nearest, value; in a regression also a straight line. Its skill is the share "
    "of the errors of always guessing the commonest class (or of the variance) that it avoids. Warns from 0.98 on, or "
    "0.995 where most rows have a value of their own; fails where it is 1 and values and classes go one to one, or "
    "from 0.9999 on in a regression. Of pictures and sequences all such places together are one finding. Copies count "
    "once. From 40 rows on; not for an only input.",
    fix="Ask whether the column is known at the time of prediction. If not, drop it: `drop: [NAME]` in the source.",
    source="Holte (1993), Very simple classification rules perform well on most commonly used datasets; Kaufman, "
    "Rosset and Perlich (2012), Leakage in data mining",
)


def measure_leaks(view: View, keys: Array) -> dict[str, float]:
    """Return the skill of every column by itself, none where rows or columns are too few, or no targets differ.

    Parameters
    ----------
    view : View
    keys : int array (N,)
        Equal for equal rows, of which only the first counts: copies in both halves would make any column look good.
    """
    names, columns = _columns(view)
    different = np.sort(np.unique(keys, return_index=True)[1])
    if view.y is None or len(different) < FEWEST or not 2 <= len(names) <= WIDEST:
        return {}
    order = np.random.default_rng(0).permutation(different)[: 2 * ROWS]
    half = len(order) // 2
    x = _numbers(columns, order)
    learn = _class_skill if view.classes else _value_skill
    y = view.y[order]
    if (y == y[0]).all():  # what never changes needs no column to give it away
        return {}
    return {name: learn(x[:, k], y, half) for k, name in enumerate(names)}


def _columns(view: View) -> tuple[list[str], Any]:
    if not view.is_grid:
        return list(view.frame.columns), view.frame
    x = np.asarray(view.table.x).reshape(len(view.table), -1)
    names = view.table.features or tuple(str(place) for place in np.ndindex(*view.table.x.shape[1:]))
    return list(names), x


def _numbers(columns: Any, rows: Array) -> Float:
    """Return the chosen rows of all columns as numbers: texts as their place in the sorted list, missing as a value."""
    if isinstance(columns, np.ndarray):
        return columns[rows].astype(np.float64)
    numbers = np.empty((len(rows), len(columns.columns)))
    for k, column in enumerate(columns):
        chosen = column[rows]
        ranks = chosen if chosen.dtype.is_numeric() else chosen.rank("dense")
        values = ranks.cast(float).to_numpy()
        top = np.nanmax(values, initial=0.0, where=np.isfinite(values))
        numbers[:, k] = np.nan_to_num(values, nan=2 * abs(top) + 1, posinf=4 * abs(top) + 2, neginf=-4 * abs(top) - 2)
    return numbers


def _nearest(known: Float, x: Float) -> Array:
    """Return the index of the sorted value in `known` that is nearest to each x."""
    middles = (known[1:] + known[:-1]) / 2
    return np.searchsorted(middles, x)


def _class_skill(x: Float, y: Array, half: int) -> float:
    """Return 1 - errors / errors of always guessing, where each value of x predicts its commonest class."""
    values, place = np.unique(x[:half], return_inverse=True)
    classes = int(y.max()) + 1
    counts = np.bincount(place * classes + y[:half], minlength=len(values) * classes).reshape(-1, classes)
    said = counts.argmax(1)[_nearest(values, x[half:])]
    guess = counts.sum(0).argmax()
    guessed_wrong = (y[half:] != guess).sum()
    return float(1 - (y[half:] != said).sum() / guessed_wrong) if guessed_wrong else 0.0


def _value_skill(x: Float, y: Array, half: int) -> float:
    """Return the largest R2 over the targets, where each value of x predicts its mean target, or a line does."""
    values, place, count = np.unique(x[:half], return_inverse=True, return_counts=True)
    nearest = _nearest(values, x[half:])
    skills = []
    for t in np.asarray(y, np.float64).T:
        by_value = (np.bincount(place, weights=t[:half]) / count)[nearest]
        by_line = t[:half].mean() + _slope(x[:half], t[:half]) * (x[half:] - x[:half].mean())
        total = np.square(t[half:] - t[:half].mean()).sum()
        left = min(np.square(t[half:] - said).sum() for said in (by_value, by_line))
        skills.append(1 - left / total if total else 0.0)
    return float(max(skills))


def _slope(x: Float, t: Float) -> float:
    """Return the slope of the line through the points that has the least squares."""
    away = x - x.mean()
    spread = float(away @ away)
    return float(away @ t) / spread if spread else 0.0


def target_leaks(view: View, skills: dict[str, float]) -> Iterator[Finding]:
    """Judge the columns that predict the target by themselves."""
    if not skills:
        return
    if view.is_grid and max(skills.values()) >= SKILL:
        yield _telling_places(view, skills)
        return
    found = False
    for name, skill in skills.items():
        limit = CONTINUOUS_SKILL if _is_continuous(view, name) else SKILL
        if skill < limit:
            continue
        found = True
        exact = skill >= RECODED and (view.classes is None or _goes_one_to_one(view, name))
        judge = LEAK.fail if exact else LEAK.warn
        avoids = "all" if skill >= RECODED else f"{skill:.1%}"
        of = "of the errors of guessing" if view.classes else "of the target's variance"
        yield judge(
            f"this column alone {'avoids' if view.classes else 'explains'} {avoids} {of}.",
            where=name,
            value=skill,
            threshold=limit,
            fix=LEAK.fix.replace("NAME", name),
        )
    if not found:
        best = max(skills, key=lambda name: skills[name])
        of = "of the errors of guessing" if view.classes else "of the target's variance"
        verb = "avoids" if view.classes else "explains"
        yield LEAK.passed(
            f"no column gives the target away; the best alone, {best}, {verb} {max(skills[best], 0):.0%} {of}.",
            value=skills[best],
            threshold=SKILL,
        )


def _telling_places(view: View, skills: dict[str, float]) -> Finding:
    """Return what is said of all places of a picture or a sequence that predict the target by themselves."""
    telling = [name for name, skill in skills.items() if skill >= SKILL]
    best = max(telling, key=lambda name: skills[name])
    of = "of the errors of guessing" if view.classes else "of the target's variance"
    others = f", and {counted(len(telling) - 1, 'other place')} nearly as much" if len(telling) > 1 else ""
    exact = view.classes is None and skills[best] >= RECODED
    return (LEAK.fail if exact else LEAK.warn)(
        f"this place alone {'avoids' if view.classes else 'explains'} {skills[best]:.1%} {of}{others}.",
        where=best,
        value=skills[best],
        threshold=SKILL,
        fix="Look at the samples there: a mark that goes with the class will not be there when the network is used. "
        "Where the classes honestly differ so much, there is little need of a network.",
    )


def _is_continuous(view: View, name: str) -> bool:
    return not view.is_grid and view.frame[name].n_unique() > 0.5 * len(view.table)


def _goes_one_to_one(view: View, name: str) -> bool:
    return view.classes is not None and not view.is_grid and view.frame[name].n_unique() == len(view.classes)
