"""Whether the parts are drawn from the same population: inputs and targets, part against part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.arrays import Array, Float
from nnctl.core.finding import Finding, Rule

__all__ = ["judge_drift", "measure_drift"]

ROWS = 4000
"""So many rows of each part are compared, at most."""
ALPHA = 0.001
BEYOND_ALPHA = 3.09
"""What a standard normal variable exceeds with that probability."""
EFFECT = 0.1
SHARES = 0.05

INPUT_DRIFT = Rule(
    "input-drift",
    about="A column is distributed differently in two parts of the data.",
    why="A score on the validation or test part tells how the network will do on rows like those. Where they differ "
    "from the training rows (another year, another machine, another file) the network is asked about what it has not "
    "seen, and the score says as much about the difference as about the network. In a split by time this is to be "
    "expected, and honest; after a random split it means that something went wrong.",
    threshold="The Kolmogorov-Smirnov distance D between the training part and the other part, the largest gap between "
    "the two distribution functions. Warns where D is above 0.1 and above what 1 in 1,000 random splits would show in "
    "any of the columns, sqrt(-ln(0.0005 / tests) / 2 (1/n + 1/m)).",
    fix="Split at random if rows have no order (data.split.shuffle=true); else find out what is different, and expect "
    "worse in use than in validation.",
    source="Massart (1990), The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality; Rabanser, Guennemann and "
    "Lipton (2019), Failing loudly",
)

TARGET_DRIFT = Rule(
    "target-drift",
    about="The targets are distributed differently in two parts of the data.",
    why="A network learns how frequent each class is. Where a part has other shares, it is asked about another "
    "population, and its score cannot be compared with that of the training part.",
    threshold="Classes: half the sum of the differences of their shares, the share of rows that would have to change "
    "class; warns above 0.05 where a chi-square test has p < 0.001. Regression: the Kolmogorov-Smirnov distance, as "
    "for input-drift.",
    fix="Split by class: data.split.stratify=true. If the parts are given, ask why they differ.",
)


def measure_drift(view: View) -> dict[str, Any]:
    """Return how far the other parts are from the training part: the distance of each input, and of the targets."""
    rng = np.random.default_rng(0)
    chosen = {name: _some(len(x), rng) for name, x in view.inputs.items()}
    train = view.inputs["train"][chosen["train"]]
    width = train.shape[1]
    found: dict[str, Any] = {}
    for name in view.inputs:
        if name == "train":
            continue
        part = view.inputs[name][chosen[name]]
        distance = np.array([_distance(train[:, k], part[:, k]) for k in range(width)])
        k = int(distance.argmax())
        critical = _critical(len(train), len(part), width * (len(view.inputs) - 1))
        found[name] = {
            "input": view.names[k],
            "distance": float(distance[k]),
            "critical": critical,
            "drifting": int((distance > max(EFFECT, critical)).sum()),
            "target": None if view.y is None else _target_distance(view.y, view, name),
        }
    return found


def _some(n: int, rng: np.random.Generator) -> Array:
    return np.arange(n) if n <= ROWS else np.sort(rng.choice(n, ROWS, replace=False))


def _distance(a: Float, b: Float) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples."""
    a, b = np.sort(a), np.sort(b)
    at = np.concatenate([a, b])
    gaps = np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)
    return float(np.abs(gaps).max())


def _critical(n: int, m: int, tests: int) -> float:
    """Return the distance that samples of one population exceed with a probability of at most ALPHA in any test."""
    return float(np.sqrt(-np.log(ALPHA / 2 / tests) / 2 * (1 / n + 1 / m)))


def _target_distance(y_of_all: Array, view: View, name: str) -> dict[str, float]:
    y, other = y_of_all[view.parts["train"]], y_of_all[view.parts[name]]
    if view.classes is None:
        distance = max(_distance(a, b) for a, b in zip(y.T, other.T, strict=True))
        critical = _critical(len(y), len(other), y.shape[1] * (len(view.parts) - 1))
        return {"distance": distance, "critical": max(EFFECT, critical)}
    counts = np.stack([np.bincount(v, minlength=len(view.classes)) for v in (y, other)])
    counts = counts[:, counts.sum(0) > 0]
    shares = counts / counts.sum(1, keepdims=True)
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    z = _normal_of(float((np.square(counts - expected) / expected).sum()), counts.shape[1] - 1)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    return {"distance": distance, "critical": SHARES if z > BEYOND_ALPHA else 1.0}


def _normal_of(chi_square: float, freedom: int) -> float:
    """Return the standard normal value with the same tail as a chi-square (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * freedom)
    return float((np.cbrt(chi_square / freedom) - (1 - spread)) / np.sqrt(spread))


def judge_drift(view: View, found: dict[str, Any]) -> Iterator[Finding]:
    """Judge the distances."""
    for name, part in found.items():
        where = f"{name} part"
        limit = max(EFFECT, part["critical"])
        figures: dict[str, Any] = {"where": where, "value": part["distance"], "threshold": limit}
        said = f"distance {part['distance']:.2f} from the training part; chance explains {part['critical']:.2f}"
        if part["drifting"]:
            yield INPUT_DRIFT.warn(
                f"{part['drifting']} of {len(view.names)} inputs are distributed differently, "
                f"most of all {part['input']}: {said}.",
                **figures,
            )
        else:
            yield INPUT_DRIFT.passed(f"inputs are alike; the most different is {part['input']}: {said}.", **figures)
        target = part["target"]
        if target is not None and target["distance"] > target["critical"]:
            unit = "of the rows would have to change class" if view.classes else "is their Kolmogorov-Smirnov distance"
            amount = f"{target['distance']:.0%}" if view.classes else f"{target['distance']:.2f}"
            yield TARGET_DRIFT.warn(
                f"the targets are distributed differently: {amount} {unit}.",
                where=where,
                value=target["distance"],
                threshold=target["critical"],
            )
