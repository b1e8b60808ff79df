import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.model_selection import StratifiedShuffleSplit

from nnctl.core.errors import DataError
from nnctl.data.splits import SplitPlan, split_rows
from nnctl.data.table import Table


def table(n, **fields):
    return Table(np.zeros((n, 1)), np.zeros(n), ("x",), **fields)


def names(labels):
    return tuple(f"c{k}" for k in range(int(labels.max()) + 1))


def is_partition(parts, n):
    return sorted(np.concatenate(list(parts.values())).tolist()) == list(range(n))


@given(
    st.integers(10, 200),
    st.floats(0, 0.45),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_the_parts_are_a_partition(n, share, count, shuffle, seed):
    parts = split_rows(table(n), SplitPlan(validation=count, test=share, shuffle=shuffle), None, (), seed)
    assert is_partition(parts, n)
    assert len(parts.get("test", [])) == int(np.ceil(share * n))
    assert len(parts.get("validation", [])) == count
    assert all(np.all(np.diff(rows) > 0) for rows in parts.values())


@given(st.lists(st.integers(8, 60), min_size=2, max_size=5), st.integers(0, 2**32), st.floats(0.15, 0.4))
def test_a_stratified_split_has_the_class_counts_of_scikit_learns(counts, seed, share):
    labels = np.repeat(np.arange(len(counts)), counts)
    n = int(np.ceil(share * len(labels)))
    remainders = (np.array(counts) * (len(labels) - n) / len(labels)) % 1
    assume(len(np.unique(remainders.round(9))) == len(counts))  # scikit-learn breaks ties at random
    parts = split_rows(table(len(labels)), SplitPlan(validation=0, test=share), labels, names(labels), seed)
    kept, drawn = next(StratifiedShuffleSplit(1, test_size=n, random_state=0).split(labels, labels))
    assert is_partition(parts, len(labels))
    assert np.bincount(labels[parts["test"]]).tolist() == np.bincount(labels[drawn]).tolist()
    assert np.bincount(labels[parts["train"]]).tolist() == np.bincount(labels[kept]).tolist()


def test_a_stratified_split_gives_every_class_its_share_of_three_parts():
    labels = np.repeat([0, 1, 2], [100, 40, 20])
    parts = split_rows(table(160), SplitPlan(validation=0.2, test=0.1), labels, names(labels), 3)
    assert np.bincount(labels[parts["test"]]).tolist() == [10, 4, 2]
    assert np.bincount(labels[parts["validation"]]).tolist() == [20, 8, 4]
    assert np.bincount(labels[parts["train"]]).tolist() == [70, 28, 14]


def test_every_row_is_drawn_about_as_often_as_any_other():
    labels = np.repeat([0, 1], [30, 10])
    drawn = np.zeros(40)
    for seed in range(400):
        drawn[split_rows(table(40), SplitPlan(validation=0, test=0.25), labels, names(labels), seed)["test"]] += 1
    assert drawn.min() > 60
    assert drawn.max() < 140


def test_the_seed_decides_and_the_validation_part_does_not_move_the_test_part():
    def plan(validation, seed):
        return split_rows(table(100), SplitPlan(validation=validation, test=0.2), None, (), seed)

    assert np.array_equal(plan(0.1, 1)["test"], plan(0.3, 1)["test"])
    assert np.array_equal(plan(0.1, 1)["validation"], plan(0.1, 1)["validation"])
    assert not np.array_equal(plan(0.1, 1)["test"], plan(0.1, 2)["test"])


def test_left_out_sizes_are_15_percent():
    parts = split_rows(table(100), SplitPlan(), None, (), 0)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 70, "validation": 15, "test": 15}


def test_without_shuffling_the_last_rows_are_the_test_part():
    parts = split_rows(table(10), SplitPlan(validation=2, test=3, shuffle=False), None, (), 0)
    assert parts["test"].tolist() == [7, 8, 9]
    assert parts["validation"].tolist() == [5, 6]


