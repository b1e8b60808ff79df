"""From a YAML file and overrides to a checked Spec; every mistake is told at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnctl.core import yaml
from nnctl.core.errors import DataError, SpecError
from nnctl.core.mistakes import Loc, problems_of
from nnctl.nn.compose import Repeat, Sequential
from nnctl.nn.layer import Layer
from nnctl.nn.parallel import Parallel
from nnctl.nn.preset import written_out
from nnctl.spec.model import FORMAT, EarlyStopping, Spec
from nnctl.spec.overrides import apply
from nnctl.train.metrics import check_task

__all__ = ["LoadedSpec", "load_spec", "parse_spec", "resolved_data", "resolved_text"]

_KEY = re.compile(r"(data(?:\.\w+)+): ")
MAX_LAYERS = 10_000
"""With what `repeat` makes of them; far more than can be trained, and laid out in half a second."""


@dataclass(frozen=True)
class LoadedSpec:
    """A spec, with what is needed to say where in the file something stands.

    Parameters
    ----------
    spec : Spec
    document : Document
        The file as read, overrides applied; the layers that a preset stands for have its place.
    text : str
        The file as written.
    base : Path
        Where relative paths in it start: the directory of the file.
    """

    spec: Spec
    document: yaml.Document
    text: str
    base: Path

    def error(self, path: Loc, message: str) -> SpecError:
        """Return an error about one place of the spec."""
        return SpecError(yaml.to_problems(self.document, [(path, message)]), self.document.source)

    def told(self, path: Loc, message: str) -> str:
        """Return in one line, without the caret of an error, what is to be said of one place of the spec."""
        [problem] = self.error(path, message).problems
        return str(SpecError([replace(problem, text=None)], self.document.source))

    def of_data(self, error: DataError) -> DataError:
        """Return an error of the data with the place of the key that it begins with; of the source, if with none."""
        said = str(error)
        named = _KEY.match(said)
        key, message = (named[1], said[named.end() :]) if named else ("data.source", said)
        return DataError(self.told(tuple(key.split(".")), message))

    def with_seed(self, seed: int) -> LoadedSpec:
        """Return the same spec with another seed.

        Raises
        ------
        SpecError
            Where it is out of range.
        """
        try:
            spec = Spec.model_validate({**dict(self.spec), "seed": seed})
        except ValidationError as error:
            raise self.error(*problems_of(error)[0]) from None
        return replace(self, spec=spec)


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read a spec and check all of it that can be checked without its data.

    Parameters
    ----------
    path : str or Path
        The YAML file.
    overrides : sequence of str
        ``key=value`` from the command line; they pass through the same checks.

    Raises
    ------
    SpecError
        With every mistake, each with its line.
    """
    path = Path(path)
    document = yaml.load(path)
    if "name" not in document.data:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip("._-")[:80]
        document.data["name"] = stem or "run"
    _refuse_newer(document)
    document = apply(document, list(overrides), Spec)
    spec = parse_spec(document)
    return LoadedSpec(spec, _written_out(document), "\n".join(document.lines) + "\n", path.resolve().parent)


def _refuse_newer(document: yaml.Document) -> None:
    """Raise where a newer nnctl wrote the spec: every mistake that could be found in it would be none."""
    found = document.data.get("format")
    if isinstance(found, int) and found > FORMAT:
        message = f"is {found}, and this nnctl reads specs up to {FORMAT}. Update nnctl."
        raise SpecError(yaml.to_problems(document, [(("format",), message)]), document.source)


def parse_spec(document: yaml.Document) -> Spec:
    """Return the spec that a document says.

    Raises
    ------
    SpecError
        With every mistake.
    """
    mistakes = [
        (path, "is empty. Give it a value, or leave the key out for the default.") for path in _empty(document.data)
    ]
    emptied = {path for path, _ in mistakes}
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        mistakes += [(path, message) for path, message in problems_of(error) if not _below(path, emptied)]
        raise _refusal(document, mistakes) from None
    mistakes += list(_contradictions(spec))
    if mistakes:
        raise _refusal(document, mistakes)
    return spec


def _written_out(document: yaml.Document) -> yaml.Document:
    """Return the document of a valid spec with the places of layers as the spec counts them, presets written out."""
    entries = document.data["architecture"]
    places = {path: place for path, place in document.places.items() if path[:1] != ("architecture",) or len(path) == 1}
    first = 0
    for i, entry in enumerate(entries):
        made = len(written_out([Layer.parse(entry)]))
        within = {path[2:]: place for path, place in document.places.items() if path[:2] == ("architecture", i)}
        for index in range(first, first + made):
            places |= {("architecture", index, *inner): place for inner, place in within.items()}
        first += made
    return replace(document, places=places)


def _refusal(document: yaml.Document, mistakes: Sequence[tuple[Loc, str]]) -> SpecError:
    problems = yaml.to_problems(document, mistakes)
    return SpecError(sorted(problems, key=lambda p: (p.line or 0, p.column or 0)), document.source)


def resolved_text(spec: Spec) -> str:
    """Return the spec as YAML with every default filled in; read back, it is the same spec."""
    return f"format: {FORMAT}\n{yaml.dump(resolved_data(spec))}"


def resolved_data(spec: Spec) -> dict[str, Any]:
    """Return the spec as plain data with every default filled in; what is left empty is left out, and the format."""
    data: dict[str, Any] = _without_empty(spec.plain(full=True))
    del data["format"]  # what holds the data has a format of its own
    return data


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item is not None}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _empty(value: Any, path: Loc = ()) -> Iterator[Loc]:
    """Yield the paths of keys and list items without a value."""
    if value is None:
        yield path
    elif isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in entries:
            yield from _empty(item, (*path, key))


def _below(path: Loc, parents: set[Loc]) -> bool:
    return any(path[:depth] in parents for depth in range(len(path) + 1))


def _contradictions(spec: Spec) -> Iterator[tuple[Loc, str]]:
    """Yield what is wrong between sections that are each in order."""
    layers = _count(spec.architecture)
    if layers > MAX_LAYERS:
        yield ("architecture",), f"must have at most {MAX_LAYERS:,} layers, repetitions counted. Got {layers:,}."
    if spec.training.epochs is not None and spec.training.steps is not None:
        yield ("training", "steps"), "stands beside epochs: give one of the two."
    for i, message in check_task(spec.metrics or (), spec.loss.task, probabilities=spec.loss.output is not None):
        yield ("metrics", i), message
    stopping = spec.early_stopping or EarlyStopping()
    if stopping.monitor is not None and not re.fullmatch(r"(train|val)_\w+", stopping.monitor):
        figure = stopping.monitor.removeprefix("test_")
        hint = f" Did you mean 'val_{figure}'?" if re.fullmatch(r"\w+", figure) else ""
        yield (
            ("early_stopping", "monitor"),
            f"must begin with 'train_' or 'val_', such as val_loss. Got '{stopping.monitor}'.{hint}",
        )


def _count(layers: Sequence[Layer]) -> int:
    """Return how many layers an architecture has in all, composites included."""
    total = 0
    for layer in layers:
        within = _count(layer.layers) if isinstance(layer, Sequential | Parallel) else 0
        total += 1 + within * (layer.times if isinstance(layer, Repeat) else 1)
    return total
