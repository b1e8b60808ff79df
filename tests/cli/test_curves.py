"""The curves of a run, as they are drawn."""

from __future__ import annotations

from matplotlib.figure import Figure

from nnctl.cli.pictures import curves


def _axis(losses):
    axes = Figure().add_subplot()
    curves._panel(axes, [{"epoch": i + 1, "train_loss": loss} for i, loss in enumerate(losses)], "loss")
    return axes.get_ylim()


def test_a_loss_that_hardly_changes_is_drawn_nearly_level():
    low, high = _axis([2.309, 2.307, 2.304, 2.303])
    assert high - low > 10 * (2.309 - 2.303)
    assert low < 2.303
    assert high > 2.309


def test_a_loss_that_falls_fills_its_panel():
    low, high = _axis([2.3, 1.9, 1.5])
    assert high - low < 1.2 * (2.3 - 1.5)
