"""Promise 6: a damaged checkpoint is recognised and never loaded; the one before it is used, with a warning."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from commands import call
from faults import end_of, finish, resumed, start

from nnctl.experiment import session as module
from nnctl.runs.checkpoint import Damaged
from nnctl.runs.store import Run


@pytest.fixture
def run(spec_file, tmp_path, monkeypatch) -> Run:
    """A killed run with two checkpoints of its training."""
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)
    session = start(spec_file(), tmp_path / "runs")
    for _ in session.epochs():
        if session.learner.step >= 15:
            break
    session.run.set_status("running")
    return session.run


@pytest.fixture
def whole(spec_file, tmp_path) -> dict:
    return end_of(finish(start(spec_file(), tmp_path / "whole")))


@pytest.mark.parametrize("faults", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_any_flipped_byte_is_found(run, faults):
    file = run.path / "checkpoints" / "last.safetensors"
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), faults):
        other = whole[at] ^ int(rng.integers(1, 256))
        file.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
        with pytest.raises(Damaged, match=r"last\.safetensors: is damaged"):
            run.load_tensors("last")


@pytest.mark.parametrize("cuts", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_any_cut_is_found_and_so_is_anything_added(run, cuts):
    file = run.path / "checkpoints" / "last.safetensors"
    whole = file.read_bytes()
    lengths = np.random.default_rng(1).integers(0, len(whole), cuts)
    for content in (*(whole[:length] for length in lengths), b"", whole + b"\0", whole + whole):
        file.write_bytes(content)
        with pytest.raises(Damaged, match=r"last\.safetensors: is damaged"):
            run.load_tensors("last")


A, B, SQUARE = "0.dense.b", "3.batch_norm.beta", "0.dense.W"
CHANGES: dict[str, Callable[[dict], object]] = {
    "another type": lambda header: header[A].update(dtype="I32"),
    "another shape": lambda header: header[SQUARE].update(shape=header[SQUARE]["shape"][::-1]),
    "names exchanged": lambda header: header.update({A: header[B], B: header[A]}),
    "another name": lambda header: header.update({"another": header.pop(A)}),
    "more said of it": lambda header: header["__metadata__"].update(more="1"),
    "no hash": lambda header: header["__metadata__"].pop("blake2b"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_header_that_says_something_else_of_the_same_bytes_is_found(run, change):
    file = run.path / "checkpoints" / "last.safetensors"
    raw = file.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    CHANGES[change](header)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    with pytest.raises(Damaged, match="its content does not match its hash"):
        run.load_tensors("last")


def damage(run: Run, *names: str) -> None:
    for name in names:
        file = run.path / "checkpoints" / f"{name}.safetensors"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.unlink()  # not in place: what another name stands for stays whole
        file.write_bytes(content)


def step_of(run: Run, name: str) -> int:
    return json.loads(run.load_tensors(name)[1]["progress"])["step"]


def test_the_one_before_it_is_used_with_a_warning_and_the_run_ends_with_the_same_bits(run, whole):
    assert step_of(run, "previous") < step_of(run, "last")
    before = step_of(run, "previous")
    damage(run, "last")
    session = resumed(run)
    assert session.learner.step == before
    assert len(session.warnings) == 1
    assert "last.safetensors: is damaged" in session.warnings[0]
    assert "The one before it is used." in session.warnings[0]
    assert step_of(run, "last") == before, "the damaged one is gone, and cannot take the place of the whole one"
    assert end_of(finish(session)) == whole


def test_where_both_are_damaged_it_begins_again_with_a_warning_and_ends_with_the_same_bits(run, whole):
    damage(run, "last", "previous")
    session = resumed(run)
    assert session.learner.step == 0
    assert "the run begins again" in session.warnings[0]
    assert end_of(finish(session)) == whole


def test_predict_uses_the_one_before_it_and_says_so(run):
    damage(run, "last")
    answer = call("predict", run.path, "validation", "--checkpoint", "last")
    assert answer.code == 0
    assert "last.safetensors: is damaged" in answer.err
    damage(run, "previous")
    answer = call("predict", run.path, "validation", "--checkpoint", "last")
    assert answer.code == 3
    assert answer.out == ""
    assert "is damaged" in answer.err


def test_damaged_best_weights_are_refused_and_the_others_named(run):
    damage(run, "best")
    answer = call("predict", run.path, "validation", "--checkpoint", "best")
    assert answer.code == 3
    assert "best.safetensors: is damaged" in answer.err
    assert "--checkpoint last" in answer.err
