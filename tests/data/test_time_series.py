"""Time series: windows are those of a slow loop, parts follow one another, and nothing looks ahead."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnctl.core.errors import DataError
from nnctl.data import memory
from nnctl.data.dataset import Prepared
from nnctl.data.prepare import prepare
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.scaling import MinMax, NoScaling, Scaling, Standard
from nnctl.data.series import Series, Windowing
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan
from nnctl.data.table import Table
from nnctl.data.times import Grid

PARTS = ("train", "validation", "test")


def hours(n: int, start: str = "2024-01-01 00:00", step: int = 1) -> list[str]:
    first = datetime.fromisoformat(start)
    return [f"{first + timedelta(hours=i * step):%Y-%m-%d %H:%M}" for i in range(n)]


def written(folder: Path, columns: dict[str, list[Any]], name: str = "series.csv") -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def made(n: int = 200) -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 2, n).round(3), rng.normal(-1, 3, n).round(3)
    return {"when": hours(n), "a": a.tolist(), "b": b.tolist()}


def source(path: Path, **fields: Any) -> Source:
    return Source.parse({"time_series": {"path": str(path), "time": "when", "targets": ["a"], **fields}})


def table_of(path: Path, **fields: Any) -> Table:
    return source(path, **fields).load(Path(), 0)


def series_of(table: Table) -> Series:
    assert table.series is not None
    return table.series


def prepared(path: Path, scaling: Scaling | None = None, split: SplitPlan | None = None, **fields: Any) -> Prepared:
    return prepare(
        source(path, **fields),
        split or SplitPlan(),
        scaling or Standard(),
        task="regression",
        target_scaling=scaling or Standard(),
        dtype=np.float64,
    )


def parts_of(data: Prepared) -> dict[str, Any]:
    return {name: part for name in PARTS if (part := getattr(data, name)) is not None}


# ---------------------------------------------------------------------- windows


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9),
    st.tuples(st.integers(1, 5), st.integers(0, 4)),
    st.integers(1, 7),
    st.booleans(),
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
)
def test_windows_are_those_of_a_slow_loop(lookback, ahead, stride, everywhere, lengths):
    """Over several unbroken runs of rows, none of which a window leaves."""
    first, last = ahead[0], sum(ahead)
    n = sum(lengths)
    x = np.arange(2.0 * n).reshape(n, 2)
    y = 1000 + np.arange(3.0 * n).reshape(n, 3)
    run = np.repeat(np.arange(len(lengths)), lengths)
    form = Windowing(lookback, first, last, everywhere, stride)
    grid, zeros = Grid("number", 1.0), np.zeros(n, int)
    series = Series(form, y, ("p", "q", "r"), np.arange(n * 1.0), grid, run, zeros)
    found_x, found_y, origins = [], [], []
    for r in range(len(lengths)):
        rows = np.flatnonzero(run == r)
        for start in range(0, len(rows), stride):
            window = rows[start : start + lookback]
            end = start + lookback - 1
            if end + last >= len(rows):
                break
            origins.append(window[-1])
            found_x.append(x[window])
            at = window if everywhere else window[-1:]
            targets = [np.concatenate([y[t + h] for h in range(first, last + 1)]) for t in at]
            found_y.append(targets if everywhere else targets[0])
    assert series.origins().tolist() == [int(o) for o in origins]
    if origins:
        np.testing.assert_array_equal(series.inputs_of(x, series.origins()), found_x)
        np.testing.assert_array_equal(series.targets_of(y, series.origins()), found_y)


def test_windows_take_no_memory_until_a_part_is_written(tmp_path):
    table = table_of(written(tmp_path, made()))
    series = series_of(table)
    assert np.shares_memory(series.windows(table.x), table.x)


def test_rows_come_in_the_order_of_time_whatever_the_file_says(tmp_path):
    columns = made(60)
    order = np.random.default_rng(1).permutation(60)
    mixed = written(tmp_path, {name: [values[i] for i in order] for name, values in columns.items()}, "mixed.csv")
    sorted_one, table = table_of(written(tmp_path, columns)), table_of(mixed)
    np.testing.assert_array_equal(table.x, sorted_one.x)
    assert "sorted" in " ".join(table.notes)
    assert not sorted_one.notes


def test_several_series_in_a_file_are_cut_into_windows_one_by_one(tmp_path):
    one, other = made(40), made(50)
    both = {name: [*one[name], *other[name]] for name in one} | {"place": ["x"] * 40 + ["y"] * 50}
    table = table_of(written(tmp_path, both), series="place", lookback=6, horizon=2)
    series = series_of(table)
    assert series.members == ("x", "y")
    assert series.inputs == ("a", "b")
    assert len(series.origins()) == (40 - 7) + (50 - 7)
    windows = series.inputs_of(table.x, series.origins())
    assert all((series.member[o - 5 : o + 3] == series.member[o]).all() for o in series.origins())
    np.testing.assert_array_equal(windows[33], table.x[40:46])


def test_no_window_reaches_over_a_gap_unless_gaps_are_ignored(tmp_path):
    columns = {name: [*values[:40], *values[43:]] for name, values in made(100).items()}
    path = written(tmp_path, columns)
    table = table_of(path, lookback=5)
    assert len(series_of(table).origins()) == (40 - 5) + (57 - 5)
    assert "3 times are missing in 1 gap, the first after 2024-01-02 15:00" in table.notes[0]
    ignored = table_of(path, lookback=5, gaps="ignore")
    assert len(series_of(ignored).origins()) == 97 - 5
    with pytest.raises(DataError, match="3 times are missing"):
        table_of(path, gaps="error")


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"], 1),
        (["2024-01", "2024-02", "2024-03", "2024-04"], 1),
        (["01.01.2024", "15.01.2024", "29.01.2024", "12.02.2024"], 14 * 86400),
        (["2024-01-01T00:00:00Z", "2024-01-01T00:00:10Z", "2024-01-01T00:00:20Z", "2024-01-01T00:00:30Z"], 10),
        ([1990, 1991, 1992, 1993], 1),
        ([0.1, 0.2, 0.3, 0.4], 0.1),
    ],
)
def test_dates_months_and_numbers_are_found_to_be_regular(tmp_path, times, step):
    table = table_of(written(tmp_path, {"when": times, "a": [1, 2, 3, 5]}), lookback=1)
    assert series_of(table).grid.step == pytest.approx(step)
    assert len(series_of(table).runs) == 1


def test_times_on_no_grid_are_rows_that_follow_one_another_and_it_is_said(tmp_path):
    table = table_of(written(tmp_path, {"when": [0, 1, 2.5, 7, 7.1], "a": [1, 2, 3, 4, 5]}), lookback=2)
    assert series_of(table).grid.step is None
    assert len(series_of(table).origins()) == 3
    assert "no regular grid" in table.notes[0]


def test_what_comes_after_the_end_of_a_run_is_not_known_and_never_taken_from_the_next(tmp_path):
    one, other = made(12), made(12)
    both = {name: [*one[name], *other[name]] for name in one} | {"place": ["x"] * 12 + ["y"] * 12}
    series = series_of(table_of(written(tmp_path, both), series="place", lookback=4, horizon=[1, 3]))
    origins = series.all_origins()
    targets = dict(zip(origins.tolist(), series.targets_of(series.values, origins), strict=True))
    np.testing.assert_array_equal(targets[10], [one["a"][11], np.nan, np.nan])
    np.testing.assert_array_equal(targets[11], [np.nan] * 3)
    np.testing.assert_array_equal(targets[15], other["a"][4:7])
    places = series.places(np.array([11]))
    assert places["series"] == ["x"] * 3
    assert places["time"] == ["2024-01-01 12:00", "2024-01-01 13:00", "2024-01-01 14:00"]


# ---------------------------------------------------------------------- parts


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 4), st.booleans(), st.integers(20, 40), st.integers(20, 40))
def test_parts_follow_one_another_and_share_no_target(lookback, horizon, stride, everywhere, n_validation, n_test):
    fields = {"samples": 200, "lookback": lookback, "horizon": [1, horizon], "stride": stride}
    fields["forecast_at"] = "every position" if everywhere else "end"
    data = prepare(
        Source.parse({"seasonal": fields}),
        SplitPlan(validation=n_validation, test=n_test),
        Standard(),
        task="regression",
    )
    series = data.series
    rows = {name: set(series.target_rows(part.rows).tolist()) for name, part in parts_of(data).items()}
    assert max(rows["train"]) < 200 - n_test - n_validation <= min(rows["validation"])
    assert max(rows["validation"]) < 200 - n_test <= min(rows["test"])
    kept = sum(len(part) for part in parts_of(data).values())
    left_out = len(series.origins()) - kept
    assert (f"{left_out} window" in " ".join(data.notes)) == (left_out > 0)


def test_series_of_a_file_are_split_at_the_same_times(tmp_path):
    one = made(100)
    both = {name: values * 2 for name, values in one.items()} | {"place": ["x"] * 100 + ["y"] * 100}
    data = prepared(written(tmp_path, both), series="place", split=SplitPlan(validation=20, test=30))
    for part, first, last in (("validation", 50, 69), ("test", 70, 99)):
        rows = data.series.target_rows(getattr(data, part).rows)
        assert set(data.series.at[rows]) == set(data.series.at[np.arange(first, last + 1)])


@pytest.mark.parametrize("name", ["standard", "minmax", "robust"])
def test_what_comes_later_changes_no_training_array_and_no_scaling(tmp_path, name):
    columns, scaling = made(), Scaling.parse(name)
    before = prepared(written(tmp_path, columns), scaling, lookback=7, horizon=[1, 3])
    last = int(before.series.target_rows(before.train.rows).max())
    changed = {k: v if k == "when" else [*v[: last + 1], *(1e4 * x for x in v[last + 1 :])] for k, v in columns.items()}
    after = prepared(written(tmp_path, changed), scaling, lookback=7, horizon=[1, 3])
    np.testing.assert_array_equal(before.train.x, after.train.x)
    np.testing.assert_array_equal(before.train.y, after.train.y)
    assert before.preprocessing.to_json() == after.preprocessing.to_json()
    assert not np.array_equal(before.validation.y, after.validation.y)


def test_a_column_is_scaled_by_the_rows_of_training_each_counted_once(tmp_path):
    columns = made()
    data = prepared(written(tmp_path, columns), lookback=7, horizon=3)
    a, b = np.array(columns["a"]), np.array(columns["b"])
    seen = data.series.input_rows(data.train.rows)
    assert seen.tolist() == list(range(data.train.rows.max() + 1))
    scaled = data.preprocessing.scaling
    np.testing.assert_allclose(scaled.center, [a[seen].mean(), b[seen].mean()])
    np.testing.assert_allclose(scaled.scale, [a[seen].std(), b[seen].std()])
    targets = data.series.target_rows(data.train.rows)
    np.testing.assert_allclose(data.preprocessing.target_scaling.center, [a[targets].mean()])
    x = data.train.x[0] * scaled.scale + scaled.center
    np.testing.assert_allclose(x, np.stack([a[:7], b[:7]], axis=1))
    np.testing.assert_allclose(data.preprocessing.decode_target(data.train.y)[:, 0], a[9 : 9 + len(data.train)])


def test_the_preprocessing_of_a_series_comes_back_from_its_file(tmp_path):
    pre = prepared(written(tmp_path, made()), horizon=[2, 4]).preprocessing
    again = Preprocessing.from_json(pre.to_json())
    assert again.series == pre.series
    assert again.outputs == 3


# ---------------------------------------------------------------------- missing values


def test_a_missing_input_is_an_error_or_the_last_value_before_it(tmp_path):
    columns = made(60)
    columns["b"][10] = columns["b"][11] = ""
    path = written(tmp_path, columns)
    with pytest.raises(DataError, match=r"input 'b' is missing in 2 rows of 60 \(rows 11, 12\)"):
        table_of(path)
    table = table_of(path, impute="last")
    assert table.x[10, 1] == table.x[11, 1] == columns["b"][9]
    assert "filled with the last value before them: b (2 rows)" in table.notes[0]


def test_a_value_is_never_filled_from_another_series_or_from_what_follows(tmp_path):
    one, other = made(30), made(30)
    other["b"][0] = ""
    both = {name: [*one[name], *other[name]] for name in one} | {"place": ["x"] * 30 + ["y"] * 30}
    with pytest.raises(DataError, match="in row 31 there is no value before it"):
        table_of(written(tmp_path, both), series="place", impute="last", lookback=4)


# ---------------------------------------------------------------------- the naive forecast


def test_naive_forecasts_are_those_of_a_slow_loop(tmp_path):
    columns = made(80)
    table = table_of(written(tmp_path, columns), lookback=3, horizon=[1, 7], season=5)
    series, a = series_of(table), np.array(columns["a"])
    origins = series.origins()
    for i, o in enumerate(origins):
        np.testing.assert_array_equal(series.persistence(origins)[i], [a[o]] * 7)
        season = []
        for h in range(1, 8):
            t = o + h
            while t > o:
                t -= 5
            season.append(a[t] if t >= 0 else a[o])
        np.testing.assert_array_equal(series.seasonal(origins)[i], season)


def test_errors_are_scaled_by_the_naive_forecast_of_the_training_part(tmp_path):
    columns = made(100)
    data = prepared(written(tmp_path, columns), lookback=4, season=3, split=SplitPlan(validation=10, test=10))
    a = np.array(columns["a"])[:80]
    np.testing.assert_allclose(data.series.errors_of_training(data.train.rows), [[np.abs(a[3:] - a[:-3]).mean()]])


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"targets": ["c"]}, "targets: there is no column 'c'"),
        ({"inputs": ["aa"]}, "inputs: there is no column 'aa'"),
        ({"time": "day"}, "time: there is no column 'day'"),
        ({"series": "place"}, "series: there is no column 'place'"),
        ({"lookback": 200}, "needs 201"),
        ({"horizon": 190, "lookback": 20}, "needs 210"),
        ({"lookback": 150}, "the training part has the first 140 times"),
    ],
)
def test_what_does_not_fit_the_file_is_said(tmp_path, change, said):
    with pytest.raises(DataError, match=said):
        prepared(written(tmp_path, made()), **change)


@pytest.mark.parametrize(
    ("column", "row", "value", "said"),
    [
        ("when", 3, "yesterday", r"'yesterday' in column 'when' is neither a number nor a time.*row 4"),
        ("when", 3, "", r"column 'when' is missing in 1 row of 200 \(row 4\)"),
        ("when", 4, "2024-01-01 03:00", r"1 time is there twice, first 2024-01-01 03:00 \(rows 4, 5\)"),
        ("a", 6, "", r"target 'a' is NaN in 1 row of 200 \(row 7\)"),
        ("a", 6, "much", r"targets: column 'a' should hold numbers and holds 'much'.*row 7"),
        ("a", 6, "inf", "column 'a' is infinite"),
    ],
)
def test_a_cell_that_cannot_be_read_is_said_with_its_row(tmp_path, column, row, value, said):
    columns = made()
    columns[column][row] = value
    with pytest.raises(DataError, match=said):
        table_of(written(tmp_path, columns))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (SplitPlan(test=3), "in the test part of 3 times; they span 5"),
        (SplitPlan(validation=2), "in the validation part of 2 times"),
        (SplitPlan(validation=0.5, test=0.5), "leave none to train on"),
        (SplitPlan(time="when"), "Leave 'time' out"),
        (SplitPlan(group="b"), "Leave 'group' out"),
        (SplitPlan(stratify=True), "Leave 'stratify' out"),
    ],
)
def test_a_split_that_is_none_of_a_series_is_said(tmp_path, plan, said):
    with pytest.raises(DataError, match=said):
        prepared(written(tmp_path, made()), split=plan, horizon=[1, 5])


def test_classes_are_not_forecast(tmp_path):
    with pytest.raises(DataError, match="Use a regression loss such as mse"):
        prepare(source(written(tmp_path, made())), SplitPlan(), NoScaling(), task="classification")


def test_windows_are_priced_before_they_are_cut(tmp_path, monkeypatch):
    path = written(tmp_path, made())
    monkeypatch.setattr(memory, "available_memory", lambda: 100_000)
    with pytest.raises(DataError, match=r"windows of 50 x 2 numbers: 0.0 GB are needed"):
        prepared(path, MinMax(), lookback=50)


def test_a_series_in_parquet_is_the_series_of_the_text(tmp_path):
    import polars as pl

    columns = made(60)
    frame = pl.DataFrame(columns).with_columns(pl.col("when").str.to_datetime("%Y-%m-%d %H:%M"))
    frame.write_parquet(tmp_path / "series.parquet")
    stored, text = table_of(tmp_path / "series.parquet"), table_of(written(tmp_path, columns))
    np.testing.assert_array_equal(stored.x, text.x)
    np.testing.assert_array_equal(series_of(stored).at, series_of(text).at)
    assert series_of(stored).grid == series_of(text).grid


def test_a_generated_load_follows_its_weather_and_its_seasons():
    still = {"noise": 0.0, "trend": 0.0, "samples": 2000, "targets": ["load", "weather"]}
    table = Source.parse({"seasonal": {**still, "lead": 5, "effect": 2.0}}).load(Path(), 0)
    t = np.arange(2000)
    load, weather = series_of(table).values.T
    deviation = weather - np.sin(2 * np.pi * t / 24)
    seasons = 10 + 2 * np.sin(2 * np.pi * t / 24) + np.sin(2 * np.pi * t / 168)
    np.testing.assert_allclose((load - seasons)[5:], 2 * deviation[:-5])
    assert deviation.std() == pytest.approx(1, abs=0.2)
    assert not np.array_equal(table.x, Source.parse({"seasonal": {**still, "lead": 5}}).load(Path(), 1).x)
