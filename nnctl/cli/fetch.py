"""`nnctl fetch`: bring a known data set here, by its card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnctl.core.errors import UsageError

if TYPE_CHECKING:
    from nnctl.data.cards import Card

__all__ = ["command", "fetch_by_card"]


def command(
    name: Annotated[
        str | None, typer.Argument(help="The data set; left out, all that can be fetched are listed.")
    ] = None,
    from_dir: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the files from this folder; use no network.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep it in DIR/NAME; else in $NNCTL_DATASETS/NAME, or datasets/NAME here."),
    ] = None,
) -> None:
    """Fetch a data set, checked by its hash. A broken download goes on where it stopped."""
    if name is not None:
        fetch_by_card(name, from_dir, folder)
        return
    if from_dir is not None:
        raise UsageError("--from needs the name of a data set.")
    from nnctl.cli.render import Screen  # noqa: PLC0415 - Rich is not needed for --help

    for line in _listing(folder):
        Screen().note(line)


def fetch_by_card(name: str, from_dir: Path | None = None, root: Path | None = None) -> None:
    """Fetch a data set and say where it is.

    Raises
    ------
    UsageError
        There is no such data set, or it needs no fetching.
    DataError
        A file cannot be had, or has the wrong hash.
    DiskError
        A file cannot be written.
    """
    from nnctl.cli.render import Screen  # noqa: PLC0415 - Rich is not needed for --help
    from nnctl.data.cards import read_card  # noqa: PLC0415
    from nnctl.data.fetch import fetch  # noqa: PLC0415

    _refuse_unknown(name)
    card = read_card(name)
    screen = Screen()
    screen.note(f"{name}: {card.title}")
    screen.note(f"licence {card.licence}")
    with screen.fetching() as progress:
        paths = fetch(card, _folder(name, root), from_dir=from_dir, progress=progress)
    screen.note(f"here    {paths[0].parent} ({', '.join(path.name for path in paths)})")
    where = "" if root is None else f", where NNCTL_DATASETS={root} is set"
    screen.note(f"now a spec can say  source: {name}{where}")


def _refuse_unknown(name: str) -> None:
    from nnctl.core.component import did_you_mean  # noqa: PLC0415
    from nnctl.data.cards import card_names  # noqa: PLC0415
    from nnctl.data.sources import Source  # noqa: PLC0415

    if name in card_names():
        return
    if name in Source.members():
        raise UsageError(f"'{name}' needs no fetching; a spec just says  source: {name}")
    hint = did_you_mean(name, card_names()) or f" Known: {', '.join(card_names())}."
    raise UsageError(f"there is no data set '{name}' to fetch.{hint}")


def _listing(root: Path | None) -> list[str]:
    from nnctl.data.cards import card_names, read_card  # noqa: PLC0415

    lines = []
    for card in map(read_card, card_names()):
        here = all((_folder(card.name, root) / file.name).is_file() for file in card.files)
        state = f"here, in {_folder(card.name, root)}" if here else "not here"
        lines += [f"{card.name}: {card.title}", f"    {_size(card)}, licence {card.licence}; {state}"]
    return [*lines, "To bring one here: nnctl fetch NAME"]


def _folder(name: str, root: Path | None) -> Path:
    from nnctl.data.cards import data_folder  # noqa: PLC0415

    return data_folder(name) if root is None else root / name


def _size(card: Card) -> str:
    from nnctl.cli.render import size  # noqa: PLC0415

    known = [file.bytes for file in card.files if file.bytes is not None]
    return size(sum(known)) if len(known) == len(card.files) else "size unknown"
