"""nnctl doctor, as it is called."""

from __future__ import annotations

import json


def checked(here) -> dict:
    [folder] = (here / "runs").iterdir()
    return json.loads((folder / "check.json").read_text())


def test_every_step_has_a_line_with_its_verdict_and_its_time(nnctl, spec, here):
    _, out, _ = nnctl("doctor")
    for step in ("lint", "data", "loss at the start", "gradcheck", "overfit-batch", "linear model", "learning rate"):
        [line] = [line for line in out.splitlines() if line[9:].startswith(step)]
        assert line.split()[0] in {"pass", "warn", "fail"}
        assert " s  " in line
    assert checked(here)["status"] == "done"


def test_a_fault_ends_with_5_one_verdict_and_what_to_mend_first(nnctl, spec, here):
    code, out, err = nnctl("doctor", spec, "init=zeros", "training.epochs=30")
    assert code == 5
    assert "fail  mend first: no-symmetry-breaking" in out
    assert "nnctl explain no-symmetry-breaking" in out
    assert err.startswith("error: doctor: ")
    record = checked(here)
    assert (record["check"], record["verdict"]) == ("doctor", "fail")
    assert record["findings"][0]["rule"] == "no-symmetry-breaking"


def test_json_is_one_document(nnctl, spec):
    _, out, _ = nnctl("doctor", "--json", "--runs-dir", "elsewhere")
    found = json.loads(out)
    assert found["directory"].startswith("elsewhere/iris-doctor-")
    assert [step["step"] for step in found["figures"]["steps"]][:2] == ["lint", "data"]


def test_data_that_cannot_be_used_are_named(nnctl, here):
    (here / "a.csv").write_text("x,y\n1,a\n2,a\n3,a\n4,a\n")
    (here / "spec.yaml").write_text(
        "data: {source: {csv: {path: a.csv, target: y}}}\narchitecture: [dense: outputs]\nloss: cross_entropy\n"
    )
    code, out, _ = nnctl("doctor")
    assert code == 5
    assert "mend first: unusable-data" in out
    assert "left out, for want of data: loss at the start" in out


def test_data_that_are_not_there_leave_no_directory(nnctl, here):
    (here / "spec.yaml").write_text(
        "data: {source: {csv: {path: a.csv, target: y}}}\narchitecture: [dense: outputs]\nloss: cross_entropy\n"
    )
    assert nnctl("doctor").code == 3
    assert not (here / "runs").exists()


def test_a_spec_that_is_not_valid_is_refused(nnctl, spec, here):
    assert nnctl("doctor", "optimizer.lr=-1").code == 2
    assert not (here / "runs").exists()


def test_what_was_found_is_a_phrase_in_every_line_of_the_column(nnctl, spec):
    out = nnctl("doctor", spec).out.split("\n\n")[0]
    start = out.index("what was found")
    begins = [line[start:] for line in out.splitlines()[1:] if line[:start].strip()]
    assert len(begins) >= 8
    assert [said for said in begins if said[0].isupper() or said.rstrip().endswith(".")] == []
