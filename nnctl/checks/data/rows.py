"""Equal rows: copies within a part, rows that two parts share, and equal inputs with different labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nnctl.checks.data.columns import identifying
from nnctl.checks.data.view import View
from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import blocks, counted

if TYPE_CHECKING:
    import polars as pl

__all__ = ["equal_rows", "measure_rows", "row_keys"]

FEW_COPIES = 0.01
MANY_SHARED = 0.1
MANY_WINDOWS = 0.5
FEW_CONFLICTS = 0.05
UNAVOIDABLE = 0.05

DUPLICATE = Rule(
    "duplicate-rows",
    about="Rows stand in the data several times.",
    why="A copy adds no information, only weight: the network learns those rows several times over. Worse, a random "
    "split puts one copy into the training part and another into the validation part, which is then no test any more. "
    "Copies come from files that were joined twice, or from a query that repeats rows. Rows of few categories can be "
    "equal without being copies; columns that are dropped still count here, those that only number the rows do not.",
    threshold="Counts rows that equal an earlier one in every column and the target. Warns from 1 % on, unless rows "
    "whose columns are shuffled one by one are equal at least half as often, so that chance explains it.",
    fix="Remove the copies before splitting. If they are true repetitions, keep them together: data.split.group.",
)

SHARED = Rule(
    "shared-rows",
    about="Rows of the validation or test part are in the training part too.",
    why="The network has seen these rows with their answers, so its score on them says how well it remembers, and not "
    "how well it will do on new rows. This is the commonest leak: copies before the split, the same file given twice, "
    "several pictures of one patient. Where few columns take few values, rows can be equal without being the same.",
    threshold="Counts rows that equal a training row (for the test part: or a validation row) in every column and the "
    "target. Warns from 1 % of the part and 3 rows on; fails from 10 % on where rows with equal inputs have the same "
    "target too, as copies have, and at most 1 in 20 groups of equal inputs has different ones; passes where chance "
    "explains it, as for duplicate-rows. Of the windows of one text, which may repeat itself, warns beyond 50 %.",
    fix="Remove the copies, then split again; or keep what belongs together in one part with data.split.group.",
    source="Kapoor and Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science",
)

CONFLICT = Rule(
    "label-conflicts",
    about="Rows with equal inputs have different targets.",
    why="No network can tell such rows apart, so it is wrong about some of them whatever it learns: this is a floor "
    "under the error. Either labels are wrong, or the columns that would tell the rows apart are missing or dropped.",
    threshold="Classes: the share of rows that stay wrong if every group of equal inputs gets its most frequent label. "
    "Regression: the share of the targets' variance that lies within groups of equal inputs. Warns above 5 %.",
    fix="Look at these rows: mend the labels, or give the network the column that tells them apart.",
)


def measure_rows(view: View, whole: Array) -> dict[str, Any]:
    """Count equal rows.

    Parameters
    ----------
    view : View
    whole : int array (N,)
        What `row_keys` gives.
    """
    inputs = _input_keys(view)
    pool, train = view.pool, view.parts["train"]
    found: dict[str, Any] = {
        "pool": len(pool),
        "copies": _copies(whole[pool]),
        "copies_in_training": _copies(whole[train]),
        "equal_inputs": _copies(inputs[pool]),
        "shared": {},
        **_conflicts(view, inputs),
    }
    for name in ("validation", "test"):
        if name not in view.parts:
            continue
        part, seen = view.parts[name], pool if name == "test" else train
        is_copy = np.isin(whole[part], whole[seen])
        found["shared"][name] = {
            "rows": len(part),
            "copies": int(is_copy.sum()),
            "distinct": len(np.unique(whole[part][is_copy])),
            "equal_inputs": int(np.isin(inputs[part], inputs[seen]).sum()),
        }
    shares = [found["copies"] / len(pool)] + [part["copies"] / part["rows"] for part in found["shared"].values()]
    found["copies_by_chance"] = _copies_by_chance(view, pool) if max(shares) >= FEW_COPIES else 0
    return found


def _copies(keys: Array) -> int:
    return len(keys) - len(np.unique(keys))


def row_keys(view: View) -> Array:
    """Return a number for every row, (N,), that is the same for rows that are equal in all columns, the target too.

    It is a 64-bit hash; that two of a million different rows get the same has a probability of 3e-8.
    """
    return _keys(_frame_of(view)) if not view.is_grid else _hashes(np.asarray(view.table.x), view.table.y)


def _frame_of(view: View) -> pl.DataFrame:
    """Return all columns of the source and the target, but for those that only number the rows."""
    import polars as pl  # noqa: PLC0415 - 150 ms

    x = view.whole.x
    frame = pl.DataFrame(x, schema=list(view.whole.features)) if isinstance(x, np.ndarray) else x
    columns = frame.drop(identifying(frame)).get_columns()
    if view.whole.y is not None:
        columns += [pl.Series(target) for target in view.whole.y.reshape(len(frame), -1).T]
    return pl.DataFrame([column.alias(str(k)) for k, column in enumerate(columns)])


def _keys(frame: pl.DataFrame) -> Array:
    return frame.hash_rows().to_numpy()


def _hashes(x: Array, y: Array | None = None) -> Array:
    """Return a hash of every row of x, and of y beside it; 0 and -0 are the same number."""
    zero = x.dtype.type(0)
    rows = (row.tobytes() for block in blocks(x) for row in block + zero)
    if y is not None:
        rows = (row + target.tobytes() for row, target in zip(rows, y, strict=True))
    return np.fromiter(map(hash, rows), np.int64, len(x))


def _input_keys(view: View) -> Array:
    """Return a number for every row that is the same for rows that the network cannot tell apart."""
    if view.data is None:
        return _keys(view.frame) if not view.is_grid else _hashes(np.asarray(view.table.x))
    keys = np.zeros(len(view.table), np.int64)
    for name, x in view.inputs.items():
        keys[view.parts[name]] = _hashes(x)
    return keys


def _copies_by_chance(view: View, pool: Array) -> int:
    """Count copies among rows whose columns were shuffled one by one, so that only chance makes them equal."""
    rng = np.random.default_rng(0)
    if view.is_grid:
        return _copies(_hashes(rng.permuted(np.asarray(view.table.x)[pool], axis=0)))
    frame = _frame_of(view)[pool]
    return _copies(_keys(frame.select(column.shuffle(seed=k) for k, column in enumerate(frame))))


def _conflicts(view: View, keys: Array) -> dict[str, Any]:
    """Return how many groups of equal inputs there are, in how many the targets differ, and the error they force."""
    if view.y is None:
        return {"groups": 0, "conflicts": 0, "unavoidable": 0.0}
    _, group, size = np.unique(keys, return_inverse=True, return_counts=True)
    groups = int((size > 1).sum())
    if view.classes is None:
        y = np.asarray(view.y, np.float64)
        mean = np.stack([np.bincount(group, weights=column) / size for column in y.T], 1)[group]
        within, total = np.square(y - mean).sum(), np.square(y - y.mean(0)).sum()
        differs = np.bincount(group, weights=(np.abs(y - mean) > 1e-9 * np.abs(y).max()).any(1)) > 0
        share = float(within / total) if total else 0.0
        return {"groups": groups, "conflicts": int(differs.sum()), "unavoidable": share}
    pairs, count = np.unique(group * len(view.classes) + view.y, return_counts=True)
    of = pairs // len(view.classes)
    most = np.zeros(len(size), np.int64)
    np.maximum.at(most, of, count)
    return {
        "groups": groups,
        "conflicts": int((np.bincount(of) > 1).sum()),
        "unavoidable": float((size - most).sum() / len(keys)),
    }


def equal_rows(view: View, found: dict[str, Any]) -> Iterator[Finding]:
    """Judge copies, shared rows and conflicting labels."""
    if view.table.tokens is not None and view.y is None:
        yield from _repeated_windows(found)
        return
    chance = found["copies_by_chance"] / found["pool"]
    if view.y is not None:
        yield _judged_conflicts(view, found)
    yield _judged_copies(view, found, chance)
    for name, part in found["shared"].items():
        yield _judged_shared(name, part, chance, are_copies=found["conflicts"] <= FEW_CONFLICTS * found["groups"])


def _repeated_windows(found: dict[str, Any]) -> Iterator[Finding]:
    """Judge rows that are windows of one text, which may well repeat itself: no rows to be removed."""
    share = found["copies"] / found["pool"]
    said = (
        f"{found['copies']:,} of {found['pool']:,} windows ({share:.2%}) equal an earlier one: the text repeats itself."
    )
    yield DUPLICATE.passed(said if found["copies"] else f"no two of {found['pool']:,} windows are equal.", value=share)
    for name, part in found["shared"].items():
        share = part["copies"] / part["rows"]
        said = f"{part['copies']:,} of {part['rows']:,} windows ({share:.2%}) stand in the training part too."
        where, fix = f"{name} part", "Look whether the text contains itself; cut it where something new begins."
        more: dict[str, Any] = {"where": where, "value": share, "threshold": MANY_WINDOWS}
        yield SHARED.warn(said, fix=fix, **more) if share > MANY_WINDOWS else SHARED.passed(said, **more)


def _judged_copies(view: View, found: dict[str, Any], chance: float) -> Finding:
    copies, n = found["copies"], found["pool"]
    share = copies / n
    figures: dict[str, Any] = {"value": share, "threshold": FEW_COPIES}
    if not copies:
        return DUPLICATE.passed(f"no two of {n:,} {view.pool_name} are equal.", **figures)
    verb = "repeats" if copies == 1 else "repeat"
    said = f"{copies:,} of {n:,} {view.pool_name} ({share:.2%}) {verb} an earlier row in every column"
    if share < FEW_COPIES:
        return DUPLICATE.passed(f"{said}.", **figures)
    if chance >= share / 2:
        return DUPLICATE.passed(
            f"{said}, which is no wonder with so few values: {found['copies_by_chance']:,} would by chance.", **figures
        )
    return DUPLICATE.warn(f"{said}; by chance it would be {found['copies_by_chance']:,}.", **figures)


def _judged_shared(name: str, part: dict[str, Any], chance: float, *, are_copies: bool) -> Finding:
    copies, n, equal = part["copies"], part["rows"], part["equal_inputs"]
    share = copies / n
    figures: dict[str, Any] = {"where": f"{name} part", "value": share, "threshold": FEW_COPIES}
    others = "training or validation" if name == "test" else "training"
    if not copies:
        more = f"; {equal:,} have equal inputs but differ in other columns or the target" if equal else ""
        return SHARED.passed(f"none of {n:,} rows is a {others} row{more}.", **figures)
    said = f"{copies:,} of {n:,} rows ({share:.2%}) are {others} rows too"
    if share < FEW_COPIES or copies < 3:
        return SHARED.passed(f"{said}, too few to matter.", **figures)
    if chance >= share / 2:
        return SHARED.passed(f"{said}, which is no wonder with so few values.", **figures)
    if share >= MANY_SHARED and copies == equal and are_copies:
        return SHARED.fail(
            f"{said}, with the same label: the score on this part is worth little.",
            **figures | {"threshold": MANY_SHARED},
        )
    return SHARED.warn(f"{said}.", **figures)


def _judged_conflicts(view: View, found: dict[str, Any]) -> Finding:
    share, groups = found["unavoidable"], found["conflicts"]
    figures: dict[str, Any] = {"value": share, "threshold": UNAVOIDABLE}
    if not groups:
        return CONFLICT.passed("equal inputs have equal targets everywhere.", **figures)
    what = f"{counted(groups, 'distinct input')} {'stands' if groups == 1 else 'stand'} with different targets"
    floor = (
        f"{share:.2%} of the rows cannot be got right by any network"
        if view.classes
        else f"{share:.2%} of the variance cannot be explained by any network"
    )
    judge = CONFLICT.warn if share > UNAVOIDABLE else CONFLICT.passed
    return judge(f"{what}; {floor}.", **figures)
