"""What ``nnctl explain`` tells of a component, a section of the spec, or one field, as plain data.

All of it comes from the classes: their docstrings, their fields, the docstrings under the fields, the registry.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from nnctl.core import scalars
from nnctl.core.component import Component, Schema, did_you_mean
from nnctl.core.errors import UsageError
from nnctl.data.cards import card_names
from nnctl.data.sources import Source
from nnctl.spec.model import Spec
from nnctl.spec.schema import JsonSchema, families, field_schemas, schemas_in, summary

__all__ = ["FieldEntry", "Page", "contents", "pages"]

_SAMPLES: Mapping[str, Any] = {
    "at": [0.5, 0.75],
    "class_weight": "balanced",
    "every": "10 epochs",
    "hidden": [128, 64],
    "images": "images-idx3-ubyte.gz",
    "labels": "labels-idx1-ubyte.gz",
    "targets": ["load"],
    "layers": [{"dense": 64}, "relu"],
    "limit": 3.0,
    "max_norm": 1.0,
    "rate": 1e-4,
    "shape": [8, 8, 1],
    "target": "y",
    "units": 64,
    "dataset": "mnist",
}
"""What an example writes for a field without a default."""

_LISTS = {"architecture", "data.augment", "metrics", "regularizers"}
"""Keys of the spec that hold a list of components."""


@dataclass(frozen=True)
class FieldEntry:
    """One field: its name, what it may hold, its default as YAML (None: required; "": none), meaning, other names."""

    name: str
    kind: str
    default: str | None
    meaning: str
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """What there is to say about one name.

    Parameters
    ----------
    title : str
        What it is: ``optimizer adam``.
    text : str
        The documentation.
    places : list of (str, str)
        Where it stands in a spec, and what it is there.
    fields : list of FieldEntry
    members : list of (str, str)
        The names and summaries of a family's components.
    examples : list of str
        Lines of YAML.
    elsewhere : tuple of str
        What other frameworks call it.
    """

    title: str
    text: str
    places: list[tuple[str, str]] = field(default_factory=list)
    fields: list[FieldEntry] = field(default_factory=list)
    members: list[tuple[str, str]] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    elsewhere: tuple[str, ...] = ()


def contents() -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return every section and family: its word, its summary, and its keys or members with a line on each."""
    found = [(".".join(path) or "spec", summary(s), list(_keys(s))) for path, s in _sections().items()]
    return found + [(word, summary(family), _members(family)) for word, family in families().items()]


def pages(name: str) -> list[Page]:
    """Return what there is to say about a component, a family, a section or a field; all that are so called.

    Raises
    ------
    UsageError
        There is nothing of that name; says what resembles it.
    """
    first, *rest = name.strip().lower().replace("-", "_").split(".")
    found = _beginnings(first)
    for part in rest:
        found = [node for parent in found for node in _within(parent, part)]
    if not found:
        raise UsageError(f"there is nothing called '{name}'.{_hint(name)}")
    return [_page(node) for node in dict.fromkeys(found)]


# ------------------------------------------------------------------ names: a node is a class, or a class and its field

Node = type[Schema] | tuple[type[Schema], str]


@cache
def _sections() -> dict[tuple[str, ...], type[Schema]]:
    """Return the sections of a spec by the keys that lead to them, from the whole spec on."""
    found: dict[tuple[str, ...], type[Schema]] = {(): Spec}
    queue: list[tuple[tuple[str, ...], type[Schema]]] = [((), Spec)]
    for path, section in queue:
        for key, info in section.model_fields.items():
            for kind in schemas_in(info.annotation):
                if not issubclass(kind, Component):
                    found[*path, key] = kind
                    queue.append(((*path, key), kind))
    return found


def _beginnings(word: str) -> list[Node]:
    """Return what a name may begin with: a section, a key of the spec, a family or a component."""
    found: list[Node] = [Spec] if word == "spec" else []
    found += [section for path, section in _sections().items() if path[-1:] == (word,)]
    found += _within(Spec, word)
    for family_word, family in families().items():
        found += [family] if family_word == word else []
        found += [family.members()[word]] if word in family.members() else []
    return found


