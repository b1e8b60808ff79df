"""Tables and specs for them, what a look at them says, and two tables that are sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from nnctl.checks.data import check_data
from nnctl.core.finding import Report
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec

CLASSES, VALUES = "cross_entropy", "mse"
FULL = "training.batch_size=full"


class Data:
    """Writes data and a spec for them, and looks at them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self, source: str, loss: str = CLASSES, *overrides: str) -> Report:
        return check_data(self.experiment(source, loss, *overrides))

    def experiment(self, source: str, loss: str = CLASSES, *overrides: str) -> Experiment:
        return Experiment(self.load(source, loss, *overrides))

    def load(self, source: str, loss: str = CLASSES, *overrides: str):
        path = self.folder / "spec.yaml"
        path.write_text(f"data: {{source: {source}}}\narchitecture: [dense: outputs]\nloss: {loss}\n")
        return load_spec(path, overrides)

    def csv(self, frame: pl.DataFrame, name: str = "table") -> str:
        frame.write_csv(self.folder / f"{name}.csv")
        return f"{{csv: {{path: {name}.csv, target: y}}}}"

    def npz(self, x: np.ndarray, y: np.ndarray) -> str:
        np.savez(self.folder / "table.npz", x=x, y=y)
        return "{npz: table.npz}"


def table(n: int = 400, seed: int = 0) -> pl.DataFrame:
    """Two measurements, a category, and a class that they say something about."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    shop = rng.choice(["north", "south", "west"], n)
    y = np.where(a + b + (shop == "north") + rng.normal(size=n) > 0.3, "yes", "no")
    return pl.DataFrame({"a": a, "b": b, "shop": shop, "y": y})


def prices(n: int = 400, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    return pl.DataFrame({"a": a, "b": b, "y": a * b + rng.normal(size=n)})


def bad(report: Report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.verdict) for finding in report.findings if finding.verdict != "pass"]


def places(report: Report, rule: str) -> list[str]:
    return [finding.where for finding in report.findings if finding.rule == rule and finding.verdict != "pass"]
