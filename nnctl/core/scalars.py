"""The scalars of YAML 1.2, read and written: what ``1e-3``, ``no``, ``~`` and ``0o17`` mean.

The rules are those of the core schema (YAML 1.2.2, section 10.3.2, table 10.2), which has no dates, no base-60 numbers
and no ``yes`` or ``off``: these are texts.
"""

from __future__ import annotations

import json
import math
import re

__all__ = ["MAX_DIGITS", "Scalar", "read", "write"]

Scalar = str | int | float | bool | None

MAX_DIGITS = 300
"""The longest number: any whole number of so many digits is still a finite float."""

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((sign + inf for sign in ("", "+") for inf in (".inf", ".Inf", ".INF")), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)

_PLAIN = re.compile(r"(\.{0,2}/)?[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*", re.ASCII)
_READ_OTHERWISE_BY_YAML_1_1 = {"yes", "no", "on", "off"}


def read(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises
    ------
    ValueError
        If it is a number of more than 300 characters.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        _check_length(text)
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT.fullmatch(text):
        _check_length(text)
        return float(text)
    return text


def _check_length(text: str) -> None:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"is a number of {len(text)} characters; at most {MAX_DIGITS} are read.")


def write(value: Scalar) -> str:
    """Return the text that `read` takes for this value; a text is quoted where it would be read as something else."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _write_float(value)
    if isinstance(value, str):
        return _write_text(value)
    raise TypeError(f"a {type(value).__name__} has no YAML spelling")


def _write_float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return re.sub(r"e([-+])0*", lambda e: "e-" if e[1] == "-" else "e", float.__repr__(value))


def _write_text(text: str) -> str:
    if _PLAIN.fullmatch(text) and read(text) == text and text.lower() not in _READ_OTHERWISE_BY_YAML_1_1:
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in json.dumps(text, ensure_ascii=False))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
