"""`nnctl lr-find`: the learning rate that suits a spec, and how its own stands to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.check import conduct, experiment_of
from nnctl.cli.train import spec_and_overrides
from nnctl.core.errors import UsageError

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.core.finding import Report, Tell

__all__ = ["command", "find_learning_rate"]


def command(
    spec: Annotated[str | None, typer.Argument(help="The YAML spec; spec.yaml here if left out.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    lowest: Annotated[float, typer.Option("--min", help="The smallest learning rate to try.")] = 1e-7,
    highest: Annotated[float, typer.Option("--max", help="The largest.")] = 10.0,
    steps: Annotated[
        int | None, typer.Option(min=2, help="Minibatches from the one to the other; 100, fewer if they take long.")
    ] = None,
    sweeps: Annotated[
        int | None, typer.Option(min=1, max=99, help="How often, each from a start of its own; 3, or one likewise.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the suggestion into the spec.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where the check's directory goes.")] = Path("runs"),
) -> None:
    """Find the learning rate. A range test, confirmed by short trainings."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    path, changes = spec_and_overrides(spec, overrides, "lr-find")
    test = {"lowest": lowest, "highest": highest, "steps": steps, "sweeps": sweeps}
    find_learning_rate(path, changes, Screen(as_json=as_json), runs_dir=runs_dir, apply=apply, **test)


def find_learning_rate(
    path: Path, overrides: Sequence[str], screen: Screen, *, runs_dir: Path, apply: bool = False, **test: Any
) -> Report:
    """Find a learning rate for a spec, and write it there if asked to.

    Parameters
    ----------
    path, overrides, screen, runs_dir
        As every check has them.
    apply : bool
        Write the suggestion into the file.
    **test
        What `nnctl.checks.lr_find.lr_find` is told: ``lowest``, ``highest``, ``steps``, ``sweeps``.

    Raises
    ------
    SpecError, DataError
        Where there is nothing to train.
    UsageError
        Where the range is none, or the suggestion would not be one for the file.
    CheckFailed
        Where no rate can be suggested, or the spec's own diverges and was not replaced.
    """
    from nnctl.checks.lr_find import lr_find  # noqa: PLC0415
    from nnctl.cli.pictures.lr_find import draw  # noqa: PLC0415
    from nnctl.spec.edit import with_learning_rate  # noqa: PLC0415

    changed = [override for override in overrides if override.partition("=")[0].split(".")[0] == "optimizer"]
    if apply and changed:
        raise UsageError(
            f"--apply would write into {path} what was found for another optimizer than stands there: {changed[0]}. "
            f"Write the optimizer into the spec first, or leave --apply out."
        )
    experiment = experiment_of(path, list(overrides))
    screen.head(experiment)

    written = path.read_bytes().decode() if apply else None
    if written is not None:
        with_learning_rate(written, experiment.spec.optimizer.lr, str(path))  # whether it can be done is known before

    def work(tell: Tell) -> Report:
        report = lr_find(experiment, tell=tell, **test)
        if written is None or report.figures["suggestion"] is None:
            return report
        return _applied(report, written, path)

    return conduct(
        "lr-find",
        experiment.spec.name,
        work,
        screen,
        runs_dir=runs_dir,
        spec_text=experiment.loaded.text,
        show=_show,
        pictures={"lr-find.png": draw},
    )


def _applied(report: Report, written: str, path: Path) -> Report:
    """Write the suggestion into the spec, and return the report on the spec as it is then."""
    from nnctl.checks.learning_rate.findings import findings  # noqa: PLC0415
    from nnctl.spec.edit import replace_text, with_learning_rate  # noqa: PLC0415

    suggestion, before = report.figures["suggestion"], report.figures["lr"]
    if suggestion == before:
        return replace(report, headline=f"{report.headline} {path} has it already.")
    replace_text(path, written, with_learning_rate(written, suggestion, str(path)))
    figures = {**report.figures, "lr": suggestion, "applied": {"path": str(path), "before": before}}
    headline = f"{report.headline} Written into {path}, where {before:g} was."
    return replace(report, headline=headline, findings=findings(figures), figures=figures)


def _show(report: Report, screen: Screen) -> None:
    figures = report.figures
    rates = figures["rates"]
    sweeps = f"{len(figures['sweeps'])} sweeps" if len(figures["sweeps"]) > 1 else "one sweep"
    screen.note(
        f"swept   {rates[0]:g} to {rates[-1]:g} in {len(rates)} steps, {sweeps}; optimizer {figures['optimizer']}"
    )
    if figures["schedule"] != "constant" or figures["warms_up"]:
        screen.note(f"off     the schedule {figures['schedule']}: short runs keep one learning rate from first to last")
    screen.note("")
    if figures["curve"]:
        screen.table(("reading of the curve", "lr"), _readings(figures))
        screen.note("")
    if figures["trials"]:
        starts = len(figures["sweeps"])
        screen.note(f"short runs of {figures['run_steps']} steps, {starts} start{'s' if starts > 1 else ''} each:")
        headings = ("lr", "loss at the end", "drop of the loss", "")
        screen.table(headings, (_trial(trial, figures) for trial in figures["trials"]), left=(3,))
        screen.note("")


def _readings(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    guess = figures["range_test"]
    if guess is not None:
        yield "nine tenths of the drop (short runs begin here)", f"{guess:.2g}"
    for rule, lr in figures["rules"].items():
        yield rule, "-" if lr is None else f"{lr:.2g}"


def _trial(trial: Mapping[str, Any], figures: Mapping[str, Any]) -> tuple[str, str, str, str]:
    remarks = {
        "suggested": trial["lr"] == figures["suggestion"],
        "the spec's": trial["lr"] == figures["lr"],
        "the spec's before": trial["lr"] == figures.get("applied", {}).get("before"),
        "diverged": trial["diverged"],
        "unsteady": trial["unsteady"],
    }
    loss = "-" if trial["diverged"] else f"{trial['loss']:.4g}"
    drop = "-" if trial["diverged"] else f"{trial['share']:.0%}"
    return f"{trial['lr']:g}", loss, drop, ", ".join(remark for remark, holds in remarks.items() if holds)
