"""Many run directories, read fast and whatever state they are in; nothing is written.

One small file a directory is opened, its run.json or check.json: 2,000 directories are read in about a tenth of a
second. What is damaged, or no run at all, becomes an entry that says so, never an error.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import Any, Literal, get_args

from nnctl.core.errors import UsageError
from nnctl.core.foreign import json_of, read_up_to
from nnctl.core.hints import did_you_mean
from nnctl.core.inert import inert
from nnctl.runs import lock
from nnctl.runs.folder import is_newer, named_like_ours, unreadable
from nnctl.runs.store import Status

__all__ = ["Entry", "Kind", "entries_in", "entry_of", "given", "read"]

Kind = Literal["run", "check", "broken", "foreign"]

_STATUSES = frozenset(get_args(Status))
_BEGINNING = frozenset({".lock", "checkpoints", "spec.yaml", "resolved.yaml", "preprocessing.json"})
_DEPTH = 3
"""How many folders deep runs are looked for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory as it was found.

    Parameters
    ----------
    path : str
        Where it is.
    name : str
        What it is called, below the folder that was listed; printable.
    kind : {"run", "check", "broken", "foreign"}
        Broken: it has a run.json or check.json that nnctl did not write, or none of them yet. Foreign: it is nothing
        of nnctl's.
    status : str
        As written in it; "killed" for what says it is running while no process holds it; for what is broken "broken",
        "newer" where a newer nnctl wrote it, "starting" where a process is making it; "foreign" for what is foreign.
    record : mapping
        What its run.json or check.json holds; empty for what is broken or foreign.
    reason : str
        What is wrong with it, where it is broken or foreign.
    """

    path: str
    name: str
    kind: Kind
    status: str
    record: Mapping[str, Any]
    reason: str = ""

    @property
    def place(self) -> str:
        """Its path, printable."""
        return inert(self.path)

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its resolved spec as plain data."""
        return self._mapping("spec")

    @property
    def summary(self) -> Mapping[str, Any]:
        """What it came to; empty before its end."""
        return self._mapping("summary")

    @property
    def environment(self) -> Mapping[str, Any]:
        """Where it ran."""
        return self._mapping("environment")

    @property
    def created(self) -> datetime | None:
        """When it was made."""
        try:
            time = datetime.fromisoformat(self.record.get("created", ""))
        except (TypeError, ValueError):
            return None
        return time.replace(tzinfo=time.tzinfo or UTC)

    def _mapping(self, key: str) -> Mapping[str, Any]:
        found = self.record.get(key)
        return found if isinstance(found, dict) else {}


