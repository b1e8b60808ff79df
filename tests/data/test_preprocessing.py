"""What is learned from the training part, kept as JSON, and applied to new files."""

import gzip
import struct

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnctl.core.errors import DataError
from nnctl.data.prepare import prepare
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.reading import read_input
from nnctl.data.scaling import NoScaling, Pixels, Scaling, Standard
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan
from nnctl.data.table import Columns, Table

ALL = SplitPlan(validation=0, test=0)


class Given(Source):
    """A table that a test made."""

    table: object

    def load(self, base, seed):
        return self.table


def prepared(table, task="classification", plan=ALL, scaling=None, **options):
    return prepare(Given.model_construct(table=table), plan, scaling or Standard(), task=task, **options)


texts = st.sampled_from(["u", "v", "w x", "ß", "", None])
numbers = st.none() | st.floats(-1e9, 1e9)
rows = st.lists(st.tuples(numbers, numbers, texts, texts), min_size=6, max_size=12)


@settings(max_examples=40)
@given(rows, st.sampled_from(["onehot", "ordinal"]), st.sampled_from(["median", "mean", "most_frequent"]))
def test_preprocessing_survives_json_bit_for_bit(rows, encoding, impute):
    columns = dict(zip("abcd", map(list, zip(*rows, strict=True)), strict=True))
    columns["a"][0] = columns["b"][0] = 1.0
    types = {"a": pl.Float64, "b": pl.Float64, "c": pl.String, "d": pl.String}
    frame = pl.DataFrame(columns, schema=types)
    y = np.arange(len(rows)) % 2
    plan = Columns(encoding=encoding, impute=impute, categorical=("c", "d"))
    table = Table(frame, y, tuple("abcd"), "y", columns=plan)
    made = prepared(table).preprocessing
    back = Preprocessing.from_json(made.to_json())
    assert back.to_json() == made.to_json()
    assert back.transform(table).tobytes() == made.transform(table).tobytes()
    assert back.features == made.features


@pytest.mark.parametrize("impute", ["median", "mean", "most_frequent"])
def test_columns_are_what_scikit_learn_makes_of_them(impute):
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(0)
    numeric = rng.integers(0, 9, (90, 2)).astype(float)
    numeric[rng.uniform(size=numeric.shape) < 0.2] = np.nan
    job = rng.choice(["cook", "nurse", "clerk"], 90)
    frame = pl.DataFrame({"a": numeric[:, 0], "b": numeric[:, 1], "job": job}).with_columns(
        pl.col("a", "b").fill_nan(None)
    )
    table = Table(frame, np.arange(90) % 2, ("a", "b", "job"), columns=Columns(impute=impute))
    made = prepared(table, plan=SplitPlan(), dtype=np.float64)
    train, test = made.train.rows, made.test.rows
    imputer = SimpleImputer(strategy=impute).fit(numeric[train])
    scaler = StandardScaler().fit(imputer.transform(numeric[train]))
    encoder = OneHotEncoder(sparse_output=False).fit(job[train, None])
    expected = np.hstack([scaler.transform(imputer.transform(numeric[test])), encoder.transform(job[test, None])])
    np.testing.assert_allclose(made.test.x, expected, rtol=1e-12, atol=1e-12)


def test_the_parts_are_the_transformed_rows_of_the_table():
    table = Source.parse("digits").load(None, 0)
    made = prepared(table, plan=SplitPlan())
    whole = made.preprocessing.transform(table)
    for part in (made.train, made.validation, made.test):
        assert np.array_equal(part.x, whole[part.rows])
        assert np.array_equal(part.y, made.preprocessing.encode_target(table)[part.rows])


@given(st.lists(st.integers(-3, 3), min_size=4, max_size=30).filter(lambda y: len(set(y)) > 1), st.booleans())
def test_labels_come_back_as_their_names(labels, as_float):
    y = np.array(labels, float if as_float else int)
    table = Table(np.zeros((len(y), 1)), y, ("x",))
    made = prepared(table).preprocessing
    assert made.decode_target(made.encode_target(table)).tolist() == [str(label) for label in labels]
    assert list(made.classes) == [str(label) for label in sorted(set(labels))]


