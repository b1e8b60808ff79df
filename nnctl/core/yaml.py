"""YAML as data: what a spec, or a data set's card, says, and where each word of it stands.

Numbers, booleans and nulls follow the YAML 1.2 core rules (`nnctl.core.scalars`); the rules that keep a spec safe and
unambiguous (no second key, no tags, bounded aliases and depth) are in `nnctl.core.compose`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from nnctl.core import scalars
from nnctl.core.component import did_you_mean
from nnctl.core.errors import Problem, SpecError
from nnctl.core.mistakes import Loc

__all__ = ["Document", "Place", "dump", "load", "loads", "to_problems"]

MAX_BYTES = 1_000_000


class Place(NamedTuple):
    """Where a value stands.

    `line` and `column` count from 1; `line` is None for the command line, whose argument is `text`.
    `text` is None where the line is too long to be shown.
    """

    line: int | None
    column: int
    text: str | None


@dataclass(frozen=True)
class Document:
    """A spec as written: plain data, and the place of every part of it.

    Parameters
    ----------
    data : dict
        Mappings, lists and scalars.
    source : str
        The file's name, for messages.
    lines : tuple of str
        The text.
    places : mapping of path to Place
        A mapping's entry stands where its key is, a list's item where its value is.
    """

    data: dict[str, Any]
    source: str = "spec"
    lines: tuple[str, ...] = ()
    places: Mapping[Loc, Place] = field(default_factory=dict, repr=False)

    def locate(self, path: Loc) -> Place:
        """Return the place of a path, or of the deepest part of it that is written.

        A list that was written in a component's short form, ``residual: [...]``, is found though the path names its
        field, ``residual.layers.0``.
        """
        here: Loc = ()
        for part, following in zip(path, (*path, None)[1:], strict=True):
            if (*here, part) in self.places:
                here = (*here, part)
            elif not isinstance(following, int):
                break
        return self.places.get(here, Place(None, 1, None))


def to_problems(document: Document, mistakes: Iterable[tuple[Loc, str]]) -> list[Problem]:
    """Return mistakes, given as path and message, with the places where they stand."""
    located = [(path, message, document.locate(path)) for path, message in mistakes]
    return [
        Problem(path, message, *place, source="command line" if place.line is None and place.text else None)
        for path, message, place in located
    ]


def load(path: str | os.PathLike[str]) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises
    ------
    SpecError
        If there is no such file, it cannot be read, is larger than 1 MB, is not UTF-8, or is not such YAML.
    """
    file = Path(path)
    source = str(path)
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        _refuse(source, f"does not exist.{_neighbour(file)}")
    except IsADirectoryError:
        _refuse(source, f"is a directory. Name the YAML file.{_neighbour(file / 'spec.yaml')}")
    except OSError as error:
        _refuse(source, f"cannot be read: {error.strerror}.")
    if len(raw) > MAX_BYTES:
        _refuse(
            source,
            f"is larger than {MAX_BYTES // 10**6} MB. A spec is a page of text; data belongs in files of its own.",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        _refuse(source, f"is not UTF-8 text (byte {raw[error.start]:#04x} in line {line}). Save it as UTF-8.")
    return loads(text, source)


def loads(text: str, source: str = "spec.yaml") -> Document:
    """Read a YAML text whose top level is a mapping.

    Raises
    ------
    SpecError
        If it is not such YAML; every duplicate key, tag and key that is not a text is named at once.
    """
    from nnctl.core.compose import compose  # noqa: PLC0415 - PyYAML takes 17 ms

    data, places = compose(text, source)
    if not places:
        _refuse(source, "is empty. `nnctl init` writes a spec to start from.")
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "nothing" if data is None else "a single value"
        problem = Problem((), f"must be a mapping of keys to values at the top level. Got {kind}.", *places[()])
        raise SpecError([problem], source)
    return Document(data, source, tuple(text.splitlines()), places)


def _refuse(source: str, message: str) -> NoReturn:
    raise SpecError([Problem((), message)], source) from None


def _neighbour(file: Path) -> str:
    try:
        names = sorted(entry.name for entry in file.parent.iterdir() if entry.suffix in {".yaml", ".yml"})
    except OSError:
        return ""
    return did_you_mean(file.name, names)


def dump(data: Mapping[str, Any], comments: Mapping[Loc, str] | None = None) -> str:
    """Return YAML that `loads` reads back as equal data.

    Mappings and lists are written one entry a line; a short list of scalars in brackets.

    Parameters
    ----------
    data : mapping
        Mappings, lists (or tuples) and scalars.
    comments : mapping of path to str
        What is written, as comment lines, above the entry at a path; at ``()``, above all. An empty line of it is one;
        a line that is too long for 79 columns is broken between words.
    """
    comments = comments or {}
    lines = [*_comment(comments.get(()), ""), *_entries(data, (), "", comments)] if data else ["{}"]
    return "\n".join(lines) + "\n"


def _comment(text: str | None, indent: str) -> list[str]:
    # YAML bars control characters from comments too.
    lines = ["".join(c if c.isprintable() else " " for c in line) for line in (text or "").splitlines()]
    return [f"{indent}# {part}".rstrip() if part else "" for line in lines for part in _wrapped(line, 77 - len(indent))]


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    import textwrap  # noqa: PLC0415 - what is dumped has no comments but in `nnctl init`

    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)


def _entries(value: Any, path: Loc, indent: str, comments: Mapping[Loc, str]) -> Iterator[str]:
    """Yield the lines of a mapping or a list that stands in block style."""
    is_mapping = isinstance(value, Mapping)
    for key, item in value.items() if is_mapping else enumerate(value):
        inner = (*path, key)
        yield from _comment(comments.get(inner), indent)
        head = f"{indent}{scalars.write(key)}:" if is_mapping else f"{indent}-"
        inline = _inline(item)
        if inline is not None:
            yield f"{head} {inline}"
        elif is_mapping:
            yield head
            yield from _entries(item, inner, indent + "  ", comments)
        else:
            first, *rest = _entries(item, inner, indent + "  ", comments)
            yield f"{head} {first.lstrip()}"
            yield from rest


def _inline(value: Any) -> str | None:
    """Return what fits on the line of its key: a scalar, an empty collection, a short list of scalars."""
    if isinstance(value, Mapping):
        return None if value else "{}"
    if not isinstance(value, list | tuple):
        return scalars.write(value)
    if any(isinstance(item, Mapping | list | tuple) for item in value):
        return None
    text = f"[{', '.join(map(scalars.write, value))}]"
    return text if len(text) <= 80 or not value else None