def _within(node: Node, part: str) -> list[Node]:
    """Return what is called `part` within a node."""
    if isinstance(node, tuple):
        return []
    if issubclass(node, Component) and not node.name and part in node.members():
        return [node.members()[part]]
    if part not in node.model_fields:
        return []
    within = list(schemas_in(node.model_fields[part].annotation))
    is_section = not issubclass(node, Component)
    return [within[0]] if is_section and within else [(node, part)]


def _hint(name: str) -> str:
    """Return where a word is a field, or which name it resembles."""
    word = name.rsplit(".", 1)[-1].lower()
    owners: list[tuple[str, type[Schema]]] = [(".".join(path), s) for path, s in _sections().items() if path]
    owners += [(member.name, member) for family in families().values() for member in family.members().values()]
    called = [(owner, schema, _synonyms(schema).get(word, word)) for owner, schema in owners]
    fields = [f"{owner}.{key}" for owner, schema, key in called if key in schema.model_fields]
    if fields:
        more = f" and {len(fields) - 3} more" if len(fields) > 3 else ""
        return f" It is a field: {', '.join(fields[:3])}{more}."
    known = {"spec", *Spec.model_fields, *families(), *(".".join(path) for path in _sections())}
    known |= {key for path, section in _sections().items() if path for key in section.model_fields}
    synonyms: dict[str, str] = {}
    for family in families().values():
        known |= set(family.members())
        synonyms |= family.synonyms
    hint = did_you_mean(name, sorted(known), synonyms | dict(Spec.field_synonyms))
    return hint or " `nnctl explain` alone lists what there is."


def _synonyms(schema: type[Schema]) -> dict[str, str]:
    return schema._synonyms()  # noqa: SLF001 - merged over the bases, which `field_synonyms` is not


# ------------------------------------------------------------------ pages


def _page(node: Node) -> Page:
    if isinstance(node, tuple):
        return _field_page(*node)
    if not issubclass(node, Component):
        path = next(path for path, section in _sections().items() if section is node)
        return Page(".".join(path) or "spec", _doc(node), fields=_entries(node))
    if not node.name:
        return Page(node.family, _doc(node), places=_places(node), members=_members(node))
    return Page(
        f"{node.family} {node.name}",
        _doc(node),
        places=_places(families()[node.family]),
        fields=_entries(node),
        examples=_examples(node),
        elsewhere=tuple(word for word, name in node.synonyms.items() if name == node.name),
    )


def _field_page(owner: type[Schema], name: str) -> Page:
    entry = next(entry for entry in _entries(owner) if entry.name == name)
    if not issubclass(owner, Component):
        path = next(path for path, section in _sections().items() if section is owner)
        return Page(
            ".".join((*path, name)), f"A key of {'.'.join(path) or 'the spec'}. {summary(owner)}", fields=[entry]
        )
    examples = [_example(owner, {**_needed(owner), name: _sample(owner, name)})] if owner.name else []
    text = f"A field of {owner.family} {owner.name}".rstrip() + f". {summary(owner)}"
    return Page(f"{owner.name or owner.family}.{name}", text, fields=[entry], examples=examples)


def _doc(schema: type[Schema]) -> str:
    return inspect.cleandoc(schema.__doc__ or "")


def _keys(section: type[Schema]) -> Iterator[tuple[str, str]]:
    docs = section.field_docs()
    for key in section.model_fields:
        yield key, " ".join(docs.get(key, "").split())


def _members(family: type[Component]) -> list[tuple[str, str]]:
    found = [(name, summary(member)) for name, member in family.members().items()]
    return found + [(name, "A data set with a card; see `nnctl fetch`.") for name in card_names() if family is Source]


@cache
def _places(family: type[Component]) -> list[tuple[str, str]]:
    """Return the keys of the spec at which members of the family stand, and what they do there."""
    return [
        (".".join((*path, key)), meaning)
        for path, section in _sections().items()
        for key, meaning in _keys(section)
        if family in schemas_in(section.model_fields[key].annotation)
    ]


def _entries(schema: type[Schema]) -> list[FieldEntry]:
    synonyms = _synonyms(schema)
    found = []
    for name, made in field_schemas(schema).items():
        info = schema.model_fields[name]
        default = None if info.is_required() else _flow(made["default"]) if "default" in made else ""
        elsewhere = tuple(word for word, key in synonyms.items() if key == name)
        meaning = inspect.cleandoc(schema.field_docs().get(name, ""))
        found.append(FieldEntry(name, in_words(made), default, meaning, elsewhere))
    return found


