"""nnctl lint, and the pages behind its rules."""

from __future__ import annotations

import json

import pytest

from nnctl.checks.rulebook import rules


def test_a_good_spec_has_nothing_to_mend_and_leaves_nothing_behind(nnctl, spec, here):
    code, out, err = nnctl("lint", spec)
    assert (code, err) == (0, "")
    assert "pass  nothing in the spec to mend" in out
    assert [path.name for path in here.iterdir()] == ["spec.yaml"]


def test_a_failure_ends_with_5_and_says_where_and_what_to_do(nnctl, spec):
    code, out, err = nnctl("lint", "init=zeros")
    assert code == 5
    assert "no-symmetry-breaking" in out
    assert "command line init" in out
    assert "nnctl explain no-symmetry-breaking" in out
    assert "all weights at 0" in err


def test_a_warning_ends_with_0(nnctl, spec):
    spec.write_text(spec.read_text().replace("adam: 0.01", "adam: 0.1"))
    code, out, err = nnctl("lint")
    assert (code, err) == (0, "")
    assert "spec.yaml:5 optimizer.adam.lr" in out


def test_json_is_one_document(nnctl, spec):
    code, out, _ = nnctl("lint", spec, "init=zeros", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["check"]) == (5, "fail", "lint")
    assert found["findings"][0]["rule"] == "no-symmetry-breaking"


def test_it_reads_no_data(nnctl, here):
    (here / "spec.yaml").write_text(
        "data: {source: {csv: {path: not-here.csv, target: y}}}\narchitecture: [dense: outputs]\nloss: mse\n"
    )
    assert nnctl("lint").code == 0


def test_a_spec_that_is_not_valid_is_refused(nnctl, spec):
    code, _, err = nnctl("lint", spec, "optimizer.lr=-1")
    assert code == 2
    assert "must be > 0" in err


# ------------------------------------------------------------------ nnctl explain RULE


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.id)
def test_every_rule_has_a_page(nnctl, rule):
    code, out, err = nnctl("explain", rule.id)
    assert (code, err) == (0, "")
    assert out.startswith(f"rule {rule.id}\n")
    shown = " ".join(out.split())
    for text in (rule.about, rule.why, rule.threshold, rule.fix, rule.source):
        assert " ".join(text.replace("``", "`").split()) in shown


def test_a_rule_is_found_with_underscores_too(nnctl):
    assert nnctl("explain", "l2_with_adam").out.startswith("rule l2-with-adam")


@pytest.mark.parametrize(("typed", "meant"), [("l2-with-adm", "l2-with-adam"), ("dead-rel", "dead-relu")])
def test_a_rule_that_is_misspelled_is_guessed(nnctl, typed, meant):
    code, out, err = nnctl("explain", typed)
    assert (code, out) == (2, "")
    assert f"Did you mean '{meant}'?" in err


def test_a_component_with_a_hyphen_is_still_the_component(nnctl):
    assert nnctl("explain", "batch-norm").out.startswith("layer batch_norm")


def test_the_contents_list_the_rules(nnctl):
    out = nnctl("explain").out
    assert "rules   What the checks can find to be wrong." in out
    assert all(f"\n  {rule} " in out for rule in rules())
