"""Files of columns: csv, tsv, parquet; what they become, and what is said when they cannot be read."""

import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from nnctl.core.errors import DataError
from nnctl.data.prepare import prepare
from nnctl.data.scaling import NoScaling, Standard
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan

ALL = SplitPlan(validation=0, test=0)


def write(folder, text, name="a.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return name


def made(folder, task="classification", plan=ALL, scaling=None, kind="csv", **fields):
    source = Source.parse({kind: {"path": "a.csv", "target": "y", **fields}})
    return prepare(source, plan, scaling or NoScaling(), task=task, base=folder, dtype=np.float64)


MIXED = "age, job , y\n 30, cook, no\n40, ?, yes\n, nurse, yes\n50, cook, no\n"


def test_texts_become_categories_and_missing_numbers_the_median(tmp_path):
    write(tmp_path, MIXED)
    data = made(tmp_path)
    assert data.features == ("age", "job=(missing)", "job=cook", "job=nurse")
    assert data.train.x.tolist() == [[30, 0, 1, 0], [40, 1, 0, 0], [40, 0, 0, 1], [50, 0, 1, 0]]
    assert data.classes == ("no", "yes")
    assert data.train.y.tolist() == [0, 1, 1, 0]
    assert data.notes == ("missing numbers were filled from the training part: age (1 row).",)


def test_categories_can_be_ordinal_and_filled_with_the_most_frequent(tmp_path):
    write(tmp_path, MIXED)
    data = made(tmp_path, encoding="ordinal", impute="most_frequent")
    assert data.features == ("age", "job")
    assert data.train.x[:, 1].tolist() == [0, 0, 1, 0]


def test_one_hot_columns_are_not_scaled(tmp_path):
    write(tmp_path, MIXED)
    x = made(tmp_path, scaling=Standard()).train.x
    assert abs(x[:, 0].mean()) < 1e-12
    assert set(x[:, 1:].ravel().tolist()) == {0.0, 1.0}


def test_missing_values_can_be_forbidden(tmp_path):
    write(tmp_path, MIXED)
    with pytest.raises(DataError, match=r"column 'job' is missing in 1 row of 4 \(row 2\)"):
        made(tmp_path, impute="error", drop=["age"])
    with pytest.raises(DataError, match=r"column 'age' is missing in 1 row of 4 \(row 3\), and `impute: error`"):
        made(tmp_path, impute="error", drop=["job"])


def test_codes_are_numbers_unless_they_are_said_to_be_categories(tmp_path):
    write(tmp_path, "code,y\n1,a\n2,b\n10,a\n")
    assert made(tmp_path).features == ("code",)
    assert made(tmp_path, categorical=["code"]).features == ("code=1", "code=10", "code=2")


def test_a_purely_numeric_csv_does_without_scikit_learn(tmp_path):
    rows = "\n".join(f"{i},{i * i % 7},{i % 2}" for i in range(60))
    write(tmp_path, "a,b,y\n" + rows)
    code = (
        "import sys; from pathlib import Path\n"
        "from nnctl.data.prepare import prepare; from nnctl.data.scaling import Standard\n"
        "from nnctl.data.sources import Source; from nnctl.data.splits import SplitPlan\n"
        "source = Source.parse({'csv': {'path': 'a.csv', 'target': 'y'}})\n"
        "prepare(source, SplitPlan(), Standard(), task='classification', base=Path(sys.argv[1]))\n"
        "print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_tsv_and_parquet_and_another_separator_say_the_same(tmp_path):
    write(tmp_path, "a,b,y\n1,u,0\n2,v,1\n")
    write(tmp_path, "a\tb\ty\n1\tu\t0\n2\tv\t1\n", "a.tsv")
    write(tmp_path, "a;b;y\n1;u;0\n2;v;1\n", "a.txt")
    pl.DataFrame({"a": [1, 2], "b": ["u", "v"], "y": [0, 1]}).write_parquet(tmp_path / "a.parquet")
    expected = made(tmp_path).train.x.tolist()
    assert made(tmp_path, kind="tsv", path="a.tsv").train.x.tolist() == expected
    assert made(tmp_path, path="a.txt", separator=";").train.x.tolist() == expected
    assert made(tmp_path, kind="parquet", path="a.parquet").train.x.tolist() == expected


def test_parquet_keeps_its_types(tmp_path):
    frame = pl.DataFrame({"zip": ["010", "020"], "flag": [True, False], "n": [1.5, None], "y": ["a", "b"]})
    frame.write_parquet(tmp_path / "a.parquet")
    data = made(tmp_path, kind="parquet", path="a.parquet")
    assert data.features == ("flag", "n", "zip=010", "zip=020")
    assert data.train.x.tolist() == [[1, 1.5, 1, 0], [0, 1.5, 0, 1]]


def test_given_files_are_the_parts(tmp_path):
    write(tmp_path, "x,y\n1,a\n2,b\n3,a\n4,b\n", "train.csv")
    write(tmp_path, "x,y\n5,a.\n6,b.\n", "test.csv")
    source = Source.parse({"csv": {"train": "train.csv", "test": "test.csv", "target": "y", "label_strip": "."}})
    data = prepare(source, SplitPlan(validation=2), NoScaling(), task="classification", base=tmp_path)
    assert data.test.x[:, 0].tolist() == [5, 6]
    assert data.test.y.tolist() == [0, 1]
    assert len(data.validation) == 2
    assert len(data.train) == 2


def test_a_file_without_a_header_is_given_its_names(tmp_path):
    write(tmp_path, "1,2,a\n3,4,b\n")
    assert made(tmp_path, header=False, columns=["u", "v", "y"]).features == ("u", "v")
    assert made(tmp_path, header=False, target="column_3").features == ("column_1", "column_2")


def test_weights_and_groups_are_no_inputs(tmp_path):
    write(tmp_path, "x,w,g,y\n" + "".join(f"{i},{i + 1},g{i // 4},{i % 2}\n" for i in range(20)))
    data = made(tmp_path, plan=SplitPlan(validation=1, test=1, group="g"), weight="w")
    assert data.features == ("x",)
    np.testing.assert_array_equal(data.train.weight, data.train.rows + 1)
    assert not set(data.train.rows // 4) & set(data.test.rows // 4)


def test_a_value_unseen_in_training_is_noted_and_encoded_as_nothing(tmp_path):
    write(tmp_path, "c,y\nu,0\nv,1\n", "train.csv")
    write(tmp_path, "c,y\nw,0\nv,1\n", "test.csv")
    for encoding, expected in (("onehot", [[0, 0], [0, 1]]), ("ordinal", [[-1], [1]])):
        fields = {"train": "train.csv", "test": "test.csv", "target": "y", "encoding": encoding}
        source = Source.parse({"csv": fields})
        data = prepare(source, SplitPlan(validation=0), NoScaling(), task="classification", base=tmp_path)
        assert data.test.x.tolist() == expected
        assert len(data.notes) == 1
        assert "c (w; 1 row)" in data.notes[0]


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("", {}, "is empty"),
        ("a,y\n", {}, "csv: there are no rows"),
        ("a,y\n1,2\n3\n", {}, r"a.csv:3: has 1 value where the first line has 2"),
        ("a,y\n1,2\n3,4,5\n", {}, r"a.csv:3: has 3 values where the first line has 2"),
        ("a,a,y\n1,2,3\n", {}, "two columns are called 'a'"),
        ("a,target\n1,2\n", {"target": "Targett"}, "there is no column 'Targett'. Did you mean 'target'?"),
        ("a,y\n1,2\n", {"drop": ["b"]}, r"data\.source\.csv\.drop: there is no column 'b'"),
        ("a,z\n1,2\n", {}, r"data\.source\.csv\.target: there is no column 'y'"),
        ("a,y\n1,u\n2,\n", {}, r"target 'y' is missing in 1 row of 2 \(row 2\)"),
        ("a,y\n1,u\n2,u\n", {}, "target 'y' has one class only, 'u'"),
        ("a,y\ninf,u\n2,v\n", {}, r"column 'a' is infinite in 1 row of 2 \(row 1\)"),
        ("a,y\n1e39,u\n2,v\n", {}, r"column 'a' is beyond 3.4e38 in 1 row"),
        ("y\nu\nv\n", {}, "no input columns"),
        ("a,y\n1,u\n2,v\n", {"header": False, "columns": ["y"]}, "has 2 columns and `columns` names 1"),
        (
            "a,y\nx1,u\n2,v\n",
            {"numeric": ["a"]},
            r"should hold numbers and holds 'x1': 1 value .*\(row 1\)",
        ),
        ("a,y\nx1,u\n2,v\n", {"numeric": ["b"]}, "numeric: there is no column 'b' among the inputs"),
        ("a,y\nx1,u\n2,v\n", {"numeric": ["a"], "categorical": ["a"]}, "said to be numeric and categorical"),
        ("a,w,y\n1,-1,u\n2,1,v\n", {"weight": "w"}, r"weights are missing, negative or infinite in 1 row \(row 1\)"),
        ("a,w,y\n1,k,u\n2,1,v\n", {"weight": "w"}, "weights must be 2 numbers"),
        ("a,y\n" + "".join(f"n{i},{i % 2}\n" for i in range(30)), {}, r"drop it: `drop: \[a\]`"),
        ("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(30)) + "-,1\n", {}, "but for 1 value, such as '-'"),
        ('a,y\n"1,2\n', {}, "a.csv:2: has 1 value where the first line has 2"),
    ],
)
def test_what_cannot_be_learned_from_is_said_clearly(tmp_path, text, fields, message):
    write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        made(tmp_path, **fields)


def test_a_text_target_is_refused_for_a_regression(tmp_path):
    write(tmp_path, "a,y\n1,low\n2,high\n")
    with pytest.raises(DataError, match=r"'low'\. Regression needs numbers, and the loss is .* such as cross_entropy"):
        made(tmp_path, task="regression")


def test_a_fractional_target_is_refused_for_a_classification(tmp_path):
    write(tmp_path, "a,y\n1,0.5\n2,1.5\n")
    with pytest.raises(
        DataError, match=r"looks continuous: 2 .*the loss is for classification\. Use a regression loss such as mse"
    ):
        made(tmp_path)


def test_a_file_that_is_not_there_is_looked_for_in_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a,y\n1,u\n2,v\n", "iris.csv")
    with pytest.raises(DataError, match=r"iriss.csv: there is no such file in .*Did you mean 'iris.csv'"):
        made(tmp_path / "elsewhere", path="iriss.csv")
    assert len(made(tmp_path / "elsewhere", path="iris.csv").train) == 2
    with pytest.raises(DataError, match=r"is a folder"):
        made(tmp_path, path=".")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,y\n1,\xe9\n")
    with pytest.raises(DataError, match=r"a.csv:2: byte 7 \(0xe9\) is no text in utf-8.*`text_encoding: cp1252`"):
        made(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match=r"no parquet file"):
        made(tmp_path, kind="parquet", path="a.parquet")


def test_names_in_another_encoding_are_refused_until_it_is_said(tmp_path):
    text = "größe,y\n1,schön\n2,übel\n"
    for encoding, place in (("cp1252", r"a.csv:1: byte 3 \(0xf6\)"), ("utf-16", r"a.csv:1: byte 1 \(0xff\)")):
        (tmp_path / "a.csv").write_bytes(text.encode(encoding))
        with pytest.raises(DataError, match=rf"{place} is no text in utf-8.*text_encoding: {encoding}"):
            made(tmp_path)
        data = made(tmp_path, text_encoding=encoding)
        assert (data.features, data.classes) == (("größe",), ("schön", "übel"))
    (tmp_path / "a.csv").write_bytes(text.encode("utf-8-sig"))
    assert made(tmp_path).features == ("größe",)


@pytest.mark.parametrize("name", ["utf9", "base64", "a\0b"])
def test_an_encoding_that_nobody_knows_is_refused(name):
    with pytest.raises(ValidationError, match="text_encoding"):
        Source.parse({"csv": {"path": "a.csv", "target": "y", "text_encoding": name}})


def test_numbers_may_have_a_decimal_comma(tmp_path):
    write(tmp_path, "preis;menge;art;y\n152,8;1;1,5 kg;0,5\n-1,5e3;2;2 kg;1,5\n;3;2 kg;2\n")
    data = made(tmp_path, task="regression", separator=";", decimal=",")
    assert data.features == ("preis", "menge", "art=1,5 kg", "art=2 kg")
    assert data.train.x[:, :2].tolist() == [[152.8, 1], [-1500, 2], [-673.6, 3]]
    assert data.train.y.ravel().tolist() == [0.5, 1.5, 2]


@pytest.mark.parametrize(
    ("values", "fields", "message"),
    [
        ("152,8 3,5", {}, r"column 'preis' holds numbers with a decimal comma, such as '152,8': say `decimal: ','`"),
        ("152.8 3.5", {"decimal": ","}, r"with a decimal point, such as '152.8': say `decimal: '\.'`"),
        ("152.8 3,5", {}, r"with decimal points and others with decimal commas, such as '3,5'\. Mend the file"),
        (
            "1.234,5 7,5",
            {"decimal": ",", "numeric": ["preis"]},
            r"holds '1.234,5': 1 value of 2 is no number",
        ),
    ],
)
def test_numbers_with_the_other_decimal_mark_are_no_categories(tmp_path, values, fields, message):
    first, second = values.split()
    write(tmp_path, f"preis;y\n{first};a\n{second};b\n")
    with pytest.raises(DataError, match=message):
        made(tmp_path, separator=";", **fields)
    assert made(tmp_path, separator=";", **(fields | {"numeric": [], "categorical": ["preis"]})).features


def test_texts_of_a_parquet_file_that_look_like_numbers_stay_texts_unless_they_are_said_to_be_numbers(tmp_path):
    pl.DataFrame({"v": ["1.5", "2.0"], "y": ["a", "b"]}).write_parquet(tmp_path / "a.parquet")
    assert made(tmp_path, kind="parquet", path="a.parquet").features == ("v=1.5", "v=2.0")
    assert made(tmp_path, kind="parquet", path="a.parquet", numeric=["v"]).train.x.tolist() == [[1.5], [2]]


@pytest.mark.parametrize("fields", [{}, {"path": "a", "train": "b"}, {"path": "a", "test": "b"}, {"test": "b"}])
def test_a_file_source_has_a_path_or_a_training_file(fields):
    with pytest.raises(ValidationError, match=r"path"):
        Source.parse({"csv": {"target": "y", **fields}})


def test_parts_must_have_the_same_columns(tmp_path):
    write(tmp_path, "x,y\n1,a\n2,b\n", "train.csv")
    write(tmp_path, "z,y\n1,a\n2,b\n", "test.csv")
    source = Source.parse({"csv": {"train": "train.csv", "test": "test.csv", "target": "y"}})
    with pytest.raises(DataError, match=r"test.csv: has the columns z, y; the training file train.csv has x, y"):
        source.load(tmp_path, 0)


def test_time_and_group_columns_must_be_there_and_complete(tmp_path):
    write(tmp_path, "x,t,y\n1,2020-01-01,a\n2,,b\n")
    with pytest.raises(DataError, match=r"column 't' is missing in 1 row \(row 2\)"):
        made(tmp_path, plan=SplitPlan(time="t"))
    with pytest.raises(DataError, match=r"there is no column 'tt'. Did you mean 't'"):
        made(tmp_path, plan=SplitPlan(time="tt"))


def dated(folder, dates):
    write(folder, "day,x,y\n" + "".join(f"{day},{i},{i % 2}\n" for i, day in enumerate(dates)))


@pytest.mark.parametrize(
    "layout", ["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S"]
)
def test_the_latest_dates_are_the_test_part_however_they_are_written(tmp_path, layout):
    days = [datetime(2023, 11, 20, 12, tzinfo=UTC) + timedelta(days=3 * i) for i in range(30)]
    order = np.random.default_rng(0).permutation(30)
    dated(tmp_path, [days[i].strftime(layout) for i in order])
    data = made(tmp_path, plan=SplitPlan(validation=5, test=5, time="day"))
    assert sorted(order[data.test.rows]) == [25, 26, 27, 28, 29]
    assert sorted(order[data.validation.rows]) == [20, 21, 22, 23, 24]
    assert data.features == ("x",)


@pytest.mark.parametrize("dates", [["spring", "fall"], ["03/04/2024", "05/04/2024"], ["31.12.99", "01.01.00"]])
def test_texts_that_are_no_sure_dates_are_no_times(tmp_path, dates):
    dated(tmp_path, dates * 5)
    with pytest.raises(DataError, match=rf"data\.split\.time: column 'day' holds .* such as '{dates[0]}'"):
        made(tmp_path, plan=SplitPlan(time="day"))


def test_a_column_of_dates_is_named_as_such(tmp_path):
    dated(tmp_path, [f"{1 + i % 28:02}.{1 + i // 28:02}.2024" for i in range(60)])
    with pytest.raises(
        DataError, match=r"'day' looks like a date, such as '01.01.2024'.*`split: \{time: day\}`, or drop"
    ):
        made(tmp_path)


def test_a_column_cannot_be_dropped_and_be_the_time(tmp_path):
    dated(tmp_path, [f"2024-01-{i:02}" for i in range(1, 20)])
    with pytest.raises(DataError, match=r"data\.split\.time: column 'day' stands in `drop`. Take it out there"):
        made(tmp_path, plan=SplitPlan(time="day"), drop=["day"])


def openml(monkeypatch, answer):
    from sklearn import datasets

    def fetch_openml(**which):
        warnings.warn("Multiple active versions.\nReturning version 1.", stacklevel=2)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(datasets, "fetch_openml", fetch_openml)


def test_openml_sets_are_columns_with_their_categories(monkeypatch, tmp_path):
    answer = SimpleNamespace(
        data=np.array([[1.0, 0.0], [np.nan, 1.0], [3.0, np.nan]]),
        feature_names=["age", "sex"],
        categories={"sex": ["f", "m"]},
        target=np.array(["a", "b", "a"], object),
        target_names=["y"],
    )
    openml(monkeypatch, answer)
    data = prepare(Source.parse({"openml": "people"}), ALL, NoScaling(), task="classification", base=tmp_path)
    assert data.features == ("age", "sex=(missing)", "sex=f", "sex=m")
    assert data.train.x.tolist() == [[1, 0, 1, 0], [2, 0, 0, 1], [3, 1, 0, 0]]
    assert data.preprocessing.target == "y"
    assert data.notes[0] == "openml: Multiple active versions. Returning version 1."


def test_openml_without_a_network_is_a_clear_error(monkeypatch, tmp_path):
    openml(monkeypatch, OSError("no route to host"))
    with pytest.raises(DataError, match=r"openml: 'people' cannot be fetched: OSError: no route to host"):
        Source.parse({"openml": "people"}).load(tmp_path, 0)
