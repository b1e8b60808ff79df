"""What someone else may send: bombs of YAML and JSON, pictures of a few bytes, names that a terminal would obey."""

from __future__ import annotations

import struct
import zlib

__all__ = ["JSON_BOMBS", "OBEYED", "YAML_BOMBS", "YAML_TRICKS", "picture"]

_ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{here}: &{here} [{','.join(['*' + before] * 9)}]\n" for before, here in zip("abcdefgh", "bcdefghi", strict=True)
)
_DEEP = f"a0: &a0 {'[' * 50}{']' * 50}\n" + "".join(
    f"a{i}: &a{i} {'[' * 50}*a{i - 1}{']' * 50}\n" for i in range(1, 50)
)
YAML_BOMBS = {
    "aliases": (_ALIASES.ljust(324), "holds more than 50,000 values"),
    "depth by aliases": (_DEEP, "nested more than 64 levels"),
    "open brackets": ("a: " + "[" * 1000, "nested more than 64 levels"),
    "braces": ("{a: " * 1000, "nested more than 64 levels"),
    "dashes": ("- " * 1000, "nested more than 64 levels"),
    "wide": ("a: [" + "1," * 450_000 + "]", "holds more than 50,000 values"),
    "large": ("# " + "x" * 10**6, "is larger than 1 MB"),
}
"""Each with what is said of it."""
YAML_TRICKS = {
    "tag": ("a: !!python/object/apply:os.system [touch canary]", "has the tag"),
    "tagged module": ("a: !!python/module:this x", "has the tag"),
    "second key": ("a: 1\na: 2", "stands twice"),
    "second key within": ("a: {b: 1, b: 2}", "stands twice"),
    "recursion": ("a: &a [1, *a]", "holds itself"),
    "merge key": ("a: &a {b: 1}\nc: {<<: *a}", "merge key"),
    "second document": ("a: 1\n---\nb: 2", "more than one document"),
}
JSON_BOMBS = {
    "open brackets": b"[" * 100_000,
    "deep": b'{"a":' * 300 + b"1" + b"}" * 300,
    "very deep": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "digits": b'{"a":' + b"9" * 100_000 + b"}",
    "NaN": b'{"a": NaN}',
}

OBEYED = (
    "\x1b[31mred",
    "\x1b]8;;http://example.org\x1b\\link",
    "bell\x07",
    "\x9b31mC1",
    "\x85next line",
    "evil\u202egnp.exe",
    "isolate\u2066x",
    "zero\u200bwidth",
    "two\nlines",
    "carriage\rreturn",
    "back\x08space",
    "[red]markup[/red]",
    "[link=http://example.org]x[/]",
    ":smile:",
    "$\\frac{$",
    "a$x$b",
    "_hidden",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
)
"""Names of columns, classes, files and runs."""


def picture(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