def test_the_latest_rows_are_the_test_part():
    when = np.array(["2024-03-01", "2023-01-01", "2024-01-01", "2022-05-05", "2025-01-01"])
    parts = split_rows(table(5, side={"day": when}), SplitPlan(validation=1, test=1, time="day"), None, (), 0)
    assert parts["test"].tolist() == [4]
    assert parts["validation"].tolist() == [0]
    assert parts["train"].tolist() == [1, 2, 3]


@given(st.integers(0, 2**32))
def test_rows_of_a_group_stay_together(seed):
    groups = np.repeat(np.arange(20), np.arange(1, 21))
    parts = split_rows(table(210, side={"g": groups}), SplitPlan(validation=0.2, test=0.2, group="g"), None, (), seed)
    assert is_partition(parts, 210)
    seen = [set(groups[rows].tolist()) for rows in parts.values()]
    assert sum(map(len, seen)) == 20
    assert [len(s) for s in seen] == [12, 4, 4]


def test_parts_of_the_source_are_kept_and_validation_comes_from_its_training_part():
    given_parts = {"train": np.arange(80), "test": np.arange(80, 100)}
    parts = split_rows(table(100, parts=given_parts), SplitPlan(validation=0.25), None, (), 0)
    assert parts["test"].tolist() == list(range(80, 100))
    assert len(parts["validation"]) == 20
    assert parts["validation"].max() < 80
    assert is_partition(parts, 100)


def test_a_test_share_beside_the_sources_own_test_part_is_refused():
    given_parts = {"train": np.arange(80), "test": np.arange(80, 100)}
    with pytest.raises(DataError, match=r"the source has a test part of its own\. Leave 'test: 0\.1' out"):
        split_rows(table(100, parts=given_parts), SplitPlan(test=0.1), None, (), 0)


def test_a_class_that_is_left_out_is_named_with_its_count():
    labels = np.array([0] * 50 + [1])
    with pytest.raises(DataError, match=r"test part has no row of class 'rare': 1 row of 51 is of"):
        split_rows(table(51), SplitPlan(), labels, ("often", "rare"), 0)


def test_a_training_part_without_a_class_is_refused_however_it_came_about():
    labels = np.repeat([0, 1], 10)
    with pytest.raises(DataError, match=r"the training part has no row of class 'b'"):
        split_rows(table(20), SplitPlan(test=10, validation=0, shuffle=False), labels, ("a", "b"), 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test": 10, "validation": 0}, "takes 10 rows of 10 and leaves none"),
        (
            {"test": 5, "validation": 5},
            r"data\.split: the validation part takes 5 rows of 5 and leaves none .* all 10 rows",
        ),
        ({"stratify": True}, "stratify needs classes"),
        ({"group": "g", "time": "t"}, "group and time exclude each other"),
        ({"group": "g", "test": 3}, "takes 3 groups of 2 and leaves none"),
    ],
)
def test_an_impossible_plan_is_refused(fields, message):
    rows = table(10, side={"g": np.arange(10) % 2, "t": np.arange(10)})
    with pytest.raises(DataError, match=message):
        split_rows(rows, SplitPlan(**fields), None, (), 0)


def test_stratify_and_group_exclude_each_other():
    labels = np.arange(10) % 2
    with pytest.raises(DataError, match="stratify and group exclude each other"):
        split_rows(table(10, side={"g": labels}), SplitPlan(group="g", stratify=True), labels, ("a", "b"), 0)


def test_a_share_is_below_one_and_a_count_is_whole():
    with pytest.raises(ValidationError, match="must be a share < 1 or a whole number of rows"):
        SplitPlan(test=1.5)
    with pytest.raises(ValidationError):
        SplitPlan(test=-1)
    with pytest.raises(ValidationError, match="Did you mean 'validation'"):
        SplitPlan.model_validate({"val": 0.2})
