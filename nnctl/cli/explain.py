"""`nnctl explain`: what a component, a section or a field is, and what is behind a rule of the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnctl.core.errors import UsageError

if TYPE_CHECKING:
    from nnctl.cli.pages import Pages
    from nnctl.core.finding import Rule

__all__ = ["command", "explain"]


def command(
    name: Annotated[
        str | None,
        typer.Argument(help="A component, family, section, field or rule: adam, data.split, adam.beta1, dead-relu."),
    ] = None,
) -> None:
    """Explain what a spec can say, and what the checks find. Without a name, all names are listed."""
    explain(name)


def explain(name: str | None) -> None:
    """Show the pages of a name, or without one all that there are pages about.

    Raises
    ------
    UsageError
        There is nothing of that name.
    """
    from nnctl.cli.pages import Pages  # noqa: PLC0415 - NumPy and Rich are not needed for --help
    from nnctl.spec.reference import contents  # noqa: PLC0415

    show = Pages()
    if name is None:
        from nnctl.checks.rulebook import rules  # noqa: PLC0415

        show.contents(contents(), [(rule.id, rule.about) for rule in rules().values()])
    else:
        _show_pages(name, show)
    typer.echo(show.text())


def _show_pages(name: str, show: Pages) -> None:
    """Put down the pages of a name; a rule is looked for where the spec knows no such word."""
    from nnctl.spec.reference import pages  # noqa: PLC0415

    try:
        found = pages(name)
    except UsageError as error:
        show.page_of_rule(_rule(name, error))
        return
    for i, page in enumerate(found):
        if i:
            show.rule()
        show.page(page)


def _rule(name: str, unknown: UsageError) -> Rule:
    from nnctl.checks.rulebook import close_to, rules  # noqa: PLC0415

    id_ = name.strip().lower().replace("_", "-")
    known = rules().get(id_)
    if known is not None:
        return known
    close = close_to(id_) if "-" in name else None  # only rules are spelled with hyphens
    if close is None:
        raise unknown
    raise UsageError(f"there is nothing called '{name}'. Did you mean '{close}'?")
