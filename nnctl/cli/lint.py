"""`nnctl lint`: advice on a spec, from the spec alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnctl.cli.train import spec_and_overrides
from nnctl.core.errors import CheckFailed

if TYPE_CHECKING:
    from nnctl.cli.render import Screen

__all__ = ["command", "lint"]


def command(
    spec: Annotated[str | None, typer.Argument(help="The YAML spec; spec.yaml here if left out.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Say what a valid spec still gets wrong. Reads no data, trains nothing, keeps nothing."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    lint(*spec_and_overrides(spec, overrides, "lint"), Screen(as_json=as_json))


def lint(path: Path, overrides: Sequence[str], screen: Screen) -> None:
    """Show what can be seen to be wrong with a spec without its data.

    Raises
    ------
    SpecError
        Where the spec is not valid: then `nnctl validate` comes first.
    CheckFailed
        Where a rule came to the verdict "fail".
    """
    from nnctl.spec.lint.advice import lint as advice  # noqa: PLC0415
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    report = advice(load_spec(path, overrides))
    screen.report(report)
    screen.note("This is what the spec alone shows; with its data and its network: nnctl doctor")
    if report.first is not None and report.verdict == "fail":
        raise CheckFailed(f"lint: {report.first.message}").beside(report.plain())
    screen.document(report.plain())
