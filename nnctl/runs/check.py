"""The directory of a check: ``runs/<name>-<check>-<UTC time>-<4 hex>/``, beside those of the runs.

spec.yaml      the spec that was checked, if there was one
check.json     status, verdict, findings, and every figure that was measured
*.png          pictures
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from nnctl.core.finding import Report
from nnctl.runs.environment import environment
from nnctl.runs.folder import FORMAT, Folder, iso, make_folder
from nnctl.runs.lock import hold

__all__ = ["CheckFolder"]


class CheckFolder(Folder):
    """What one call of a check leaves behind."""

    @classmethod
    @contextmanager
    def create(cls, root: Path, name: str, check: str, now: datetime | None = None) -> Iterator[Self]:
        """Make the directory of a check, whose status is "running", and hold it while it is entered.

        Parameters
        ----------
        root : Path
            The folder of all runs.
        name : str
            What is checked; the name of the spec.
        check : str
            The check's name, such as ``lr-find``.
        now : datetime, optional

        Raises
        ------
        UsageError, DiskError
            As `make_folder` does.
        """
        now = now or datetime.now(UTC)
        folder = cls(make_folder(root, f"{name}-{check}" if name else check, now))
        with hold(folder.path):
            folder.write_json(
                "check.json", {"format": FORMAT, "check": check, "name": name, "status": "running", "created": iso(now)}
            )
            yield folder

    def finish(self, report: Report, **more: Any) -> None:
        """Write down what the check found."""
        self._end("done", **report.plain(), **more)

    def stop(self, status: str, reason: str) -> None:
        """Note that the check came to no end: "interrupted" or "failed"."""
        self._end(status, reason=reason)

    def _end(self, status: str, **more: Any) -> None:
        began = self.read_json("check.json")
        ended = {"ended": iso(datetime.now(UTC)), "environment": environment()}
        self.write_json("check.json", {**began, "status": status, **more, **ended})
