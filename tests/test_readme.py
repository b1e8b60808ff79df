"""What the README says is so: its commands run, its spec is valid, its tables are complete, its example is a layer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from contract import CONTRACT

from nnctl.cli.app import _run, app
from nnctl.data.augment import Augmentation
from nnctl.data.sources import Source
from nnctl.nn.activations import Activation
from nnctl.nn.initializers import Initializer
from nnctl.nn.layer import Layer
from nnctl.nn.losses import Loss
from nnctl.nn.preset import Preset
from nnctl.optim.gradients import Regularizer
from nnctl.optim.optimizers import Optimizer
from nnctl.optim.schedules import Schedule
from nnctl.spec.load import load_spec
from nnctl.train.metrics import Metric

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in blocks if containing in text)


def test_the_two_commands_are_the_first_thing_in_the_readme():
    lines = [line for line in README.splitlines() if line and not line.startswith("#")]
    assert lines[1].startswith("make train")
    assert lines[2].startswith("make test")


def test_the_commands_of_the_first_look_run_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = [line.split("#")[0].strip() for line in block("", "nnctl init iris").splitlines()]
    assert len(commands) == 6
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "nnctl"
        assert _run(words[1:] + (["--no-plot"] if words[1] == "train" else [])) == 0, command
    assert len(list((tmp_path / "runs").iterdir())) == 7
    assert "Srivastava" in capsys.readouterr().out


def test_the_spec_of_the_readme_is_valid(tmp_path):
    path = tmp_path / "readme.yaml"
    path.write_text(block("yaml", "architecture:"))
    assert load_spec(path).spec.name == "digits"


def members(family: type) -> set[str]:
    return set(family.members())


@pytest.mark.parametrize("line", block("yaml", "lenet").splitlines())
def test_every_architecture_of_the_readme_is_read(tmp_path, line):
    path = tmp_path / "readme.yaml"
    path.write_text(f"data: {{source: digits}}\n{line}\nloss: cross_entropy\n")
    assert load_spec(path).spec.architecture


PRESETS = {name for name, layer in Layer.members().items() if issubclass(layer, Preset)}


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("layers", members(Layer) - members(Activation) - PRESETS),
        ("presets", PRESETS),
        ("activations", members(Activation)),
        ("loss", members(Loss)),
        ("optimizer", members(Optimizer)),
        ("schedule", members(Schedule)),
        ("regularizers", members(Regularizer)),
        ("data", members(Source) - {"card"}),
        ("augment", members(Augmentation)),
        ("metrics", members(Metric)),
    ],
)
def test_the_table_of_parts_names_every_member(row, names):
    told = next(line for line in README.splitlines() if line.startswith(f"| {row} |"))
    assert {name for name in names if not re.search(rf"\b{name}\b", told)} == set()


def test_the_row_of_initializers_names_every_scheme():
    told = next(line for line in README.splitlines() if line.startswith("| init |"))
    assert {name for name in members(Initializer) if name.split("_")[0] not in told} == set()


def test_the_table_of_commands_names_every_command():
    told = set(re.findall(r"^\| `nnctl (\w[\w-]*)", README, re.MULTILINE))
    assert told == {command.name for command in app.registered_commands}


def test_the_example_for_contributors_is_a_layer_that_keeps_the_contract():
    registered = dict(Layer.registry)
    try:
        namespace: dict[str, object] = {}
        imports = (
            "import numpy as np\nfrom nnctl.core.arrays import Float\n"
            "from nnctl.nn.activations import Activation\nfrom nnctl.nn.layer import Context, Views\n"
        )
        exec(imports + block("python", "class Hardtanh"), namespace)
        for term in CONTRACT:
            term(Layer.parse("hardtanh"), (5,))
    finally:
        Layer.registry.clear()
        Layer.registry.update(registered)
