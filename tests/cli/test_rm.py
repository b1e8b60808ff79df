"""`nnctl rm` as it is called: what it removes, and above all what it does not."""

import os
from pathlib import Path

import pytest
from made_runs import make_check, make_run

from nnctl.runs import lock

RUNS = Path("runs")


@pytest.fixture
def answers(monkeypatch):
    """Answer the question that will be asked."""

    def say(text):
        monkeypatch.setattr("typer.confirm", lambda _question: text == "y")

    return say


def test_runs_and_checks_are_removed_and_what_was_freed_is_said(here, nnctl):
    run, check = make_run(RUNS, "a"), make_check(RUNS, "b")
    (run / "plots").mkdir()
    (run / "plots" / "x.png").write_bytes(b"x" * 100_000)
    kept = make_run(RUNS, "c")
    answer = nnctl("rm", "a", "runs/b", "--yes")
    assert answer.code == 0
    assert "removed 2 directories, freed 0.1 MiB" in answer.out
    assert not run.exists()
    assert not check.exists()
    assert kept.exists()


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("n", True)])
def test_it_asks_first(here, nnctl, answers, answer, left):
    run = make_run(RUNS, "a")
    answers(answer)
    assert nnctl("rm", "a").code == 0
    assert run.exists() == left


def test_where_nobody_answers_nothing_is_removed(here, nnctl, monkeypatch):
    import io

    run = make_run(RUNS, "a")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    answer = nnctl("rm", "a")
    assert answer.code == 2
    assert "Add --yes" in answer.err
    assert run.exists()


def test_a_run_that_trains_is_left_alone_and_so_are_those_named_with_it(here, nnctl):
    run, other = make_run(RUNS, "a", status="running"), make_run(RUNS, "b")
    with lock.hold(run):
        answer = nnctl("rm", "b", "a", "--yes")
    assert answer.code == 2
    assert "is in use by process" in answer.err
    assert run.exists()
    assert other.exists()


def test_a_directory_that_is_no_run_is_left_alone(here, nnctl):
    make_run(RUNS, "a")
    (RUNS / "foreign").mkdir()
    for name in ("foreign", "runs", "."):
        answer = nnctl("rm", "a", name, "--yes")
        assert answer.code == 2
        assert "is not the directory of a run" in answer.err
    assert (RUNS / "a").exists()


def test_a_run_that_holds_other_runs_is_left_alone(here, nnctl):
    run = make_run(RUNS, "a")
    make_run(run, "inner")
    answer = nnctl("rm", "a", "--yes")
    assert (answer.code, run.exists()) == (2, True)
    assert "holds other runs (inner)" in answer.err


def test_links_are_removed_and_never_followed(here, nnctl):
    precious = Path("precious")
    precious.mkdir()
    (precious / "file").touch()
    run = make_run(RUNS, "a")
    (run / "link").symlink_to(precious.resolve())
    (run / "file").symlink_to((precious / "file").resolve())
    (RUNS / "shortcut").symlink_to(run.resolve())
    answer = nnctl("rm", "shortcut", "--yes")
    assert answer.code == 2
    assert "is a link" in answer.err
    assert nnctl("rm", "a", "--yes").code == 0
    assert not run.exists()
    assert (precious / "file").exists()


def test_a_broken_run_can_be_removed(here, nnctl):
    run = make_run(RUNS, "a-20260101-000000-0a1b")
    (run / "run.json").write_text("{")
    assert nnctl("rm", run.name, "-y").code == 0
    assert not run.exists()


def test_what_cannot_be_removed_ends_with_the_code_of_the_disk(here, nnctl, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    run = make_run(RUNS, "a")
    monkeypatch.setattr("shutil.rmtree", refuse)
    answer = nnctl("rm", "a", "-y")
    assert (answer.code, run.exists()) == (74, True)
    assert "cannot be removed: Permission denied" in answer.err


def test_a_file_that_is_gone_by_the_time_it_is_looked_at_weighs_nothing(here, nnctl, monkeypatch):
    run = make_run(RUNS, "a")
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda path: ((at, inner, [*names, "gone"]) for at, inner, names in walk(path)))
    assert nnctl("rm", "a", "--yes").code == 0
    assert not run.exists()


def test_a_stdin_that_cannot_be_read_is_nobody_to_ask(here, nnctl, monkeypatch):
    def read(*_):
        raise OSError("input/output error")

    run = make_run(RUNS, "a")
    monkeypatch.setattr("typer.confirm", read)
    answer = nnctl("rm", "a")
    assert answer.code == 2
    assert "Add --yes" in answer.err
    assert run.exists()
