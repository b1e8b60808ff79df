"""Inputs that hang, fill the memory or end in a traceback where nobody looks out for them; and narrow terminals."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from commands import on_a_terminal, plain
from rich.console import Console

from nnctl.cli.app import _run
from nnctl.cli.live import LiveTraining

SPEC = """
data: {source: %s}
architecture: %s
loss: cross_entropy
training: {epochs: 1}
%s
"""


@pytest.fixture
def validate(tmp_path: Path, capsys):
    def check(source: str = "iris", architecture: str = "[{dense: outputs}]", more: str = "") -> tuple[int, str]:
        path = tmp_path / "spec.yaml"
        path.write_text(SPEC % (source, architecture, more))
        return _run(["validate", str(path)]), capsys.readouterr().err

    return check


def test_deeply_nested_composites_are_laid_out_in_no_time(validate):
    nested = "[{dense: 4}, relu]"
    for _ in range(24):
        nested = "[{residual: " + nested + "}]"
    started = time.perf_counter()
    assert validate(architecture=f"[{nested[1:-1]}, {{dense: outputs}}]")[0] == 0
    assert time.perf_counter() - started < 10  # it took 2^24 steps


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({"source": "{moons: {samples: 100000000000}}"}, 3, "memory"),
        ({"source": "{csv: {path: %s, target: y}}" % ("x" * 300)}, 3, "File name too long"),
        ({"source": "{csv: {path: ~nobodyhere/x.csv, target: y}}"}, 3, "home directory"),
        ({"source": "{csv: {path: x.csv, target: y, separator: é}}"}, 2, "must be one character, of ASCII"),
        ({"more": "schedule: {cosine: {warmup: '%s epochs'}}" % ("9" * 400)}, 2, "500 steps"),
        ({"architecture": "[{residual: []}, {dense: outputs}]"}, 2, "at least 1"),
    ],
)
def test_it_is_refused_in_plain_words(validate, arguments, code, said):
    found, error = validate(**arguments)
    assert found == code
    assert said in error


@pytest.mark.parametrize("planted", [{"status": None}, {"environment": []}, {"summary": "no"}, {"status": "flying"}])
def test_a_run_json_that_nnctl_did_not_write_is_damaged(tmp_path, capsys, planted):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"format": 1, "status": "running"} | planted))
    assert _run(["train", "--resume", str(run)]) == 3
    assert "damaged" in capsys.readouterr().err


def test_a_run_with_a_name_that_no_file_can_have_is_not_found(capsys):
    assert _run(["train", "--resume", "x" * 300]) == 2
    assert "there is no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (200, ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "grad_norm", "samples/s"]),
        (60, ["epoch", "train_loss", "val_loss", "val_accuracy"]),
        (40, ["epoch", "train_loss", "val_loss"]),
        (12, ["epoch"]),
    ],
)
def test_a_narrow_terminal_shows_the_columns_that_matter_most(width, columns):
    live = LiveTraining(None, Console(width=width))
    assert live._columns_that_fit(["train_loss", "train_accuracy", "val_loss", "val_accuracy"]) == columns


def test_what_is_shown_last_of_an_early_stop_is_the_last_epoch(spec):
    stop = ["early_stopping={monitor: val_loss, patience: 1, min_delta: 9}", "training.epochs=50"]
    shown = plain(on_a_terminal("train", spec, "--no-plot", *stop).text)
    assert "ended   early stopping after 2 epochs" in shown
    last_bar = [line for line in shown.splitlines() if "step" in line and line.startswith("epoch")][-1]
    assert last_bar.startswith("epoch 2 ")
    assert "left" not in last_bar


def test_data_in_the_place_of_a_spec_is_answered_with_init(capsys):
    assert _run(["train", "penguins.csv"]) == 2
    assert "nnctl init penguins.csv" in capsys.readouterr().err
