"""From YAML events to plain data, with the place of every value and a limit on everything.

PyYAML's parser turns text into events; what the events mean is decided here, because its own constructor reads YAML 1.1
(``no`` is False, ``1e-3`` is a text), lets a second key silently win, and expands aliases without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from nnctl.core import scalars
from nnctl.core.component import did_you_mean
from nnctl.core.errors import Problem, SpecError
from nnctl.core.mistakes import Loc
from nnctl.core.yaml import Place

__all__ = ["compose"]

MAX_DEPTH = 64
MAX_VALUES = 50_000
MAX_PROBLEMS = 20
LONGEST_SHOWN = 200

# libyaml's parser where PyYAML was built with it (every published wheel is): 10 times faster than the Python one.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CORE = "tag:yaml.org,2002:"
_CORE_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
}

_ADVICE = {
    "mapping values are not allowed": "Check the indentation; quote a text that holds ': '.",
    "could not find expected ':'": "Write 'key: value', with a space after the colon.",
    "cannot start any token": "Quote a text that begins with a special character.",
    "did not find expected key": "Check the indentation: the keys of one mapping begin in one column.",
    "expected <block end>": "Check the indentation: the keys of one mapping begin in one column.",
    "expected ',' or": "Close the bracket, or put a comma between its items.",
    "unexpected end of stream": "Close the quotation mark.",
}


def compose(text: str, source: str) -> tuple[Any, dict[Loc, Place]]:
    """Return the one value that a YAML text holds, and the place of everything in it; no places if it holds nothing.

    Raises
    ------
    SpecError
        If the text is not YAML, holds more than one document, or breaks a rule or a limit.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"{text[error.start]!r} in line {text.count(chr(10), 0, error.start) + 1}"
        raise SpecError([Problem((), f"holds a character that is not Unicode text ({found}).")], source) from None
    return _Composer(text, source).document()


