"""`nnctl data`: what is wrong with the data, before anything is trained on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.check import conduct
from nnctl.cli.train import spec_and_overrides
from nnctl.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.core.finding import Report, Tell

__all__ = ["command", "data"]

_FILES = (".csv", ".tsv", ".parquet", ".npz", ".gz", ".idx", "-ubyte")
_SHOWN_COLUMNS = 30
_SHOWN_CLASSES = 12
_SHOWN_LETTERS = 240


def command(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC|FILE",
            help="The YAML spec, spec.yaml here if left out; or a csv, tsv, parquet, npz or idx file.",
        ),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of a FILE to predict; guessed if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option("--runs-dir", metavar="DIR", help="Where results are kept.")] = Path("runs"),
) -> None:
    """Look at the data that the network receives. Missing, constant, leaking, badly scaled; exit 5 on a fault."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    screen = Screen(as_json=as_json)
    if spec is not None and spec.lower().endswith(_FILES):
        if overrides:
            raise UsageError(f"{spec} is data, and {overrides[0]} changes a spec. Leave it out, or name a spec.")
        data_of_file(Path(spec).expanduser(), target, screen, runs_dir=runs_dir)
    else:
        if spec is not None and Path(spec).is_dir():
            raise UsageError(f"{spec} is a folder, not a spec. A spec for it is written by: nnctl init {spec}")
        if target is not None:
            raise UsageError("--target names a column of a file. In a spec the source names it.")
        data(*spec_and_overrides(spec, overrides, "data"), screen, runs_dir=runs_dir)


def data(path: Path, overrides: Sequence[str], screen: Screen, *, runs_dir: Path) -> Report:
    """Look at the data of a spec: at the raw columns and rows, and at what the network receives.

    Raises
    ------
    CheckFailed
        Where the verdict is "fail".
    SpecError
        With every mistake in the spec.
    DataError
        Where the data cannot even be read.
    """
    from nnctl.checks.data import check_data, check_unusable  # noqa: PLC0415
    from nnctl.experiment.assembly import Experiment  # noqa: PLC0415
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    loaded = load_spec(path, overrides)
    work: Callable[[Tell], Report]
    try:
        work = partial(check_data, Experiment(loaded))
    except DataError as error:
        found = check_unusable(loaded, error)  # here and not later: if nothing can be read, no directory is made

        def work(_tell: Tell) -> Report:
            return found

    return _conduct(loaded.spec.name, work, screen, runs_dir=runs_dir, spec_text=loaded.text)


def data_of_file(path: Path, target: str | None, screen: Screen, *, runs_dir: Path) -> Report:
    """Look at a file for which there is no spec yet.

    Raises
    ------
    CheckFailed
        Where the verdict is "fail".
    UsageError, DataError
        Where it cannot be read.
    """
    from nnctl.checks.data import check_file  # noqa: PLC0415

    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.name.split(".")[0]).strip("-._") or "file"
    report = _conduct(name, partial(check_file, path, target=target), screen, runs_dir=runs_dir)
    screen.note(f"next    nnctl init {quote(str(path))}")
    return report


def _conduct(
    name: str, work: Callable[[Tell], Report], screen: Screen, *, runs_dir: Path, spec_text: str | None = None
) -> Report:
    return conduct(
        "data",
        name,
        work,
        screen,
        runs_dir=runs_dir,
        spec_text=spec_text,
        show=_show,
        pictures={"data.png": _draw, "augmented.png": _draw_augmented},
    )


def _draw(figures: Mapping[str, Any]) -> bytes | None:
    from nnctl.cli.pictures import histograms, samples, series, spectrograms  # noqa: PLC0415 - Matplotlib costs 0.3 s

    if "sounds" in figures:
        return spectrograms.draw(figures)
    if "series" in figures:
        return series.draw(figures)
    if "samples" in figures:
        return samples.draw(figures)
    return histograms.draw(figures) if figures.get("histograms", {}).get("columns") else None


def _draw_augmented(figures: Mapping[str, Any]) -> bytes | None:
    from nnctl.cli.pictures import samples, spectrograms, texts  # noqa: PLC0415 - Matplotlib costs 0.3 s

    if "augmented_texts" in figures:
        return texts.draw_augmented(figures)
    if "augmented_sounds" in figures:
        return spectrograms.draw_augmented(figures)
    return samples.draw_augmented(figures) if "augmented" in figures else None


