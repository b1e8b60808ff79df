"""A data set by the name of its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.errors import DataError
from nnctl.core.mistakes import problems_of
from nnctl.data.sources.source import Source
from nnctl.data.table import Table

__all__ = ["FromCard"]


class FromCard(Source, name="card"):
    """A known data set, read through its card: ``source: mnist``, or ``mnist: {form: image}`` to read it differently.

    ``nnctl fetch NAME`` brings its files.
    """

    dataset: str
    """The name of the card."""
    change: dict[str, Any] = Field(default_factory=dict)
    """Fields of the card's own source that are to have another value."""

    @model_validator(mode="after")
    def _change_is_valid(self) -> Self:
        if self.change:
            try:
                self.source()
            except DataError as error:
                raise PydanticCustomError("nnctl", "{said}", {"said": str(error)}) from error
        return self

    def source(self) -> Source:
        """Return the source that reads the data set's files.

        Raises
        ------
        DataError
            There is no such card, or its source is not one that can be read.
        """
        from nnctl.data.cards import read_card  # noqa: PLC0415 - PyYAML takes 17 ms

        [(kind, fields)] = read_card(self.dataset).source.items()
        if Source.member(kind) is None:
            raise DataError(f"{self.dataset} is a {kind} data set, and {kind} sources are not supported yet.")
        try:
            return Source.parse({kind: {**fields, **self.change}})
        except ValidationError as error:
            raise DataError(" ".join(f"{loc[-1]}: {sentence}" for loc, sentence in problems_of(error))) from error

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - a card has a folder of its own
        """Read the data set's files from its folder."""
        from nnctl.data.cards import data_folder, read_card  # noqa: PLC0415 - PyYAML takes 17 ms

        folder = data_folder(self.dataset)
        if any(not (folder / file.name).is_file() for file in read_card(self.dataset).files):
            raise DataError(f"{self.dataset} is not here yet ({folder}). Type: nnctl fetch {self.dataset}")
        return self.source().load(folder, seed)

    def located(self, base: Path) -> Source:  # noqa: ARG002 - a card has a folder of its own
        """Return the source that reads the data set's files, from where they are now."""
        from nnctl.data.cards import data_folder  # noqa: PLC0415 - PyYAML takes 17 ms

        return self.source().located(data_folder(self.dataset))
