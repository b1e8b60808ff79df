"""`nnctl ls`: every run in a folder, newest first, one line each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nnctl.runs.listing import Entry
    from nnctl.runs.result import Result

__all__ = ["command"]


def command(
    folder: Annotated[Path | None, typer.Argument(help="A folder of runs; runs if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories are.")] = Path("runs"),
) -> None:
    """List the runs and checks in a folder, newest first."""
    from nnctl.cli.document import print_document  # noqa: PLC0415 - what --help does not need
    from nnctl.runs.listing import given  # noqa: PLC0415

    entries = given([] if folder is None else [str(folder)], runs_dir)
    entries.sort(key=lambda entry: (str(entry.record.get("created", "")), entry.name), reverse=True)
    if as_json:
        print_document({"entries": [_plain(entry) for entry in entries]})
    elif entries:
        typer.echo(_table(entries))
    else:
        typer.echo(f"there are no runs in {folder or runs_dir}.")


def _plain(entry: Entry) -> dict[str, Any]:
    from nnctl.runs.result import result_of  # noqa: PLC0415

    plain: dict[str, Any] = {
        "name": entry.name,
        "path": entry.place,
        "kind": entry.kind,
        "status": entry.status,
        "created": entry.record.get("created"),
        "reason": entry.reason or None,
    }
    if entry.kind == "check":
        return plain | {key: entry.record.get(key) for key in ("check", "verdict", "headline")}
    if entry.kind != "run":
        return plain
    result = result_of(entry)
    return plain | {
        "monitor": result.monitor,
        "best_value": result.best_value,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "seconds": result.seconds,
    }


def _table(entries: list[Entry]) -> str:
    from nnctl.cli.columns import Column, lay_out, paint, terminal_width  # noqa: PLC0415
    from nnctl.runs.result import result_of  # noqa: PLC0415

    results = [result_of(entry) if entry.kind == "run" else None for entry in entries]
    states = [_state(entry) for entry in entries]
    now = datetime.now(UTC)
    columns = [
        Column("name", [entry.name for entry in entries], left=True, narrowest=32),
        Column("status", states, worth=5, left=True),
        Column("result", list(map(_said, entries, results)), worth=4, left=True, narrowest=30),
        Column("epochs", ["" if r is None or r.epochs is None else str(r.epochs) for r in results], worth=2),
        Column("started", [_when(entry.created) for entry in entries], worth=1, left=True),
        Column("age", [_age(entry.created, now) for entry in entries], worth=3),
    ]
    (head, *lines), _ = lay_out(columns, terminal_width())
    return "\n".join([head, *map(paint, lines, states)])


def _state(entry: Entry) -> str:
    """Return the status, or the verdict of a check that came to one."""
    verdict = entry.record.get("verdict") if entry.kind == "check" and entry.status == "done" else None
    return verdict if isinstance(verdict, str) else entry.status


def _said(entry: Entry, result: Result | None) -> str:
    """Return what came of it, in a few words."""
    from nnctl.cli.words import number  # noqa: PLC0415

    if result is None:
        return entry.reason or str(entry.record.get("headline") or entry.record.get("reason") or "")
    if result.best_value is None:
        return ""
    epoch = "" if result.best_epoch is None else f" at epoch {result.best_epoch}"
    return f"{result.monitor} {number(result.best_value)}{epoch}"


def _when(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M}"


def _age(time: datetime | None, now: datetime) -> str:
    if time is None:
        return ""
    seconds = max(0, round((now - time).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
