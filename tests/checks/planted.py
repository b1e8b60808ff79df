"""Specs with one planted fault each, healthy ones, and the small tables that they read."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPECS = Path(__file__).parent / "specs"
ROWS = 500
Row = list[object]


@dataclass(frozen=True)
class Planted:
    """A spec beside its tables, and the rules that would be right to name first; none for a healthy one.

    Those under ``fresh`` were written when rules, thresholds and order stood, and nothing was tuned on them.
    """

    path: Path
    faults: tuple[str, ...]
    is_fresh: bool

    @property
    def name(self) -> str:
        return self.path.stem


def lay_out(folder: Path) -> list[Planted]:
    """Copy every spec into a folder, write the tables beside them, and return the specs, healthy ones first."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (header, rows) in tables().items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    found = []
    for kind in ("healthy", "faults", "fresh/healthy", "fresh/faults"):
        for source in sorted((SPECS / kind).glob("*.yaml")):
            shutil.copy(source, folder / source.name)
            found.append(Planted(folder / source.name, faults_of(source), is_fresh=kind.startswith("fresh")))
    return found


def faults_of(spec: Path) -> tuple[str, ...]:
    """Return the rules that the first line of a spec names: ``# Fault: input-scaling, input-scale``."""
    first = spec.read_text(encoding="utf-8").splitlines()[0]
    fault = re.fullmatch(r"# Fault: (.+)", first)
    return tuple(fault[1].split(", ")) if fault else ()


# ------------------------------------------------------------------ tables


def tables() -> dict[str, tuple[list[str], Sequence[Row]]]:
    """Return every table by the name of its file."""
    rng = np.random.default_rng(20)
    lent, header = loans(rng, ROWS), ["income", "debt", "age", "years", "region", "repaid"]
    rented, flat_header = flats(rng, ROWS), ["area", "rooms", "year", "district", "rent"]
    return {
        "loans.csv": (header, lent),
        "flats.csv": (flat_header, [emptied(row, rng) for row in rented]),
        "tripled.csv": (header, lent[:200] * 3),
        "leak.csv": ([*header[:-1], "reminders", "repaid"], [leaked(row, rng) for row in lent]),
        "conflicts.csv": (header, conflicting(rng)),
        "shuffled.csv": (header, shuffled(lent, rng)),
        "identifier.csv": (["customer", *header], [[10_000 + i, *row] for i, row in enumerate(lent)]),
        "constant.csv": (["currency_rate", *header], [[1.0, *row] for row in lent]),
        "minus999.csv": (header, [[-999 if rng.random() < 0.1 else row[0], *row[1:]] for row in lent]),
        "minus999age.csv": (header, [[*row[:2], -999 if rng.random() < 0.1 else row[2], *row[3:]] for row in lent]),
        "imbalanced.csv": (header, imbalanced(rng)),
        "sorted.csv": (["a", "b", "c", "kind"], kinds(rng)),
        "byrent.csv": (flat_header, sorted(rented, key=lambda row: float(str(row[-1])))),
        **fresh_tables(header, lent, flat_header, rented, rng),
        "outlier.csv": (flat_header, [*rented[:250], [*rented[250][:-1], 1_200_000], *rented[251:]]),
    }


