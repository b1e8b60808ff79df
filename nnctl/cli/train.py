"""`nnctl train`: a spec in, a run directory out."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnctl.cli.signals import Leaving, Signals
from nnctl.core.errors import Diverged, Interrupted, NnctlError, UsageError

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.experiment.session import Session
    from nnctl.spec.load import LoadedSpec

__all__ = ["command", "show_network", "spec_and_overrides", "train_to_the_end"]


def command(
    spec: Annotated[str | None, typer.Argument(help="The YAML spec; spec.yaml here if left out.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed than the spec's.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Train this many runs, with seed, seed + 1, ...")] = 1,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an interrupted or killed run.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --resume: refuse where the bits may come out as others.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show shapes, parameters and memory; do not train.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    runs_dir: Annotated[Path, typer.Option(help="Where run directories go.")] = Path("runs"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only the result.")] = False,
    plot: Annotated[bool, typer.Option(help="Draw the curves and the gradient flow into the run directory.")] = True,
) -> None:
    """Train a network from a spec. The run is kept in a directory."""
    from nnctl.cli.render import Screen  # noqa: PLC0415 - NumPy and Rich are not needed for --help

    screen = Screen(as_json=as_json, quiet=quiet)
    if resume is not None:
        if spec is not None or seed is not None or seeds != 1 or dry_run:
            raise UsageError("--resume takes the spec and the seed from the run. Leave the other arguments out.")
        screen.document(_resume(runs_dir, resume, screen, plot=plot, strict=strict))
        return
    if strict:
        raise UsageError("--strict compares a run with where it began, and stands beside --resume RUN only.")
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    loaded = load_spec(*spec_and_overrides(spec, overrides))
    if seed is not None:
        loaded = loaded.with_seed(seed)
    if dry_run and seeds > 1:
        raise UsageError("--dry-run trains nothing, so --seeds has no meaning beside it. Leave one out.")
    if dry_run:
        screen.document(show_network(loaded, screen))
        return
    specs = [loaded.with_seed(loaded.spec.seed + i) for i in range(seeds)]
    if seeds == 1:
        screen.document(_train(specs[0], runs_dir, screen, plot=plot))
    else:
        _train_all(specs, runs_dir, screen, plot=plot)


def _train_all(specs: list[LoadedSpec], runs_dir: Path, screen: Screen, *, plot: bool) -> None:
    """Train one seed after the other; one that diverges is told and does not keep the others from training."""
    results: list[dict[str, Any]] = []
    ended: NnctlError | None = None
    for i, loaded in enumerate(specs):
        try:
            results.append(_train(loaded, runs_dir, screen, plot=plot))
        except Diverged as error:
            screen.note(f"seed {loaded.spec.seed} {error}")
            results.append({"seed": loaded.spec.seed, "diverged": str(error)})
            diverged = [str(result["seed"]) for result in results if "diverged" in result]
            ended = Diverged(f"{len(diverged)} of {len(specs)} seeds diverged: {', '.join(diverged)}.")
        except Interrupted as error:
            left = len(specs) - i - 1
            ended = Interrupted(f"{error}. {left} more seeds were not started" if left else str(error), error.signal)
            break
    screen.seeds([result for result in results if "metrics" in result])
    if ended is not None:
        raise ended.beside({"runs": results})
    screen.document({"runs": results})


def spec_and_overrides(spec: str | None, overrides: list[str] | None, command: str = "train") -> tuple[Path, list[str]]:
    """Return the spec's path and the overrides; ``spec.yaml`` where the first argument is an override already."""
    changes = list(overrides or ())
    if spec is not None and "=" in spec and not _is_there(Path(spec)):
        changes.insert(0, spec)
        spec = None
    path = Path(spec) if spec is not None else Path("spec.yaml")
    if path.suffix in {".csv", ".tsv", ".parquet"}:
        raise UsageError(f"{path} is data, not a spec. A spec for it is written by: nnctl init {quote(str(path))}")
    if path.parent == Path() and not path.suffix and not _is_there(path) and _is_source(path.name):
        raise UsageError(
            f"{path} is a data set, and there is no spec of that name. One for it is written by: nnctl init {path}"
        )
    if spec is None and not path.exists():
        raise UsageError(
            f"no spec was named and there is no spec.yaml here. Type: nnctl {command} SPEC, or: nnctl init"
        )
    return path, changes