class _Composer:
    """One reading of one text: a recursive descent over its events."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.text = text
        self.lines = text.splitlines()
        self.stream: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
        self.events: list[yaml.Event] = []
        self.at = 0
        self.places: dict[Loc, Place] = {}
        self.anchors: dict[str, int] = {}
        self.open_anchors: list[str] = []
        self.values = 0
        self.problems: list[Problem] = []

    def document(self) -> tuple[Any, dict[Loc, Place]]:
        self._next()  # the start of the stream
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None, {}
        value = self._value(())
        self._next()  # the end of the document
        if isinstance(after := self._next(), yaml.DocumentStartEvent):
            self._refuse((), "holds more than one document; the second begins here. Keep one.", after)
        if self.problems:
            raise SpecError(self.problems, self.source)
        return value, self.places

    def _next(self) -> Any:
        # Events are kept so that an alias can read its anchor's again.
        if self.at == len(self.events):
            try:
                self.events.append(next(self.stream))
            except yaml.YAMLError as error:
                raise SpecError([*self.problems, self._syntax(error)], self.source) from None
        self.at += 1
        return self.events[self.at - 1]

    def _value(self, path: Loc) -> Any:
        event = self._next()
        self.places.setdefault(path, self._place(event.start_mark))
        self.values += 1
        if self.values > MAX_VALUES:
            self._refuse((), f"holds more than {MAX_VALUES:,} values, with its aliases written out.", event)
        if len(path) > MAX_DEPTH:
            self._refuse((), f"is nested more than {MAX_DEPTH} levels deep.", event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(path, event)
        anchor = event.anchor
        if anchor is None:
            return self._content(path, event)
        self.anchors[anchor] = self.at - 1
        self.open_anchors.append(anchor)
        value = self._content(path, event)
        self.open_anchors.pop()
        return value

    def _content(self, path: Loc, event: Any) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            self._check_tag(path, event, "map")
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(path, event, "seq")
            return self._sequence(path)
        return self._scalar(path, event)

    def _sequence(self, path: Loc) -> list[Any]:
        items: list[Any] = []
        while not isinstance(self._next(), yaml.SequenceEndEvent):
            self.at -= 1
            items.append(self._value((*path, len(items))))
        return items

    def _mapping(self, path: Loc) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(path, event)
            inner = (*path, key)
            if key in entries:
                first, second = self.places[inner].line, event.start_mark.line + 1
                lines = f"lines {first} and {second}" if first != second else f"line {first}"
                self._note(inner, f"stands twice, in {lines}. Remove one.", event)
            self.places.setdefault(inner, self._place(event.start_mark))
            entries[key] = self._value(inner)
        return entries

    def _key(self, path: Loc, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(path, "has a key that is not a text. Write 'key: value'.", event)
        if _is_plain(event):
            if event.value == "<<":
                self._note(path, "has a merge key '<<', which YAML 1.2 does not know. Write its keys out.", event)
            elif not isinstance(self._read(path, event), str):
                quoted = f'"{event.value}"'
                self._note(
                    path, f"has a key that is not a text. Got {event.value or 'nothing'}. Quote it: {quoted}.", event
                )
        else:
            self._check_tag(path, event, "str")
        return str(event.value)

    def _scalar(self, path: Loc, event: Any) -> scalars.Scalar:
        if _is_plain(event):
            return self._read(path, event)
        kind = str(event.tag or "!").removeprefix(_CORE)
        if kind in {"!", "str"}:
            return str(event.value)
        if kind not in _CORE_TYPES:
            self._check_tag(path, event, "str")
            return None
        value = self._read(path, event)
        if type(value) not in _CORE_TYPES[kind]:
            self._note(path, f"is tagged !!{kind}, which it is not. Got '{event.value}'. Remove the tag.", event)
        return float(value) if kind == "float" and isinstance(value, int) else value

    def _read(self, path: Loc, event: Any) -> scalars.Scalar:
        try:
            return scalars.read(event.value)
        except ValueError as error:
            self._note(path, str(error), event)
            return None

    def _alias(self, path: Loc, event: Any) -> Any:
        name = event.anchor
        if name in self.open_anchors:
            self._refuse(path, f"holds itself: the alias '*{name}' stands inside its anchor. Remove it.", event)
        if name not in self.anchors:
            hint = did_you_mean(name, self.anchors)
            self._refuse(path, f"is the alias '*{name}', and no anchor '&{name}' stands before it.{hint}", event)
        back, self.at = self.at, self.anchors[name]
        value = self._value(path)
        self.at = back
        return value

    def _check_tag(self, path: Loc, event: Any, kind: str) -> None:
        if event.tag not in {None, "!", _CORE + kind}:
            tag = str(event.tag).replace(_CORE, "!!")
            self._note(path, f"has the tag '{tag}'; a spec is plain data. Remove the tag.", event)

    def _place(self, mark: Any) -> Place:
        text = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Place(mark.line + 1, mark.column + 1, text if len(text) <= LONGEST_SHOWN else None)

    def _note(self, path: Loc, message: str, event: Any) -> None:
        self.problems.append(Problem(path, message, *self._place(event.start_mark)))
        if len(self.problems) == MAX_PROBLEMS:
            raise SpecError(self.problems, self.source)

    def _refuse(self, path: Loc, message: str, event: Any) -> NoReturn:
        problem = Problem(path, message, *self._place(event.start_mark))
        raise SpecError([*self.problems, problem], self.source)

    def _syntax(self, error: Any) -> Problem:
        if isinstance(error, yaml.reader.ReaderError):
            line = self.text.count("\n", 0, self.text.index(chr(error.character))) + 1
            return Problem((), f"is not YAML: {error.reason} ({error.character:#04x} in line {line}). Remove it.")
        said, mark = error.problem, error.problem_mark
        place = self._place(mark)
        if "\t" in (place.text or "")[: _indentation(place.text or "") + 1]:
            return Problem((), "has a tab in its indentation. Indent with spaces.", *place)
        opened = error.context_mark
        where = (
            f", {error.context} that begins in line {opened.line + 1}" if opened and opened.line != mark.line else ""
        )
        return Problem((), f"is not YAML: {said}{where}. {_advice(said)}".rstrip(), *place)


def _is_plain(event: Any) -> bool:
    return bool(event.tag is None and event.implicit[0])


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _advice(said: str) -> str:
    return next((advice for words, advice in _ADVICE.items() if words in said), "")
