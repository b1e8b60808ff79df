"""`nnctl overfit-batch`: whether the network can learn one batch by heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.check import conduct, experiment_of
from nnctl.cli.train import spec_and_overrides
from nnctl.cli.words import counted

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.core.finding import Report

__all__ = ["check_overfitting", "command"]


def command(
    spec: Annotated[str | None, typer.Argument(help="The YAML spec; spec.yaml here if left out.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    size: Annotated[int, typer.Option(min=2, help="Rows of the batch.")] = 16,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most with each learning rate.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where the check's directory goes.")] = Path("runs"),
) -> None:
    """Learn one small batch by heart. If the network cannot, say what is likely to be wrong."""
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
    rows = counted(figures["size"], "training row")
    positions = f" of {figures['answers']:,} positions" if figures["answers"] != figures["size"] else ""
    screen.note(f"batch   {rows}{positions}; in the source, counted from 0: {_listed(figures['rows'])}")
    screen.note(f"off     {', '.join(figures['switched_off']) or 'nothing had to be switched off'}")
    screen.note("")
    quality = "R2" if figures["task"] == "regression" else "right"
    headings = ("lr", "of the spec's", "steps", "first loss", "loss", "above floor", quality, "")
    screen.table(headings, (_rung(rung, figures) for rung in figures["rungs"]))
    screen.note("")
    shown, answers = len(figures["predictions"]), counted(figures["answers"], "position" if positions else "row")
    worst = f", for the {shown} of {answers} with the highest loss" if shown < figures["answers"] else ""
    lr = figures["rungs"][figures["shown"]]["lr"]
    screen.note(f"what the network says after the training with lr {lr:.3g}{worst}:")
    _show_predictions(figures, screen)
    screen.note("")


def _rung(rung: Mapping[str, Any], figures: Mapping[str, Any]) -> tuple[str, ...]:
    score = rung["training"]
    tried = (f"{rung['lr']:.3g}", f"x {rung['factor']:g}", f"{rung['steps']}", f"{rung['first_loss']:.3g}")
    if rung["outcome"] == "diverged":
        return (*tried, "-", "-", "-", "diverged")
    quality = "-" if score["r2"] is None else f"{score['r2']:.4f}"
    if score["right"] is not None:
        quality = f"{score['right']}/{figures['answers']}"
    above = f"{score['loss'] - figures['floor']:.2g}"
    return (*tried, f"{score['loss']:.3g}", above, quality, "learned" if rung["outcome"] == "learned" else "")


def _show_predictions(figures: Mapping[str, Any], screen: Screen) -> None:
    """Show what the network says of each row; that in inference mode only where it is something else."""
    columns: dict[str, list[str]] = {
        "row": [],
        "target": [],
        "says": [],
        "in inference": [],
        "probability": [],
        "loss": [],
        "": [],
    }
    for row in figures["predictions"]:
        columns["row"].append(str(row["row"]))
        for heading, key in (("target", "target"), ("says", "says"), ("in inference", "inference")):
            columns[heading].append(_told(row[key]))
        columns["probability"].append("" if row.get("sure") is None else f"{row['sure']:.3f}")
        columns["loss"].append(f"{row['loss']:.2g}")
        is_wrong = figures["task"] == "classification" and row["says"] != row["target"]
        columns[""].append("wrong" if is_wrong else "")
    if columns["in inference"] == columns["says"]:
        del columns["in inference"]
    filled = {heading: cells for heading, cells in columns.items() if any(cells)}
    screen.table(
        list(filled), zip(*filled.values(), strict=True), left=(1, 2, 3) if "in inference" in filled else (1, 2)
    )


def _told(answer: str | Sequence[float]) -> str:
    return answer if isinstance(answer, str) else _values(answer)


def _values(values: Sequence[float]) -> str:
    more = " ..." if len(values) > 3 else ""
    return " ".join(f"{value:,.6g}" for value in values[:3]) + more


def _listed(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:16])) + (f" and {len(rows) - 16} more" if len(rows) > 16 else "")
