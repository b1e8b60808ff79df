"""The plain path: bundled and generated sets, random and stratified splits, standard and minmax scaling."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnctl.core.errors import DataError
from nnctl.data.prepare import prepare
from nnctl.data.scaling import NoScaling, Scaling, Standard
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan

HERE = Path()


@pytest.mark.parametrize("name", ["iris", "digits", "wine", "breast_cancer", "diabetes"])
def test_a_bundled_set_is_what_scikit_learn_loads(name):
    from sklearn import datasets

    theirs = getattr(datasets, f"load_{name}")()
    ours = Source.parse(name).load(HERE, 0)
    np.testing.assert_allclose(ours.x, theirs.data, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(ours.y, theirs.target)
    assert ours.features == tuple(theirs.feature_names)
    if name != "diabetes":
        assert ours.classes == tuple(map(str, theirs.target_names))
        assert ours.y.dtype == np.int64


def test_diabetes_comes_in_its_raw_units_too():
    from sklearn.datasets import load_diabetes

    ours = Source.parse({"diabetes": {"scaled": False}}).load(HERE, 0)
    np.testing.assert_array_equal(ours.x, load_diabetes(scaled=False).data)


PLAIN = """
import sys
from pathlib import Path
import numpy as np
from nnctl.data.prepare import prepare
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.scaling import Scaling
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan
folder = Path(sys.argv[1])
np.savez(folder / "a.npz", x=np.random.default_rng(0).normal(size=(60, 3)), y=np.arange(60) % 2)
sources = ["iris", "digits", "wine", "breast_cancer", {"spirals": 90}, {"xor": 40}, {"npz": "a.npz"}]
for source in sources:
    for scaling in ("standard", "minmax", "none", "pixels"):
        for split in (SplitPlan(), SplitPlan(stratify=False, validation=10)):
            made = prepare(Source.parse(source), split, Scaling.parse(scaling), task="classification", base=folder)
            Preprocessing.from_json(made.preprocessing.to_json())
for source in ("diabetes", "sine"):
    prepare(Source.parse(source), SplitPlan(), Scaling.parse("minmax"), task="regression",
            target_scaling=Scaling.parse("standard"))
print([name for name in ("sklearn", "polars", "scipy", "pandas", "yaml", "matplotlib") if name in sys.modules])
"""


def test_the_plain_path_imports_neither_scikit_learn_nor_a_frame_library(tmp_path):
    done = subprocess.run([sys.executable, "-c", PLAIN, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_generated_rows_follow_the_seed_of_the_run_unless_they_have_their_own():
    sine = Source.parse("sine")
    fixed = Source.parse({"sine": {"seed": 5}})
    assert np.array_equal(sine.load(HERE, 1).x, sine.load(HERE, 1).x)
    assert not np.array_equal(sine.load(HERE, 1).x, sine.load(HERE, 2).x)
    assert np.array_equal(fixed.load(HERE, 1).x, fixed.load(HERE, 2).x)
    assert np.array_equal(fixed.load(HERE, 1).x, sine.load(HERE, 5).x)


@pytest.mark.parametrize(
    ("name", "width", "classes"),
    [("moons", 2, 2), ("circles", 2, 2), ("blobs", 2, 3), ("spirals", 2, 2), ("xor", 2, 2), ("and", 2, 2)],
)
def test_a_toy_classification_has_the_rows_that_were_asked_for(name, width, classes):
    table = Source.parse({name: {"samples": 120}}).load(HERE, 0)
    assert table.x.shape == (120, width)
    assert len(np.unique(table.y)) == classes
    assert np.isfinite(table.x).all()


@pytest.mark.parametrize(("name", "width"), [("swiss_roll", 3), ("friedman", 10), ("sine", 1)])
def test_a_toy_regression_has_the_rows_that_were_asked_for(name, width):
    table = Source.parse({name: {"samples": 50}}).load(HERE, 0)
    assert table.x.shape == (50, width)
    assert len(table.features) == width


def test_the_gates_are_their_truth_tables():
    for name, truth in (("xor", [0, 1, 1, 0]), ("and", [0, 0, 0, 1])):
        table = Source.parse(name).load(HERE, 0)
        assert table.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert table.y.tolist() == truth


def test_a_gate_without_test_and_validation_keeps_its_four_rows():
    made = prepare(Source.parse("xor"), SplitPlan(validation=0, test=0), NoScaling(), task="classification")
    assert made.validation is None
    assert made.test is None
    assert made.train.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert made.train.y.tolist() == [0, 1, 1, 0]
    assert made.classes == ("0", "1")
    assert made.outputs == 2


def test_what_is_learned_is_learned_from_the_training_part_alone():
    made = prepare(Source.parse("iris"), SplitPlan(), Standard(), task="classification", dtype=np.float64)
    raw = Source.parse("iris").load(HERE, 0).x
    np.testing.assert_allclose(made.preprocessing.scaling.center, raw[made.train.rows].mean(0), rtol=1e-12)
    np.testing.assert_allclose(made.train.x.mean(0), 0, atol=1e-12)
    assert np.abs(made.test.x.mean(0)).max() > 1e-3


def test_regression_targets_are_scaled_and_come_back():
    made = prepare(
        Source.parse("diabetes"),
        SplitPlan(),
        Standard(),
        task="regression",
        target_scaling=Standard(),
        dtype=np.float64,
    )
    raw = Source.parse("diabetes").load(HERE, 0).y
    assert made.train.y.shape == (308, 1)
    assert abs(made.train.y.mean()) < 1e-12
    np.testing.assert_allclose(made.preprocessing.decode_target(made.test.y)[:, 0], raw[made.test.rows], rtol=1e-12)
    assert made.outputs == 1


def test_the_parts_are_float32_and_the_labels_int64():
    made = prepare(Source.parse("digits"), SplitPlan(), Scaling.parse("standard"), task="classification")
    assert made.train.x.dtype == np.float32
    assert made.train.y.dtype == np.int64
    assert made.input_shape == (64,)
    assert made.features[9] == "pixel_1_1"


def test_predictions_are_named():
    made = prepare(Source.parse("iris"), SplitPlan(), Standard(), task="classification")
    assert made.preprocessing.decode_target(np.array([2, 0])).tolist() == ["virginica", "setosa"]


def test_named_classes_are_refused_for_a_regression():
    with pytest.raises(DataError, match=r"holds texts, such as 'setosa'\. Regression needs numbers"):
        prepare(Source.parse("iris"), SplitPlan(), Standard(), task="regression")


def test_a_quantity_is_refused_for_a_classification():
    with pytest.raises(DataError, match="looks continuous: 214 distinct values in 442 rows"):
        prepare(Source.parse("diabetes"), SplitPlan(), Standard(), task="classification")


def test_the_truth_table_is_too_small_to_be_split():
    with pytest.raises(DataError, match=r"test part has no row of class '\d'.*2 rows of 4"):
        prepare(Source.parse("xor"), SplitPlan(), Standard(), task="classification")
