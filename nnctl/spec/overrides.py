"""Overrides: ``optimizer.lr=3e-4`` after the spec on the command line.

A path leads through mappings and lists, ``architecture.0.units=64``. Where the file (or else the default) says which
component stands at a place, its name may be left out: ``optimizer.lr`` is ``optimizer.adamw.lr``, and the short forms
``adamw`` and ``adamw: 1e-3`` become ``adamw: {lr: ...}`` to take the new field. ``clip=null`` takes the key out, and
with it what stands there; then the default holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from nnctl.core.component import Component, Schema
from nnctl.core.errors import Problem, SpecError
from nnctl.core.mistakes import Loc
from nnctl.core.yaml import Document, Place

__all__ = ["apply"]


def apply(document: Document, arguments: Sequence[str], schema: type[Schema]) -> Document:
    """Return the document with each ``key=value`` put in its place, one after the other.

    Parameters
    ----------
    document : Document
        The spec as written; it is left as it is.
    arguments : sequence of str
        Paths and YAML values: ``training.epochs=5``, ``metrics=[accuracy]``, ``clip=null``.
    schema : type of Schema
        What the spec is checked against later; says where components stand.

    Raises
    ------
    SpecError
        With every argument that is not ``key=value``, whose value is not YAML, or whose path leads nowhere.
    """
    data, places = deepcopy(document.data), dict(document.places)
    problems: list[Problem] = []
    for argument in arguments:
        try:
            _apply_one(argument, data, places, schema)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems, "command line")
    return Document(data, document.source, document.lines, places)


def _apply_one(argument: str, data: dict[str, Any], places: dict[Loc, Place], schema: type[Schema]) -> None:
    parts, value, inner_places = _parse(argument)
    slot = _Slot({"": data}, "", schema)
    path: Loc = ()
    columns: dict[Loc, int] = {}
    column = 1
    for part in parts:
        try:
            slot, names = _enter(slot, part)
        except _LeadsNowhereError as error:
            raise _refusal(str(error), argument, column, path) from None
        for name in names:
            path = (*path, name)
            columns[path] = column
        column += len(part) + 1
    if value is None and isinstance(slot.holder, dict):
        slot.holder.pop(slot.key, None)
    else:
        slot.holder[slot.key] = value
    for stale in [p for p in places if p[: len(path)] == path]:
        del places[stale]
    for made, at in columns.items():
        places.setdefault(made, Place(None, at, argument))
    places.update({(*path, *inner): place for inner, place in inner_places.items()})


def _parse(argument: str) -> tuple[list[str], Any, dict[Loc, Place]]:
    """Split ``key=value`` and read the value, whose places are columns of the argument."""
    from nnctl.core.compose import MAX_DEPTH, compose  # noqa: PLC0415 - PyYAML takes 17 ms

    key, equals, value = argument.partition("=")
    parts = key.split(".")
    if not equals:
        raise _refusal("is not an override. Write key=value, such as training.epochs=5.", argument)
    if len(parts) > MAX_DEPTH:
        raise _refusal(f"leads more than {MAX_DEPTH} levels deep.", argument)
    if not all(parts):
        raise _refusal("has an empty key. Write key=value, such as training.epochs=5.", argument)
    if not value.strip():
        raise _refusal(f"has no value. Write {key}=null to take the key out and have the default.", argument)
    try:
        data, places = compose(" " * len(key + equals) + value, "command line")
    except SpecError as error:
        where = Problem(tuple(parts), "", None, None, argument)
        raise SpecError([replace(where, message=p.message, column=p.column) for p in error.problems]) from None
    value_place = Place(None, len(key + equals) + 1, argument)
    return (
        parts,
        data,
        {path: Place(None, place.column, argument) for path, place in places.items()} or {(): value_place},
    )


def _refusal(message: str, argument: str, column: int = 1, path: Loc = ()) -> SpecError:
    return SpecError([Problem(path, message, None, column, argument)], "command line")


class _LeadsNowhereError(Exception):
    """A part of a path that cannot be followed."""


class _Slot(NamedTuple):
    """A place in the data: ``holder[key]``, which may not be there yet, and what the schema says of it."""

    holder: Any
    key: str | int
    kind: Any
    default: Any = None

    def value(self) -> Any:
        if isinstance(self.holder, dict) and self.key not in self.holder:
            return self.default
        return self.holder[self.key]


def _enter(slot: _Slot, part: str) -> tuple[_Slot, Loc]:
    """Return the slot called `part` within a slot, and the keys that lead there."""
    schema = _schema_of(slot.kind)
    if schema is None or not issubclass(schema, Component):
        return _enter_plain(slot, part)
    if schema.name:
        return _enter_fields(slot, part, schema)
    return _enter_component(slot, part, schema)


def _enter_component(slot: _Slot, part: str, family: type[Component]) -> tuple[_Slot, Loc]:
    written = slot.value()
    if isinstance(written, str):
        name, written = written, {written: {}}
    elif isinstance(written, dict) and len(written) == 1:
        name = next(iter(written))
    else:  # nothing there, or a mistake that validation will find: `part` is its name
        return _enter_plain(slot, part)
    slot.holder[slot.key] = written
    member = family.member(name)
    inside = _Slot(written, name, member)
    if part == name:
        return inside, (name,)
    if part in family.members() and member is not None and part not in member.model_fields:
        raise _LeadsNowhereError(f"is '{name}', not '{part}'. Change it first, with an override whose value is {part}.")
    last, names = _enter(inside, part)
    return last, (name, *names)


def _enter_fields(slot: _Slot, part: str, member: type[Component]) -> tuple[_Slot, Loc]:
    fields = slot.value()
    short = member.value_field()
    if short is not None and fields is not None and not isinstance(fields, dict):
        annotation = member.model_fields[short].annotation
        if isinstance(fields, list) and part.isdecimal():
            return _enter_plain(_Slot(slot.holder, slot.key, annotation), part)
        slot.holder[slot.key] = {short: fields}
    return _enter_plain(slot, part)


def _enter_plain(slot: _Slot, part: str) -> tuple[_Slot, Loc]:
    value = slot.value()
    if isinstance(value, list):
        if not (part.isdecimal() and int(part) < len(value)):
            known = f"has the items 0 to {len(value) - 1}" if value else "is an empty list"
            raise _LeadsNowhereError(f"{known}. Got '{part}'.")
        return _Slot(value, int(part), _kind_within(slot.kind)), (int(part),)
    if value is None:
        value = slot.holder[slot.key] = {}
    if not isinstance(value, dict):
        raise _LeadsNowhereError(f"is {value!r}, which holds no '{part}'. Give it a new value as a whole.")
    schema = _schema_of(slot.kind)
    if schema is None or (issubclass(schema, Component) and not schema.name):
        kind = schema.member(part) if schema else _kind_within(slot.kind)
        return _Slot(value, part, kind), (part,)
    field = schema.model_fields.get(part)
    default = field.get_default(call_default_factory=True) if field else None
    spelled = default.spelled(full=False) if isinstance(default, Component) else None
    return _Slot(value, part, field and field.annotation, spelled), (part,)


def _schema_of(kind: Any) -> type[Schema] | None:
    """Return the schema or family among the alternatives of an annotation."""
    return next((k for k in _alternatives(kind) if isinstance(k, type) and issubclass(k, Schema)), None)


def _kind_within(kind: Any) -> Any:
    """Return the annotation of a list's items or a mapping's values."""
    for alternative in _alternatives(kind):
        holder = get_origin(alternative)
        if isinstance(holder, type) and issubclass(holder, Mapping | Sequence):
            return [a for a in get_args(alternative) if a is not Ellipsis][-1]
    return None


def _alternatives(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif get_origin(kind) in {Union, UnionType}:
        for alternative in get_args(kind):
            yield from _alternatives(alternative)
    else:
        yield kind
