"""nnctl lr-find as a person types it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

QUICK = ("--steps", "40", "--sweeps", "1")


def figures_of(runs: str = "runs") -> dict:
    (found,) = Path(runs).glob("*-lr-find-*/check.json")
    return json.loads(found.read_text())


def test_it_suggests_a_rate_and_leaves_the_spec_alone(nnctl, spec):
    before = spec.read_bytes()
    code, out, err = nnctl("lr-find", *QUICK)
    assert (code, err) == (0, "")
    assert "pass  Learning rate " in out
    for word in ("steepest slope", "minimum / 10", "valley", "last before divergence", "suggested", "the spec's"):
        assert word in out
    assert spec.read_bytes() == before


def test_figures_and_picture_are_kept_in_a_directory_of_their_own(nnctl, spec):
    nnctl("lr-find", spec, *QUICK, "--runs-dir", "elsewhere")
    kept = figures_of("elsewhere")
    assert (kept["status"], kept["verdict"]) == ("done", "pass")
    assert kept["figures"]["suggestion"] > 0
    (picture,) = Path("elsewhere").glob("*/lr-find.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_json_is_one_document(nnctl, spec):
    code, out, err = nnctl("lr-find", *QUICK, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["check"] == "lr-find"
    assert found["figures"]["suggestion"] in [trial["lr"] for trial in found["figures"]["trials"]]


def test_without_a_spec_it_says_what_to_type(nnctl):
    code, _, err = nnctl("lr-find")
    assert code == 2
    assert "nnctl lr-find SPEC" in err


def test_a_range_that_is_none_is_a_mistake_of_the_command_line(nnctl, spec):
    code, _, err = nnctl("lr-find", "--min", "1", "--max", "0.1")
    assert code == 2
    assert "0 < --min < --max" in err


def test_a_schedule_is_said_to_be_left_out(nnctl, spec):
    assert "the schedule cosine" in nnctl("lr-find", "schedule=cosine", *QUICK).out


# ---------------------------------------------------------------------- --apply


def test_apply_writes_the_suggestion_and_keeps_every_comment(nnctl, spec):
    text = "# my spec\n" + spec.read_text().replace("{adam: 0.01}", "{adam: 1e-6}   # too small")
    spec.write_text(text)
    code, out, _ = nnctl("lr-find", *QUICK, "--apply")
    suggestion = figures_of()["figures"]["suggestion"]
    assert code == 0
    assert "Written into spec.yaml, where 1e-06 was." in out
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert rows["1e-06"].rstrip().endswith("the spec's before")
    assert rows[f"{suggestion:g}"].rstrip().endswith("suggested, the spec's")
    assert spec.read_text() == text.replace("1e-6", f"{suggestion:g}")


def test_apply_mends_a_rate_that_diverges(nnctl, spec):
    spec.write_text(spec.read_text().replace("{adam: 0.01}", "{sgd: 1e+6}"))
    code, _, err = nnctl("lr-find", *QUICK)
    assert code == 5
    assert "1e+06 is too high" in err
    assert nnctl("lr-find", *QUICK, "--apply").code == 0
    assert nnctl("lr-find", *QUICK).code == 0


def test_a_rate_that_is_right_already_is_not_written_anew(nnctl, spec):
    nnctl("lr-find", *QUICK, "--apply")
    spec.write_text(spec.read_text().replace("{adam: ", "{adam: +"))
    before = spec.read_text()
    code, out, _ = nnctl("lr-find", *QUICK, "--apply", "--runs-dir", "again")
    assert code == 0
    assert "has it already" in out
    assert spec.read_text() == before


def test_apply_refuses_what_was_found_for_another_optimizer(nnctl, spec):
    before = spec.read_text()
    for override in ("optimizer=sgd", "optimizer.beta1=0.5"):
        code, _, err = nnctl("lr-find", spec, override, "--apply")
        assert code == 2
        assert override in err
    assert spec.read_text() == before


def test_a_spec_that_cannot_be_edited_is_refused_before_the_work(nnctl, spec):
    spec.write_text(spec.read_text().replace("{adam: 0.01}", "{adam: {lr: &a 1e-3, eps: *a}}"))
    code, _, err = nnctl("lr-find", "--apply")
    assert code == 2
    assert "cannot be changed in place" in err
    assert not Path("runs").exists()


def test_a_refusal_applies_nothing_and_exits_with_5(nnctl, spec):
    before = spec.read_text()
    code, out, err = nnctl("lr-find", "--steps", "5", "--apply")
    assert code == 5
    assert "No learning rate can be suggested." in out
    assert "5 steps are too few" in err
    assert spec.read_text() == before
    assert list(Path("runs").glob("*/lr-find.png"))


def test_an_interrupted_search_is_noted_and_changes_nothing(nnctl, spec, monkeypatch):
    before = spec.read_text()
    monkeypatch.setattr("nnctl.checks.lr_find.sweep", lambda *_: signal.raise_signal(signal.SIGINT))
    code, _, err = nnctl("lr-find", "--apply")
    assert code == 130
    assert "nothing was changed" in err
    assert figures_of()["status"] == "interrupted"
    assert spec.read_text() == before


@pytest.mark.parametrize("rule", ["lr-suggestion", "lr-of-the-spec", "lr-flat-curve"])
def test_every_refusal_and_finding_has_a_rule_with_a_page(rule):
    import nnctl.checks.learning_rate.findings  # noqa: F401 - declares them
    from nnctl.core.finding import Rule

    assert Rule.known[rule].why
    assert Rule.known[rule].fix
