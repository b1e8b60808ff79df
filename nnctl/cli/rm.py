"""`nnctl rm`: runs and checks that are no longer wanted."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnctl.core.errors import DiskError, UsageError

if TYPE_CHECKING:
    from nnctl.runs.listing import Entry

__all__ = ["command"]

_OURS = (
    *("spec.yaml", "resolved.yaml", "run.json", "check.json", "metrics.jsonl", "health.jsonl", "preprocessing.json"),
    *("checkpoints", "plots", "*.png", ".lock", ".*.tmp-*"),
)


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs or checks: their directories, or names.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories are.")] = Path("runs"),
) -> None:
    """Remove runs and checks, after asking. A run that trains is left alone, and so is what is no run."""
    from nnctl.cli.words import size  # noqa: PLC0415 - what --help does not need
    from nnctl.runs import lock  # noqa: PLC0415
    from nnctl.runs.listing import entry_of  # noqa: PLC0415

    entries = {os.path.realpath(entry.path): entry for entry in (entry_of(word, runs_dir) for word in runs)}
    for entry in entries.values():
        _refuse_what_is_no_run(entry)
    sizes = {path: _size(path) for path in entries}
    for path, entry in entries.items():
        typer.echo(f"{entry.place}  {entry.status}, {size(sizes[path])}")
    if not yes and not _confirmed(len(entries)):
        typer.echo("nothing was removed.")
        return
    with ExitStack() as held:
        for path in entries:
            held.enter_context(lock.hold(Path(path)))  # nobody trains what is being removed
        for path in entries:
            _remove(path)
    count = f"{len(entries)} director{'ies' if len(entries) > 1 else 'y'}"
    typer.echo(f"removed {count}, freed {size(sum(sizes.values()))}")


def _refuse_what_is_no_run(entry: Entry) -> None:
    from nnctl.runs.listing import entries_in  # noqa: PLC0415

    if Path(entry.path.rstrip("/")).is_symlink():
        raise UsageError(f"{entry.place} is a link. Remove the link itself, or name the directory that it leads to.")
    if entry.kind == "foreign" or (entry.kind == "broken" and not _was_ours(entry)):
        why = f" ({entry.reason})" if entry.kind == "broken" else ""
        raise UsageError(f"{entry.place} is not the directory of a run or a check{why}: nnctl does not remove it.")
    inside = [found.name for found in entries_in(entry.path) if found.kind != "foreign"]
    if inside:
        raise UsageError(f"{entry.place} holds other runs ({inside[0]}): nnctl does not remove it.")


def _was_ours(entry: Entry) -> bool:
    """Whether a directory whose run.json says nothing has a name that nnctl gives, and only files that it writes."""
    from nnctl.runs.folder import named_like_ours  # noqa: PLC0415

    return named_like_ours(entry.path.rstrip("/")) and all(
        any(fnmatch(file.name, pattern) for pattern in _OURS) for file in Path(entry.path).iterdir()
    )


def _confirmed(count: int) -> bool:
    try:
        return typer.confirm(f"remove {'it' if count == 1 else f'these {count}'} for good?")
    except (typer.Abort, OSError):  # no answer, or a stdin that cannot be read
        raise UsageError("nobody is there to ask; nothing was removed. Add --yes.") from None


def _remove(path: str) -> None:
    try:
        shutil.rmtree(path)  # removes links, never what they lead to
    except OSError as error:
        raise DiskError(f"{error.filename or path}: cannot be removed: {error.strerror}.") from None


def _size(path: str) -> int:
    """Return the bytes of all files in a directory."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):  # somebody else removes it, or replaces it
                total += (Path(folder) / name).lstat().st_size
    return total
