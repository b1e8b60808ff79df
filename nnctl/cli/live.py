"""A training as it goes on: a table that is redrawn on a terminal, a line for every epoch where there is none."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nnctl.cli.render import COLOURS
from nnctl.cli.words import duration, number

if TYPE_CHECKING:
    from nnctl.core.finding import Finding
    from nnctl.experiment.session import Session
    from nnctl.train.loop import Epoch

__all__ = ["LiveTraining"]

_SHOWN_EPOCHS = 8


class LiveTraining:
    """Shows the epochs of a session, and each of its findings once, soon after it was made."""

    def __init__(self, session: Session, console: Console) -> None:
        self.session = session
        self.console = console
        self.epochs: list[Epoch] = []
        self._findings_shown = 0

    def display(self) -> AbstractContextManager[Any]:
        """Return what keeps the table on a terminal up to date while it is entered."""
        if not self.console.is_terminal:
            return nullcontext()
        return Live(get_renderable=self._redrawn, console=self.console, refresh_per_second=8)

    def show(self, epoch: Epoch) -> None:
        """Show an epoch that has ended."""
        self.show_findings()
        self.epochs.append(epoch)
        if not self.console.is_terminal:
            self.console.print(_line(epoch, self.session))

    def show_findings(self) -> None:
        """Show the findings that are new; on a terminal, the next redraw does."""
        if not self.console.is_terminal:
            self._print_findings()

    def _redrawn(self) -> RenderableType:
        """Print the findings that are new, and return the table to stand below them.

        Rich calls this in its own thread and lets nobody else redraw meanwhile. Printed from another thread, a finding
        could meet a table that has just grown: half of it would be overwritten and the old table left above the new.
        """
        self._print_findings()
        return self.table()

    def _print_findings(self) -> None:
        for finding in self.session.health.findings[self._findings_shown :]:
            self._findings_shown += 1
            self.console.print(_warning(finding))

    def table(self) -> RenderableType:
        """Return the last epochs, and how far the training has come."""
        bar = self._bar()
        if not self.epochs:
            return bar
        shown = self.epochs[-_SHOWN_EPOCHS:]
        columns = self._columns_that_fit(list(shown[-1].metrics))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in columns:
            table.add_column(heading.replace("_", " "), justify="right")
        for epoch in shown:
            figures = {
                "epoch": str(epoch.epoch),
                **{name: number(value) for name, value in epoch.metrics.items()},
                "lr": number(epoch.lr),
                "grad_norm": number(epoch.grad_norm),
                "samples/s": f"{epoch.samples_per_second:,.0f}",
            }
            table.add_row(*(figures.get(name, "") for name in columns), style="green" if epoch.best else "")
        return Group(table, bar)

    def _columns_that_fit(self, figures: list[str]) -> list[str]:
        """Return the columns for this width; where it is narrow, validation and losses stay longest."""
        order = ["epoch", *figures, "lr", "grad_norm", "samples/s"]
        by_worth = sorted(order, key=lambda c: (c != "epoch", not c.endswith("_loss"), not c.startswith("val_")))
        room, fitting = self.console.width, set()
        for column in by_worth:
            room -= max(len(column), 9) + 2
            if room < 0:
                break
            fitting.add(column)
        return [column for column in order if column in fitting]

    def _bar(self) -> RenderableType:
        session = self.session
        done, total = session.learner.step, session.plan.steps
        grid = Table.grid(padding=(0, 2, 0, 0))
        if session.summary:
            epoch, left = f"epoch {session.progress.epoch}", ""
        else:
            epoch = f"epoch {min(session.progress.epoch + 1, -(-total // len(session.batches)))}"
            left = _time_left(session)
        width = max(4, min(30, self.console.width - 52))
        grid.add_row(epoch, ProgressBar(total=total, completed=done, width=width), f"step {done:,}/{total:,}", left)
        return grid


def _warning(finding: Finding) -> Text:
    place = f"{finding.where}: " if finding.where else ""
    verdict = (f"{finding.verdict:6}", COLOURS[finding.verdict])
    return Text.assemble(verdict, f"{finding.rule}  {place}{finding.message}. ", (finding.fix, "dim"))


def _time_left(session: Session) -> str:
    done = session.learner.step - session.progress.batch
    if not done or not session.progress.seconds:
        return ""
    return f"{duration((session.plan.steps - done) * session.progress.seconds / done)} left"


def _line(epoch: Epoch, session: Session) -> Text:
    figures = "  ".join(f"{name} {number(value)}" for name, value in epoch.metrics.items())
    total = -(-session.plan.steps // len(session.batches))
    star = "  *" if epoch.best else ""
    return Text(
        f"epoch {epoch.epoch}/{total}  {figures}  lr {number(epoch.lr)}  grad_norm {number(epoch.grad_norm)}  "
        f"{epoch.samples_per_second:,.0f} samples/s  {_time_left(session)}{star}"
    )
