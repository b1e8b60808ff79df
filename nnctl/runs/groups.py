"""Runs of one spec over several seeds, and whether two such groups differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from nnctl.runs.keys import differing, short_forms, text_of
from nnctl.runs.result import Mode
from nnctl.runs.statistics import ALPHA, Spread, decimals, mean_and_std, seeds_needed, sign_flip, spread

__all__ = ["Group", "Member", "Pair", "grouped", "paired"]


@dataclass(frozen=True, slots=True)
class Member:
    """One run: its spec without name and seed, the spec's name, its seed, its value, and when it was made."""

    settings: str
    name: str
    seed: int | None
    value: float | None
    created: str


@dataclass(frozen=True)
class Group:
    """One spec over its seeds.

    Parameters
    ----------
    label : str
        The spec's name, or where several share it, the keys in which they differ.
    settings : str
        The spec without name and seed.
    values : mapping of int to float
        The value of each seed.
    spread : Spread
    repeated : int
        Runs left out because a newer one has their seed.
    """

    label: str
    settings: str
    values: Mapping[int, float]
    spread: Spread
    repeated: int = 0


@dataclass(frozen=True)
class Pair:
    """Two groups, over the seeds that both have.

    Parameters
    ----------
    one, other : str
        Their labels; `one` has the better mean over all its seeds.
    seeds : int
        How many seeds both have.
    difference : float or None
        Mean of one minus other over these seeds.
    p : float or None
        Of the exact paired test, times the number of pairs of groups, since any could have come out so (Bonferroni).
    better : bool
        Whether the test shows one of them to be better.
    verdict : str
        What can be said, in a sentence.
    """

    one: str
    other: str
    seeds: int
    difference: float | None
    p: float | None
    better: bool
    verdict: str


def grouped(members: Sequence[Member], specs: Mapping[str, Mapping[str, Any]], mode: Mode) -> list[Group]:
    """Return the groups with two seeds or more, best mean first.

    Parameters
    ----------
    members : sequence of Member
    specs : mapping
        The dotted spec of each member's settings.
    mode : {"min", "max"}
    """
    seeds: dict[str, dict[int, Member]] = {}
    counted: Counter[str] = Counter()
    for member in sorted(members, key=lambda member: member.created):
        if member.seed is not None and member.value is not None:
            seeds.setdefault(member.settings, {})[member.seed] = member
            counted[member.settings] += 1
    several = {settings: by_seed for settings, by_seed in seeds.items() if len(by_seed) > 1}
    labels = _labels({settings: next(iter(m.values())).name for settings, m in several.items()}, specs)
    groups = []
    for settings, by_seed in several.items():
        values = {seed: member.value for seed, member in sorted(by_seed.items()) if member.value is not None}
        repeated = counted[settings] - len(values)
        groups.append(Group(labels[settings], settings, values, spread(list(values.values())), repeated))
    return sorted(groups, key=lambda group: group.spread.mean if mode == "min" else -group.spread.mean)


def paired(groups: Sequence[Group], metric: str, mode: Mode) -> list[Pair]:
    """Return the pairs of up to 5 groups; of more, the best one against each of the others."""
    tests = len(groups) * (len(groups) - 1) // 2
    pairs = list(combinations(groups, 2)) if len(groups) <= _ALL_PAIRS else [(groups[0], group) for group in groups[1:]]
    return [_pair(one, other, tests, metric, mode) for one, other in pairs]


_ALL_PAIRS = 5


def _pair(one: Group, other: Group, tests: int, metric: str, mode: Mode) -> Pair:
    shared = sorted(one.values.keys() & other.values.keys())
    needed = seeds_needed(tests)
    both = f"{one.label} and {other.label}"
    if len(shared) < 2:
        has = "1 seed" if shared else "no seed"
        verdict = f"{both} share {has}, so they cannot be compared: train both with --seeds {needed}."
        return Pair(one.label, other.label, len(shared), None, None, better=False, verdict=verdict)
    differences = [one.values[seed] - other.values[seed] for seed in shared]
    difference, std = mean_and_std(differences)
    p = min(1.0, tests * sign_flip(differences))
    ahead, behind = (one, other) if (difference < 0) == (mode == "min") else (other, one)
    shown = decimals(std, difference)
    by = f"{abs(difference):.4g}" if shown is None else f"{abs(difference):.{shown}f}"
    measured = (
        f"{metric} is {by} {'lower' if mode == 'min' else 'higher'} for {ahead.label} in the mean of {len(shared)} "
        f"shared seeds, p = {p:.2g}."
    )
    if p < ALPHA:
        verdict = f"{ahead.label} is better than {behind.label}: {measured}"
    elif len(shared) < needed:
        among = f" in {tests} comparisons" if tests > 1 else ""
        verdict = f"{both}: {measured} {len(shared)} seeds cannot reach p < {ALPHA}{among}; {needed} can."
    else:
        verdict = f"{both}: {measured} That is no evidence of a difference."
    return Pair(one.label, other.label, len(shared), difference, p, better=p < ALPHA, verdict=verdict)


def _labels(names: Mapping[str, str], specs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return a label for each settings: the name where it is the only one of that name, else what sets it apart."""
    same = Counter(names.values())
    keys = differing([specs[settings] for settings in names])
    short = short_forms(keys)
    labels = {}
    for settings, name in names.items():
        apart = ", ".join(f"{short[key]}={text_of(specs[settings][key])}" for key in keys if key in specs[settings])
        labels[settings] = name if same[name] == 1 else apart or name
    return labels