def fresh_tables(
    header: list[str], lent: list[Row], flat_header: list[str], rented: list[Row], rng: np.random.Generator
) -> dict[str, tuple[list[str], Sequence[Row]]]:
    """Return the tables of the fresh specs."""
    clouds = [row for _, row in sorted(zip(rng.random(600), kinds(rng), strict=True), key=lambda pair: pair[0])]
    noisy = [[round(float(str(row[0])) + rng.normal(0, 50)), *row[1:]] for row in lent]
    return {
        "fee.csv": (["paid", *flat_header], [[round(1.05 * float(str(row[-1])) + 12), *row] for row in rented]),
        "infinite.csv": (header, [["inf", *lent[0][1:]], *lent[1:]]),
        "typo.csv": (header, [[*lent[0][:-1], "yse"], *lent[1:]]),
        "names.csv": (["name", *header], [[f"K-{rng.integers(1 << 40):x}", *row] for row in lent]),
        "empty.csv": (["second_income", *header], [[5 if rng.random() < 0.03 else "", *row] for row in lent]),
        "copies.csv": (header, [*lent, *noisy]),
        "shifted.csv": (["a", "b", "c", "kind"], [[*row[:-1], clouds[i - 1][-1]] for i, row in enumerate(clouds)]),
        "byarea.csv": (flat_header, sorted(rented, key=lambda row: float(str(row[0])))),
        "billion.csv": (header, [[1_000_000_000, *lent[0][1:]], *lent[1:]]),
        "grades.csv": ([*header[:-1], "grade"], [[*row[:-1], min(3, int(float(str(row[3])) // 5))] for row in lent]),
    }


def loans(rng: np.random.Generator, rows: int) -> list[Row]:
    """Return loans: who earns more and owes less, and has long had work, repays."""
    found: list[Row] = []
    for _ in range(rows):
        income, debt, age, years = rng.normal(3e5, 8e4), rng.beta(2, 3), rng.uniform(20, 65), rng.gamma(2, 4)
        score = (income - 3e5) / 8e4 - 6 * (debt - 0.4) + 0.15 * (years - 8) + rng.logistic(0, 0.4)
        region = ["north", "south", "west"][rng.integers(3)]
        found.append([round(income), f"{debt:.3f}", round(age), f"{years:.1f}", region, "yes" if score > 0 else "no"])
    return found


def flats(rng: np.random.Generator, rows: int) -> list[Row]:
    """Return flats with their rent."""
    found: list[Row] = []
    for _ in range(rows):
        area, district = rng.uniform(25, 120), ["harbour", "park", "station"][rng.integers(3)]
        rent = area * {"harbour": 14.0, "park": 13.0, "station": 10.0}[district] + rng.normal(0, 40)
        found.append([round(area), 1 + int(area // 30), int(rng.integers(1900, 2020)), district, round(rent)])
    return found


def emptied(row: Row, rng: np.random.Generator) -> Row:
    """Return a row with one of its first cells empty now and then."""
    return [cell if rng.random() > 0.04 or i > 2 else "" for i, cell in enumerate(row)]


def leaked(row: Row, rng: np.random.Generator) -> Row:
    """Return a row with the number of reminders that were sent: only to those who did not repay."""
    return [*row[:-1], 0 if row[-1] == "yes" else int(rng.integers(1, 6)), row[-1]]


def conflicting(rng: np.random.Generator) -> list[Row]:
    """Return rows of which few are different, and equal ones have labels by chance."""
    few = loans(rng, 25)
    rows = [few[int(rng.integers(25))] for _ in range(ROWS)]
    return [[*row[:-1], "yes" if rng.random() < 0.5 else "no"] for row in rows]


def shuffled(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """Return rows with the labels of others."""
    labels = rng.permutation([str(row[-1]) for row in rows])
    return [[*row[:-1], str(label)] for row, label in zip(rows, labels, strict=True)]


def imbalanced(rng: np.random.Generator) -> list[Row]:
    """Return rows of which one in a hundred was not repaid."""
    rows = loans(rng, 6 * ROWS)
    repaid, others = ([row for row in rows if row[-1] == label] for label in ("yes", "no"))
    found = repaid[:1188] + others[:12]
    return [found[i] for i in rng.permutation(len(found))]


def kinds(rng: np.random.Generator) -> list[Row]:
    """Return three clouds, one after the other."""
    centres = np.array([[0, 0, 0], [3, 0, 1], [0, 3, -1]])
    return [[*(f"{x:.2f}" for x in rng.normal(centres[i // 200], 1.0)), "abc"[i // 200]] for i in range(600)]
