"""The one JSON document that a command prints with `--json`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from nnctl.runs.atomic import strict_json

__all__ = ["print_document"]


def print_document(data: Mapping[str, Any]) -> None:
    """Print a document on stdout; what is not finite is null, and what the terminal cannot show is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    text = strict_json(data, indent=2, ascii_only=encoding.lower().replace("-", "") != "utf8")
    print(text.encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201 - the document