def test_an_unknown_label_is_named():
    made = prepared(Table(np.zeros((4, 1)), np.array(["cat", "dog"] * 2), ("x",))).preprocessing
    with pytest.raises(DataError, match=r"'dgo' \(row 2\) is no known class\. Did you mean 'dog'"):
        made.encode_target(Table(np.zeros((2, 1)), np.array(["cat", "dgo"]), ("x",)))


def test_a_column_without_a_value_in_the_training_part_is_refused():
    frame = pl.DataFrame({"a": [None, None, 1.0], "b": [1.0, 2.0, 3.0]})
    table = Table(frame, np.array([0, 1, 0]), ("a", "b"))
    with pytest.raises(DataError, match=r"column 'a' has no value in the training part\. Drop it"):
        prepared(table, plan=SplitPlan(test=1, validation=0, shuffle=False))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": 1}', "null"])
def test_a_damaged_preprocessing_is_refused(text):
    with pytest.raises(DataError, match=r"the run's preprocessing cannot be read"):
        Preprocessing.from_json(text)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([147.0, 211.0], "mean 179.0 and spread 32.0"),
        ([-30.0, 30.0], "mean 0.0 and spread 30.0"),
        ([-300.0, -302.0], "mean -301.0 and spread 1.0"),
        ([[0.0, 5000.0], [1.0, 7000.0]], "mean 6,000.0 and spread 1,000.0"),
        ([-10.0, 10.0], None),
        ([[0.0, 1.0], [1.0, 0.0]], None),
    ],
)
def test_a_large_target_without_scaling_is_told_once(y, said):
    table = Table(np.eye(2), np.array(y), ("a", "b"), "y")
    advice = f"the target has {said}: data.target_scaling: standard helps a network learn it."
    assert prepared(table, "regression").notes == ((advice,) if said else ())
    assert prepared(table, "regression", target_scaling=Standard()).notes == ()
    if np.ndim(y) == 1:
        assert prepared(table).notes == ()


def csv_run(folder, text="age,job,y\n30,cook,no\n40,?,yes\n,nurse,yes\n50,cook,no\n", **fields):
    (folder / "train.csv").write_text(text)
    source = Source.parse({"csv": {"path": "train.csv", "target": "y", **fields}})
    made = prepare(source, ALL, Standard(), task="classification", base=folder)
    return source, made


def write(folder, name, text):
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_new_file_may_lack_the_target_and_have_more_columns_in_another_order(tmp_path):
    source, made = csv_run(tmp_path)
    path = write(tmp_path, "new.csv", "job,note,age\ncook,hello,30\n?,,\n")
    table = read_input(path, made.preprocessing, source)
    assert table.y is None
    x = made.preprocessing.transform(table)
    np.testing.assert_array_equal(x[0], made.train.x[0])
    assert x[1].tolist() == [made.train.x[2, 0], 1, 0, 0]


def test_a_new_file_with_its_targets_gives_them(tmp_path):
    source, made = csv_run(tmp_path)
    table = read_input(write(tmp_path, "new.csv", "age,job,y\n1,cook,yes\n"), made.preprocessing, source)
    assert made.preprocessing.encode_target(table).tolist() == [1]


def test_a_new_file_without_a_header_may_lack_the_target(tmp_path):
    fields = {"header": False, "columns": ["a", "y", "b"]}
    source, made = csv_run(tmp_path, "1,u,2\n3,v,4\n", **fields)
    table = read_input(write(tmp_path, "new.csv", "3,4\n"), made.preprocessing, source)
    np.testing.assert_array_equal(made.preprocessing.transform(table), made.train.x[1:])


def test_a_missing_column_is_named(tmp_path):
    source, made = csv_run(tmp_path)
    table = read_input(write(tmp_path, "new.csv", "age,y\n1,no\n"), made.preprocessing, source)
    with pytest.raises(DataError, match=r"1 column of the training data is missing: job\. There are: age, y"):
        made.preprocessing.transform(table)


def test_values_unseen_in_training_are_told_in_one_sentence(tmp_path):
    source, made = csv_run(tmp_path)
    table = read_input(write(tmp_path, "new.csv", "age,job\n1,pilot\n2,cook\n"), made.preprocessing, source)
    assert made.preprocessing.transform(table)[0, 1:].tolist() == [0, 0, 0]
    assert made.preprocessing.unseen(table) == (
        "categories that the training part does not have are encoded as all zeros: job (pilot; 1 row)."
    )


