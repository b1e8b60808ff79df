"""lr-find on networks that learn, and on ones that cannot."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from nnctl.checks.lr_find import _read, lr_find
from nnctl.checks.lr_findings import findings, judge_rate, refusal
from nnctl.checks.lr_rules import has_diverged
from nnctl.checks.lr_trials import Trial, choose, climb, starts, sweep
from nnctl.core.errors import Interrupted, UsageError
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec
from nnctl.train.step import train_step

IRIS = """
name: iris
data: {source: iris}
architecture: [dense: 8, tanh, dropout: 0.1, batch_norm, dense: outputs]
loss: cross_entropy
optimizer: momentum
training: {batch_size: 16}
"""


@pytest.fixture
def experiment(spec_file):
    def make(*overrides: str) -> Experiment:
        return Experiment(load_spec(spec_file(IRIS), overrides))

    return make


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


# ---------------------------------------------------------------------- starts and short runs


def test_runs_from_one_start_share_their_weights_and_batches(experiment):
    (start,) = starts(experiment(), 1)
    slow, fast = (list(start.losses([lr] * 10)) for lr in (1e-12, 1e-1))
    assert slow[0] == fast[0]
    assert slow[1:] != fast[1:]
    assert slow == list(start.losses([1e-12] * 10))


def test_a_loss_is_that_of_the_batch_before_its_step(experiment):
    """With a rate of next to nothing, the losses of an epoch are those of the untrained network on its batches."""
    of_all = experiment("architecture=[dense: 8, tanh, dense: outputs]")
    (start,) = starts(of_all, 1)
    batches = start.batches
    found = list(start.losses([1e-30] * len(batches)))
    rows = [batch.stop - batch.start for batch in batches.epoch(0)]
    train = of_all.examples(of_all.data.train)
    untrained = of_all.judge.network(of_all.learner().network, train)["loss"]
    assert np.average(found, weights=rows) == pytest.approx(untrained, rel=1e-5)


def test_every_start_has_its_own_weights(experiment):
    first, second = starts(experiment(), 2)
    assert next(first.losses([1e-3])) != next(second.losses([1e-3]))


def test_a_sweep_leaves_out_the_loss_that_ended_it(experiment):
    (start,) = starts(experiment("optimizer=sgd", "architecture=[dense: 8, relu, dense: outputs]"), 1)
    rates = np.geomspace(1e-3, 1e6, 60)
    losses, all_losses = sweep(start, rates), list(start.losses(map(float, rates)))
    assert losses == all_losses[: len(losses)]
    assert not has_diverged(losses, 10)
    assert has_diverged(all_losses[: len(losses) + 1], 10)


def test_a_run_that_diverges_ends_at_infinity_and_no_other_start_is_tried(experiment):
    both = starts(experiment("optimizer=sgd", "architecture=[dense: 8, relu, dense: outputs]"), 2)
    assert Trial.run(both, 1e20, 30).losses == (inf,)
    assert len(Trial.run(both, 1e-2, 5).losses) == 2


# ---------------------------------------------------------------------- the ladder and the choice


def bowl(best: float):
    return lambda lr: Trial(lr, ((np.log10(lr) - np.log10(best)) ** 2,))


@pytest.mark.parametrize("best", [1e-6, 1e-3, 0.02, 5.0])
def test_the_ladder_is_climbed_to_the_best_rate_wherever_it_begins(best):
    trials = climb(1e-2, 1e-7, 10.0, bowl(best))
    found = min(trials.values(), key=lambda trial: trial.loss)
    assert abs(np.log10(found.lr / best)) < 0.15


def test_the_ladder_ends_at_the_range(experiment):
    assert max(climb(1e-2, 1e-7, 1.0, bowl(1e9))) == 1.0
    assert min(climb(1e-2, 1e-4, 1.0, bowl(1e-9))) == 1e-4


def test_rungs_that_diverge_send_the_climb_downwards():
    def run(lr: float) -> Trial:
        return bowl(1e-5)(lr) if lr < 1e-4 else Trial(lr, (inf,))

    assert 1e-6 < min(climb(1.0, 1e-7, 10.0, run).values(), key=lambda trial: trial.loss).lr < 1e-4


def test_the_smaller_of_two_rates_wins_a_tie_and_only_a_tie():
    assert choose({0.1: 1.005, 1.0: 1.0}, start=2.0) == 0.1
    assert choose({0.1: 1.02, 1.0: 1.0}, start=2.0) == 1.0


def test_a_rate_next_to_one_that_diverged_is_not_suggested():
    near = [Trial(0.1, (1.0, 1.0)), Trial(0.5, (0.5, 0.5)), Trial(0.9, (inf,))]
    far = [*near[:2], Trial(1.0, (inf,))]
    assert _read(near, 2.0)["suggestion"] == 0.1
    assert _read(far, 2.0)["suggestion"] == 0.5
    assert _read(near, 2.0)["diverges"] == 0.9


def test_a_rate_at_which_one_start_fails_is_not_suggested():
    uneven = [Trial(0.1, (1.0, 1.0)), Trial(1.0, (1.6, 0.1))]
    assert _read(uneven, 2.0)["suggestion"] == 0.1
    assert _read([uneven[0], Trial(1.0, (0.9, 0.8))], 2.0)["suggestion"] == 1.0


def test_a_run_that_ends_well_above_its_start_counts_as_diverged():
    found = _read([Trial(0.1, (1.0,)), Trial(1.0, (2.2,))], 2.0)
    assert found["diverges"] == 1.0
    assert [trial["diverged"] for trial in found["trials"]] == [False, True]


def test_the_interval_is_what_each_start_would_choose():
    found = _read([Trial(0.1, (0.5, 1.0)), Trial(1.0, (0.6, 0.4))], 2.0)
    assert found["suggestion"] == 1.0
    assert found["interval"] == [0.1, 1.0]


def test_short_runs_whose_drop_is_within_the_noise_say_nothing():
    assert "suggestion" not in _read([Trial(0.1, (1.9,))], 2.0, noise=0.2)
    assert _read([Trial(0.1, (1.7,))], 2.0, noise=0.2)["suggestion"] == 0.1


def test_short_runs_that_never_lower_the_loss_end_without_a_suggestion(report):
    figures = {**report.figures, "suggestion": None, **_read([Trial(0.1, (2.0,)), Trial(1.0, (inf,))], 2.0)}
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
