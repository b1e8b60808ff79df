"""The table: best first, only what differs, seeds grouped, and no word more than the seeds allow."""

import json

import pytest
from made_runs import SPEC, make_check, make_run

from nnctl.core.errors import UsageError
from nnctl.runs.comparison import compare
from nnctl.runs.keys import differing, dotted, full_dotted, short_forms, text_of
from nnctl.runs.listing import entries_in


@pytest.fixture
def compared(tmp_path):
    return lambda **options: compare(entries_in(str(tmp_path)), **options)


def names(found):
    return [row.entry.name for row in found.rows]


def over_seeds(root, name, values, **spec):
    for seed, value in enumerate(values):
        make_run(root, f"{name}-{seed}", value, seed=seed, **spec)


def first_layer(units, *, bias):
    return {"architecture": [{"dense": {"units": units, "bias": bias}}, *SPEC["architecture"][1:]]}


SGD = {"optimizer": {"sgd": {"lr": 0.1}}}


def test_a_spec_is_dotted_with_the_names_of_components_left_out():
    assert dotted(SPEC)["optimizer"] == "adam"
    assert dotted(SPEC)["optimizer.lr"] == 0.001
    assert dotted(SPEC)["architecture"] == "dense(8), relu, dense(outputs)"
    assert dotted(SPEC)["architecture.0.units"] == 8
    assert dotted(SPEC)["data.split.test"] == 0.15
    assert full_dotted(SPEC)["optimizer.adam.lr"] == 0.001


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"dense": {"units": 8, "bias": True}}, "dense(8)"),
        ([{"residual": {"layers": [{"dense": {"units": 8}}, "relu"]}}], "residual(dense(8), relu)"),
        ({"constant": {"warmup": 0}}, "constant"),
        ([], "none"),
        (True, "true"),
        (None, "none"),
    ],
)
def test_a_value_reads_as_one_line(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("specs", "keys"),
    [
        ([{}, {"seed": 1, "name": "other"}], []),
        ([{}, {"training": {"epochs": 4}}], ["training.epochs"]),
        ([{}, SGD], ["optimizer", "optimizer.lr"]),
        ([{}, {"optimizer": {"sgd": {"lr": 0.001}}}], ["optimizer"]),
        ([{}, {"early_stopping": {"patience": 3, "min_delta": 0.0}}], ["early_stopping"]),
        ([{"early_stopping": {"patience": p}} for p in (3, 4)] + [{}], ["early_stopping", "early_stopping.patience"]),
        ([{}, {"architecture": ["relu"]}], ["architecture"]),
        ([{}, first_layer(9, bias=True)], ["architecture.0.units"]),
        ([{"metrics": ["accuracy"]}, {"metrics": ["accuracy", "f1"]}], ["metrics"]),
        ([{}, {"architecture": ["relu"]}, first_layer(8, bias=False)], ["architecture", "architecture.0.bias"]),
    ],
)
def test_only_the_keys_that_differ_are_named(specs, keys):
    assert differing([dotted({**SPEC, **spec}) for spec in specs]) == keys


def test_keys_are_shortened_as_far_as_they_stay_apart():
    keys = ["optimizer.lr", "architecture.0.units", "architecture.2.units", "lr"]
    assert list(short_forms(keys).values()) == ["optimizer.lr", "0.units", "2.units", "lr"]


def test_the_best_come_first_and_those_without_a_value_last(tmp_path, compared):
    for name, value in (("b", 0.3), ("a", 0.1), ("c", 0.2)):
        make_run(tmp_path, name, value)
    make_run(tmp_path, "failed", status="failed").joinpath("metrics.jsonl").unlink()
    assert names(compared()) == ["a", "c", "b", "failed"]
    assert names(compared(sort="-val_loss")) == ["b", "c", "a", "failed"]
    assert names(compared(metric="val_accuracy")) == ["a", "c", "b", "failed"]
    assert names(compared(last=2)) == ["c", "failed"]
    assert names(compared(where="val_loss>0.1", sort="name")) == ["b", "c"]


def test_where_more_is_better_the_highest_come_first(tmp_path, compared):
    for name, value in (("a", 0.8), ("b", 0.9)):
        make_run(tmp_path, name, value, early_stopping={"monitor": "val_accuracy"})
    found = compared()
    assert (found.metric, found.mode, names(found)) == ("val_accuracy", "max", ["b", "a"])


def test_runs_that_monitor_different_figures_are_compared_by_the_validation_loss_and_it_is_said(tmp_path, compared):
    make_run(tmp_path, "a", 0.3)
    make_run(tmp_path, "b", 0.9, early_stopping={"monitor": "val_accuracy"})
    found = compared()
    assert found.metric == "val_loss"
    assert "val_accuracy in 1, val_loss in 1" in found.notes[0]


def test_a_figure_or_key_that_no_run_has_is_refused_with_what_resembles_it(tmp_path, compared):
    make_run(tmp_path, "a")
    with pytest.raises(UsageError, match="Did you mean 'val_accuracy'"):
        compared(metric="val_acuracy")
    with pytest.raises(UsageError, match=r"--sort: .* Did you mean 'seed'"):
        compared(sort="-sead")


