# ruff: noqa: INP001 - a program of its own
"""Write the made-up tables beside this file: ``python experiments/data/make.py`` gives the same bytes everywhere.

Chance comes from ``random.random`` of Python, whose numbers are the same in every version.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import NormalDist

HERE = Path(__file__).parent
DISTRICTS = {"harbour": 4.0, "old town": 6.0, "park": 3.0, "station": 0.0}
HEATINGS = {"district": 0.0, "gas": -1.0, "stove": -2.5}
PRAISE = (
    ("good", "fine", "decent", "solid"),
    ("great", "superb", "splendid", "terrific"),
    ("funny", "witty", "amusing", "droll"),
    ("moving", "touching", "stirring", "tender"),
    ("clever", "smart", "ingenious", "shrewd"),
    ("lively", "brisk", "spirited", "vivid"),
)
BLAME = (
    ("bad", "poor", "lousy", "weak"),
    ("awful", "terrible", "dreadful", "horrid"),
    ("boring", "dull", "tedious", "dreary"),
    ("stupid", "silly", "foolish", "daft"),
    ("slow", "sluggish", "plodding", "languid"),
    ("loud", "noisy", "shrill", "strident"),
)
PARTS_OF_A_FILM = ("plot", "music", "cast", "ending", "dialogue", "camera work")


def gauss(rng: random.Random) -> float:
    """Return a draw from the standard normal distribution, by its quantile function."""
    return NormalDist().inv_cdf(rng.random())


def curve(rng: random.Random, rows: int, *, broken: float) -> Iterable[Sequence[object]]:
    """Yield x in [-2, 2] and y = 2 sin(2 x) + x + 0.2 noise; a share of the y reads 10 to 20 too high."""
    yield "x", "y"
    for _ in range(rows):
        x = rng.uniform(-2, 2)
        y = 2 * math.sin(2 * x) + x + 0.2 * gauss(rng)
        if rng.random() < broken:
            y += rng.uniform(10, 20)
        yield f"{x:.3f}", f"{y:.3f}"


def flats(rng: random.Random, rows: int) -> Iterable[Sequence[object]]:
    """Yield flats with their rent: (10 + district + heating) per square metre, 120 for a balcony, 40 noise.

    A twelfth of the areas, years and heatings is missing. The year says nothing about the rent.
    """
    yield "area", "year", "district", "heating", "balcony", "rent"
    for _ in range(rows):
        area = rng.uniform(25, 120)
        district, heating = rng.choice(sorted(DISTRICTS)), rng.choice(sorted(HEATINGS))
        balcony = rng.random() < 0.4
        rent = area * (10 + DISTRICTS[district] + HEATINGS[heating]) + 120 * balcony + 40 * gauss(rng)
        told = [f"{area:.0f}", str(rng.randrange(1900, 2020)), heating]
        area_told, year, heating_told = ("" if rng.random() < 1 / 12 else value for value in told)
        yield area_told, year, district, heating_told, "yes" if balcony else "no", f"{rent:.0f}"


def rare(rng: random.Random, rows: int) -> Iterable[Sequence[object]]:
    """Yield points of two classes that overlap: every sixteenth is rare, and from a smaller cloud beside the other."""
    yield "a", "b", "kind"
    for i in range(rows):
        center, spread, kind = (1.5, 0.7, "rare") if i % 16 == 0 else (0.0, 1.0, "common")
        yield f"{center + spread * gauss(rng):.3f}", f"{center + spread * gauss(rng):.3f}", kind


def opinions(rng: random.Random, rows: int, *, words: int) -> Iterable[Sequence[object]]:
    """Yield opinions of three words each, the first `words` of their groups, and whether most of them are praise."""
    yield "text", "label"
    for _ in range(rows):
        kinds = [rng.choice((PRAISE, BLAME)) for _ in range(3)]
        said = [rng.choice(rng.choice(kind)[:words]) for kind in kinds]
        about = [rng.choice(PARTS_OF_A_FILM) for _ in range(3)]
        parts = [f"the {part} was {word}" for part, word in zip(about, said, strict=True)]
        yield f"{parts[0].capitalize()}, {parts[1]} and {parts[2]}.", "liked" if kinds.count(PRAISE) > 1 else "disliked"


def tables() -> dict[str, Iterable[Sequence[object]]]:
    """Return every table by the name of its file."""
    rng = random.Random(0)  # noqa: S311 - for data, not for secrets
    return {
        "outliers-train.csv": curve(rng, 200, broken=0.1),
        "outliers-test.csv": curve(rng, 200, broken=0.0),
        "flats.csv": flats(rng, 400),
        "rare-train.csv": rare(rng, 480),
        "rare-test.csv": rare(rng, 960),
        "opinions-train.csv": opinions(rng, 60, words=1),
        "opinions-test.csv": opinions(rng, 240, words=4),
        "opinions-synonyms.csv": (*PRAISE, *BLAME),
    }


def write(folder: Path) -> None:
    """Write every table into a folder."""
    for name, rows in tables().items():
        with (folder / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    write(HERE)
