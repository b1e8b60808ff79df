"""`nnctl explain`: what a component, a section or a field is, from the docstrings in the code."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["command", "explain"]


def command(
    name: Annotated[
        str | None,
        typer.Argument(help="A component, a family, a section or a field: adam, loss, data.split, adam.beta1."),
    ] = None,
) -> None:
    """Explain what a spec can say: formulas, fields, defaults, examples; all names, if none is given."""
    explain(name)


def explain(name: str | None) -> None:
    """Show the pages of a name, or without one all that there are pages about.

    Raises
    ------
    UsageError
        There is nothing of that name.
    """
    from nnctl.cli.pages import Pages  # noqa: PLC0415 - NumPy and Rich are not needed for --help
    from nnctl.spec.reference import contents, pages  # noqa: PLC0415

    show = Pages()
    if name is None:
        show.contents(contents())
    else:
        for i, page in enumerate(pages(name)):
            if i:
                show.rule()
            show.page(page)
    typer.echo(show.text())
