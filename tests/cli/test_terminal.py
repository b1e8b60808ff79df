"""What every command has in common: its help, its start, and output that is right on any terminal and on none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from commands import IRIS, on_a_terminal, plain, process
from rich.cells import cell_len

from nnctl.cli.app import app
from nnctl.cli.render import Screen

COMMANDS = typer.main.get_command(app).commands
every_command = pytest.mark.parametrize("name", sorted(COMMANDS))

ODD = "[red]x[/],kind\n" + "".join(f"{i / 7},{['[bold]a[/]', '[/]', ':smile:'][i % 3]}\n" for i in range(60))


@every_command
def test_the_help_of_a_command_documents_every_argument_and_option(nnctl, name):
    code, out, err = nnctl(name, "--help")
    assert (code, err) == (0, "")
    assert COMMANDS[name].help
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), parameter.name
        words = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar or parameter.name]
        assert all(word.strip("[].").split("=")[0].lower() in out.lower() for word in words), words


def test_the_help_lists_every_command_with_a_summary(nnctl):
    out = nnctl("--help").out
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z]", out, re.MULTILINE)


def imported(*arguments: str) -> set[str]:
    """Return the libraries that a command has imported when it ends."""
    code = "import sys; from nnctl.cli.app import _run; _run(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_starts_without_the_heavy_libraries():
    assert not imported("--help") & {"numpy", "pydantic", "rich", "yaml", "sklearn", "polars", "matplotlib"}


@every_command
def test_the_help_of_a_command_starts_without_them_too(name):
    assert not imported(name, "--help") & {"numpy", "rich", "yaml", "sklearn", "polars", "matplotlib"}


def test_validate_starts_without_scikit_learn_polars_and_matplotlib(spec):
    assert not imported("validate", str(spec)) & {"sklearn", "polars", "matplotlib", "scipy"}


@every_command
def test_an_unknown_option_ends_with_2_and_no_traceback(name):
    done = process(name, "--nonsense")
    assert done.code == 2
    assert done.out == ""
    assert "--nonsense" in done.err
    assert "Traceback" not in done.err


def test_exit_codes_of_true_processes(spec, here):
    assert process("validate", spec).code == 0
    assert process("validate", spec, "optimizer.lr=-1").code == 2
    assert process("validate", spec, "data.source=mnist").code == 3
    assert process("schema", "-o", "no/where.json").code == 74
    assert process().code == 2


@pytest.mark.parametrize("arguments", [["validate"], ["validate", "--json"]], ids=" ".join)
def test_an_output_that_is_full_ends_with_74_also_where_it_is_written_at_the_end(spec, here, arguments):
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nnctl", *arguments],
            cwd=here,
            env=buffered,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr == "error: the output cannot be written: No space left on device.\n"


def test_without_a_terminal_a_line_is_as_long_as_it_is_and_a_table_100_columns_wide(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    screen = Screen()
    screen.note("word " * 60)
    screen.table(["name", "figure"], [["word " * 18, "1"]])
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_reader_that_stops_reading_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m nnctl schema | head -n 1", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "{"
    assert done.stderr == ""


COMMAND_LINES = [
    ["validate", "spec.yaml"],
    ["explain", "adam"],
    ["fetch"],
    ["explain"],
    ["init", "wine", "-o", "w.yaml"],
]
every_line = pytest.mark.parametrize("arguments", COMMAND_LINES, ids="-".join)


@every_line
def test_without_a_terminal_there_are_no_colours(spec, arguments):
    done = process(*arguments)
    assert done.code == 0
    assert "\x1b" not in done.out


@every_line
def test_no_color_is_respected_on_a_terminal(spec, arguments):
    shown = on_a_terminal(*arguments, NO_COLOR="1").text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)
    assert not re.search("^error:", shown, re.MULTILINE)


@every_line
def test_a_narrow_terminal_loses_nothing(spec, arguments):
    wide, narrow = (plain(on_a_terminal(*arguments, columns=columns).text) for columns in (200, 40))
    (Path("w.yaml")).unlink(missing_ok=True)
    if arguments[0] == "explain":
        assert max(map(cell_len, narrow.splitlines())) <= 40

    def letters(text: str) -> str:
        return "".join(sorted(re.sub(r"[\s-]", "", text)))

    if arguments[0] != "init":  # which refuses the second time
        assert letters(narrow) == letters(wide)


def test_markup_in_names_is_shown_as_it_is(nnctl, here):
    (here / "odd.csv").write_text(ODD)
    assert nnctl("init", "odd.csv").code == 0
    assert nnctl("validate").code == 0
    (here / "odd.csv").write_text(ODD.replace("[/]", "x", 1))
    nnctl("train", "-q", "--no-plot", "training.epochs=1")
    [run] = (here / "runs").iterdir()
    out = nnctl("predict", run, "test").out
    assert "[bold]a[/]" in out
    assert ":smile:" in out
    found = json.loads(nnctl("predict", run, "test", "--json").out)
    assert ":smile:" in found["predictions"][0]["probabilities"]
    code, _, err = nnctl("validate", "data.source.target=[red]kind[/]")
    assert code == 2
    code, _, err = nnctl("validate", "data.source.target='[red]kind[/]'")
    assert code == 3
    assert "'[red]kind[/]'" in err


def test_json_is_the_same_on_a_terminal(spec):
    shown = on_a_terminal("validate", spec, "--json", columns=40).text
    assert json.loads(shown)["parameters"] == 67
    assert spec.read_text() == IRIS