def read(path: str, name: str | None = None) -> Entry:
    """Return the entry of one directory."""
    name = inert(os.path.basename(path.rstrip("/")) if name is None else name)  # noqa: PTH119 - 2,000 times
    for file, kind in (("run.json", "run"), ("check.json", "check")):
        try:
            raw = read_up_to(f"{path}/{file}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            return Entry(path, name, "broken", "broken", {}, f"{file} cannot be read: {_why(error)}")
        try:
            record = json_of(raw)
        except ValueError:
            return Entry(path, name, "broken", "broken", {}, f"{file} is not JSON")
        wrong = _wrong(record) or _missing(record, kind, path)
        if wrong:
            status = "newer" if isinstance(record, dict) and is_newer(record) else "broken"
            return Entry(path, name, "broken", status, {}, f"{file} {wrong}")
        status = record["status"]
        if status == "running" and not lock.is_held(Path(path)):
            status = "killed"
        return Entry(path, name, kind, status, record)  # type: ignore[arg-type]  # mypy widens the tuple's literals
    return _without_record(path, name)


def _without_record(path: str, name: str) -> Entry:
    """Return the entry of a directory that has neither file: what nnctl was about to make, or none of its own."""
    if not (named_like_ours(path.rstrip("/")) and _holds_a_beginning(path)):
        return Entry(path, name, "foreign", "foreign", {}, "has no run.json")
    if lock.is_held(Path(path)):
        return Entry(path, name, "broken", "starting", {}, "a process is about to start it")
    return Entry(path, name, "broken", "broken", {}, "was killed before it began: nothing of it can be used")


def _holds_a_beginning(path: str) -> bool:
    """Whether there is nothing in a directory but what comes before a run.json or check.json."""
    try:
        inside = os.listdir(path)  # noqa: PTH208 - names are all that is needed
    except OSError:
        return False
    return all(name in _BEGINNING or ".tmp-" in name for name in inside)


def entries_in(folder: str) -> list[Entry]:
    """Return what lies in a folder of runs, by name; folders in it that hold runs are gone through.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    try:
        return list(_walk(folder, "", _DEPTH))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {_why(error)}.") from None


def given(words: Sequence[str], root: Path) -> list[Entry]:
    """Return what is named on the command line, each directory once, in that order.

    Parameters
    ----------
    words : sequence of str
        Folders of runs, directories of runs, shell patterns, names of directories in `root`, or names of specs.
    root : Path
        The folder of all runs; taken where there are no words.

    Raises
    ------
    UsageError
        For a word that names nothing.
    """
    if not words:
        if not root.is_dir():
            raise UsageError(f"there is no folder {root} here. Train something first, or name a folder of runs.")
        return entries_in(str(root))
    found: dict[str, Entry] = {}
    for word in words:
        for entry in _named(word, root):
            found.setdefault(os.path.realpath(entry.path), entry)
    return list(found.values())


def entry_of(word: str, root: Path) -> Entry:
    """Return the one directory with a name: a path, or a name in the folder of all runs.

    Raises
    ------
    UsageError
        If there is none.
    """
    for path in (word, str(root / word)):
        if _is_directory(path):
            return read(path, os.path.basename(os.path.realpath(path)))  # noqa: PTH119 - "." has a name, too
    raise _nothing_named(word, root, {})


def _named(word: str, root: Path) -> list[Entry]:
    for path in (word, str(root / word)):
        if _is_directory(path):
            entry = read(path, os.path.basename(os.path.realpath(path)))  # noqa: PTH119
            if entry.kind != "foreign":
                return [entry]
            return list(entries_in(path)) or [entry]
    for pattern in (word, str(root / word)):
        matches = [path for path in sorted(glob(pattern)) if _is_directory(path)]  # noqa: PTH207 - may be absolute
        if matches:
            return [entry for path in matches for entry in _named(path, root)]
    specs: dict[str, list[Entry]] = {}
    for entry in _all(root):
        specs.setdefault(str(entry.record.get("name")), []).append(entry)
    if word not in specs:
        raise _nothing_named(word, root, specs)
    return specs[word]


def _nothing_named(word: str, root: Path, specs: Collection[str]) -> UsageError:
    known = [entry.name for entry in _all(root) if entry.kind != "foreign"]
    last = Path(word).name
    begins = [name for name in known if name.startswith(last)]
    hint = f" Did you mean '{begins[-1]}'?" if begins else did_you_mean(last, known) or did_you_mean(last, specs)
    return UsageError(f"there is no run '{word}', neither as a path nor in {root}.{hint} They are listed by: nnctl ls")


def _all(root: Path) -> list[Entry]:
    return entries_in(str(root)) if root.is_dir() else []


def _walk(folder: str, above: str, depth: int) -> Iterator[Entry]:
    with os.scandir(folder) as inside:
        directories = sorted((item.name, item.path, item.is_symlink()) for item in inside if _leads_to_directory(item))
    for name, path, is_link in directories:
        if name.startswith("."):
            continue
        entry = read(path, above + name)
        if entry.kind == "foreign" and depth > 1 and not is_link:
            try:
                within = [e for e in _walk(path, f"{above}{name}/", depth - 1) if e.kind != "foreign"]
            except OSError as error:
                within = [Entry(path, entry.name, "foreign", "foreign", {}, f"cannot be read: {_why(error)}")]
            yield from within or [entry]
        else:
            yield entry


def _wrong(record: Any) -> str:
    if not isinstance(record, dict):
        return "is not a mapping of keys to values"
    if unreadable(record):
        return unreadable(record)
    if not isinstance(record.get("status"), str) or record["status"] not in _STATUSES:
        return f"has the status {record.get('status')!r:.60}, which nnctl did not write"
    for key in ("environment", "summary", "spec"):
        if not isinstance(record.get(key, {}), dict):
            return f"is damaged: {key} is not what nnctl wrote"
    return ""


def _missing(record: Mapping[str, Any], kind: str, path: str) -> str:
    """Return what a run or check that is done must have and has not; an older run has its spec in resolved.yaml."""
    if record["status"] == "done" and not record.get("summary" if kind == "run" else "verdict"):
        return "says that it is done, and holds no result"
    if kind == "run" and not record.get("spec") and not os.path.exists(f"{path}/resolved.yaml"):  # noqa: PTH110 - as above
        return "has no spec, and there is no resolved.yaml beside it"
    return ""


def _leads_to_directory(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_directory(path: str) -> bool:
    try:
        return os.path.isdir(path)  # noqa: PTH112
    except ValueError:  # a name that no file can have
        return False


def _why(error: Exception) -> str:
    return os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
