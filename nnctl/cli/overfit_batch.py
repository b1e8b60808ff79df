"""`nnctl overfit-batch`: whether the network can learn one batch by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.check import conduct, experiment_of
from nnctl.cli.train import spec_and_overrides

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.core.finding import Report

__all__ = ["check_overfitting", "command"]


def command(
    spec: Annotated[str | None, typer.Argument(help="The YAML spec; spec.yaml here if left out.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    size: Annotated[int, typer.Option(min=1, help="Rows of the batch.")] = 16,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most with each learning rate.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where the check's directory goes.")] = Path("runs"),
) -> None:
    """Learn one small batch by heart; if the network cannot, say what is likely to be wrong."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    path, changes = spec_and_overrides(spec, overrides, "overfit-batch")
    check_overfitting(path, changes, Screen(as_json=as_json), runs_dir=runs_dir, size=size, steps=steps)


def check_overfitting(
    path: Path, overrides: Sequence[str], screen: Screen, *, runs_dir: Path, size: int, steps: int
) -> Report:
    """Check that the network of a spec learns a batch of `size` rows in at most `steps` steps.

    Raises
    ------
    SpecError, DataError
        Where there is nothing to train.
    CheckFailed
        Where it does not.
    """
    from nnctl.checks.overfit import overfit_batch  # noqa: PLC0415
    from nnctl.cli.pictures.overfit import draw  # noqa: PLC0415

    experiment = experiment_of(path, list(overrides))
    screen.head(experiment)
    return conduct(
        "overfit-batch",
        experiment.spec.name,
        lambda tell: overfit_batch(experiment, size=size, steps=steps, tell=tell),
        screen,
        runs_dir=runs_dir,
        spec_text=experiment.loaded.text,
        show=_show,
        pictures={"overfit.png": draw},
    )


def _show(report: Report, screen: Screen) -> None:
    figures = report.figures
    screen.note(f"batch   {figures['size']} training rows; in the source, counted from 0: {_listed(figures['rows'])}")
    screen.note(f"off     {', '.join(figures['switched_off']) or 'nothing had to be switched off'}")
    screen.note("")
    quality = "R2" if figures["task"] == "regression" else "rows right"
    headings = ("learning rate", "of the spec's", "steps", "first loss", "last loss", "above floor", quality, "")
    screen.table(headings, (_rung(rung, figures) for rung in figures["rungs"]))
    screen.note("")
    shown = figures["rungs"][figures["shown"]]
    screen.note(f"what the network says with learning rate {shown['lr']:.3g}:")
    screen.table(*_predictions(figures), left=(1, 2, 3))
    screen.note("")


def _rung(rung: Mapping[str, Any], figures: Mapping[str, Any]) -> tuple[str, ...]:
    from nnctl.cli.words import number  # noqa: PLC0415

    score = rung["training"]
    tried = (f"{rung['lr']:.3g}", f"x {rung['factor']:g}", f"{rung['steps']}", number(rung["first_loss"]))
    if rung["outcome"] == "diverged":
        return (*tried, "-", "-", "-", f"overflows in {rung['not_finite']}")
    quality = "-" if score["r2"] is None else f"{score['r2']:.4f}"
    if score["right"] is not None:
        quality = f"{score['right']} of {figures['size']}"
    above = f"{score['loss'] - figures['floor']:.2g}"
    return (*tried, number(score["loss"]), above, quality, "learned" if rung["outcome"] == "learned" else "not learned")


def _predictions(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headings and the rows of the table of what the network says."""
    rows = figures["predictions"]
    if figures["task"] == "regression":
        told = [(*map(_values, (row["target"], row["says"], row["inference"])), f"{row['loss']:.2g}") for row in rows]
        return ("row", "target", "says", "in inference", "loss"), [
            (str(row["row"]), *cells) for row, cells in zip(rows, told, strict=True)
        ]
    return ("row", "label", "says", "in inference", "probability", "loss", ""), [
        (
            str(row["row"]),
            row["target"],
            row["says"],
            row["inference"],
            "" if row["sure"] is None else f"{row['sure']:.3f}",
            f"{row['loss']:.2g}",
            "" if row["says"] == row["target"] else "wrong",
        )
        for row in rows
    ]


def _values(values: Sequence[float]) -> str:
    more = " ..." if len(values) > 3 else ""
    return " ".join(f"{value:,.4g}" for value in values[:3]) + more


def _listed(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:16])) + (f" and {len(rows) - 16} more" if len(rows) > 16 else "")
