"""Runs side by side, best first, with the keys of their specs in which they differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnctl.core.errors import UsageError
from nnctl.core.hints import did_you_mean
from nnctl.runs import query
from nnctl.runs.groups import Group, Member, Pair, grouped, paired
from nnctl.runs.keys import differing, dotted, full_dotted
from nnctl.runs.listing import Entry
from nnctl.runs.result import Mode, Result, mode_of, result_of

__all__ = ["Comparison", "Row", "compare"]


@dataclass(frozen=True, slots=True)
class Row:
    """One run.

    Parameters
    ----------
    entry : Entry
    result : Result
    value : float or None
        Its value of the figure that the runs are compared by.
    facts : mapping
        All that ``--where``, ``--sort`` and ``--columns`` can name.
    settings : str
        Its spec without name and seed; runs that share it can be grouped.
    """

    entry: Entry
    result: Result
    value: float | None
    facts: Mapping[str, Any]
    settings: str


@dataclass(frozen=True)
class Comparison:
    """The runs that were compared.

    Parameters
    ----------
    metric : str
        The figure that they are compared by.
    mode : {"min", "max"}
        Which way it is better.
    rows : list of Row
        Best first, unless sorted otherwise; those without a value last.
    others : list of Entry
        What is broken or no run.
    keys : list of str
        The keys in which their specs differ.
    tests : list of str
        The figures of the test part that any of them has.
    groups : list of Group
        Specs that were trained with two seeds or more, best first.
    pairs : list of Pair
        These groups against each other.
    notes : list of str
        What a reader should know.
    """

    metric: str
    mode: Mode
    rows: list[Row]
    others: list[Entry]
    keys: list[str]
    tests: list[str]
    groups: list[Group]
    pairs: list[Pair]
    notes: list[str]

    @property
    def known(self) -> set[str]:
        """All keys that some run has."""
        return {key for row in self.rows for key in row.facts}


def compare(
    entries: Sequence[Entry],
    *,
    metric: str | None = None,
    where: str | None = None,
    last: int | None = None,
    sort: str | None = None,
) -> Comparison:
    """Compare runs.

    Parameters
    ----------
    entries : sequence of Entry
        Runs, and what lies beside them.
    metric : str, optional
        The figure to compare by; by default the one that all of them monitor, else ``val_loss``.
    where : str, optional
        Only those that fulfil a condition; see `nnctl.runs.query`.
    last : int, optional
        Only so many, the newest.
    sort : str, optional
        A key to sort by, upward; downward with a hyphen before it.

    Raises
    ------
    UsageError
        For a condition that cannot be read, and for keys that no run has.
    """
    wanted = None if where is None else query.parse(where)
    known = [(entry, result_of(entry)) for entry in entries if entry.kind == "run"]
    notes: list[str] = []
    by = _metric([result for _, result in known], metric, notes)
    rows = _rows(known, by)
    if wanted is not None:
        fulfil = {id(facts) for facts in wanted.select([row.facts for row in rows])} if rows else set()
        if rows and not fulfil:
            notes.append(f"no run fulfils '{where}'. {wanted.choices([row.facts for row in rows])}".strip())
        rows = [row for row in rows if id(row.facts) in fulfil]
    if last is not None:
        rows = sorted(rows, key=lambda row: (row.facts["created"], row.entry.name))[-last:]
    mode = next((row.result.mode for row in rows if row.result.monitor == by), mode_of(by))
    _sort(rows, mode, sort)
    one_of_each = {row.settings: row.entry.spec for row in rows}
    specs = {settings: dotted(spec) for settings, spec in one_of_each.items()}
    keys = differing(list(specs.values()))
    groups = grouped([_member(row) for row in rows if row.entry.status == "done"], specs, mode)
    notes += _warnings(entries, rows, by, groups)
    others = [entry for entry in entries if entry.kind in ("broken", "foreign")] if where is None else []
    tests = list(dict.fromkeys(name for row in rows for name in row.result.figures if name.startswith("test_")))
    return Comparison(by, mode, rows, others, keys, tests, groups, paired(groups, by, mode), notes)


def _metric(results: Sequence[Result], asked: str | None, notes: list[str]) -> str:
    figures = dict.fromkeys(name for r in results for name in (*r.figures, r.monitor) if name is not None)
    if asked is not None:
        if results and asked not in figures:
            hint = did_you_mean(asked, figures) or f" Known: {', '.join(sorted(figures)) or 'none'}."
            raise UsageError(f"--metric: no run has the figure '{asked}'.{hint}")
        return asked
    monitors = Counter(result.monitor for result in results if result.monitor is not None)
    if len(monitors) > 1:
        taken = "val_loss" if "val_loss" in figures else monitors.most_common(1)[0][0]
        counted = ", ".join(f"{name} in {count}" for name, count in sorted(monitors.items()))
        notes.append(
            f"the runs monitor different figures ({counted}): they are compared by {taken}; --metric changes it"
        )
        return taken
    return next(iter(monitors), "val_loss")


def _rows(known: Sequence[tuple[Entry, Result]], metric: str) -> list[Row]:
    flat: dict[str, dict[str, Any]] = {}
    rows = []
    for entry, result in known:
        settings = json.dumps({k: v for k, v in entry.spec.items() if k not in ("name", "seed")}, sort_keys=True)
        if settings not in flat:
            flat[settings] = full_dotted(entry.spec) | dotted(entry.spec)
        rows.append(Row(entry, result, result.figure(metric), _facts(entry, result, flat[settings]), settings))
    return rows


def _facts(entry: Entry, result: Result, spec: Mapping[str, Any]) -> dict[str, Any]:
    summary, environment = entry.summary, entry.environment
    seed = entry.spec.get("seed", environment.get("seed"))
    facts = {f"environment.{key}": value for key, value in environment.items() if not isinstance(value, dict)}
    facts |= spec
    facts |= result.figures
    if result.monitor is not None:
        facts[result.monitor] = result.best_value
    return facts | {
        "name": entry.name,
        "spec": str(entry.record.get("name", "")),
        "status": entry.status,
        "seed": seed if isinstance(seed, int) else None,
        "best": result.best_value,
        "epoch": result.best_epoch,
        "epochs": result.epochs,
        "steps": summary.get("steps"),
        "parameters": result.parameters,
        "time": result.seconds,
        "monitor": result.monitor,
        "reason": summary.get("reason"),
        "created": str(entry.record.get("created", "")),
    }


def _sort(rows: list[Row], mode: Mode, sort: str | None) -> None:
    sign = 1 if mode == "min" else -1
    rows.sort(key=lambda row: (row.value is None, sign * (row.value or 0.0), row.entry.name))
    if sort is None or not rows:
        return
    key, down = sort.removeprefix("-"), sort.startswith("-")
    try:
        key = query.resolve(key, {key for row in rows for key in row.facts})
    except UsageError as error:
        raise UsageError(f"--sort: {error}") from None
    have = [row for row in rows if row.facts.get(key) is not None]
    numbers = all(isinstance(row.facts[key], int | float) for row in have)
    have.sort(key=lambda row: row.facts[key] if numbers else str(row.facts[key]), reverse=down)
    rows[:] = have + [row for row in rows if row.facts.get(key) is None]


def _member(row: Row) -> Member:
    return Member(row.settings, row.facts["spec"], row.facts["seed"], row.value, row.facts["created"])


def _warnings(entries: Sequence[Entry], rows: Sequence[Row], metric: str, groups: Sequence[Group]) -> list[str]:
    notes = []
    checks = sum(entry.kind == "check" for entry in entries)
    if checks:
        notes.append(f"{checks} check{'s' if checks > 1 else ''} left out; nnctl ls shows them")
    late = sum(
        row.result.weights == "last" and row.result.monitor == metric and row.result.best_epoch != row.result.epochs
        for row in rows
    )
    if late:
        them = "1 run keeps the weights of its" if late == 1 else f"{late} runs keep the weights of their"
        notes.append(
            f"{them} last epoch (no early_stopping): test and train figures are of that epoch, {metric} of the best one"
        )
    again = sum(group.repeated for group in groups)
    if again:
        runs = "1 run repeats a seed of its group" if again == 1 else f"{again} runs repeat seeds of their groups"
        notes.append(f"{runs}: the newest of a seed counts")
    return notes
