"""`nnctl predict`: what the network of a run says of new rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.words import cell, continued, counted, say, write_file

if TYPE_CHECKING:
    from nnctl.core.arrays import Array
    from nnctl.experiment.prediction import Prediction, Predictor

__all__ = ["command", "predict"]


class Weights(StrEnum):
    """The checkpoints that a run can have."""

    best = "best"
    last = "last"


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run: its directory, or its name.")],
    data: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A csv, tsv, parquet, npz, idx or wav file, images, texts; or train, validation, test: the run's own.",
        ),
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write the CSV to this file.")] = None,
    checkpoint: Annotated[
        Weights | None, typer.Option(help="Which weights; those of the run's own result if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories are.")] = Path("runs"),
) -> None:
    """Predict with a trained network. Preprocessing, weights and class names come from its run.

    The CSV has a line for every row: its number, the file of an image or a recording, the prediction, the probability
    of each class (the score, where the loss gives no probabilities), and the target, where the input has it.
    """
    from nnctl.cli.render import Screen, number  # noqa: PLC0415 - NumPy and Rich are not needed for --help
    from nnctl.experiment.prediction import Predictor  # noqa: PLC0415
    from nnctl.runs.store import find  # noqa: PLC0415

    predictor = Predictor(find(runs_dir, run), None if checkpoint is None else checkpoint.value)
    found = predict(predictor, data)
    for note in found.notes:
        say(continued(f"note: {note}"), err=True)
    if out is not None:
        write_file(out, _csv(predictor, found))
    if as_json:
        Screen(as_json=True).document(_document(predictor, found))
        return
    if out is None:
        say(_csv(predictor, found), nl=False)
    else:
        say(f"wrote {out}: {counted(len(found.rows), 'row')}, {predictor.checkpoint} weights of {predictor.run.name}")
    if found.score is not None:
        said = ", ".join(f"{name} {number(value)}" for name, value in found.score.items())
        typer.echo(f"score: {said}", err=out is None)


def predict(predictor: Predictor, data: str) -> Prediction:
    """Predict a part of the run's own data, or the rows of a file."""
    from nnctl.experiment.prediction import PARTS  # noqa: PLC0415

    for part in PARTS:
        if data == part:
            return predictor.of_part(part)
    return predictor.of_file(data)


def _csv(predictor: Predictor, found: Prediction) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    word = "p" if predictor.gives_probabilities else "score"
    figures = [f"{word}_{name}" for name in found.columns]
    truth = [] if found.truth is None else _headings("target", found.truth, found.names)
    writer.writerow(["row", *found.places, *_headings("prediction", found.said, found.names), *figures, *truth])
    for row in _rows(predictor, found):
        writer.writerow([cell(value) if isinstance(value, str) else value for value in row])
    return text.getvalue()


def _headings(word: str, values: Array, names: Sequence[str]) -> list[str]:
    """Return one heading, or one with the name, or else the number, of each of several columns."""
    several = values.ndim == 2 and values.shape[1] > 1
    return [f"{word}_{name}" for name in names or range(1, values.shape[1] + 1)] if several else [word]


def _rows(predictor: Predictor, found: Prediction) -> Iterator[list[Any]]:
    columns = [found.rows.tolist(), *found.places.values()]
    columns += [*_columns(predictor, found.said), *_columns(predictor, found.figures)]
    if found.truth is not None:
        columns += [[_known(value) for value in column] for column in _columns(predictor, found.truth)]
    yield from map(list, zip(*columns, strict=True))


def _columns(predictor: Predictor, values: Array) -> list[list[Any]]:
    """Return the columns as lists: texts, or numbers with no more digits than the network computes with."""
    if values.dtype.kind == "U":
        return [values.tolist()]
    shortest = values.reshape(len(values), -1).astype(predictor.network.dtype).astype(str).astype(float)
    return [column.tolist() for column in shortest.T]


def _known(value: Any) -> Any:
    """Return a target, or None where it is not known, as what a forecast is for may not have come yet."""
    return None if isinstance(value, float) and isnan(value) else value


def _document(predictor: Predictor, found: Prediction) -> dict[str, Any]:
    width = found.said.shape[1] if found.said.ndim == 2 else 1
    figures = "probabilities" if predictor.gives_probabilities else "scores"
    predictions = []
    for row, *rest in _rows(predictor, found):
        entry: dict[str, Any] = {"row": row}
        entry |= {name: rest.pop(0) for name in found.places}
        entry["prediction"] = rest[0] if width == 1 else rest[:width]
        if "position" in found.places and found.columns:
            entry["probability"] = rest[width]
        elif found.columns:
            entry[figures] = dict(zip(found.columns, rest[width:], strict=False))
        if found.truth is not None:
            entry["target"] = rest[-1] if width == 1 else rest[-width:]
        predictions.append(entry)
    return {
        "run": str(predictor.run.path),
        "checkpoint": predictor.checkpoint,
        "predictions": predictions,
        "score": found.score,
        "notes": list(found.notes),
    }
