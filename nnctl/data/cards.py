"""Cards: what a known data set is, where it comes from, how its files are read; one YAML file each in ``datasets/``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

import nnctl
from nnctl.core import yaml
from nnctl.core.component import Items, PositiveInt, Schema, did_you_mean
from nnctl.core.errors import DataError, SpecError
from nnctl.core.mistakes import problems_of

__all__ = ["Card", "CardFile", "card_names", "data_folder", "read_card"]


class CardFile(Schema):
    """One file of a data set."""

    name: Annotated[str, Field(pattern=r"^\w[\w.-]{0,199}$")]
    """What it is called in the data set's folder."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256, in hexadecimal."""
    hash_of: Literal["file", "content"] = "file"
    """Of the file as it is, or of what is inside its gzip wrapping, which differs from mirror to mirror."""
    bytes: PositiveInt | None = None
    """How long it is; mirrors that wrap the same content in other gzip files differ a little."""
    urls: Annotated[Items[Annotated[str, Field(pattern=r"^https?://")]], Field(min_length=1)]
    """Where it can be had; the first that answers is taken."""


class Card(Schema):
    """A data set that people know by name."""

    name: str
    """What a spec and ``nnctl fetch`` call it."""
    title: str
    """What it is, in one line."""
    about: str
    """What is in it and what to look out for."""
    licence: str
    """Under which terms it may be used, as its origin states them."""
    origin: str
    """Who made it, and where these files come from."""
    files: Annotated[Items[CardFile], Field(min_length=1)]
    """Its files."""
    source: dict[str, Any]
    """How the files are read, spelled as a spec's source."""
    columns: dict[str, str] = Field(default_factory=dict)
    """What the columns mean."""


def _cards() -> dict[str, Path]:
    """Return the card files by name: those of the installed package, or else of the repository."""
    package = Path(nnctl.__file__).parent
    installed = package / "_cards"
    folder = installed if installed.is_dir() else package.parent / "datasets"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def card_names() -> tuple[str, ...]:
    """Return the names of all cards."""
    return tuple(_cards())


def read_card(name: str) -> Card:
    """Return the card of a data set.

    Raises
    ------
    DataError
        There is no such card, or it cannot be read.
    """
    cards = _cards()
    if name not in cards:
        raise DataError(
            f"there is no data set '{name}'.{did_you_mean(name, cards)} Known: {', '.join(cards) or 'none'}."
        )
    try:
        return Card.model_validate(yaml.load(cards[name]).data)
    except SpecError as error:
        raise DataError(str(error)) from None
    except ValidationError as error:
        said = " ".join(f"{'.'.join(map(str, loc))}: {sentence}" for loc, sentence in problems_of(error))
        raise DataError(f"{cards[name]}: {said}") from error


def data_folder(name: str) -> Path:
    """Return where a data set's files are kept: ``$NNCTL_DATASETS/name``, or else ``datasets/name`` here."""
    root = os.environ.get("NNCTL_DATASETS")
    return (Path(root).expanduser() if root else Path.cwd() / "datasets") / name
