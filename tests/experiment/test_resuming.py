"""A run that is interrupted or killed is taken up where it stood, and ends like the one that was not."""

from __future__ import annotations

import signal

import pytest
from everything import EVERYTHING
from faults import end_of, finish, start

from nnctl.core.errors import DataError, Interrupted, UsageError
from nnctl.experiment import session as module
from nnctl.experiment.session import Session


def after_steps(n: int):
    """A signal that comes in before step n + 1."""
    asked = iter(range(10**9))
    return lambda: signal.SIGINT if next(asked) >= n else None


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 5, 9, 20])
def test_an_interrupted_run_resumes_to_the_same_bits(spec_file, tmp_path, whole, steps):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    with pytest.raises(Interrupted) as caught:
        for _ in session.epochs(lambda: signal.SIGINT if session.learner.step >= steps else None):
            pass
    assert caught.value.signal == signal.SIGINT
    assert session.run.status == "interrupted"
    assert session.learner.step == steps
    resumed = finish(Session.resume(session.run))
    assert resumed.status == "done"
    assert end_of(resumed) == end_of(whole)


def test_a_run_interrupted_at_every_step_resumes_to_the_same_bits(spec_file, tmp_path, whole):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    sittings = 0
    while session.run.status != "done":
        try:
            for _ in session.epochs(after_steps(1)):
                pass
        except Interrupted:
            session = Session.resume(session.run)
            sittings += 1
    assert sittings > 10
    assert end_of(session.run) == end_of(whole)


def test_a_run_killed_before_its_first_checkpoint_starts_again_with_the_same_bits(
    spec_file, tmp_path, whole, monkeypatch
):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    training = session.epochs()
    for _ in range(3):
        next(training)
    assert len(session.run.records.read()) == 3
    monkeypatch.setattr(session, "_save", lambda: None)  # as after a kill
    training.close()
    assert end_of(finish(Session.resume(session.run))) == end_of(whole)


def test_a_run_killed_after_a_checkpoint_loses_only_what_came_after(spec_file, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint before every step
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    training = session.epochs()
    for _ in range(4):
        next(training)
    monkeypatch.setattr(session, "_save", lambda: None)
    next(training)
    training.close()
    with (session.run.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 6, "tor')  # the line that the kill tore
    resumed = finish(Session.resume(session.run))
    assert end_of(resumed) == end_of(whole)


def test_a_caller_who_stops_listening_can_go_on_later(spec_file, tmp_path, whole):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    for epoch in session.epochs():
        if epoch.epoch == 3:
            break
    assert session.run.status == "interrupted"
    assert session.run.load_tensors("last")
    assert end_of(finish(Session.resume(session.run))) == end_of(whole)


def test_a_run_that_is_done_is_not_resumed(whole):
    with pytest.raises(UsageError, match="done"):
        Session.resume(whole)


def test_changed_data_are_noticed_at_resume(spec_file, tmp_path):
    (tmp_path / "data.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(60)))
    text = """
        data: {source: {csv: {path: data.csv, target: y}}}
        architecture: [{dense: outputs}]
        loss: binary_cross_entropy
        training: {epochs: 3, batch_size: 8}
    """
    session = start(spec_file(text), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(2)):
            pass
    (tmp_path / "data.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i % 5},{i % 2}\n" for i in range(60)))
    with pytest.raises(DataError, match="data have changed"):
        Session.resume(session.run)


def test_changed_row_weights_are_noticed_at_resume(spec_file, tmp_path):
    def write(weight: int) -> None:
        rows = "".join(f"{i},{i % 2},{1 + (i % 3) * weight}\n" for i in range(60))
        (tmp_path / "data.csv").write_text("a,y,w\n" + rows)

    text = """
        data: {source: {csv: {path: data.csv, target: y, weight: w}}}
        architecture: [{dense: outputs}]
        loss: binary_cross_entropy
        training: {epochs: 3, batch_size: 8}
    """
    write(1)
    session = start(spec_file(text), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(2)):
            pass
    write(2)
    with pytest.raises(DataError, match="data have changed"):
        Session.resume(session.run)


def test_a_resumed_run_keeps_its_number_of_blas_threads(spec_file, tmp_path):
    session = start(spec_file(), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(2)):
            pass
    told = session.run.record
    session.run.write_json("run.json", told | {"environment": told["environment"] | {"blas_threads": 2}})
    assert Session.resume(session.run).threads == 2


def test_the_samples_of_a_run_are_those_of_the_one_that_was_not_interrupted_and_none_is_there_twice(
    spec_file, tmp_path, whole, monkeypatch
):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 1e9)
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(lambda: signal.SIGINT if session.learner.step >= 4 else None):
            pass
    session = Session.resume(session.run)
    monkeypatch.setattr(session, "_save", lambda: None)  # as after a kill: what comes now is lost, but for its records
    training = session.epochs()
    while session.learner.step < 12:
        next(training)
    training.close()
    assert [sample["step"] for sample in session.run.samples.read()] == [1, 10]
    resumed = finish(Session.resume(session.run))
    assert end_of(resumed) == end_of(whole)
    assert [sample["step"] for sample in resumed.samples.read()] == [1, 10, whole.record["summary"]["steps"]]


def test_what_health_finds_is_kept_also_over_an_interruption(spec_file, tmp_path):
    dead = "relu\n  - dense: {units: 8, bias_init: {constant: -1e3}}\n  - relu"
    path = spec_file(EVERYTHING.replace("batch_norm", "tanh").replace("prelu", dead))
    whole = finish(start(path, tmp_path / "whole"))
    assert [finding["rule"] for finding in whole.record["summary"]["findings"]] == ["dead-relu"]
    session = start(path, tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(13)):
            pass
    resumed = finish(Session.resume(session.run))
    assert resumed.record["summary"]["findings"] == whole.record["summary"]["findings"]


def test_a_damaged_health_file_is_named_and_not_a_crash(spec_file, tmp_path):
    session = start(spec_file(EVERYTHING), tmp_path / "runs")
    with pytest.raises(Interrupted):
        for _ in session.epochs(after_steps(13)):
            pass
    (session.run.path / "health.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(DataError, match=r"health\.jsonl"):
        finish(Session.resume(session.run))