# ------------------------------------------------------------------ what a field may hold, in words


def in_words(found: JsonSchema) -> str:
    """Return what a JSON Schema allows, in words: ``number >= 0 and < 1``."""
    if "allOf" in found:
        return in_words(found["allOf"][0])
    if "$ref" in found:
        return _referred(found["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in found:
        return _either([in_words(choice) for choice in found["anyOf"]]) + _bounds(found)
    if "enum" in found or "const" in found:
        return _either([_flow(value) for value in found.get("enum", [found.get("const")])])
    if found.get("type") == "array":
        count = found.get("minItems")
        counted = f" {count}" if count and count == found.get("maxItems") else ""
        kinds = found["prefixItems"] if "prefixItems" in found else [found["items"]]  # a pair has a kind for each
        return f"list of{counted} {_plural(_either([in_words(kind) for kind in kinds]))}"
    if "examples" in found:
        return f"text such as {_either([str(example) for example in found['examples']])}"
    names = {"integer": "whole number", "boolean": "true or false", "string": "text", "object": "mapping"}
    kind = str(found.get("type", "value"))
    return names.get(kind, kind) + _bounds(found)


def _referred(key: str) -> str:
    families_by_class = {family.__name__: word for word, family in families().items()}
    if key in families_by_class:
        word = families_by_class[key]
        return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
    return "section"


def _plural(words: str) -> str:
    noun, *rest = words.removeprefix("a ").removeprefix("an ").split(" ", 1)
    if noun == "whole":
        return f"whole numbers{rest[0].removeprefix('number')}"
    return " ".join([f"{noun}s", *rest])


def _either(words: list[str]) -> str:
    unique = list(dict.fromkeys(words))
    return unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} or {unique[-1]}"


def _bounds(found: JsonSchema) -> str:
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    said = [f"{sign} {found[key]:g}" for key, sign in signs.items() if key in found]
    return f" {' and '.join(said)}" if said else ""


# ------------------------------------------------------------------ examples


def _examples(member: type[Component]) -> list[str]:
    """Return a component in the three spellings, as far as it has them."""
    needed = _needed(member)
    short = member.value_field()
    required = [name for name, info in member.model_fields.items() if info.is_required()]
    found = [] if needed else [_example(member, {})]
    if short is not None and set(required) <= {short}:
        found.append(_example(member, needed | {short: _sample(member, short)}, short=True))
    shown = dict(needed)
    for name in [short, *member.model_fields]:
        if name is not None and len(shown) < 3 and _sample(member, name) not in (None, [], {}, ""):
            shown.setdefault(name, _sample(member, name))
    if shown:
        found.append(_example(member, shown))
    return found


def _needed(member: type[Component]) -> dict[str, Any]:
    """Return the fields that the component cannot be without, a file's path among them."""
    return {
        name: _sample(member, name)
        for name, info in member.model_fields.items()
        if info.is_required() or name == "path"
    }


def _sample(member: type[Component], name: str) -> Any:
    """Return a value to show for a field: its default, or else one that it takes."""
    info = member.model_fields[name]
    made = field_schemas(member)[name]
    if "default" in made:
        return made["default"]
    if name == "path":
        return f"data.{member.name}"
    if name in _SAMPLES:
        return _SAMPLES[name]
    if not info.is_required():
        return None
    by_type = {"number": 0.1, "integer": 2, "boolean": True, "string": name}
    return by_type.get(made.get("type", made.get("anyOf", [{}])[0].get("type")), name)


def _example(member: type[Component], fields: Mapping[str, Any], *, short: bool = False) -> str:
    """Return the line of a spec that names a component with these fields, or with the value of the only one."""
    written = member.name
    value = next(iter(fields.values())) if short else dict(fields)
    if fields:
        written = f"{written}: {_flow(value)}"
    path = next(iter(_places(families()[member.family])), (member.family, ""))[0]
    if path in _LISTS:
        return f"- {written}"
    return f"{path.rsplit('.', 1)[-1]}: {f'{{{written}}}' if fields else written}"


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{scalars.write(key)}: {_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return scalars.write(value)
