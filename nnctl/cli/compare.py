"""`nnctl compare`: runs side by side, best first, and groups of seeds put to a test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.core.errors import UsageError

if TYPE_CHECKING:
    from nnctl.cli.columns import Column
    from nnctl.cli.fields import Fields
    from nnctl.runs.comparison import Comparison
    from nnctl.runs.groups import Group

__all__ = ["command", "plain"]

_PICTURE = "compare.png"
_SENTENCES = 10
"""How many pairs of groups are told in words; --json has all."""
_NAMED = 6
"""Columns without room that are named; more of them are counted."""


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUNS]...",
            help="Folders of runs, runs, their names, names of specs, patterns such as 'runs/adam-*'; "
            "all that is in runs if left out.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURE",
            help="Compare by this figure, such as val_accuracy; by default the one that the runs monitor. Of that one "
            "it is the best epoch's value; of another that of the weights which the run kept.",
        ),
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="KEY", help="Sort by any key, upward; -KEY downward. By default best first.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Such as 'optimizer=adam and val_loss<0.3 or not (seed=3)'.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="KEY,KEY", help="Show these columns: any keys of specs, results, environment.")
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the newest N runs.")] = None,
    csv_file: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV; - for the standard output.")
    ] = None,
    plot: Annotated[
        bool,
        typer.Option("--plot", help=f"Draw the curves over one another into {_PICTURE}, or into the FILE.png named."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories are.")] = Path("runs"),
) -> None:
    """Compare runs, best first, by what differs in their specs.

    Runs of one spec with several seeds are grouped: mean, spread, 95 % bootstrap interval. Groups are put to an exact
    paired test against each other, over the seeds that both have.
    """
    from nnctl.cli.document import print_document  # noqa: PLC0415 - what --help does not need
    from nnctl.cli.fields import Fields  # noqa: PLC0415
    from nnctl.cli.older import with_spec  # noqa: PLC0415
    from nnctl.runs import comparison  # noqa: PLC0415
    from nnctl.runs.listing import given  # noqa: PLC0415

    if as_json and csv_file == "-":
        raise UsageError("--json and --csv - both want the standard output. Leave one out.")
    words, picture = _picture_apart(runs or [], plot=plot)
    entries = [with_spec(entry) for entry in given(words, runs_dir)]
    found = comparison.compare(entries, metric=metric, where=where, last=last, sort=sort)
    fields = Fields(found, columns)
    if csv_file is not None:
        _write(csv_file, fields.csv())
    if not as_json and csv_file != "-":
        _show(found, fields)
    if picture is not None:
        _draw(found, picture, quiet=as_json or csv_file == "-")
    if as_json:
        print_document({**plain(found, fields), "picture": picture and str(picture)})


def plain(found: Comparison, fields: Fields) -> dict[str, Any]:
    """Return a comparison as plain data; each run has the cells of the table in ``columns``."""
    return {
        "metric": found.metric,
        "mode": found.mode,
        "differing": found.keys,
        "runs": [
            {
                "name": row.entry.name,
                "path": row.entry.place,
                "status": row.entry.status,
                "seed": row.facts["seed"],
                "value": row.value,
                "best_epoch": row.result.best_epoch,
                "epochs": row.result.epochs,
                "figures": row.result.figures,
                "parameters": row.result.parameters,
                "seconds": row.result.seconds,
                "spec": {key: row.facts.get(key) for key in found.keys},
                "columns": {key: fields.value(row, key) for key in fields.keys},
            }
            for row in found.rows
        ],
        "others": [{"name": e.name, "path": e.place, "status": e.status, "reason": e.reason} for e in found.others],
        "groups": [
            {"label": group.label, "values": group.values, **vars(group.spread), "repeated": group.repeated}
            for group in found.groups
        ],
        "pairs": [vars(pair) for pair in found.pairs],
        "notes": found.notes,
    }


def _picture_apart(words: list[str], *, plot: bool) -> tuple[list[str], Path | None]:
    """Return the words that name runs, and where the picture goes, if there is to be one."""
    if not plot:
        return words, None
    pictures = [word for word in words if word.endswith(".png")]
    if len(pictures) > 1:
        raise UsageError(f"--plot draws one picture. Got {' and '.join(pictures)}.")
    return [word for word in words if word not in pictures], Path(pictures[0] if pictures else _PICTURE)


def _show(found: Comparison, fields: Fields) -> None:
    from nnctl.cli.columns import Column, lay_out, paint, terminal_width, wrapped  # noqa: PLC0415

    width = terminal_width()
    if found.rows:
        (head, *lines), left_out = lay_out(fields.columns(), width)
        typer.echo(head)
        for line, row in zip(lines, found.rows, strict=True):
            typer.echo(paint(line, row.entry.status))
        if left_out:
            more = len(left_out) - _NAMED
            left = ", ".join(left_out) if more <= 1 else f"{', '.join(left_out[:_NAMED])} and {more} more"
            typer.echo(wrapped(f"no room for {left}: see --columns, --csv, --json, or a wider terminal", width))
    else:
        typer.echo("there are no runs to compare.")
    if found.others:
        others = found.others
        columns = [
            Column("not compared", [entry.name for entry in others], left=True, narrowest=24),
            Column("", [entry.status for entry in others], left=True),
            Column("", [entry.reason for entry in others], left=True, narrowest=20),
        ]
        typer.echo("\n" + "\n".join(lay_out(columns, width)[0]))
    if found.groups:
        _show_groups(found, width)
    for note in found.notes:
        typer.echo(wrapped(f"note: {note}", width))


def _show_groups(found: Comparison, width: int | None) -> None:
    from nnctl.cli.columns import lay_out, wrapped  # noqa: PLC0415

    typer.echo("\n" + "\n".join(lay_out(_group_columns(found.groups, found.metric), width)[0]))
    if any(group.spread.count < 5 for group in found.groups):
        typer.echo(wrapped("note: an interval from fewer than 5 seeds is far too narrow; take it as a hint", width))
    for pair in found.pairs[:_SENTENCES]:
        typer.echo(wrapped(pair.verdict, width))
    if len(found.pairs) > _SENTENCES:
        typer.echo(f"and {len(found.pairs) - _SENTENCES} pairs more: see --json")


def _group_columns(groups: list[Group], metric: str) -> list[Column]:
    from nnctl.cli.columns import Column  # noqa: PLC0415
    from nnctl.runs.statistics import decimals  # noqa: PLC0415

    def texts(group: Group) -> tuple[str, str, str]:
        shown = decimals(group.spread.std, group.spread.mean)
        shape = ".4g" if shown is None else f".{shown}f"
        low, high = f"{group.spread.low:{shape}}", f"{group.spread.high:{shape}}"
        return f"{group.spread.mean:{shape}}", f"{group.spread.std:{shape}}", f"{low} to {high}"

    figures = list(map(texts, groups))
    return [
        Column("same spec, several seeds", [group.label for group in groups], left=True, narrowest=24),
        Column("seeds", [str(group.spread.count) for group in groups], worth=2),
        Column(f"mean {metric}", [mean for mean, _, _ in figures], worth=4),
        Column("spread (std)", [std for _, std, _ in figures], worth=3),
        Column("95 % interval of the mean", [interval for _, _, interval in figures], worth=1),
    ]


def _write(file: str, text: str) -> None:
    from nnctl.cli.words import say, write_file  # noqa: PLC0415

    if file == "-":
        say(text, nl=False)
    else:
        write_file(Path(file), text)


def _draw(found: Comparison, path: Path, *, quiet: bool) -> None:
    from nnctl.cli.pictures.comparison import curves_of, draw  # noqa: PLC0415
    from nnctl.cli.words import say  # noqa: PLC0415
    from nnctl.runs.atomic import replace  # noqa: PLC0415

    figures = curves_of(found)
    replace(path, draw(figures))
    if not quiet:
        drawn = sum(len(spec["runs"]) for spec in figures["specs"])
        say(f"picture {path}{f': {drawn} of {len(found.rows)} runs' if drawn < len(found.rows) else ''}")
