"""`nnctl ls` as it is called."""

import json
from pathlib import Path

from made_runs import make_check, make_run

RUNS = Path("runs")


def test_the_newest_come_first_one_line_each(here, nnctl):
    make_run(RUNS, "old", 0.25)
    make_run(RUNS, "new", status="interrupted")
    make_check(RUNS, "toy-lr-find")
    make_run(RUNS, "brk").joinpath("run.json").write_text("{")
    answer = nnctl("ls")
    assert (answer.code, answer.err) == (0, "")
    head, *lines = answer.out.splitlines()
    assert head.split() == ["name", "status", "result", "epochs", "started", "age"]
    assert [line.split()[:2] for line in lines] == [
        ["toy-lr-find", "warn"],
        ["new", "interrupted"],
        ["old", "done"],
        ["brk", "broken"],
    ]
    assert "lr 0.01 suits" in lines[0]
    assert "val_loss 0.25 at epoch 3" in lines[2]
    assert "run.json is not JSON" in lines[3]


def test_json_tells_runs_and_checks(here, nnctl):
    make_run(RUNS, "a", 0.25)
    make_check(RUNS, "b", "fail")
    check, run = json.loads(nnctl("ls", "runs", "--json").out)["entries"]
    assert (check["kind"], check["verdict"], check["check"]) == ("check", "fail", "lr-find")
    assert (run["kind"], run["status"], run["best_value"], run["best_epoch"]) == ("run", "done", 0.25, 3)


def test_a_folder_without_runs_and_one_that_is_not_there_say_so(here, nnctl):
    assert nnctl("ls").code == 2
    RUNS.mkdir()
    assert nnctl("ls").out == "there are no runs in runs.\n"


def test_a_time_or_result_that_makes_no_sense_is_left_blank(here, nnctl):
    run = make_run(RUNS, "a")
    record = json.loads((run / "run.json").read_text()) | {"created": ["?"], "name": 3}
    (run / "run.json").write_text(json.dumps(record))
    assert nnctl("ls").code == 0
    assert nnctl("compare").code == 0
    assert nnctl("show", "a").code == 0


def test_ctrl_c_is_answered(here, nnctl, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nnctl.runs.listing.given", interrupted)
    code, out, err = nnctl("ls")
    assert (code, out, err) == (130, "", "interrupted.\n")


def test_a_run_that_says_done_without_a_result_or_a_spec_is_broken(here, nnctl):
    for name, lost in (("unjudged", "summary"), ("unknown", "spec")):
        path = make_run(RUNS, name) / "run.json"
        record = json.loads(path.read_text())
        del record[lost]
        path.write_text(json.dumps(record))
    found = {entry["name"]: entry for entry in json.loads(nnctl("ls", "--json").out)["entries"]}
    assert {entry["status"] for entry in found.values()} == {"broken"}
    assert "holds no result" in found["unjudged"]["reason"]
    assert "has no spec" in found["unknown"]["reason"]
