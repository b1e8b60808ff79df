"""lr-find on networks that learn, and on ones that cannot."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from iris import IRIS

from nnctl.checks.learning_rate.findings import findings, judge_rate, refusal
from nnctl.checks.learning_rate.outcome import outcome
from nnctl.checks.learning_rate.trials import Trial
from nnctl.checks.lr_find import _headline, lr_find
from nnctl.core.errors import Interrupted, UsageError
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec
from nnctl.train.step import train_step


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("lr") / "spec.yaml"
    path.write_text(IRIS)
    return lr_find(Experiment(load_spec(path)))


def trained(experiment: Experiment, steps: int = 20) -> bytes:
    learner = experiment.learner()
    batches = experiment.batches(experiment.examples(experiment.data.train))
    for epoch in range(steps):
        for batch in batches.epoch(epoch):
            train_step(learner, batch, experiment.spec.optimizer.lr)
    return learner.network.theta.tobytes() + learner.network.state.tobytes()


def rules(found) -> list[tuple[str, str]]:
    return [(finding.rule, finding.verdict) for finding in found.findings]


# ---------------------------------------------------------------------- what it finds


def test_the_suggestion_brings_the_loss_down_in_its_short_runs(report):
    figures = report.figures
    chosen = next(trial for trial in figures["trials"] if trial["lr"] == figures["suggestion"])
    assert report.verdict == "pass"
    assert chosen["loss"] < 0.5 * figures["curve"]["start"]
    assert chosen["share"] == pytest.approx(1)
    assert not chosen["diverged"]
    assert figures["interval"][0] <= figures["suggestion"] <= figures["interval"][1]
    assert figures["good"][0] <= figures["suggestion"] <= figures["good"][1]


def test_the_spec_s_own_rate_is_one_of_those_that_are_tried(report):
    assert 0.01 in [trial["lr"] for trial in report.figures["trials"]]


def test_every_classical_rule_is_told_beside_it(report):
    assert set(report.figures["rules"]) == {"steepest slope", "minimum / 10", "valley", "last before divergence"}


def test_rates_are_written_in_two_digits(report):
    assert all(trial["lr"] == float(f"{trial['lr']:.1e}") for trial in report.figures["trials"])


def test_the_same_experiment_gives_the_same_figures(experiment):
    assert lr_find(experiment(), sweeps=2).figures == lr_find(experiment(), sweeps=2).figures


def test_training_afterwards_gives_the_bits_of_a_training_without_it(experiment):
    looked_at = experiment()
    lr_find(looked_at, sweeps=1)
    assert trained(looked_at) == trained(experiment())


def test_an_interrupted_search_leaves_the_training_as_it_was(experiment):
    def leave(share: float, _what: str) -> None:
        if share > 0.4:
            raise Interrupted("enough")

    looked_at = experiment()
    with pytest.raises(Interrupted):
        lr_find(looked_at, sweeps=1, tell=leave)
    assert trained(looked_at) == trained(experiment())


def test_progress_grows_from_nothing_to_less_than_all(experiment):
    told: list[float] = []
    lr_find(experiment(), sweeps=2, tell=lambda share, _what: told.append(share))
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] < 1


def test_the_schedule_has_no_say(experiment):
    plain, scheduled = lr_find(experiment(), sweeps=1), lr_find(experiment("schedule=one_cycle"), sweeps=1)
    assert scheduled.figures["trials"] == plain.figures["trials"]
    assert (plain.figures["warms_up"], scheduled.figures["warms_up"]) == (False, True)


def test_an_end_of_the_range_as_the_best_rate_is_warned_of(experiment):
    found = lr_find(experiment("optimizer.lr=1e-4"), lowest=1e-5, highest=5e-3)
    assert found.figures["suggestion"] == 5e-3
    assert ("lr-at-the-edge", "warn") in rules(found)


def test_accumulated_batches_and_row_weights_are_taken_as_training_takes_them(experiment):
    found = lr_find(experiment("training.accumulate=2", "loss={cross_entropy: {class_weight: balanced}}"), sweeps=1)
    assert found.figures["suggestion"] is not None


# ---------------------------------------------------------------------- when it refuses


@pytest.mark.parametrize(
    ("lowest", "highest"), [(1.0, 0.1), (0.0, 1.0), (1e-7, inf), (1e-7, nan), (1e-300, 1.0), (1.0, 1e300)]
)
def test_a_range_that_is_none_is_refused(experiment, lowest, highest):
    with pytest.raises(UsageError, match="0 < --min < --max"):
        lr_find(experiment(), lowest=lowest, highest=highest)


def test_a_loss_that_never_falls_is_a_flat_curve(experiment):
    found = lr_find(experiment("optimizer=sgd", "clip={norm: 1e-12}"))
    assert rules(found) == [("lr-flat-curve", "fail")]
    assert found.figures["suggestion"] is None
    assert found.figures["trials"] == []


def test_a_network_that_no_gradient_reaches_is_a_flat_curve_and_no_divergence(experiment):
    found = lr_find(experiment("init=zeros", "architecture=[dense: 8, relu, dense: 8, relu, dense: outputs]"))
    assert [rule for rule, _ in rules(found)] == ["lr-flat-curve"]
    assert min(map(len, found.figures["sweeps"])) > 50


def test_a_loss_that_runs_away_at_the_smallest_rate_diverges_at_once(experiment):
    found = lr_find(
        experiment("optimizer=sgd", "architecture=[dense: 8, relu, dense: outputs]"), lowest=1e5, highest=1e9
    )
    assert rules(found) == [("lr-diverges-at-once", "fail")]


def test_a_perceptron_that_starts_at_zero_has_nothing_to_lower(spec_file):
    text = """
    data: {source: and, split: {validation: 0, test: 0}}
    architecture: [dense: outputs]
    init: zeros
    loss: perceptron
    optimizer: {sgd: 1}
    training: {batch_size: 1}
    """
    assert rules(lr_find(Experiment(load_spec(spec_file(text))))) == [("lr-nothing-to-lower", "warn")]


def test_a_curve_that_is_flat_until_it_rises_is_flat(report):
    rates = report.figures["rates"]
    for points, rule in ((30, "lr-diverges-at-once"), (90, "lr-flat-curve")):
        curve = {"lr": rates[:points], "loss": [1.0] * points, "start": 1.0, "noise": 0.1}
        assert findings({**report.figures, "curve": curve})[0].rule == rule


def test_a_first_gradient_that_is_not_finite_is_no_matter_of_the_rate(experiment):
    found = lr_find(experiment("architecture=[dense: 8, relu, dense: outputs]", "init={normal: 1e30}"))
    assert rules(found) == [("lr-diverges-at-once", "fail")]
    assert "before any step" in found.findings[0].message
    assert found.figures["curve"] is None


def test_a_handful_of_steps_is_too_few(experiment):
    assert rules(lr_find(experiment(), steps=6)) == [("lr-too-few-steps", "fail")]


# ---------------------------------------------------------------------- the spec's own rate


MEASURED = {
    "suggestion": 1.0,
    "diverges": 30.0,
    "rules": {"last before divergence": 5.0},
    "trials": [
        {"lr": 1.0, "share": 1.0},
        {"lr": 0.01, "share": 0.8},
        {"lr": 8.0, "share": 0.3},
        {"lr": 6.0, "share": 1},
    ],
    "warms_up": False,
    "schedule": "one_cycle",
}


@pytest.mark.parametrize(
    ("lr", "verdict"),
    [(1e-9, "warn"), (0.01, "pass"), (0.3, "pass"), (1.0, "pass"), (6.0, "pass"), (8.0, "fail"), (99.0, "fail")],
)
def test_a_rate_is_judged_by_its_distance_its_short_runs_and_where_others_diverged(lr, verdict):
    assert judge_rate(lr, MEASURED).verdict == verdict
    assert (judge_rate(lr, {**MEASURED, "warms_up": True}).verdict == "warn") is (verdict != "pass")


def test_a_far_rate_that_learns_well_all_the_same_is_no_cause_for_alarm():
    slow = {**MEASURED, "trials": [{"lr": 0.01, "share": 0.3}]}
    assert judge_rate(0.01, MEASURED).verdict == "pass"
    assert judge_rate(0.01, slow).verdict == "warn"


def test_a_rate_beyond_the_edge_fails_and_comes_first(experiment):
    found = lr_find(experiment("optimizer=sgd", "architecture=[dense: 8, relu, dense: outputs]", "optimizer.lr=1e4"))
    assert found.findings[0].rule == "lr-of-the-spec"
    assert found.verdict == "fail"
    assert found.figures["suggestion"] < 10


def test_short_runs_that_never_lower_the_loss_end_without_a_suggestion(report):
    figures = {**report.figures, "suggestion": None, **outcome([Trial(0.1, (2.0,)), Trial(1.0, (inf,))], 2.0)}
    assert [finding.rule for finding in findings(figures)] == ["lr-flat-curve"]


def test_starts_that_disagree_about_what_matters_are_warned_of(report):
    wide = {**report.figures, "suggestion": 1.0, "interval": [0.01, 1.0]}
    assert findings({**wide, "good": [0.5, 1.0]})[-1].verdict == "warn"
    assert findings({**wide, "good": [0.001, 2.0]})[-1].verdict == "pass"


def test_the_report_is_plain_data(report):
    import json

    assert json.loads(json.dumps(report.plain()))["check"] == "lr-find"
    assert replace(report, headline="x").verdict == report.verdict


def test_a_fall_that_a_few_large_losses_hide_is_a_warning_and_none_at_all_a_failure():
    curve = {"lr": [1e-7 * 2**i for i in range(20)], "start": 20.0, "noise": 4.0}
    figures = {"rates": curve["lr"], "sweeps": [[20.0] * 20]}
    hidden = refusal(figures | {"curve": curve | {"loss": [20.0] * 19 + [10.0]}})
    assert (hidden.rule, hidden.verdict) == ("lr-flat-curve", "warn")
    none = refusal(figures | {"curve": curve | {"loss": [20.0] * 19 + [18.0]}})
    assert (none.rule, none.verdict) == ("lr-flat-curve", "fail")
    assert refusal(figures | {"curve": curve | {"loss": [20.0] * 19 + [5.0]}}) is None


def test_an_interval_of_one_rate_is_told_as_one_rate(report):
    alone = {**report.figures, "suggestion": 0.01, "interval": [0.01, 0.01], "good": [0.01, 0.01]}
    assert _headline(alone) == f"Learning rate 0.01 for {alone['optimizer']}."
    said = " ".join(finding.message for finding in findings(alone))
    assert "0.01 to 0.01" not in said
    assert "would choose 0.01. At 0.01 alone the loss falls" in said
    assert "(0.01 to 0.02)" in _headline({**alone, "interval": [0.01, 0.02]})
