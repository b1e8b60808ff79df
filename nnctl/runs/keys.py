"""A spec as dotted keys: ``optimizer = adam``, ``optimizer.lr = 0.001``.

The name of a component is the value of its place and left out of the keys below, as in the overrides of
``nnctl train``. A list is the text of its items at its own key, and each item stands under its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["differing", "dotted", "full_dotted", "short_forms", "text_of"]

Key = str


def dotted(spec: Mapping[str, Any]) -> dict[Key, Any]:
    """Return every value of a resolved spec by its dotted key.

    A section, such as ``early_stopping``, stands there itself, with the value "given", so that one spec can be seen to
    lack it.
    """
    return dict(_flat(spec, "", names=False))


def full_dotted(spec: Mapping[str, Any]) -> dict[Key, Any]:
    """Return every value by its key with the names of components in it: ``optimizer.adam.lr``."""
    return dict(_flat(spec, "", names=True))


def text_of(value: Any) -> str:
    """Return a value of a spec as one line, of each component only a first field that is not 0: ``dense(128)``."""
    if isinstance(value, list):
        return ", ".join(map(text_of, value)) or "none"
    component = _component(value)
    if component is not None:
        name, fields = component
        first = next(iter(fields.values()), None)
        return f"{name}({text_of(first)})" if first else name
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text_of(item)}" for key, item in value.items())
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return str(value)


def _flat(value: Any, key: Key, *, names: bool) -> Iterator[tuple[Key, Any]]:
    component = _component(value)
    if component is not None:
        name, fields = component
        yield key, name
        inner = f"{key}.{name}" if names else key
        for field, item in fields.items():
            yield from _flat(item, f"{inner}.{field}", names=names)
    elif isinstance(value, dict):
        if key:
            yield key, "given"
        for field, item in value.items():
            yield from _flat(item, f"{key}.{field}" if key else str(field), names=names)
    elif isinstance(value, list):
        yield key, text_of(value)
        for i, item in enumerate(value):
            yield from _flat(item, f"{key}.{i}", names=names)
    else:
        yield key, value


def _component(value: Any) -> tuple[str, Mapping[str, Any]] | None:
    """Return name and fields of ``{name: {field: value}}``; no section of a spec has this form."""
    if isinstance(value, dict) and len(value) == 1:
        name, fields = next(iter(value.items()))
        if isinstance(fields, dict):
            return str(name), fields
    return None


def differing(specs: Sequence[Mapping[Key, Any]]) -> list[Key]:
    """Return the keys in which dotted specs differ, but for name and seed, and without what another key explains.

    Where a component is another one, its own fields go without saying: only those that both have are compared. Where
    two lists name other items, the lists are compared as a whole, and items only between lists that read alike.
    """
    keys = dict.fromkeys(key for spec in specs for key in spec if key not in ("name", "seed"))
    return [key for key in keys if _differs(key, specs, keys)]


def short_forms(keys: Sequence[Key]) -> dict[Key, str]:
    """Return for each key the shortest end of it that no other key of these has: ``optimizer.lr`` is ``lr``."""
    short = {}
    for key in keys:
        ends = [key, *(key[i + 1 :] for i, c in enumerate(key) if c == ".")]
        alone = [end for end in ends if sum(f".{other}".endswith(f".{end}") for other in keys) == 1]
        short[key] = alone[-1] if alone else key
    return short


def _differs(key: Key, specs: Sequence[Mapping[Key, Any]], keys: Mapping[Key, None]) -> bool:
    if f"{key}.0" in keys and not _other_items(key, specs):
        return False  # the items, each under its number, tell it more exactly
    above = _above(key)
    for place in above:
        if f"{place}.0" in keys and _other_items(place, specs):
            alike: dict[Any, list[Mapping[Key, Any]]] = {}
            for spec in specs:
                alike.setdefault(spec.get(place), []).append(spec)
            return any(len(_values(key, some)) > 1 for some in alike.values())
    values = _values(key, specs)
    explained = any(len(_values(place, specs)) > 1 for place in above)
    return len(values - {_MISSING} if explained else values) > 1


def _above(key: Key) -> list[Key]:
    parts = key.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _other_items(place: Key, specs: Sequence[Mapping[Key, Any]]) -> bool:
    """Whether lists name other components, or have other values."""
    heads = set()
    for spec in specs:
        items: list[Any] = []
        while (key := f"{place}.{len(items)}") in spec:
            items.append(spec[key])
        heads.add(tuple(items))
    return len(heads) > 1


_MISSING = object()


def _values(key: Key, specs: Sequence[Mapping[Key, Any]]) -> set[Any]:
    return {spec.get(key, _MISSING) for spec in specs}
