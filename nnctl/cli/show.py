"""`nnctl show`: all there is to know about one run, on one page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.core.inert import inert

if TYPE_CHECKING:
    from nnctl.runs.listing import Entry

__all__ = ["command"]

_DATA = ("source", "split", "scaling")
_HIGHLIGHTS = ("architecture", "init", "loss", "optimizer", "schedule", "regularizers", "clip", "training")
_ENVIRONMENT = ("nnctl", "python", "numpy", "blas", "blas_threads", "compiler", "cpu", "os")
_WORDS = 12  # the width of the words at the left


def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run or a check: its directory, or its name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories are.")] = Path("runs"),
) -> None:
    """Show one run. Spec, result, environment, files, and how to go on with it."""
    from nnctl.cli.document import print_document  # noqa: PLC0415 - what --help does not need
    from nnctl.cli.older import with_spec  # noqa: PLC0415
    from nnctl.runs.listing import entry_of  # noqa: PLC0415

    entry = with_spec(entry_of(run, runs_dir))
    files = {} if entry.kind == "foreign" else _files(entry.path)  # which may be the root of a disk
    if as_json:
        state = {"name": entry.name, "path": entry.place, "kind": entry.kind, "status": entry.status}
        document = {**entry.record, **state, "reason": entry.reason or entry.record.get("reason"), "files": files}
        print_document(document)
        return
    lines = {"run": _run, "check": _check}.get(entry.kind, _neither)(entry)
    listed = [] if entry.kind == "foreign" else ["", *_listed(files)]
    for line in (*lines, *listed):
        typer.echo(line)


def _run(entry: Entry) -> Iterator[str]:
    from nnctl.cli.words import counted, duration, number  # noqa: PLC0415
    from nnctl.runs.result import result_of  # noqa: PLC0415

    result = result_of(entry)
    yield from _head(entry)
    if entry.record.get("error"):
        yield _said("error", entry.record["error"])
    if result.epochs is not None:
        reason = entry.summary.get("reason")
        took = "" if result.seconds is None else f", {duration(result.seconds)}"
        yield _said("length", f"{counted(result.epochs, 'epoch')}{took}{f', ended by {reason}' if reason else ''}")
    if result.best_value is not None:
        yield _said("best", f"{result.monitor} {number(result.best_value)} in epoch {result.best_epoch}")
    if result.weights is not None:
        yield _said("weights", f"those of the {result.weights} epoch are its result")
    if result.parameters is not None:
        yield _said("network", f"{result.parameters:,} parameters")
    yield ""
    yield from _spec(entry)
    yield from _metrics(entry.summary.get("metrics"))
    yield from _forecast(entry.summary.get("forecast"))
    yield from _findings(entry.summary.get("findings"))
    yield ""
    known = [(key, entry.environment[key]) for key in _ENVIRONMENT if entry.environment.get(key) is not None]
    yield _folded("ran on", ", ".join(f"{key} {value}" for key, value in known) or "not recorded")
    git = entry.environment.get("git")
    if isinstance(git, dict) and git.get("commit"):
        yield _said("commit", f"{git['commit']}{', with changes not committed' if git.get('dirty') else ''}")
    yield ""
    yield from _next(entry)


def _check(entry: Entry) -> Iterator[str]:
    yield from _head(entry)
    for word in ("check", "verdict", "headline", "reason"):
        if entry.record.get(word):
            yield _said(word, entry.record[word])
    yield from _findings(entry.record.get("findings"))


def _neither(entry: Entry) -> Iterator[str]:
    yield _said("directory", entry.place)
    yield _said("status", f"{entry.status}: {entry.reason}")


def _head(entry: Entry) -> Iterator[str]:
    yield _said("directory", entry.place)
    killed = ": it says that it is running, and no process holds it" if entry.status == "killed" else ""
    yield _said("status", f"{entry.status}{killed}")
    if entry.created is not None:
        yield _said("started", f"{entry.created.astimezone():%Y-%m-%d %H:%M:%S}")


def _spec(entry: Entry) -> Iterator[str]:
    """Yield what matters most of the spec; all of it is in resolved.yaml."""
    from nnctl.runs.keys import text_of  # noqa: PLC0415

    if not entry.spec:
        yield _said("spec", "cannot be read")
        return
    yield _said("spec", f"{entry.spec.get('name')}, seed {entry.spec.get('seed')}; resolved.yaml has all of it")
    data = entry.spec.get("data")
    sections = {"data" if key == "source" else key: data.get(key) for key in _DATA} if isinstance(data, dict) else {}
    path = _fields(sections.get("data")).get("path")
    sections |= {"file": path} if path else {}
    sections |= {key: entry.spec.get(key) for key in _HIGHLIGHTS}
    for key, value in sections.items():
        if value:
            yield _folded(key, _settings(value) if key == "optimizer" else text_of(value))


def _settings(value: Any) -> str:
    """Return a component with all its fields."""
    from nnctl.runs.keys import text_of  # noqa: PLC0415

    fields = _fields(value)
    return f"{next(iter(value))}({text_of(fields)})" if fields else text_of(value)


def _fields(component: Any) -> Mapping[str, Any]:
    """Return the fields of ``{name: {field: value}}``; none of a name alone."""
    fields = next(iter(component.values())) if isinstance(component, dict) and len(component) == 1 else {}
    return fields if isinstance(fields, dict) else {}


def _metrics(metrics: Any) -> Iterator[str]:
    from nnctl.cli.columns import Column, lay_out, terminal_width  # noqa: PLC0415
    from nnctl.cli.words import number  # noqa: PLC0415

    parts = {part: f for part, f in metrics.items() if isinstance(f, dict)} if isinstance(metrics, dict) else {}
    if not parts:
        return

    def shown(value: Any) -> str:
        return number(value) if isinstance(value, int | float) else "-"

    names = dict.fromkeys(name for figures in parts.values() for name in figures)
    columns = [Column("part", list(parts), left=True)]
    columns += [Column(name, [shown(figures.get(name)) for figures in parts.values()]) for name in names]
    yield ""
    yield from lay_out(columns, terminal_width())[0]


def _forecast(forecast: Any) -> Iterator[str]:
    from nnctl.cli.columns import Column, lay_out, terminal_width  # noqa: PLC0415
    from nnctl.cli.forecast import errors, verdict  # noqa: PLC0415

    if not isinstance(forecast, dict) or not isinstance(forecast.get("errors"), dict):
        return
    headings, rows = errors(forecast)
    first, *others = zip(*rows, strict=True)
    columns = [Column(headings[0], list(first), left=True)]
    columns += [Column(name, list(cells)) for name, cells in zip(headings[1:], others, strict=True)]
    yield ""
    yield from lay_out(columns, terminal_width())[0]
    yield from verdict(forecast)


def _findings(findings: Any) -> Iterator[str]:
    from nnctl.cli.columns import paint  # noqa: PLC0415

    plain = [f for f in findings if isinstance(f, dict)] if isinstance(findings, list) else []
    if plain:
        yield ""
    for finding in plain:
        place = f"{finding['where']}: " if finding.get("where") else ""
        verdict = str(finding.get("verdict"))
        yield paint(f"{verdict:6}{finding.get('rule')}  {place}{finding.get('message')}", verdict)
        if finding.get("fix"):
            yield inert(f"      {finding['fix']}")


def _next(entry: Entry) -> Iterator[str]:
    path = _quoted(entry.path)
    if entry.status in ("interrupted", "killed", "failed"):
        yield _said("go on", f"nnctl train --resume {path}")
    if entry.status != "running" and any(Path(entry.path).glob("checkpoints/*.safetensors")):
        metrics = entry.summary.get("metrics")
        part = list(metrics)[-1] if isinstance(metrics, dict) and metrics else "train"
        yield _said("predict", f"nnctl predict {path} {_quoted(part)}")
        if _is_language_model(entry):
            yield _said("sample", f"nnctl sample {path}")
    if (Path(entry.path) / "resolved.yaml").is_file():
        yield _said("repeat", f"nnctl train {_quoted(f'{entry.path}/resolved.yaml')}")


def _is_language_model(entry: Entry) -> bool:
    data = entry.spec.get("data") if entry.spec else None
    source = data.get("source") if isinstance(data, dict) else None
    return isinstance(source, dict) and "text" in source


def _files(path: str) -> dict[str, int]:
    """Return every file in a directory with its size; links are not followed."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder) / name
            with suppress(FileNotFoundError):  # a run that trains replaces its files at any time
                found[str(file.relative_to(path)).encode(errors="replace").decode()] = file.lstat().st_size
    return dict(sorted(found.items()))


def _listed(files: Mapping[str, int]) -> list[str]:
    from nnctl.cli.columns import Column, lay_out, terminal_width  # noqa: PLC0415
    from nnctl.cli.words import size  # noqa: PLC0415

    shown = [name for name in files if not Path(name).name.startswith(".")]
    columns = [
        Column("file", shown, left=True, narrowest=24),
        Column("size", [size(files[name]) for name in shown]),
    ]
    return lay_out(columns, terminal_width())[0] if shown else ["it holds no files"]


def _said(word: str, text: Any) -> str:
    return inert(f"{word:{_WORDS}}  {text}")


def _folded(word: str, text: str) -> str:
    """Return the same with a long text broken between words, below its own beginning."""
    from nnctl.cli.columns import terminal_width, wrapped  # noqa: PLC0415

    width = terminal_width()
    room = None if width is None else max(width - _WORDS - 2, 20)
    return _said(word, "").rstrip(" ").ljust(_WORDS + 2) + wrapped(text, room).replace("\n", f"\n{'':{_WORDS + 2}}")


def _quoted(path: str) -> str:
    import shlex  # noqa: PLC0415

    return shlex.quote(path)
