"""What a person sees; with `nnctl.cli.live` and `nnctl.cli.pages` the only file that knows Rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import mean, median, stdev
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nnctl.cli import forecast
from nnctl.cli.document import print_document
from nnctl.cli.words import continued, counted, duration, number, size
from nnctl.core.finding import Tell, silent
from nnctl.core.inert import inert

if TYPE_CHECKING:
    from nnctl.core.finding import Report
    from nnctl.experiment.assembly import Experiment
    from nnctl.experiment.session import Session
    from nnctl.train.loop import Epoch

__all__ = ["COLOURS", "Screen", "duration", "number", "size"]

COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}
_WIDTH = 100
"""Columns of a table in a file or a pipe."""


class Screen:
    """Where results go: tables for a person, or one JSON document.

    Parameters
    ----------
    as_json : bool
        Print the result as JSON on stdout and nothing else there.
    quiet : bool
        Show no progress, only the result.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        is_terminal = sys.stdout.isatty()
        width = None if is_terminal or "COLUMNS" in os.environ else _WIDTH
        self.console = _Console(highlight=False, soft_wrap=not is_terminal, width=width)
        self.silent = quiet or as_json

    def note(self, text: str) -> None:
        """Say one line."""
        if not self.as_json:
            lead = len(text) - len(text.lstrip("\n"))
            self.console.print(Text(text[:lead] + continued(text[lead:])))

    def document(self, data: Mapping[str, Any]) -> None:
        """Print the result as JSON, where that was asked for."""
        if self.as_json:
            print_document(data)

    def table(
        self, headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,), **style: str
    ) -> None:
        """Show a table.

        Parameters
        ----------
        headings : sequence of str
        rows : iterable of sequences of str
        left : sequence of int
            The columns that are set to the left; figures stand to the right.
        **style
            The style of the rows whose first cell is the keyword: ``fail="red"``.
        """
        if self.as_json:
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for i, heading in enumerate(headings):
            table.add_column(Text(inert(heading)), justify="left" if i in left else "right")
        for row in rows:
            table.add_row(*(Text(inert(cell)) for cell in row), style=style.get(row[0], ""))
        self.console.print(table)

    # ------------------------------------------------------------------ checks

    def report(self, report: Report, *, most: int | None = None) -> None:
        """Show what a check found, its verdict, and the next thing to do.

        Parameters
        ----------
        report : Report
        most : int or None
            Show so many of the findings that are not as they should be; None shows all that there are.
        """
        if self.as_json:
            return
        wrong = [finding for finding in report.findings if finding.verdict != "pass"]
        shown = report.findings if most is None else wrong[:most]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        for finding in shown:
            place = f"{finding.where}: " if finding.where else ""
            said = Text(f"{place}{finding.message}")
            if finding.fix:
                said.append(f"\n{finding.fix}", "dim")
            table.add_row(Text(finding.verdict, COLOURS[finding.verdict]), Text(finding.rule), said)
        if shown:
            self.console.print(table)
        if most is not None and len(wrong) > most:
            self.note(f"and {len(wrong) - most} more: {', '.join(dict.fromkeys(f.rule for f in wrong[most:]))}")
        self.console.print(Text.assemble((report.verdict, f"bold {COLOURS[report.verdict]}"), f"  {report.headline}"))
        if report.first is not None:
            self.note(f"more on it: nnctl explain {report.first.rule}")

    @contextmanager
    def progress(self) -> Iterator[Tell]:
        """Show how far a check has come: a bar on a terminal, nothing where there is none."""
        if self.silent or not self.console.is_terminal:
            yield silent
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - 40 ms

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task("", total=1.0)
            yield lambda share, what: bars.update(task, completed=share, description=what)

    # ------------------------------------------------------------------ training

    @contextmanager
    def training(self, session: Session) -> Iterator[Callable[[Epoch], None]]:
        """Show a training, and its findings as they come; yields what is to be called after every epoch."""
        if self.silent:
            yield lambda _epoch: None
            return
        from nnctl.cli.live import LiveTraining  # noqa: PLC0415 - only a training is watched

        live = LiveTraining(session, self.console)
        with live.display():
            try:
                yield live.show
            finally:
                live.show_findings()  # those of an epoch that came to no end

    def result(self, session: Session) -> None:
        """Show what a training came to."""
        if self.as_json:
            return
        summary = session.summary
        best = summary["best_epoch"]
        kept = f"best epoch {best}" if summary["weights"] == "best" else f"last epoch {summary['epochs']}"
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        figures = list(next(iter(summary["metrics"].values())))
        table.add_column(f"seed {session.experiment.spec.seed}, {kept}")
        for name in figures:
            table.add_column(name, justify="right")
        for part, values in summary["metrics"].items():
            table.add_row(part, *(number(values[name]) for name in figures), style="bold" if part == "test" else "")
        self.console.print(table)
        if summary["forecast"] is not None:
            self.table(*forecast.errors(summary["forecast"]))
            for said in forecast.verdict(summary["forecast"]):
                self.note(f"naive   {said}")
        value = "" if summary["best_value"] is None else f", {summary['monitor']} {number(summary['best_value'])}"
        self.note(
            f"ended   {summary['reason']} after {counted(summary['epochs'], 'epoch')}, "
            f"{counted(summary['steps'], 'step')}, {duration(summary['seconds'])}; best epoch {best}{value}"
        )
        found = ", ".join(dict.fromkeys(finding["rule"] for finding in summary["findings"]))
        looks = counted(len(session.health.samples), "look")
        self.note(f"health  {f'{found}; more on each: nnctl explain RULE' if found else f'nothing found in {looks}'}")
        self.note(f"run     {session.run.path}")

    def seeds(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Show the spread over several seeds."""
        if self.as_json or len(results) < 2:
            return
        part = "test" if "test" in results[0]["metrics"] else list(results[0]["metrics"])[-1]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in (f"{part}, {len(results)} seeds", "median", "mean", "std", "min", "max"):
            table.add_column(heading, justify="left" if heading.startswith(part) else "right")
        for name in results[0]["metrics"][part]:
            values = [result["metrics"][part][name] for result in results]
            figures = (median(values), mean(values), stdev(values), min(values), max(values))
            table.add_row(name, *(number(figure) for figure in figures))
        self.console.print(table)

    def head(self, experiment: Experiment) -> None:
        """Say what is trained on what."""
        if self.quiet:
            return
        data = experiment.data
        parts = [("train", data.train), ("validation", data.validation), ("test", data.test)]
        rows = ", ".join(f"{len(part):,} {name}" for name, part in parts if part is not None)
        kind = f"{len(data.classes)} classes" if data.classes else f"{counted(data.outputs, 'target')}"
        shape = " x ".join(map(str, data.input_shape))
        self.note(f"{experiment.spec.name}, seed {experiment.spec.seed}")
        self.note(f"data    {rows} rows; {shape} inputs, {kind}")
        threads = f"{experiment.threads} BLAS thread{'s' if experiment.threads > 1 else ''}"
        self.note(f"network {experiment.layout.size:,} parameters, {experiment.spec.training.dtype}, {threads}")
        for note in experiment.notes:
            self.note(f"note    {note}")

    # ------------------------------------------------------------------ downloads

    @contextmanager
    def fetching(self) -> Iterator[Callable[[str, int, int | None], None]]:
        """Show downloads: a bar for each file on a terminal, else a line when one is whole."""
        if not self.console.is_terminal:
            yield self._fetched
            return
        from rich.progress import (  # noqa: PLC0415 - 40 ms, which other commands need not wait for
            BarColumn,
            DownloadColumn,
            Progress,
            TaskID,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console) as bars:
            tasks: dict[str, TaskID] = {}

            def show(name: str, have: int, total: int | None) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(name)
                bars.update(tasks[name], completed=have, total=total)

            yield show

    def _fetched(self, name: str, have: int, total: int | None) -> None:
        if have == total:
            self.note(f"fetched {name} ({size(have)})")

    # ------------------------------------------------------------------ architecture

    def architecture(self, experiment: Experiment) -> None:
        """Show the layers with their output shapes, their parameters, and what they hold for a batch in training."""
        if self.as_json:
            return
        from nnctl.experiment.price import price_by_layer, size  # noqa: PLC0415 - NumPy is not needed for --help

        layout, held = experiment.layout, price_by_layer(experiment)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("layer")
        table.add_column("output", justify="left")
        table.add_column("parameters", justify="right")
        table.add_column("memory", justify="right")
        table.add_row("input", str((*("B",), *layout.shape)).replace("'", ""), "", "")
        for row, own in zip(layout.rows[1:], held[1:], strict=True):
            indent = "  " * (row.depth - 1)
            label = row.path.rsplit("/", 1)[-1]
            shape = str(("B", *row.out_shape)).replace("'", "")
            parameters, memory = f"{row.params:,}" if row.params else "", size(own) if own else ""
            table.add_row(escape(f"{indent}{label}"), shape, parameters, memory)
        activations = experiment.memory.activations
        table.add_row("scratch, outputs", "", "", size(activations - sum(held)))
        table.add_row("total", "", f"{layout.size:,}", size(activations), style="bold")
        self.console.print(table)

    def memory(self, experiment: Experiment) -> None:
        """Show what the training will hold in memory."""
        needed = experiment.memory
        self.note(f"memory  {size(needed.total)}: {needed.parts()}")


class _Console(Console):
    """A terminal that is told nothing but what this program wants: names from data are only shown."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the pieces of which a line is made, each without what the terminal would obey."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else inert(text, keep="\n"), style, control)

    def on_broken_pipe(self) -> None:
        """Let the error out; Rich would end the process with 1, which is the code of a bug."""
        raise BrokenPipeError
