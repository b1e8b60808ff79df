"""Advice on a valid spec: every rule speaks where it should, and is silent right beside."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_cases import CASES, FINE, deep, hidden

import nnctl.spec.lint.advice
from nnctl.core import yaml
from nnctl.core.finding import Finding, Report, Rule
from nnctl.spec.lint.advice import lint
from nnctl.spec.lint.reading import Sizes
from nnctl.spec.load import LoadedSpec, load_spec, parse_spec


def loaded(**sections: str) -> LoadedSpec:
    text = "\n".join(f"{key}: {value}" for key, value in {**FINE, **sections}.items())
    document = yaml.loads(text)
    return LoadedSpec(parse_spec(document), document, text, Path())


def advice(sizes: Sizes | None = None, **sections: str) -> Report:
    return lint(loaded(**sections), sizes)


def bad(report: Report) -> dict[str, Finding]:
    return {finding.rule: finding for finding in report.findings if finding.verdict != "pass"}


@pytest.mark.parametrize(
    ("rule", "verdict", "wrong", "_right"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_rule_speaks_where_it_should_and_alone(rule, verdict, wrong, _right):
    found = bad(advice(**wrong))
    assert list(found) == [rule]
    assert found[rule].verdict == verdict
    assert found[rule].fix


@pytest.mark.parametrize(
    ("rule", "_verdict", "_wrong", "right"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_rule_is_silent_right_beside(rule, _verdict, _wrong, right):
    assert bad(advice(**right)) == {}


def test_every_rule_of_lint_is_tried():
    declared = {rule.id for rule in Rule.known.values() if rule.id in _ids_in_lint()}
    assert declared == {rule for rule, *_ in CASES}


def _ids_in_lint() -> set[str]:
    modules = vars(nnctl.spec.lint.advice).values()
    return {
        value.id
        for module in modules
        if hasattr(module, "findings")
        for value in vars(module).values()
        if isinstance(value, Rule)
    }


def test_a_finding_says_where_in_the_file_it_is():
    finding = bad(advice(optimizer="{adam: {lr: 1.0}}"))["learning-rate-range"]
    assert finding.where == "spec.yaml:4 optimizer.adam.lr"
    assert (finding.value, finding.threshold) == (1.0, 3e-2)


def test_a_finding_about_an_override_says_so(tmp_path):
    (tmp_path / "s.yaml").write_text("\n".join(f"{key}: {value}" for key, value in FINE.items()))
    finding = bad(lint(load_spec(tmp_path / "s.yaml", ["optimizer.lr=1.0"])))["learning-rate-range"]
    assert finding.where == "command line optimizer.adam.lr"


def test_failures_stand_before_warnings():
    report = advice(**deep(3, "dense: 64", "sigmoid"), optimizer="{adam: 1.0}")
    assert [finding.verdict for finding in report.findings][:2] == ["fail", "warn"]
    assert (report.verdict, report.first.rule) == ("fail", "learning-rate-range")
    assert report.figures["counts"]["fail"] == 1


def test_a_good_spec_passes_with_figures():
    report = advice()
    assert report.verdict == "pass"
    assert {finding.rule for finding in report.findings} == {
        "input-scaling",
        "init-for-activation",
        "learning-rate-range",
    }
    assert report.headline == "nothing in the spec to mend"


def test_the_sizes_of_the_data_let_it_see_more():
    sizes = Sizes(inputs=64, outputs=10, rows=320)
    one_layer = {**hidden("dense: 64", "relu"), "init": "{normal: 0.01}"}
    assert bad(advice(**one_layer)) == {}
    assert list(bad(advice(sizes, **one_layer))) == ["weight-scale"]
    assert list(bad(advice(sizes, **hidden("dense: 3", "relu")))) == ["bottleneck"]
    assert list(bad(advice(sizes, training="{epochs: 9, batch_size: 32}"))) == ["few-updates"]
    assert list(bad(advice(sizes, schedule="{cosine: {warmup: 200 steps}}"))) == ["warmup-too-long"]


COMPOSITES = {
    "sequential": "sequential: [{}]",
    "repeat": "repeat: {{layers: [{}], times: 2}}",
    "residual": "residual: [dense: 64, relu, {}, dense: 64]",
    "parallel": "parallel: [dense: 32, sequential: [{}]]",
    "parallel in parallel": "parallel: [dense: 32, parallel: [dense: 32, sequential: [{}]]]",
    "parallel in residual": "residual: [parallel: {{layers: [dense: 64, sequential: [{}, dense: 64]], merge: sum}}]",
    "weight_norm": "weight_norm: [{}]",
}
WITHIN = {
    "softmax-in-hidden-layer": ("dense: 64", "softmax"),
    "dropout-rate": ("dense: 64", "relu", "dropout: 0.9"),
    "no-symmetry-breaking": ("dense: {units: 64, init: zeros}", "relu"),
    "selu-with-dropout-or-normalization": ("dense: 64", "selu", "dropout: 0.2"),
    "bias-before-batch-norm": ("dense: 64", "batch_norm", "relu"),
    "activation-twice": ("dense: 64", "relu", "relu"),
    "no-activation-between": ("dense: 64", "dense: 32", "relu"),
    "large-biases": ("dense: {units: 64, bias_init: {constant: 5.0}}", "relu"),
}


@pytest.mark.parametrize("composite", COMPOSITES.values(), ids=COMPOSITES)
@pytest.mark.parametrize(("rule", "planted"), WITHIN.items(), ids=WITHIN)
def test_a_fault_is_seen_within_every_composite(rule, planted, composite):
    report = advice(**hidden("dense: 64", "relu", composite.format(", ".join(planted)), "relu"))
    assert rule in bad(report)
    assert "layers" in bad(report)[rule].where


@pytest.mark.parametrize("composite", COMPOSITES.values(), ids=COMPOSITES)
def test_what_is_fine_is_fine_within_every_composite(composite):
    report = advice(**hidden("dense: 64", "relu", composite.format("dense: 64, relu, dropout: 0.2, dense: 64, tanh")))
    assert bad(report) == {}


def test_branches_at_the_end_end_in_the_outputs():
    wide = "parallel: {layers: [sequential: [dense: 64, relu, dense: {units: outputs, init: zeros}], dense: outputs], "
    assert bad(advice(architecture=f"[{wide}merge: sum}}]")) == {}
    dropped = wide.replace("init: zeros}]", "init: zeros}, dropout: 0.5]")
    assert list(bad(advice(architecture=f"[{dropped}merge: sum}}]"))) == ["dropout-on-output"]


def test_recurrence_is_seen_side_by_side():
    text = {"data": "{source: adding}", "loss": "mse", "architecture": "[parallel: [lstm: 8, gru: 8], dense: outputs]"}
    assert "recurrent-without-clipping" in bad(advice(**text))
    assert "recurrent-without-clipping" not in bad(advice(**text, clip="{norm: 1}"))


def test_with_few_rows_or_a_small_batch_a_smaller_batch_is_no_advice():
    few = bad(advice(Sizes(2, 10, 4), training="{epochs: 20, batch_size: full}"))["few-updates"]
    assert "batch_size" not in few.fix
    small = bad(advice(Sizes(64, 10, 42), training="{epochs: 20, batch_size: 15}"))["few-updates"]
    assert small.fix == "Make training.epochs larger."
    counted = bad(advice(Sizes(64, 10, 320), training="{steps: 20, batch_size: 64}"))["few-updates"]
    assert counted.fix == "Make training.steps larger."
    many = bad(advice(Sizes(64, 10, 320), training="{epochs: 20, batch_size: full}"))["few-updates"]
    assert "batch_size" in many.fix


def test_what_can_be_measured_is_not_guessed():
    unknown = {"data": "{source: {csv: {path: a.csv, target: y}}, scaling: none}"}
    assert list(bad(advice(**unknown))) == ["input-scaling"]
    assert bad(advice(Sizes(64, 10, 1000), **unknown)) == {}


@pytest.mark.parametrize(
    "layers", ["[flatten]", "[relu]", "[resnet]", "[parallel: {layers: [dense: 8, dense: 8]}, relu, dense: outputs]"]
)
def test_any_architecture_can_be_read(layers):
    assert bad(advice(architecture=layers)) == {}


def test_repeated_layers_are_told_once():
    finding = bad(advice(**deep(12, "dense: 64", "sigmoid")))["sigmoid-in-deep-network"]
    assert "12 hidden layers" in finding.message
    assert finding.where == "spec.yaml:2 architecture.0.repeat.layers.1.sigmoid"


@pytest.mark.parametrize("rule", sorted(_ids_in_lint()))
def test_a_rule_has_a_page_for_a_learner(rule):
    page = Rule.known[rule]
    assert page.about.endswith(".")
    assert len(page.why) > 80
    assert page.fix
