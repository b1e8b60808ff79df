"""`nnctl schema`: the JSON Schema of a spec, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nnctl.cli.words import write_file

__all__ = ["command"]


def command(
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write it to this file.")] = None,
) -> None:
    """Print the JSON Schema of a spec, for editors. They complete and check specs by it (draft-07).

    With it in a file, the first line of a spec tells the editor's YAML extension where it lies:
    # yaml-language-server: $schema=nnctl.schema.json
    """
    from nnctl.spec.schema import json_schema  # noqa: PLC0415 - NumPy and pydantic are not needed for --help

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
        return
    write_file(out, text + "\n")
    typer.echo(f"wrote {out}. The first line of a spec can now be:  # yaml-language-server: $schema={out}")
