"""`nnctl validate`: all that is wrong with a spec, or the network that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnctl.cli.train import show_network, spec_and_overrides

if TYPE_CHECKING:
    from nnctl.cli.render import Screen

__all__ = ["command", "validate"]


def command(
    spec: Annotated[str | None, typer.Argument(help="The YAML spec; spec.yaml here if left out.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Check a spec and its data, and show the network. Nothing is trained."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    validate(*spec_and_overrides(spec, overrides), Screen(as_json=as_json))


def validate(path: Path, overrides: Sequence[str], screen: Screen) -> None:
    """Check a spec, then its data, then the network, and show the network.

    Raises
    ------
    SpecError
        With every mistake in the spec; or the first shape that does not fit.
    DataError
        Where the spec is in order and its data cannot be used.
    """
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    found = show_network(load_spec(path, overrides), screen)
    screen.note("ok")
    screen.document(found)
