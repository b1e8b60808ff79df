"""Promise 8: Ctrl-C and SIGTERM end the step, save, and leave with 130 and 143; a second one leaves at once."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from commands import Answer, call
from faults import end_of, finish, resumed, start

import nnctl.checks.doctor
import nnctl.cli.pictures.curves
import nnctl.cli.pictures.lr_find
import nnctl.train.loop
from nnctl.cli.signals import Signals
from nnctl.experiment import assembly
from nnctl.experiment.session import Session
from nnctl.nn.layout import Layout
from nnctl.nn.network import Replica
from nnctl.runs.store import Run
from nnctl.train.evaluate import Judge
from nnctl.train.step import train_step

SPEC = """\
name: small
data: {source: iris}
architecture: [{dense: 8}, batch_norm, tanh, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 4, batch_size: 16}
"""
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture(autouse=True)
def spec(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    return Path("spec.yaml")


@pytest.fixture(autouse=True)
def unheard():
    """A signal that no command hears fails the test, and does not end all of them."""

    def deaf(number: int, _) -> None:
        raise AssertionError(f"nobody heard signal {number}")

    before = {number: signal.signal(number, deaf) for number in (signal.SIGINT, signal.SIGTERM)}
    yield deaf
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def whole(tmp_path) -> dict:
    return end_of(finish(start(Path("spec.yaml"), tmp_path / "whole")))


def signalled(monkeypatch, place, name: str, number: int, *, at: int = 1, times: int = 1, then: float = 0.0) -> None:
    """Let signals come in while something is called for the n-th time, which then takes some seconds more."""
    real, calls = getattr(place, name), 0

    def call_it(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == at:
            for _ in range(times):
                signal.raise_signal(number)
            time.sleep(then)
        return real(*arguments, **options)

    monkeypatch.setattr(place, name, call_it)


def the_run() -> Run:
    (path,) = Path("runs").iterdir()
    return Run.open(path)


def left(answer: Answer, number: int) -> None:
    assert answer.code == 128 + number, answer
    assert "interrupted" in answer.err
    assert "Traceback" not in answer.err


@BOTH
@pytest.mark.parametrize("step", [1, 7, 10])
def test_the_first_ends_the_step_saves_and_says_how_to_go_on(monkeypatch, whole, number, step):
    signalled(monkeypatch, nnctl.train.loop, "train_step", number, at=step)
    answer = call("train", "spec.yaml", "--no-plot")
    left(answer, number)
    assert f"nnctl train --resume {the_run().path}" in answer.err
    assert the_run().status == "interrupted"
    assert json.loads(the_run().load_tensors("last")[1]["progress"])["step"] == step, "the step is done"
    assert end_of(finish(resumed(the_run()))) == whole


@BOTH
def test_the_second_leaves_at_once_and_the_run_can_go_on(monkeypatch, whole, number):
    signalled(monkeypatch, nnctl.train.loop, "train_step", number, at=10, times=2)
    answer = call("train", "spec.yaml", "--no-plot")
    left(answer, number)
    assert "interrupted at once; what was saved last holds" in answer.err
    assert the_run().status == "interrupted"
    assert not the_run().has_tensors("last"), "nothing had been saved yet, and nothing was"
    assert end_of(finish(resumed(the_run()))) == whole


def test_a_second_one_while_it_saves_leaves_a_whole_checkpoint(monkeypatch, whole):
    with monkeypatch.context() as patch:
        signalled(patch, nnctl.train.loop, "train_step", signal.SIGTERM, at=10)
        save = Run.save_tensors

        def interrupted(self, *arguments):
            signalled(patch, os, "fsync", signal.SIGTERM)
            save(self, *arguments)

        patch.setattr(Run, "save_tensors", interrupted)
        left(call("train", "spec.yaml", "--no-plot"), signal.SIGTERM)
    assert the_run().status == "interrupted"
    assert not list(the_run().path.rglob(".*.tmp-*"))
    assert end_of(finish(resumed(the_run()))) == whole


@BOTH
def test_an_evaluation_that_takes_too_long_is_left(monkeypatch, whole, number):
    with monkeypatch.context() as patch:
        patch.setattr(Signals, "WAIT", 0.1)
        signalled(patch, Judge, "network", number, at=2, then=20)
        answer = call("train", "spec.yaml", "--no-plot")
    left(answer, number)
    assert "interrupted at once; what was saved last holds" in answer.err
    assert the_run().status == "interrupted"
    assert end_of(finish(resumed(the_run()))) == whole


def test_a_share_of_an_evaluation_in_another_thread_is_left_too(monkeypatch):
    """A thread hears no signal: the first worker tells the others."""
    session = start(Path("spec.yaml"), Path("runs"))
    network = session.learner.network
    monkeypatch.setattr(Layout, "readers", property(lambda _: 2))
    monkeypatch.setattr(Layout, "evaluation_rows", property(lambda _: 1))
    forward, blocks = Replica.forward, []

    def slow(self, x, **more):
        blocks.append(threading.current_thread())
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        time.sleep(0.01)
        return forward(self, x, **more)

    monkeypatch.setattr(Replica, "forward", slow)
    with pytest.raises(KeyboardInterrupt):
        network.predict(np.zeros((20_000, 4), np.float32))
    assert len(blocks) < 100


@BOTH
@pytest.mark.parametrize("command", ["train", "lr-find", "overfit-batch", "doctor", "validate"])
def test_while_the_data_are_read_it_leaves_and_no_directory_stays(monkeypatch, number, command):
    signalled(monkeypatch, assembly, "prepare", number, then=60)
    left(call(command, "spec.yaml"), number)
    assert not Path("runs").exists()


@BOTH
def test_while_pictures_are_drawn_the_run_is_done(monkeypatch, number):
    signalled(monkeypatch, nnctl.cli.pictures.curves, "draw_curves", number, then=60)
    left(call("train", "spec.yaml"), number)
    assert the_run().status == "done"


@BOTH
def test_as_the_training_ends_it_is_done_and_nothing_is_drawn(monkeypatch, whole, number):
    signalled(monkeypatch, Session, "_finish", number)
    answer = call("train", "spec.yaml")
    left(answer, number)
    assert f"interrupted as the training ended; {the_run().path} is done." in answer.err
    assert end_of(the_run()) == whole
    assert not (the_run().path / "plots").exists()


def test_what_is_waited_for_leaves_time_to_leave_within_five_seconds():
    assert Signals.WAIT <= 3


@BOTH
@pytest.mark.parametrize("check", ["lr-find", "overfit-batch", "doctor"])
def test_a_check_leaves_and_is_listed_as_interrupted(monkeypatch, number, check):
    users = users_of(train_step)
    assert users
    for user in users:
        signalled(monkeypatch, user, "train_step", number, at=5, then=60)
    left(call(check, "spec.yaml"), number)
    (path,) = Path("runs").iterdir()
    assert json.loads((path / "check.json").read_text())["status"] == "interrupted"


def users_of(function) -> list:
    modules = [module for name, module in sys.modules.items() if name.startswith("nnctl.checks")]
    return [module for module in modules if getattr(module, function.__name__, None) is function]


def test_so_does_one_whose_picture_is_being_drawn_and_its_result_stays(monkeypatch):
    signalled(monkeypatch, nnctl.cli.pictures.lr_find, "draw", signal.SIGTERM, then=60)
    left(call("lr-find", "spec.yaml", "--steps", "10", "--sweeps", "1"), signal.SIGTERM)
    (path,) = Path("runs").iterdir()
    assert json.loads((path / "check.json").read_text())["status"] == "done"


def test_after_a_signal_nothing_is_left_of_it_for_the_next_command(monkeypatch, unheard):
    with monkeypatch.context() as patch:
        signalled(patch, nnctl.train.loop, "train_step", signal.SIGTERM, at=3)
        call("train", "spec.yaml", "--no-plot")
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    assert handlers == [unheard, unheard, signal.SIG_DFL]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert call("validate", "spec.yaml").code == 0
