"""`nnctl repro`: a run, run again; the same to the last bit, or from where on it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnctl.cli.diff import epochs, run_of, table, value_text
from nnctl.cli.words import counted
from nnctl.core.errors import CheckFailed, Diverged, UsageError

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.experiment.session import Session
    from nnctl.runs.diff import Change
    from nnctl.runs.listing import Entry
    from nnctl.runs.repetition import Repetition

__all__ = ["command", "repeat"]


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run: its directory, or its name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[
        Path, typer.Option(help="Where run directories are, and the one of the repetition goes.")
    ] = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only the verdict.")] = False,
) -> None:
    """Run a run again, and say whether it comes to the same.

    Every figure of every epoch and every weight are compared. It is trained from its resolved.yaml into a run directory
    of its own, with the number of BLAS threads it had.
    """
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    repeat(run_of(run, runs_dir), runs_dir, Screen(as_json=as_json, quiet=quiet))


def repeat(entry: Entry, runs_dir: Path, screen: Screen) -> Repetition:
    """Run a run again, and show how the two compare.

    Raises
    ------
    UsageError
        Where it is being trained, or has no resolved.yaml.
    CheckFailed
        Where the repetition is another one, or the two cannot be compared; says why.
    """
    from nnctl.experiment.comparability import differences  # noqa: PLC0415
    from nnctl.runs.repetition import compare  # noqa: PLC0415

    session = _again(entry, runs_dir, screen)
    path = session.run.path
    conditions = differences(entry.record, session.run.record["environment"], session.experiment.resolved())
    found = compare(entry, path, conditions)
    for line in _lines(found):
        screen.note(line)
    document = {"run": entry.place, "repetition": str(path), **found.plain()}
    said = f"{found.verdict}: {_conclusion(found)}. The repetition is {path}"
    if found.verdict != "identical":
        raise CheckFailed(said).beside(document)
    screen.note(said)
    screen.document(document)
    return found


def _again(entry: Entry, runs_dir: Path, screen: Screen) -> Session:
    """Train what the run trained, and return the session that did."""
    from nnctl.cli.train import train_to_the_end  # noqa: PLC0415
    from nnctl.experiment.assembly import Experiment  # noqa: PLC0415
    from nnctl.experiment.session import Session, data_hash  # noqa: PLC0415
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    spec = Path(entry.path) / "resolved.yaml"
    if entry.status == "running":
        raise UsageError(f"{entry.place} is being trained. Wait for its end.")
    if not spec.is_file():
        raise UsageError(f"{entry.place} has no resolved.yaml: it cannot be run again.")
    experiment = Experiment(load_spec(spec))
    began = entry.environment
    if began.get("data_hash") not in (None, data_hash(experiment.data)):
        raise CheckFailed(
            f"not comparable: the data have changed since {entry.place} was trained, or what is made of them: other "
            f"rows, other values, another split. Nothing was trained. Restore the data, or train anew."
        ).beside({"run": entry.place, "repetition": None, "verdict": "not comparable"})
    screen.head(experiment)
    session = Session.start(experiment, runs_dir, threads=began.get("blas_threads"), replicas=began.get("replicas"))
    try:
        train_to_the_end(session, screen, plot=False)
    except Diverged as error:
        if entry.status != "diverged":
            raise
        screen.note(str(error))
    return session


def _lines(found: Repetition) -> Iterator[str]:
    """Yield what differs: where the two ran, and the first epoch with other figures."""
    yield ""
    for condition in found.conditions:
        yield f"note: {condition}"
    records = found.difference.records
    if records is not None and records.epoch is not None:
        yield from epochs(records)
    elif found.is_whole and found.difference.summary:
        yield from table("result", found.difference.summary, "")
    for note in found.plain()["notes"]:
        yield f"note: {note}"


def _conclusion(found: Repetition) -> str:
    """Return what the repetition came to, in a sentence."""
    if found.verdict != "identical":
        reason = "the bits depend on where and how a network is trained, and that is not as it was"
        return f"{_first(found)}{f' ({reason})' if found.conditions else ''}"
    count = counted(found.epochs, "epoch")
    if found.is_whole:
        return f"{count}, the result and all weights are the same to the last bit"
    return f"the run is {found.status[0]}, and as far as it came ({count}) all is the same to the last bit"


def _first(found: Repetition) -> str:
    """Return the first thing that is not the same."""
    records = found.difference.records
    if records is None:
        return f"the epochs cannot be read ({'; '.join(found.difference.notes)})"
    if records.epoch is not None:
        return f"epoch {records.epoch} is the first that differs, {_moved(records.changes[0])}"
    if not found.is_whole:
        return f"the run is {found.status[0]} and has recorded no epoch"
    if found.status[0] != found.status[1]:
        return f"the run is {found.status[0]}, its repetition {found.status[1]}"
    if records.a != records.b:
        return f"the run has {records.a} epochs, its repetition {records.b}"
    if found.difference.summary:
        return f"all epochs are the same and the result is not, {_moved(found.difference.summary[0])}"
    if found.unread:
        return f"all figures are the same, and the weights cannot be compared ({found.unread})"
    more = f" and {len(found.weights) - 1} more" if len(found.weights) > 1 else ""
    return f"all figures are the same and the weights are not: {found.weights[0]}{more}"


def _moved(change: Change) -> str:
    return f"{change.key} from {value_text(change.a)} to {value_text(change.b)}"
