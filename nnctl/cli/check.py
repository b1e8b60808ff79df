"""How every check is run: a directory of its own, progress, its table, its pictures, its verdict and exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnctl.cli.signals import Leaving
from nnctl.core.errors import CheckFailed, Interrupted, NnctlError

if TYPE_CHECKING:
    from nnctl.cli.render import Screen
    from nnctl.core.finding import Report, Tell
    from nnctl.experiment.assembly import Experiment
    from nnctl.runs.check import CheckFolder

__all__ = ["Pictures", "conduct", "experiment_of"]

Pictures = Mapping[str, Callable[[Mapping[str, Any]], bytes | None]]
"""File names, and what draws each from the report's figures; None where there is nothing to draw."""


def conduct(
    check: str,
    name: str,
    work: Callable[[Tell], Report],
    screen: Screen,
    *,
    runs_dir: Path,
    spec_text: str | None = None,
    show: Callable[[Report, Screen], None] | None = None,
    pictures: Pictures | None = None,
    most: int | None = None,
) -> Report:
    """Run a check, keep what it found, show it, draw it.

    Parameters
    ----------
    check : str
        The command's name.
    name : str
        What is checked; the name of the spec, or "".
    work : callable
        The check itself; is given what it tells its progress to.
    screen : Screen
    runs_dir : Path
    spec_text : str, optional
        The spec as written.
    show : callable, optional
        Shows the check's own tables, before the findings.
    pictures : mapping, optional
    most : int, optional
        Show so many of the findings that are not as they should be, and no others.

    Raises
    ------
    CheckFailed
        Where the verdict is "fail"; all is shown and kept before.
    Interrupted
        After Ctrl-C or SIGTERM; nothing but the directory with its status is left.
    """
    from nnctl.runs.check import CheckFolder  # noqa: PLC0415 - nothing of the engine is needed for --help

    with CheckFolder.create(runs_dir, name, check) as folder:
        with _noted(folder, check), screen.progress() as tell:
            if spec_text is not None:
                folder.write_text("spec.yaml", spec_text)
            report = work(tell)
            folder.finish(report)
        drawn = _drawn(folder, report, pictures or {})
    if show is not None:
        show(report, screen)
    screen.report(report, most=most)
    for path in drawn:
        screen.note(f"picture {path}")
    screen.note(f"figures {folder.path / 'check.json'}")
    found = {**report.plain(), "directory": str(folder.path), "pictures": drawn}
    if report.verdict == "fail":
        first = report.first
        place = f"{first.where}: " if first and first.where else ""
        raise CheckFailed(f"{check}: {place}{first.message if first else report.headline}").beside(found)
    screen.document(found)
    return report


def _drawn(folder: CheckFolder, report: Report, pictures: Pictures) -> list[str]:
    """Draw into the folder, and return the paths of what there was to draw."""
    drawn = []
    for file, draw in pictures.items():
        picture = draw(report.figures)
        if picture is not None:
            folder.write_bytes(file, picture)
            drawn.append(str(folder.path / file))
    return drawn


def experiment_of(path: Path, overrides: list[str]) -> Experiment:
    """Return the experiment of a spec, its data loaded, with BLAS on as many threads as training gets."""
    from nnctl.experiment.assembly import Experiment, set_blas_threads  # noqa: PLC0415
    from nnctl.spec.load import load_spec  # noqa: PLC0415

    experiment = Experiment(load_spec(path, overrides))
    set_blas_threads(experiment.threads)
    return experiment


@contextmanager
def _noted(folder: CheckFolder, check: str) -> Iterator[None]:
    """Write into the folder how a check ended that came to no result."""
    try:
        yield
    except KeyboardInterrupt:
        folder.stop("interrupted", "a signal")
        raise Interrupted(f"{check} interrupted; nothing was changed.", Leaving.number) from None
    except BaseException as error:
        said = str(error) if isinstance(error, NnctlError) else f"{type(error).__name__}: {error}"
        with suppress(NnctlError):  # a disk that made it fail cannot take the note either
            folder.stop("failed", said)
        raise
