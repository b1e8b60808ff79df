"""`nnctl gradcheck`: every gradient against differences, of a spec's network or of all components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.check import conduct, experiment_of
from nnctl.cli.train import spec_and_overrides
from nnctl.cli.words import number

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.core.finding import Report

__all__ = ["command", "gradcheck", "gradcheck_components"]

_SHOWN = 24


def command(
    spec: Annotated[
        str | None,
        typer.Argument(help="The YAML spec; without one, every layer, loss and penalty of nnctl is checked."),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories go.")] = Path("runs"),
) -> None:
    """Compare every gradient with differences in float64. Those of a spec's network, or of every component."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    screen = Screen(as_json=as_json)
    if spec is None and not overrides:
        gradcheck_components(runs_dir, screen)
    else:
        gradcheck(*spec_and_overrides(spec, overrides, "gradcheck"), runs_dir, screen)


def gradcheck(path: Path, overrides: Sequence[str], runs_dir: Path, screen: Screen) -> Report:
    """Check the gradients of a spec's network on its own data, at the start and after 20 steps.

    Raises
    ------
    CheckFailed
        Where a gradient is not the derivative of the loss.
    """
    from nnctl.checks.gradcheck import gradcheck_experiment  # noqa: PLC0415

    experiment = experiment_of(path, list(overrides))
    screen.note(f"{experiment.spec.name}: gradients by backward against differences, in float64")
    return conduct(
        "gradcheck",
        experiment.spec.name,
        lambda tell: gradcheck_experiment(experiment, tell),
        screen,
        runs_dir=runs_dir,
        spec_text=experiment.loaded.text,
        show=_show_network,
    )


def gradcheck_components(runs_dir: Path, screen: Screen) -> Report:
    """Check the gradients of every component, each alone.

    Raises
    ------
    CheckFailed
        Where a gradient is not the derivative.
    """
    from nnctl.checks.gradcheck import gradcheck_registry  # noqa: PLC0415

    screen.note("every component of nnctl: gradients by backward against differences, in float64")
    return conduct("gradcheck", "", gradcheck_registry, screen, runs_dir=runs_dir, show=_show_components)


def _show_network(report: Report, screen: Screen) -> None:
    for point in report.figures["points"]:
        screen.note(f"\n{point['when']}, loss {number(point['loss'])}")
        rows = [*point["tensors"], *([point["outputs"]] if point["outputs"] else [])]
        rows += [{**row, "name": f"penalty {row['name']}"} for row in point["penalties"]]
        shown = _worth_showing(rows)
        headings = ("gradient of", "shape", "relative error", "kinks", "verdict")
        screen.table(headings, [_line(row) for row in shown], left=(0, 1))
        if len(rows) > len(shown):
            screen.note(f"and {len(rows) - len(shown)} more, all right")
    screen.note("")


def _show_components(report: Report, screen: Screen) -> None:
    headings = ("kind", "component", "cases", "relative error", "kinks", "verdict")
    rows = []
    for component in report.figures["components"]:
        worst = component["worst"]
        error = component["note"] or "not checked" if worst is None else f"{worst['error']:.1e}"
        cases = str(component["cases"]) if worst else ""
        kinks = str(component["kinks"]) if worst else ""
        verdict = "" if component["note"] else component["verdict"]
        rows.append((component["kind"], component["name"], cases, error, kinks, verdict))
    screen.table(headings, rows, left=(0, 1))
    screen.note("")


def _worth_showing(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows, or of many those that are not right and the worst of the others, in their order."""
    if len(rows) <= _SHOWN:
        return list(rows)
    wrong = [row for row in rows if row["verdict"] != "pass"]
    right = sorted((row for row in rows if row["verdict"] == "pass"), key=lambda row: -row["error"])
    kept = [*wrong, *right[: max(0, _SHOWN - len(wrong))]]
    return [row for row in rows if any(row is other for other in kept)]


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    error = "" if row["judged"] == 0 else f"{row['error']:.1e}" if row["repeatable"] else "passes differ"
    shape = " x ".join(map(str, row["shape"]))
    return row["name"], shape, error, str(row["kinks"]), row["verdict"]