def _show(report: Report, screen: Screen) -> None:
    """Show the columns and the classes."""
    figures = report.figures
    for note in figures["notes"]:
        screen.note(f"note    {note}")
    rows = ", ".join(f"{n:,} {'rows' if part == 'all' else part}" for part, n in figures["rows"].items())
    screen.note(f"rows    {rows}; target {figures['target']}")
    columns = figures["columns"]
    headings = ("column", "type", "missing", "distinct", "min", "mean", "max")
    screen.table(headings, [_row(column) for column in columns[:_SHOWN_COLUMNS]], left=(0, 1))
    if len(columns) > _SHOWN_COLUMNS:
        screen.note(f"... and {len(columns) - _SHOWN_COLUMNS} more columns, in check.json")
    classes = figures.get("targets", {})
    if "names" in classes:
        counts = classes["counts"]
        lines = [
            (name, *(f"{count[k]:,}" for count in counts.values()))
            for k, name in enumerate(classes["names"][:_SHOWN_CLASSES])
        ]
        screen.note("")
        screen.table(("class", *("rows" if "all" in figures["rows"] else part for part in counts)), lines)
        if len(classes["names"]) > _SHOWN_CLASSES:
            screen.note(f"... and {len(classes['names']) - _SHOWN_CLASSES} more classes, in check.json")
    screen.note("")
    if "made_rows" in figures:
        _show_made(figures["made_rows"], screen)
    if "augmented_rows" in figures:
        _show_augmented(figures["augmented_rows"], screen)
    if "augmented_texts" in figures:
        _show_texts(figures["augmented_texts"], screen)


def _show_augmented(sheet: Mapping[str, Any], screen: Screen) -> None:
    """Show rows as they are and as the first epoch has them."""
    lines = [
        (f"{row['row']}", when, *(_number(value) for value in row[when]))
        for row in sheet["rows"]
        for when in ("before", "after")
    ]
    screen.table(("row", "augmentation", *sheet["columns"]), lines, left=(1,))
    if sheet["left_out"]:
        screen.note(f"... and {sheet['left_out']} more columns")
    screen.note("")


def _show_made(sheet: Mapping[str, Any], screen: Screen) -> None:
    """Show how many rows each class has in the training part before and after some were made, and a few of those."""
    counts = zip(sheet["classes"], sheet["before"], sheet["after"], strict=True)
    lines = [(name, f"{before:,}", f"{after:,}") for name, before, after in counts][:_SHOWN_CLASSES]
    screen.table(("class", "train", "train with made rows"), lines)
    screen.note("")
    lines = [("made", row["class"], *(_number(value) for value in row["values"])) for row in sheet["rows"]]
    screen.table(("row", "class", *sheet["columns"]), lines, left=(0, 1))
    if sheet["left_out"]:
        screen.note(f"... and {sheet['left_out']} more columns")
    screen.note("")


def _show_texts(sheet: Mapping[str, Any], screen: Screen) -> None:
    """Show texts as they are and as the first epochs have them."""
    lines = []
    for text in sheet["texts"]:
        lines.append((f"{text['row']}", text["label"], "as it is", _shortened(text["before"])))
        lines += [("", "", f"epoch {k}", _shortened(after)) for k, after in enumerate(text["after"], 1)]
    screen.table(("row", "target", "augmentation", "text"), lines, left=(1, 2, 3))
    screen.note("")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_LETTERS else f"{line[: _SHOWN_LETTERS - 3]}..."


def _row(column: Mapping[str, Any]) -> tuple[str, ...]:
    gaps = f"{column['missing'] / column['rows']:.1%}" if column["missing"] else "0"
    distinct = "" if column["distinct"] is None else f"{column['distinct']:,}"
    sizes = ("" if column[key] is None else _number(column[key]) for key in ("min", "mean", "max"))
    return (column["name"], column["type"], gaps, distinct, *sizes)


def _number(value: float) -> str:
    """Return a figure in five digits; a large one in full."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.5g}"
