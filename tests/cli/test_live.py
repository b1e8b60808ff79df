"""What a training shows as it goes on."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace

import pytest
from rich.console import Console

from nnctl.cli.live import LiveTraining
from nnctl.core.finding import Finding

_FINDING = Finding(rule="dead-relu", verdict="warn", message="8 of 64 units are 0", fix="use leaky_relu")


class _Redrawn(Console):
    """A terminal on which somebody asks for a redraw just as a finding is printed."""

    live = None
    came_between = False

    def print(self, *objects, **options):
        if self.live is not None and any("dead-relu" in str(shown) for shown in objects):
            redraw = threading.Thread(target=self.live.refresh, daemon=True)
            redraw.start()
            redraw.join(0.3)
            self.came_between = not redraw.is_alive()
        super().print(*objects, **options)


def _session():
    return SimpleNamespace(
        health=SimpleNamespace(findings=[]),
        learner=SimpleNamespace(step=0),
        plan=SimpleNamespace(steps=10),
        progress=SimpleNamespace(epoch=0, batch=0, seconds=0.0),
        batches=[0],
        summary=None,
    )


def _epoch(number):
    metrics = {"train_loss": 1.0}
    return SimpleNamespace(epoch=number, metrics=metrics, lr=0.1, grad_norm=1.0, samples_per_second=1.0, best=False)


def test_no_redraw_comes_between_while_a_finding_is_printed_so_that_no_table_is_left_above_it():
    console = _Redrawn(file=io.StringIO(), force_terminal=True, width=80)
    session = _session()
    shown = LiveTraining(session, console)
    with shown.display() as console.live:
        session.health.findings.append(_FINDING)
        shown.show(_epoch(1))
    assert not console.came_between
    assert console.file.getvalue().count("8 of 64 units are 0") == 1


@pytest.mark.parametrize("terminal", [True, False], ids=["a terminal", "no terminal"])
def test_a_finding_of_an_epoch_that_came_to_no_end_is_told_of_once(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    session = _session()
    shown = LiveTraining(session, console)
    with shown.display():
        shown.show(_epoch(1))
        session.health.findings.append(_FINDING)
        shown.show_findings()
    assert console.file.getvalue().count("8 of 64 units are 0") == 1
