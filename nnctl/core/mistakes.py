"""Mistakes: every error of a validation as its path and one sentence, "must be ... Got ..."."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

__all__ = ["UNKNOWN", "Loc", "listed", "problems_of", "sentence", "shown"]

Loc = tuple[str | int, ...]
UNKNOWN = "unknown key."
"""How the sentence about such a key begins."""


def listed(words: Iterable[str]) -> str:
    """Return words with commas between them."""
    return ", ".join(words) or "none"


def shown(value: Any) -> str:
    """Return a value of a spec as it is quoted in a sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if len(repr(value)) > 60 else repr(list(value))
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_SENTENCES = {
    "missing": "is required and missing.",
    "greater_than": "must be > {gt}.",
    "greater_than_equal": "must be >= {ge}.",
    "less_than": "must be < {lt}.",
    "less_than_equal": "must be <= {le}.",
    "multiple_of": "must be a multiple of {multiple_of}.",
    "int_type": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "float_type": "must be a number.",
    "finite_number": "must be a finite number.",
    "bool_type": "must be true or false.",
    "string_type": "must be a text.",
    "tuple_type": "must be a list.",
    "list_type": "must be a list.",
    "dict_type": "must be a mapping of keys to values.",
    "model_type": "must be a mapping of keys to values.",
    "literal_error": "must be {expected}.",
    "too_short": "must have at least {min_length} item(s).",
    "too_long": "must have at most {max_length} item(s).",
    "string_too_short": "must not be empty.",
    "string_too_long": "must have at most {max_length} character(s).",
    "string_pattern_mismatch": "must match {pattern}.",
}
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "must hold letters, digits and ._- alone, and begin with a letter or a digit.",
    r"^[\t -~]$": "must be one character, of ASCII.",
}
"""What the patterns of texts say, in words."""


def sentence(error: Mapping[str, Any]) -> str:
    """Return one pydantic error as "must be ... Got ..."."""
    kind, found = error["type"], error["input"]
    if kind == "nnctl":
        return str(error["msg"])
    if kind == "missing":
        return _SENTENCES[kind]
    if kind in ("tuple_type", "list_type") and isinstance(found, str | int | float):
        return f"must be a list, such as [{found}]. Got {shown(found)}."
    if (
        kind in ("int_type", "int_from_float")
        and isinstance(found, float)
        and found.is_integer()
        and abs(found) < 2**63
    ):
        return f"must be a whole number. Got {shown(found)}. Write {found:.0f}."
    if kind == "string_pattern_mismatch" and error["ctx"]["pattern"] in _PATTERNS:
        return f"{_PATTERNS[error['ctx']['pattern']]} Got {shown(found)}."
    template = _SENTENCES.get(kind)
    if template is None:
        return f"{str(error['msg']).removeprefix('Value error, ')}. Got {shown(found)}."
    limits = {name: f"{value:g}" if isinstance(value, float) else value for name, value in error.get("ctx", {}).items()}
    return f"{template.format(**limits)} Got {shown(found)}."


def problems_of(error: ValidationError) -> list[tuple[Loc, str]]:
    """Return every mistake in a validation error as its path and its sentence.

    The branches of a union that were tried for one value are told as one sentence. A mistake within a value is told
    instead of one about the value as a whole, which is then no list of the right length, or no branch of a union,
    because of it.
    """
    told: dict[Loc, list[str]] = {}
    for entry in error.errors(include_url=False):
        loc, said = entry["loc"], sentence(entry)
        is_key = said.startswith(UNKNOWN)
        path = (*_without_branches(loc[:-1]), loc[-1]) if is_key else _without_branches(loc)
        told.setdefault(path, []).append(said)
    above = {path[:depth] for path in told for depth in range(1, len(path))}
    return [(path, _merged(sentences)) for path, sentences in told.items() if path not in above]


_BRANCHES = (
    "function-",
    "literal[",
    "constrained-",
    "nullable[",
    "tuple[",
    "list[",
    "dict[",
    "is-instance[",
    "lax-or-strict[",
)
_SCALARS = {"int", "float", "str", "bool", "none"}


def _without_branches(loc: Sequence[str | int]) -> Loc:
    return tuple(
        part for part in loc if not (isinstance(part, str) and (part in _SCALARS or part.startswith(_BRANCHES)))
    )


def _merged(sentences: Sequence[str]) -> str:
    if len(sentences) == 1:
        return sentences[0]
    heads = [s.split(" Got ")[0].removesuffix(".") for s in sentences]
    tail = next((" Got " + s.split(" Got ", 1)[1] for s in sentences if " Got " in s), "")
    joined = heads[0] + "".join(" or " + head.removeprefix("must be ") for head in heads[1:])
    return f"{joined}.{tail}"
