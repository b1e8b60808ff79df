"""`nnctl init`: a first spec for a data set."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from nnctl.cli.words import counted, write_file
from nnctl.core.errors import NnctlError, UsageError

__all__ = ["command", "init"]


def command(
    source: Annotated[
        str,
        typer.Argument(
            help="A data set (iris, ...); a csv, tsv, parquet, npz, jsonl or txt file; a folder of images or wavs."
        ),
    ] = "digits",
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The spec to write.")] = Path("spec.yaml"),
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of a file to predict; guessed if left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a spec that is there.")] = False,
) -> None:
    """Write a first spec for a data set. Its comments explain the choices; then: nnctl train."""
    if out.exists() and not force:
        raise UsageError(f"{out} is there already. Name another with -o, or replace it with --force.")
    from nnctl.cli.render import Screen  # noqa: PLC0415 - Rich is not needed for --help

    screen = Screen()
    for line in init(source, out, target):
        screen.note(line)


def init(source: str, out: Path, target: str | None = None) -> list[str]:
    """Write a spec that fits a data set, and return what a person should know about it.

    Raises
    ------
    UsageError
        There is no such data set, file or column.
    DataError
        The data cannot be learned from.
    DiskError
        The spec cannot be written.
    """
    from nnctl.experiment.folder_starter import folder_of, folder_spec  # noqa: PLC0415 - NumPy is not needed for --help
    from nnctl.experiment.inspection import look_at  # noqa: PLC0415
    from nnctl.experiment.language_starter import corpus_of, language_model_spec  # noqa: PLC0415
    from nnctl.experiment.series_starter import as_series, series_spec  # noqa: PLC0415
    from nnctl.experiment.starter import starter_spec  # noqa: PLC0415
    from nnctl.experiment.texts_starter import texts_of, texts_spec  # noqa: PLC0415

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-._") or "run"
    asked = f"nnctl init {source}" + (f" --target {target}" if target else "")
    corpus = None if target else corpus_of(source, out.parent)
    folder = None if target else folder_of(source, out.parent)
    texts = texts_of(source, out.parent, target)
    if folder is not None:
        write_file(out, folder_spec(folder, name, asked))
        what = "images" if folder.kind == "images" else "recordings"
        lines = [f"wrote {out}: {folder.files:,} {what} of {folder.classes} class{'es' * (folder.classes != 1)}"]
    elif corpus is not None:
        write_file(out, language_model_spec(corpus, name, asked))
        lines = [f"wrote {out}: a language model"]
    elif texts is not None:
        write_file(out, texts_spec(texts, name, asked))
        lines = [
            f"wrote {out}: {texts.rows:,} texts of {texts.classes} classes",
            f"note: column '{texts.text}' holds the texts, and '{texts.target}' is taken for the target",
        ]
    else:
        found = look_at(source, out.parent, target)
        series = as_series(found, out.parent)
        write_file(out, starter_spec(found, name, asked) if series is None else series_spec(series, name, asked))
        what = f"{found.classes} classes" if found.classes else "a regression"
        what = what if series is None else "a time series"
        lines = [f"wrote {out}: {what}, {counted(found.rows, 'row')}, {counted(found.features, 'column')}"]
        lines += [f"note: {remark}" for remark in found.remarks]
        if series is not None:
            lines.append(
                f"note: '{series.target}' is much like itself one step earlier (correlation {series.correlation:.2f}): "
                f"it is forecast from its past"
            )
    trouble = _trouble(out)
    if trouble:
        return [*lines, f"note: it cannot be trained yet. {trouble}"]
    here = "" if out == Path("spec.yaml") else f" {quote(str(out))}"
    return [*lines, f"next: nnctl train{here}"]


def _trouble(path: Path) -> str | None:
    """Return what still keeps the spec from being trained, such as data that are not here yet."""
    from nnctl.experiment.assembly import Experiment  # noqa: PLC0415
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    if not path.is_file():  # a pipe, or a terminal: nothing can be read back
        return None
    try:
        Experiment(load_spec(path))
    except NnctlError as error:
        return str(error)
    return None
