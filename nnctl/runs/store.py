"""The directory of a run: ``runs/<name>-<UTC time>-<4 hex>/``, readable with `cat`, with no pickle anywhere.

    spec.yaml                      the spec as written
    resolved.yaml                  with every default filled in
    run.json                       status, summary, environment, times
    metrics.jsonl                  one record an epoch
    health.jsonl                   one record a step that was measured
    checkpoints/*.safetensors      weights and what else training needs to go on
    preprocessing.json, plots/     and what later steps add

Every file but the two that grow is replaced atomically (`nnctl.runs.atomic`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from nnctl.core.errors import DataError, UsageError
from nnctl.core.hints import did_you_mean
from nnctl.runs import atomic, lock
from nnctl.runs.folder import FORMAT, Folder, iso, make_folder, unreadable
from nnctl.runs.records import Records

if TYPE_CHECKING:
    from nnctl.core.arrays import Array

__all__ = ["Run", "Status", "find", "runs_in"]

Status = Literal["running", "done", "interrupted", "diverged", "failed"]


class Run(Folder):
    """One run in its own directory."""

    @classmethod
    def create(cls, root: Path, name: str, now: datetime | None = None) -> Self:
        """Make the directory of a new run; it is one from `begin` on.

        Parameters
        ----------
        root : Path
            The folder of all runs; made if it is not there.
        name : str
            What it is called; what is not a letter, a digit or one of ``._-`` becomes a hyphen.
        now : datetime, optional
            The time of its birth, aware of its zone.

        Raises
        ------
        UsageError
            If nothing is left of the name.
        DiskError
            If the directory cannot be made.
        """
        run = cls(make_folder(root, name, now or datetime.now(UTC)))
        with atomic.disk_errors(run.path):
            (run.path / "checkpoints").mkdir()
        return run

    def begin(self, name: str, now: datetime | None = None, **fields: Any) -> None:
        """Write the first run.json, after all that a run can be resumed from; its status is "running"."""
        created = iso(now or datetime.now(UTC))
        self.write_json("run.json", {"format": FORMAT, "name": name, "status": "running", "created": created, **fields})

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the run in a directory.

        Raises
        ------
        UsageError
            If there is no run there.
        DataError
            If its run.json is damaged, or of a later format.
        """
        run = cls(path)
        if not (path / "run.json").is_file():
            raise UsageError(f"{path} is not the directory of a run: it has no run.json.")
        wrong = unreadable(run.record)
        if wrong:
            raise DataError(f"{path / 'run.json'}: {wrong}.")
        mappings = (run.record.get(key, {}) for key in ("environment", "summary"))
        if run.record.get("status") not in get_args(Status) or not all(isinstance(m, dict) for m in mappings):
            raise DataError(f"{path / 'run.json'}: is damaged: status, environment or summary is not what nnctl wrote.")
        return run

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.path.name

    @property
    def record(self) -> dict[str, Any]:
        """Its run.json: format, name, status, times, and what else `set_status` was given."""
        record = self.read_json("run.json")
        if not isinstance(record, dict):
            raise DataError(f"{self.path / 'run.json'}: is damaged: it is not a mapping of keys to values.")
        return record

    @property
    def status(self) -> Status:
        """Its status as last written; a killed run still says "running"."""
        status: Status = self.record["status"]
        return status

    def set_status(self, status: Status, **fields: Any) -> None:
        """Write the status to run.json, with any other fields (summary, environment, ...) set or replaced."""
        now = iso(datetime.now(UTC))
        times = {"updated": now, "ended": None if status == "running" else now}
        self.write_json("run.json", {**self.record, "status": status, **times, **fields})

    @property
    def records(self) -> Records:
        """Its metrics.jsonl."""
        return Records(self.path / "metrics.jsonl")

    @property
    def samples(self) -> Records:
        """Its health.jsonl."""
        return Records(self.path / "health.jsonl")

    def append(self, record: Mapping[str, Any]) -> None:
        """Append one record to metrics.jsonl."""
        self.records.append(record)

    def save_tensors(self, name: str, tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
        """Replace ``checkpoints/<name>.safetensors`` atomically."""
        from nnctl.runs import checkpoint  # noqa: PLC0415 - NumPy, which reading a run does not need

        self.write_bytes(f"checkpoints/{name}.safetensors", checkpoint.encode(tensors, metadata))

    def has_tensors(self, name: str) -> bool:
        """Whether there is a ``checkpoints/<name>.safetensors``."""
        return self._checkpoint(name).exists()

    def keep_tensors(self, name: str, as_name: str) -> None:
        """Give a checkpoint a second name, atomically; a later one of the first name leaves it as it is."""
        path, other = self._checkpoint(name), self._checkpoint(as_name)
        with atomic.disk_errors(other):
            atomic.link(path, other)

    def _checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"

    def load_tensors(self, name: str) -> tuple[dict[str, Array], dict[str, str]]:
        """Return the tensors and the metadata of ``checkpoints/<name>.safetensors``.

        Raises
        ------
        Damaged
            If it is cut short, or not what was written.
        DataError
            If it is missing, or cannot be read.
        """
        from nnctl.runs import checkpoint  # noqa: PLC0415 - as above

        path = self._checkpoint(name)
        if not path.exists():
            known = sorted(p.stem for p in path.parent.glob("*.safetensors") if not p.name.startswith("."))
            raise DataError(f"{path}: does not exist. Checkpoints of this run: {', '.join(known) or 'none'}.")
        return checkpoint.decode(path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run while it trains; the lock ends with the process, however that ends.

        Raises
        ------
        UsageError
            If another process holds it.
        """
        with lock.hold(self.path):
            yield

    def clean(self) -> None:
        """Remove the half-written files of killed writers; to be called with the lock held."""
        with atomic.disk_errors(self.path):
            for leftover in atomic.leftovers(self.path):
                leftover.unlink(missing_ok=True)


def runs_in(root: Path) -> list[Path]:
    """Return the run directories in a folder, by name."""
    return sorted(file.parent for file in root.glob("*/run.json"))


def find(root: Path, name: str) -> Run:
    """Return the run given by its path, or by its name under the folder of all runs.

    Raises
    ------
    UsageError
        If there is none; names one that resembles it.
    """
    for path in (Path(name), root / name):
        with suppress(OSError):  # a name that no file can have
            if path.is_dir():
                return Run.open(path)
    known = [path.name for path in runs_in(root)]
    same_start = [run for run in known if run.startswith(Path(name).name)]
    hint = f" Did you mean '{same_start[-1]}'?" if same_start else did_you_mean(Path(name).name, known)
    raise UsageError(f"there is no run '{name}', neither as a path nor in {root}.{hint} They are listed by: nnctl ls")
