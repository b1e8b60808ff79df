"""metrics.jsonl and health.jsonl: a record an epoch or a step, each a line of JSON, readable while the run goes on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nnctl.core.errors import DataError
from nnctl.core.foreign import json_of, read_up_to
from nnctl.runs import atomic

__all__ = ["Records"]

MOST_BYTES = 256_000_000
"""Of a file that is read."""
_OWN_FILE = os.O_NOFOLLOW | os.O_NONBLOCK
"""In a run of somebody else a link, or a pipe, may stand in the place of the file."""


@dataclass(frozen=True)
class Records:
    """The records of a run: plain dicts, each with its ``epoch``.

    A record is appended by one write of one full line, so a killed writer leaves at most one torn line, the last one:
    readers pass over it, and `truncate_after` removes it. A number that is not finite is written as null.
    """

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        """Append one record.

        Raises
        ------
        DiskError
            If it cannot be written; the file then ends where it did.
        """
        line = (atomic.strict_json(record) + "\n").encode()
        with atomic.disk_errors(self.path):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _OWN_FILE, 0o666)
            try:
                before = os.fstat(file).st_size
                try:
                    while line:  # once, unless the disk fills up within the line
                        line = line[os.write(file, line) :]
                except OSError:
                    os.ftruncate(file, before)
                    raise
            finally:
                os.close(file)

    def read(self) -> list[dict[str, Any]]:
        """Return all records.

        Raises
        ------
        DataError
            If a line other than a torn last one is not a record.
        """
        try:
            raw = read_up_to(self.path, MOST_BYTES)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path}: cannot be read: {getattr(error, 'strerror', error)}.") from None
        *lines, _torn = raw.split(b"\n")
        return [self._record(line, number) for number, line in enumerate(lines, 1)]

    def truncate_after(self, last: int, by: Literal["epoch", "step"] = "epoch") -> None:
        """Keep the records up to and including an epoch or a step, for a run that is taken up from there."""
        kept = [record for record in self.read() if record.get(by, 0) <= last]
        text = "".join(atomic.strict_json(record) + "\n" for record in kept).encode()
        if text != (self.path.read_bytes() if self.path.exists() else b""):
            atomic.replace(self.path, text)

    def sync(self) -> None:
        """Wait until every record is on the disk itself; appending alone does not wait."""
        if self.path.exists():
            with atomic.disk_errors(self.path):
                atomic.sync(self.path)

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json_of(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("epoch"), int):
            shown = line[:60].decode(errors="replace")
            raise DataError(f"{self.path}:{number}: is not a record of an epoch. Got {shown!r}. Remove the line.")
        return record
