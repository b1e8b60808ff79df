"""`nnctl diff`: in what two runs differ, and from which epoch on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.core.errors import UsageError

if TYPE_CHECKING:
    from nnctl.runs.diff import Change, Difference, Parting
    from nnctl.runs.listing import Entry

__all__ = ["command", "epochs", "run_of", "table", "value_text"]

_HASHES = {"spec_hash", "data_hash"}


def command(
    a: Annotated[str, typer.Argument(metavar="A", help="A run: its directory, or its name.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories are.")] = Path("runs"),
) -> None:
    """Show in what two runs differ. Spec, environment, and the first epoch with other figures."""
    from nnctl.cli.document import print_document  # noqa: PLC0415 - what --help does not need
    from nnctl.cli.words import say  # noqa: PLC0415
    from nnctl.runs.diff import diff  # noqa: PLC0415

    one, other = run_of(a, runs_dir), run_of(b, runs_dir)
    found = diff(one, other)
    if as_json:
        print_document({"a": one.place, "b": other.place, **asdict(found)})
    else:
        for line in _lines(one, other, found):
            say(line)


def run_of(word: str, root: Path) -> Entry:
    """Return the run with a name, or at a path.

    Raises
    ------
    UsageError
        Where there is none that can be read.
    """
    from nnctl.cli.older import with_spec  # noqa: PLC0415
    from nnctl.runs.listing import entry_of  # noqa: PLC0415

    entry = entry_of(word, root)
    if entry.kind != "run":
        reason = f": {entry.reason}" if entry.reason else ""
        raise UsageError(f"{entry.place} is no run that can be compared ({entry.kind}{reason}). See: nnctl ls")
    return with_spec(entry)


def _lines(one: Entry, other: Entry, found: Difference) -> Iterator[str]:
    yield f"A  {one.place}"
    yield f"B  {other.place}"
    yield from table("spec", found.spec, "the specs are the same")
    yield from table(
        "environment",
        [change for change in found.environment if change.key not in _HASHES],
        "the environments are the same",
    )
    if any(change.key == "data_hash" for change in found.environment):
        yield "the data are not the same: other rows, another split, or other preprocessing"
    if found.records is not None:
        yield ""
        yield from epochs(found.records)
    yield from table("result", found.summary, "the results are the same")
    for note in found.notes:
        yield f"note: {note}"
    yield ""
    yield _conclusion(found)


def table(heading: str, changes: Sequence[Change], none: str) -> Iterator[str]:
    """Yield the lines of a table of changes, an empty line before it; `none` where nothing has changed."""
    from nnctl.cli.columns import Column, lay_out, terminal_width  # noqa: PLC0415

    yield ""
    if not changes:
        yield none
        return
    columns = [
        Column(heading, [change.key for change in changes], left=True, narrowest=20),
        Column("A", [value_text(change.a) for change in changes], left=True, narrowest=12),
        Column("B", [value_text(change.b) for change in changes], left=True, narrowest=12),
    ]
    yield from lay_out(columns, terminal_width())[0]


def epochs(records: Parting) -> Iterator[str]:
    """Yield from which epoch on two runs part, and what figures differ in it."""
    from nnctl.cli.columns import Column, lay_out, terminal_width  # noqa: PLC0415

    if not records.shared:
        yield f"no epoch to compare: A has recorded {records.a}, B {records.b}"
        return
    if records.epoch is None:
        count = "the one epoch" if records.shared == 1 else f"all {records.shared} epochs"
        yield f"{count} that both have recorded {'is' if records.shared == 1 else 'are'} the same to the last bit"
        if records.a != records.b:
            yield f"A has {records.a} epochs, B {records.b}"
        return
    yield f"they part in epoch {records.epoch}" + (
        f"; up to epoch {records.epoch - 1} they are the same to the last bit" if records.epoch > 1 else ""
    )
    changes = records.changes
    columns = [
        Column("figure", [change.key for change in changes], left=True, worth=9),
        Column("A", [value_text(change.a) for change in changes], worth=5),
        Column("B", [value_text(change.b) for change in changes], worth=5),
        Column("B - A", [_by(change) for change in changes], worth=7),
    ]
    yield from lay_out(columns, terminal_width())[0]


def _conclusion(found: Difference) -> str:
    """Return what the differences come to, in a sentence."""
    settings = [change.key for change in found.spec if change.key not in ("name", "seed")]
    records = found.records
    if records is not None and records.epoch is None and records.shared and not settings:
        return "One is the repetition of the other."
    if any(change.key == "seed" for change in found.spec):
        rest = f" and in {len(settings)} keys of the spec" if settings else ""
        return f"They differ in the seed{rest}: split, first weights and order of the rows are others from the start."
    if settings:
        return f"They differ in {len(settings)} key{'s' if len(settings) > 1 else ''} of the spec."
    environment = [change.key for change in found.environment if change.key != "git" and change.key not in _HASHES]
    if any(change.key == "data_hash" for change in found.environment):
        return "Spec and seed are the same, the data are not: look there first."
    if environment:
        return f"Spec and data are the same. What is left is where they ran: {', '.join(environment)}."
    return "Spec, data and environment are the same, as far as they are recorded."


def _by(change: Change) -> str:
    if isinstance(change.a, bool) or not (isinstance(change.a, int | float) and isinstance(change.b, int | float)):
        return ""
    return f"{change.b - change.a:+.3g}"


def value_text(value: Any) -> str:
    """Return a value of a record as it is shown; of a number all digits."""
    from nnctl.runs.keys import text_of  # noqa: PLC0415

    return "-" if value is None else repr(value) if isinstance(value, float) else text_of(value)
