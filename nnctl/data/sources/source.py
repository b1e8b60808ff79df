"""Source: the family of all that yields a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from nnctl.core.component import Component, did_you_mean
from nnctl.data.sources.paths import found
from nnctl.data.table import Table

__all__ = ["Source"]


class Source(Component, family="source"):
    """Where the rows come from; the name of a data set card is a source too."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "audio_folder": "audio",
        "audiofolder": "audio",
        "cancer": "breast_cancer",
        "friedman1": "friedman",
        "make_blobs": "blobs",
        "make_circles": "circles",
        "make_friedman1": "friedman",
        "make_moons": "moons",
        "make_swiss_roll": "swiss_roll",
        "npy": "npz",
        "numpy": "npz",
        "recordings": "audio",
        "sounds": "audio",
        "spiral": "spirals",
        "wav": "audio",
        "wavs": "audio",
    }

    files: ClassVar[tuple[str, ...]] = ()
    """The fields that hold paths."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Make a source from its YAML spelling, or from the name of a card.

        Raises
        ------
        pydantic.ValidationError
            With one entry for every mistake, each located by the keys as written.
        """
        name = next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else value
        if not isinstance(name, str) or cls.member(name):
            return super().parse(value)
        from nnctl.data.cards import card_names  # noqa: PLC0415 - PyYAML takes 17 ms, and the plain path has no cards

        loc = () if isinstance(value, str) else (name,)
        if name in card_names():
            fields = {"dataset": name} if isinstance(value, str) else {"dataset": name, "change": value[name]}
            return super().parse({"card": fields})
        known = [*cls.members(), *card_names()]
        hint = did_you_mean(name, known, cls.synonyms) or f" Known: {', '.join(known)}."
        kind = Path(name).suffix.lstrip(".")
        if cls.member(kind):
            hint = f" A file is read by 'source: {{{kind}: {{path: {name}, ...}}}}'."
        raise cls._refusal(f"unknown source '{name}'.{hint}", value, loc)

    def load(self, base: Path, seed: int) -> Table:
        """Return the rows.

        Parameters
        ----------
        base : Path
            Where relative paths start from.
        seed : int
            The run's; a generator draws from its stream "data".

        Raises
        ------
        DataError
            The rows cannot be read.
        """
        raise NotImplementedError

    def located(self, base: Path) -> Source:
        """Return the source with its paths made absolute, so that it can be read from any directory."""
        paths = {name: getattr(self, name) for name in self.files}
        return self.model_copy(
            update={name: str(found(path, base)) for name, path in paths.items() if path is not None}
        )