def test_what_is_no_run_is_listed_apart(tmp_path, compared):
    make_run(tmp_path, "a")
    make_check(tmp_path, "check")
    (tmp_path / "foreign").mkdir()
    found = compared()
    assert [entry.name for entry in found.others] == ["foreign"]
    assert found.notes == ["1 check left out; nnctl ls shows them"]


def test_a_condition_that_no_run_fulfils_says_what_there_is(tmp_path, compared):
    make_run(tmp_path, "a")
    found = compared(where="optimizer=adm")
    assert not found.rows
    assert found.notes == ["no run fulfils 'optimizer=adm'. optimizer is adam"]


def test_runs_of_one_spec_are_a_group_from_two_seeds_on(tmp_path, compared):
    over_seeds(tmp_path, "adam", [0.1, 0.3])
    over_seeds(tmp_path, "sgd", [0.2], **SGD)
    (group,) = compared().groups
    assert (group.label, group.values, group.spread.mean) == ("adam", {0: 0.1, 1: 0.3}, 0.2)


def test_of_a_repeated_seed_the_newest_counts_and_it_is_said(tmp_path, compared):
    over_seeds(tmp_path, "adam", [0.1, 0.3])
    make_run(tmp_path, "adam-again", 0.05, seed=0)
    found = compared()
    assert found.groups[0].values == {0: 0.05, 1: 0.3}
    assert "1 run repeats a seed" in found.notes[0]


def test_a_run_that_did_not_end_is_in_no_group(tmp_path, compared):
    over_seeds(tmp_path, "adam", [0.1, 0.3])
    make_run(tmp_path, "adam-killed", 9.0, seed=2, status="running")
    assert compared().groups[0].spread.count == 2


def test_groups_of_one_name_are_told_apart_by_what_differs(tmp_path, compared):
    over_seeds(tmp_path, "toy", [0.1, 0.3])
    over_seeds(tmp_path, "toy-b", [0.2, 0.4], **SGD)
    assert [group.label for group in compared().groups] == ["optimizer=adam, lr=0.001", "optimizer=sgd, lr=0.1"]


def test_six_seeds_that_all_point_one_way_show_which_is_better(tmp_path, compared):
    over_seeds(tmp_path, "adam", [0.10, 0.12, 0.11, 0.13, 0.10, 0.12])
    over_seeds(tmp_path, "sgd", [0.20, 0.23, 0.22, 0.21, 0.24, 0.22], **SGD)
    (pair,) = compared().pairs
    assert (pair.p, pair.better, pair.seeds) == (0.03125, True, 6)
    assert pair.difference == pytest.approx(-0.64 / 6)
    assert pair.verdict.startswith("adam is better than sgd: val_loss is 0.107 lower for adam")


def test_five_seeds_never_do_and_the_verdict_says_how_many_can(tmp_path, compared):
    over_seeds(tmp_path, "adam", [0.10, 0.12, 0.11, 0.13, 0.10])
    over_seeds(tmp_path, "sgd", [0.20, 0.23, 0.22, 0.21, 0.24], **SGD)
    (pair,) = compared().pairs
    assert (pair.p, pair.better) == (0.0625, False)
    assert "5 seeds cannot reach p < 0.05; 6 can." in pair.verdict
    assert "better" not in pair.verdict


def test_seeds_that_point_both_ways_are_no_evidence(tmp_path, compared):
    over_seeds(tmp_path, "adam", [0.1, 0.2, 0.1, 0.2, 0.1, 0.2])
    over_seeds(tmp_path, "sgd", [0.2, 0.1, 0.2, 0.1, 0.2, 0.11], **SGD)
    assert "no evidence of a difference" in compared().pairs[0].verdict


def test_with_three_groups_more_seeds_are_needed(tmp_path, compared):
    for i in range(3):
        over_seeds(tmp_path, f"g{i}", [i + s / 100 for s in range(6)], training={"epochs": 3 + i})
    pairs = compared().pairs
    assert len(pairs) == 3
    assert {pair.p for pair in pairs} == {3 * 0.03125}
    assert all("6 seeds cannot reach p < 0.05 in 3 comparisons; 7 can." in pair.verdict for pair in pairs)


def test_groups_without_common_seeds_cannot_be_compared(tmp_path, compared):
    over_seeds(tmp_path, "adam", [0.1, 0.2])
    for seed in (7, 8):
        make_run(tmp_path, f"sgd-{seed}", 0.3, seed=seed, **SGD)
    assert compared().pairs[0].verdict.startswith("adam and sgd share no seed")


def test_where_the_last_weights_are_kept_a_note_says_which_epoch_the_figures_are_of(tmp_path, compared):
    run = make_run(tmp_path, "a")
    record = json.loads((run / "run.json").read_text())
    record["summary"] |= {"weights": "last", "best_epoch": 2}
    (run / "run.json").write_text(json.dumps(record))
    assert "1 run keeps the weights of its last epoch" in compared().notes[0]


def test_nothing_at_all_is_compared_without_complaint(compared):
    assert compared().rows == []