def train_to_the_end(session: Session, screen: Screen, *, plot: bool) -> dict[str, Any]:
    """Train a session to its end, show it, draw it, and return its result as plain data."""
    with Signals() as signals:
        try:
            with screen.training(session) as show:
                for epoch in session.epochs(signals):
                    show(epoch)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted at once; what was saved last holds. Go on with: nnctl train --resume {session.run.path}",
                signals.number or Leaving.number,
            ) from None
    result = {"run": str(session.run.path), "seed": session.experiment.spec.seed, **session.summary}
    screen.result(session)
    if signals.number is not None:
        raise Interrupted(f"interrupted as the training ended; {session.run.path} is done.", signals.number)
    if plot:
        from nnctl.cli.pictures import (  # noqa: PLC0415 - Matplotlib costs 0.3 s, after the result stands
            forecast,
            gradient_flow,
        )
        from nnctl.cli.pictures.curves import draw_curves  # noqa: PLC0415
        from nnctl.experiment.forecasting import traces  # noqa: PLC0415

        result["plot"] = str(draw_curves(session.run))
        screen.note(f"curves  {result['plot']}")
        session.run.write_bytes("plots/gradient_flow.png", gradient_flow.draw(session.health.figures, session.run.name))
        result["gradient_flow"] = str(session.run.path / "plots" / "gradient_flow.png")
        screen.note(f"flow    {result['gradient_flow']}")
        shown = traces(session.experiment, session.learner.network)
        if shown is not None:
            session.run.write_bytes("plots/forecast.png", forecast.draw(shown, session.run.name))
            result["forecast_plot"] = str(session.run.path / "plots" / "forecast.png")
            screen.note(f"picture {result['forecast_plot']}")
    return result


def show_network(loaded: LoadedSpec, screen: Screen) -> dict[str, Any]:
    """Do all that comes before training, show the network and its memory, and return them as plain data."""
    from nnctl.experiment.assembly import Experiment  # noqa: PLC0415
    from nnctl.experiment.price import price_by_layer  # noqa: PLC0415

    experiment = Experiment(loaded)
    experiment.examples(experiment.data.train)  # row weights that are none are refused
    screen.head(experiment)
    screen.architecture(experiment)
    screen.memory(experiment)
    return {
        "parameters": experiment.layout.size,
        "layers": [
            {"layer": row.path, "output": list(row.out_shape), "parameters": row.params, "memory": held}
            for row, held in zip(experiment.layout.rows[1:], price_by_layer(experiment)[1:], strict=True)
        ],
        "memory": {**vars(experiment.memory), "total": experiment.memory.total},
    }


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # an override can be longer than a name of a file
        return False


def _is_source(name: str) -> bool:
    from nnctl.data.cards import card_names  # noqa: PLC0415 - NumPy, which only a mistake costs
    from nnctl.data.sources import Source  # noqa: PLC0415

    member = Source.member(name)
    return name in card_names() or (
        member is not None and not any(f.is_required() for f in member.model_fields.values())
    )


def _train(loaded: LoadedSpec, runs_dir: Path, screen: Screen, *, plot: bool) -> dict[str, Any]:
    from nnctl.experiment.assembly import Experiment  # noqa: PLC0415
    from nnctl.experiment.session import Session  # noqa: PLC0415

    experiment = Experiment(loaded)
    screen.head(experiment)
    return train_to_the_end(Session.start(experiment, runs_dir), screen, plot=plot)


def _resume(runs_dir: Path, name: str, screen: Screen, *, plot: bool, strict: bool) -> dict[str, Any]:
    from nnctl.cli.words import continued, say  # noqa: PLC0415
    from nnctl.experiment.session import Session  # noqa: PLC0415
    from nnctl.runs.store import find  # noqa: PLC0415

    session = Session.resume(find(runs_dir, name), strict=strict)
    screen.head(session.experiment)
    for warning in session.warnings:
        say(continued(f"warning: {warning}"), err=True)
    return {**train_to_the_end(session, screen, plot=plot), "warnings": session.warnings}
