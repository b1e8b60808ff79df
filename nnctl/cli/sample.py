"""`nnctl sample`: text from a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnctl.cli.predict import Weights
from nnctl.cli.words import continued, say

__all__ = ["command"]


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run: its directory, or its name.")],
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What the text goes on from.")] = "\n",
    length: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many tokens to add.")] = 500,
    temperature: Annotated[
        float, typer.Option(min=0, help="Below 1 safer, above 1 bolder; 0 takes the likeliest token each time.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Another one gives another text.")] = 0,
    checkpoint: Annotated[
        Weights | None, typer.Option(help="Which weights; those of the run's own result if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories are.")] = Path("runs"),
) -> None:
    """Write text with a language model, as it comes. Vocabulary and weights come from its run."""
    from nnctl.experiment.prediction import Predictor  # noqa: PLC0415 - NumPy is not needed for --help
    from nnctl.experiment.sampling import Sampler  # noqa: PLC0415
    from nnctl.runs.store import find  # noqa: PLC0415

    predictor = Predictor(find(runs_dir, run), None if checkpoint is None else checkpoint.value)
    sampler = Sampler(predictor)
    notes = sampler.notes(prompt)
    for note in notes:
        say(continued(f"note: {note}"), err=True)
    pieces = sampler.pieces(prompt, length, temperature, seed)
    if as_json:
        from nnctl.cli.render import Screen  # noqa: PLC0415

        Screen(as_json=True).document(
            {
                "run": str(predictor.run.path),
                "checkpoint": predictor.checkpoint,
                "prompt": prompt,
                "text": "".join(pieces),
                "length": length,
                "temperature": temperature,
                "seed": seed,
                "notes": list(notes),
            }
        )
        return
    say(prompt.lstrip("\n"), nl=False)
    for piece in pieces:
        say(piece, nl=False)
    typer.echo()
