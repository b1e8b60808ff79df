"""The bytes of a text file as characters."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Literal, TypeAlias

from nnctl.core.errors import DataError

__all__ = ["TextEncoding", "decoded"]

TextEncoding: TypeAlias = Literal[
    "utf-8", "utf-16", "cp1250", "cp1251", "cp1252", "latin-1", "iso-8859-15", "shift_jis", "gb18030", "big5", "euc-kr"
]
"""The codecs of Python that text files are met in."""


def decoded(path: Path, encoding: TextEncoding = "utf-8") -> str:
    """Return a file's text, without the mark that some programs put before UTF-8.

    Raises
    ------
    DataError
        The bytes are no text in that encoding; says in which line.
    """
    raw = path.read_bytes()
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = f"byte {error.start + 1:,} (0x{raw[error.start]:02x})"
        other = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "cp1252"
        advice = "Save the file as UTF-8"
        if encoding != other:
            advice += f", or say `text_encoding: {other}` if it is that"
        raise DataError(f"{path}:{line}: {byte} is no text in {encoding}. {advice}.") from None
