"""`nnctl doctor`: the whole debugging checklist, one verdict, and what to mend first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.train import spec_and_overrides
from nnctl.core.errors import DataError

if TYPE_CHECKING:
    from nnctl.cli.check import Pictures
    from nnctl.cli.render import Screen
    from nnctl.core.finding import Report, Tell

__all__ = ["command", "doctor"]

SHOWN = 3
"""Findings that are shown in full; what stands further down most often follows from them."""
PICTURES = {
    "overfit-batch.png": "overfit-batch",
    "gradient-flow.png": "gradient flow",
    "lr-find.png": "learning rate",
}
"""Pictures, and the steps that they are of."""


def command(
    spec: Annotated[str | None, typer.Argument(help="The YAML spec; spec.yaml here if left out.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where the check's directory goes.")] = Path("runs"),
) -> None:
    """Go through the debugging checklist. It says what is wrong with a spec, and what to mend first."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    doctor(*spec_and_overrides(spec, overrides, "doctor"), Screen(as_json=as_json), runs_dir)


def doctor(path: Path, overrides: list[str], screen: Screen, runs_dir: Path) -> None:
    """Take every step of the checklist, show each with its verdict, and say what to mend first.

    Raises
    ------
    SpecError, DataError
        Where there is nothing to examine.
    CheckFailed
        Where a step came to the verdict "fail".
    """
    from nnctl.checks.doctor import diagnose, diagnose_unusable  # noqa: PLC0415 - NumPy
    from nnctl.cli.check import conduct  # noqa: PLC0415
    from nnctl.experiment.assembly import Experiment, set_blas_threads  # noqa: PLC0415
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    loaded = load_spec(path, overrides)
    work: Callable[[Tell], Report]
    pictures: Pictures = {}
    try:
        experiment = Experiment(loaded)
    except DataError as error:
        found = diagnose_unusable(loaded, error)  # here and not later: if nothing can be read, no directory is made

        def work(_tell: Tell) -> Report:
            return found
    else:
        set_blas_threads(experiment.threads)
        work = partial(diagnose, experiment)
        pictures = {file: partial(_draw, step) for file, step in PICTURES.items()}
    conduct(
        "doctor",
        loaded.spec.name,
        work,
        screen,
        runs_dir=runs_dir,
        spec_text=loaded.text,
        show=_checklist,
        pictures=pictures,
        most=SHOWN,
    )


def _draw(step: str, figures: Mapping[str, Any]) -> bytes:
    """Draw what one step saw, as its own command does."""
    from nnctl.cli.pictures import gradient_flow, lr_find, overfit  # noqa: PLC0415 - Matplotlib costs 0.3 s

    draw = {"overfit-batch": overfit.draw, "gradient flow": gradient_flow.draw, "learning rate": lr_find.draw}[step]
    [seen] = [each["figures"] for each in figures["steps"] if each["step"] == step]
    return draw(seen)


def _checklist(report: Report, screen: Screen) -> None:
    steps = report.figures["steps"]
    rows = [(step["verdict"], step["step"], f"{step['seconds']:.1f} s", _phrase(step["headline"])) for step in steps]
    screen.table(("verdict", "step", "time", "what was found"), rows, left=(0, 1, 3), fail="red", warn="yellow")
    if report.figures["left_out"]:
        screen.note(f"left out, for want of data: {', '.join(report.figures['left_out'])}")
    screen.note("")


def _phrase(headline: str) -> str:
    """Return a headline as the others in its column are written: small, and without a full stop."""
    return headline[:1].lower() + headline[1:].removesuffix(".")
