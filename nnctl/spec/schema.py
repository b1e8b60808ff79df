"""The JSON Schema (draft-07) of a spec, made from the component registry and the fields of every section.

An editor that knows it completes names, shows what a field means, and underlines what is wrong. With the YAML extension
of most editors the first line of a spec says where it lies:

    # yaml-language-server: $schema=nnctl.schema.json

It allows all that a spec may say, and nothing with an unknown key, a wrong type or an unknown component. What only
the whole spec or the data can tell (a loss that does not fit, shapes) is for ``nnctl validate``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from nnctl.core.component import Component, Schema
from nnctl.data.cards import card_names
from nnctl.data.sources import Source
from nnctl.spec.model import Spec

__all__ = ["JsonSchema", "families", "field_schemas", "json_schema", "schemas_in", "summary"]

DRAFT = "http://json-schema.org/draft-07/schema#"

JsonSchema = dict[str, Any]

_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def json_schema() -> JsonSchema:
    """Return the schema of a whole spec."""
    definitions = {family.__name__: _family(family) for family in families().values()}
    for section in _sections(Spec):
        definitions[section.__name__] = _fields(section)
    for family in families().values():
        definitions |= {_member_key(member): _member(member) for member in family.members().values()}
    return {
        "$schema": DRAFT,
        "title": "nnctl spec",
        **definitions.pop("Spec"),
        "definitions": dict(sorted(definitions.items())),
    }


def families() -> dict[str, type[Component]]:
    """Return every family of components by its word: layer, loss, optimizer, ..."""
    kinds = [kind for kind in Component.__subclasses__() if kind.__module__.startswith("nnctl.")]  # not a test's own
    return {kind.family: kind for kind in sorted(kinds, key=lambda kind: kind.family)}


@cache
def field_schemas(schema: type[Schema]) -> dict[str, JsonSchema]:
    """Return the schema of every field, with its meaning and default; components and sections are references."""
    made = schema.model_json_schema(ref_template="#/definitions/{model}")
    docs = schema.field_docs()
    return {
        name: _described(_cleaned(made["properties"][name]), docs.get(name, ""), field)
        for name, field in schema.model_fields.items()
    }


def schemas_in(annotation: Any) -> Iterator[type[Schema]]:
    """Yield the sections and families that a field's annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from schemas_in(argument)


def summary(schema: type[Schema]) -> str:
    """Return the first paragraph of a class's documentation as one line."""
    return " ".join(inspect.cleandoc(schema.__doc__ or "").split("\n\n")[0].split())


def _sections(schema: type[Schema]) -> Iterator[type[Schema]]:
    """Yield a section and those within it."""
    yield schema
    for field in schema.model_fields.values():
        for kind in schemas_in(field.annotation):
            if not issubclass(kind, Component):
                yield from _sections(kind)


def _fields(schema: type[Schema]) -> JsonSchema:
    required = [name for name, field in schema.model_fields.items() if field.is_required()]
    return {
        "type": "object",
        "description": summary(schema),
        "properties": field_schemas(schema),
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _family(family: type[Component]) -> JsonSchema:
    """Return the schema of any member of a family: its name alone, or ``name: fields`` or ``name: value``."""
    members = family.members()
    alone = [name for name, member in members.items() if not any(f.is_required() for f in member.model_fields.values())]
    forms = {name: _reference(_member_key(member), summary(member)) for name, member in members.items()}
    if family is Source:
        alone += card_names()
        forms |= {name: {"type": "object", "description": f"The data set {name}."} for name in card_names()}
    mapping = {"type": "object", "properties": forms, "additionalProperties": False, "minProperties": 1}
    return {"description": summary(family), "anyOf": [{"enum": sorted(alone)}, {**mapping, "maxProperties": 1}]}


def _member(member: type[Component]) -> JsonSchema:
    """Return the schema of what stands behind a component's name: its fields, or the value of one of them."""
    fields = _fields(member)
    short = member.value_field()
    if short is None or set(fields.get("required", ())) - {short}:
        return fields
    value = fields["properties"][short]
    return {
        "description": fields["description"],
        "anyOf": [fields, {"allOf": [value, {"not": {"type": "object"}}]}],
    }


def _member_key(member: type[Component]) -> str:
    return f"{member.family}.{member.name}"


def _reference(key: str, description: str) -> JsonSchema:
    # Draft-07 ignores what stands beside a $ref.
    return {"description": description, "allOf": [{"$ref": f"#/definitions/{key}"}]}


def _described(found: JsonSchema, meaning: str, field: FieldInfo) -> JsonSchema:
    if "$ref" in found:
        found = {"allOf": [found]}
    if not field.is_required():
        default = field.get_default(call_default_factory=True)
        plain = _plain_default(default)
        if plain is not None:
            found = {**found, "default": plain}
    return {**({"description": " ".join(meaning.split())} if meaning else {}), **found}


def _plain_default(default: Any) -> Any:
    """Return a default as YAML spells it; None for a section, whose fields have defaults of their own."""
    if isinstance(default, Component):
        return default.spelled(full=False)
    if isinstance(default, Schema):
        return None
    return list(default) if isinstance(default, tuple) else default


def _cleaned(found: Any) -> Any:
    """Return pydantic's schema in our terms: families as references, no titles, and no null, which YAML may not say."""
    if isinstance(found, list):
        return [_cleaned(item) for item in found]
    if not isinstance(found, Mapping):
        return found
    if "x-family" in found:
        return {"$ref": f"#/definitions/{found['x-family']}"}
    kept = {_BOUNDS.get(key, key): _cleaned(value) for key, value in found.items() if key not in {"title", "default"}}
    if "anyOf" in kept:
        choices = [choice for choice in kept.pop("anyOf") if choice != {"type": "null"}]
        kept |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    return kept
