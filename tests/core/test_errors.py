"""The exception tree: its exit codes, and what a mistake in a spec looks like."""

from __future__ import annotations

import inspect

import pytest

from nnctl.core import errors
from nnctl.core.errors import NnctlError, Problem, SpecError

CODES = {
    "UsageError": 2,
    "SpecError": 2,
    "DataError": 3,
    "Diverged": 4,
    "CheckFailed": 5,
    "DiskError": 74,
    "Interrupted": 1,  # replaced by 128 + its signal
}


def test_every_error_has_its_documented_exit_code():
    kinds = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert kinds.pop("NnctlError") is NnctlError
    assert {name: kind.exit_code for name, kind in kinds.items()} == CODES
    assert all(issubclass(kind, NnctlError) for kind in kinds.values())


def test_the_tree_in_the_documentation_names_every_error_with_its_code():
    for name, code in CODES.items():
        line = next(line for line in (errors.__doc__ or "").splitlines() if f"── {name} " in line)
        assert ("130/143" if name == "Interrupted" else str(code)) in line.split()


def test_what_is_exported_is_what_is_defined():
    defined = {name for name, value in vars(errors).items() if getattr(value, "__module__", "") == errors.__name__}
    assert set(errors.__all__) == defined


def test_an_interruption_knows_its_signal():
    assert errors.Interrupted("stopped", 15).signal == 15
    assert errors.Interrupted("stopped").signal == 2


PROBLEM = Problem(("optimizer", "adamw", "lr"), "must be > 0. Got -1.", 12, 7, "  lr: -1")


def test_a_mistake_is_told_with_its_place_its_path_its_line_and_a_caret():
    assert str(SpecError([PROBLEM], "spec.yaml")) == (
        "spec.yaml:12:7: optimizer.adamw.lr: must be > 0. Got -1.\n      lr: -1\n          ^"
    )


def test_the_caret_stands_under_the_column_where_the_line_has_tabs():
    shown = str(SpecError([Problem((), "is odd.", 1, 3, "a\tb")], "s")).splitlines()
    assert shown[1].index("b") == shown[2].index("^")
    assert "\t" not in shown[1]


def test_a_line_with_what_a_terminal_would_obey_is_shown_without_it():
    shown = str(SpecError([Problem((), "is odd.", 1, 5, "\x1b[2Ja\u202eb")], "s")).splitlines()
    assert shown[1:] == ["    \ufffd[2Ja\ufffdb", "        ^"]


def test_all_mistakes_are_told_in_order():
    error = SpecError([PROBLEM, Problem(("seed",), "must be >= 0. Got -1.", 13, 1)], "spec.yaml")
    assert [line for line in str(error).splitlines() if line.startswith("spec.yaml")] == [
        "spec.yaml:12:7: optimizer.adamw.lr: must be > 0. Got -1.",
        "spec.yaml:13:1: seed: must be >= 0. Got -1.",
    ]
    assert len(error.problems) == 2


def test_a_mistake_without_a_place_or_a_path_is_told_without_them():
    assert str(SpecError([Problem((), "is empty.")], "spec.yaml")) == "spec.yaml: is empty."


def test_a_value_from_elsewhere_names_where_it_came_from():
    problem = Problem(("seed",), "must be >= 0.", None, 6, "seed=-1", "command line")
    assert str(SpecError([problem], "spec.yaml")).splitlines() == [
        "command line: seed: must be >= 0.",
        "    seed=-1",
        "         ^",
    ]


@pytest.mark.parametrize(
    ("path", "dotted"),
    [((), ""), (("a", 0, "b"), "a.0.b"), (("bell\a",), r"'bell\x07'"), (("ä", "日本"), "ä.日本")],
)
def test_a_path_is_written_as_on_the_command_line_and_never_rings_a_bell(path, dotted):
    assert Problem(path, "").dotted == dotted