def test_codes_that_were_categories_stay_categories(tmp_path):
    source, made = csv_run(tmp_path, "code,y\n01,u\n2,v\nx,u\n")
    table = read_input(write(tmp_path, "new.csv", "code\n01\n2\n"), made.preprocessing, source)
    assert made.preprocessing.transform(table).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_missing_number_that_training_never_missed_is_refused(tmp_path):
    source, made = csv_run(tmp_path, "a,y\n1,u\n2,v\n")
    table = read_input(write(tmp_path, "new.csv", "a,b\n1,1\n,2\n"), made.preprocessing, source)
    with pytest.raises(DataError, match=r"column 'a' is NaN in 1 row of 2 \(row 2\)"):
        made.preprocessing.transform(table)


def test_a_text_where_training_had_numbers_is_refused(tmp_path):
    source, made = csv_run(tmp_path, "a,y\n1,u\n2,v\n")
    table = read_input(write(tmp_path, "new.csv", "a\nhello\n"), made.preprocessing, source)
    with pytest.raises(DataError, match=r"column 'a' should hold numbers and holds 'hello'"):
        made.preprocessing.transform(table)


def test_rows_of_another_kind_of_file_will_do(tmp_path):
    made = prepare(Source.parse("iris"), ALL, Standard(), task="classification")
    raw = Source.parse("iris").load(tmp_path, 0)
    names = ",".join(raw.features)
    path = write(tmp_path, "new.csv", f"{names}\n5.1,3.5,1.4,0.2\n")
    np.testing.assert_array_equal(made.preprocessing.transform(read_input(path, made.preprocessing)), made.train.x[:1])
    np.savez(tmp_path / "new.npz", x=raw.x)
    np.save(tmp_path / "new.npy", raw.x)
    for name in ("new.npz", "new.npy"):
        table = read_input(str(tmp_path / name), made.preprocessing)
        np.testing.assert_array_equal(made.preprocessing.transform(table), made.train.x)


def test_rows_of_another_shape_are_refused(tmp_path):
    made = prepare(Source.parse("iris"), ALL, Standard(), task="classification")
    np.save(tmp_path / "new.npy", np.ones((2, 5)))
    with pytest.raises(DataError, match=r"shape \(5,\); the network was trained on \(4,\)"):
        made.preprocessing.transform(read_input(str(tmp_path / "new.npy"), made.preprocessing))


def test_new_images_are_read_from_idx(tmp_path):
    made = prepared(Table(np.ones((4, 6), np.uint8), np.arange(4) % 2), scaling=Pixels())
    content = struct.pack(">HBBIII", 0, 8, 3, 1, 2, 3) + bytes(range(6))
    (tmp_path / "new.idx.gz").write_bytes(gzip.compress(content))
    table = read_input(str(tmp_path / "new.idx.gz"), made.preprocessing)
    np.testing.assert_allclose(made.preprocessing.transform(table), np.arange(6)[None] / 255, rtol=1e-6)


def test_a_file_of_an_unknown_kind_is_refused(tmp_path):
    made = prepared(Table(np.ones((4, 6)), np.arange(4) % 2), scaling=NoScaling())
    with pytest.raises(DataError, match=r"of no kind that can be read\. Known: \.csv"):
        read_input(write(tmp_path, "new.doc", "x"), made.preprocessing)


def test_parquet_rows_are_read_for_prediction(tmp_path):
    source, made = csv_run(tmp_path)
    pl.DataFrame({"age": [30], "job": ["cook"]}).write_parquet(tmp_path / "new.parquet")
    table = read_input(str(tmp_path / "new.parquet"), made.preprocessing, source)
    np.testing.assert_array_equal(made.preprocessing.transform(table), made.train.x[:1])


def test_every_scaling_has_a_name_and_documented_fields():
    for name, member in Scaling.members().items():
        assert member.__doc__
        assert set(member.field_docs()) == set(member.model_fields), name


def test_every_source_documents_its_fields():
    for name, member in Source.members().items():
        assert member.__doc__
        assert set(member.field_docs()) == set(member.model_fields), name
