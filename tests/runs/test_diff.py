"""In what two runs differ, and from which epoch on."""

import json

from made_runs import line, make_run

from nnctl.runs.diff import Change, diff, parting
from nnctl.runs.listing import read


def differ(tmp_path, **spec):
    return diff(read(str(make_run(tmp_path, "a"))), read(str(make_run(tmp_path, "b", **spec))))


def test_spec_environment_and_result_are_compared_key_by_key(tmp_path):
    found = differ(tmp_path, value=0.25, seed=1, optimizer={"sgd": {"lr": 0.1}})
    assert Change("optimizer", "adam", "sgd") in found.spec
    assert Change("optimizer.beta1", 0.9, None) in found.spec
    assert Change("seed", 0, 1) in found.spec
    assert found.environment == ()
    assert Change("best_value", 0.5, 0.25) in found.summary


def test_the_first_epoch_that_differs_is_found_with_what_differs_in_it(tmp_path):
    a = [json.loads(line(epoch, 0.5)) for epoch in (1, 2, 3)]
    b = [json.loads(line(epoch, 0.5, seconds=99.0)) for epoch in (1, 2, 3, 4)]
    same = parting(a, b)
    assert (same.epoch, same.shared, same.a, same.b) == (None, 3, 3, 4)
    b[1]["val_loss"] += 1e-12
    found = parting(a, b)
    assert found.epoch == 2
    assert found.changes == (Change("val_loss", a[1]["val_loss"], b[1]["val_loss"]),)


def test_runs_without_a_common_epoch_are_told_so():
    found = parting([], [{"epoch": 1}])
    assert (found.epoch, found.shared) == (None, 0)


def test_records_that_are_damaged_leave_the_rest_of_the_comparison(tmp_path):
    a, b = make_run(tmp_path, "a"), make_run(tmp_path, "b", 0.1)
    (b / "metrics.jsonl").write_text("nonsense\n" + line(2, 0.1))
    found = diff(read(str(a)), read(str(b)))
    assert found.records is None
    assert "metrics.jsonl:1" in found.notes[0]
    assert found.summary


def test_a_torn_last_line_is_no_damage(tmp_path):
    a, b = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    with (b / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "tr')
    assert diff(read(str(a)), read(str(b))).records.epoch is None
