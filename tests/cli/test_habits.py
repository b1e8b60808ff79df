"""What those write who come from another tool is answered with what to write here; the list of commands is whole."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from nnctl.cli.app import app
from nnctl.cli.habits import _COMMANDS
from nnctl.data.sources import Source


def test_no_summary_of_a_command_is_cut_at_80_columns(nnctl, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    listed = nnctl("--help").out.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert len(listed) == len(get_command(app).commands)
    assert [line for line in listed if not re.fullmatch(r"  [a-z-]+ +[A-Z].*[a-z0-9]\.", line) or len(line) > 80] == []


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_a_command_of_another_tool_is_answered_with_commands_that_there_are(nnctl, name):
    code, out, err = nnctl(name, "spec.yaml")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: there is no command '{name}'. ")
    commands = get_command(app).commands
    assert name not in commands
    named = set(re.findall(r"nnctl ([a-z][a-z-]*)", err))
    assert named <= set(commands)
    assert named or "nnctl --" in err or "plots" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--epochs", "5"], "nnctl train SPEC training.epochs=5"),
        (["train", "spec.yaml", "--lr=0.1"], "nnctl train SPEC optimizer.lr=0.1"),
        (["validate", "--batch-size", "8", "spec.yaml"], "nnctl validate SPEC training.batch_size=8"),
        (["lr-find", "--optimizer", "adam"], "nnctl lr-find SPEC optimizer=adam"),
        (["train", "--dataset", "iris"], "nnctl train SPEC data.source=iris"),
        (["train", "--learning-rate"], "nnctl train SPEC optimizer.lr=..."),
        (["train", "--config", "spec.yaml"], "The spec stands alone: nnctl train SPEC"),
        (["train", "--gpu"], "There is the CPU alone: leave it out."),
    ],
)
def test_an_option_that_is_a_key_of_the_spec_is_answered_with_the_change_to_write(nnctl, spec, arguments, said):
    code, out, err = nnctl(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: there is no option --")
    assert err.endswith(f"{said}\n")


@pytest.mark.parametrize("arguments", [["train", "--nonsense"], ["compare", "--epochs", "3"]])
def test_where_the_spec_has_no_such_key_or_the_command_takes_no_changes_nothing_is_made_up(nnctl, arguments):
    code, _, err = nnctl(*arguments)
    assert code == 2
    assert f"No such option: {arguments[1]}" in err
    assert "KEY" not in err.splitlines()[-1]


@pytest.mark.parametrize("name", ["iris", "mnist", "moons"])
def test_the_name_of_a_data_set_in_place_of_a_spec_is_answered_with_init(nnctl, here, name):
    code, _, err = nnctl("train", name)
    assert code == 2
    assert err == (
        f"error: {name} is a data set, and there is no spec of that name. One for it is written by: nnctl init {name}\n"
    )
    (here / name).write_text("seed: [")
    assert "is a data set" not in nnctl("train", name).err


@pytest.mark.parametrize("name", ["csv", "nothere", "x/iris"])
def test_any_other_spec_that_is_missing_does_not_exist(nnctl, name):
    assert Source.member("csv") is not None
    assert nnctl("train", name).err.startswith(f"{name}: does not exist.")
