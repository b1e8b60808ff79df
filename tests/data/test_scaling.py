import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError
from sklearn import preprocessing

from nnctl.data.scaling import Affine, Channels, MinMax, NoScaling, Pixels, Robust, Scaling, Standard

RNG = np.random.default_rng(0)
PAIRS = [
    (Standard(), preprocessing.StandardScaler()),
    (MinMax(), preprocessing.MinMaxScaler()),
    (MinMax(range=(-1.0, 3.0)), preprocessing.MinMaxScaler((-1, 3))),
    (Robust(), preprocessing.RobustScaler()),
]
values = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize(
    "x",
    [
        RNG.normal(3, 5, (300, 4)),
        RNG.integers(0, 256, (200, 6)).astype(np.uint8),
        np.column_stack([np.full(50, 0.1), RNG.normal(1e5, 1.0, 50), RNG.normal(size=50), np.zeros(50)]),
        RNG.normal(1e4, 1, (9000, 70)).astype(np.float32),
    ],
    ids=["normal", "bytes", "constant columns", "many float32 rows"],
)
def test_scaling_equals_scikit_learns(ours, theirs, x):
    expected = theirs.fit(x.astype(np.float64)).transform(x.astype(np.float64))
    np.testing.assert_allclose(ours.fit(x).apply(x, dtype=np.float64), expected, rtol=1e-6, atol=1e-7)


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6), elements=values))
def test_scaling_comes_back(x):
    for scaling in (Standard(), MinMax(), MinMax(range=(-1.0, 1.0)), Pixels(), NoScaling()):
        affine = scaling.fit(x)
        np.testing.assert_allclose(affine.invert(affine.apply(x, dtype=np.float64)), x, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_channels_of_images_get_mean_zero_and_variance_one_over_all_pixels_of_the_training_part(dtype):
    x = (RNG.normal(100, 30, (4000, 5, 6, 3)) + np.array([0, 40, -40])).clip(0, 255).astype(dtype)
    rows = np.arange(1, 3000, 2)
    affine = Channels().fit(x, rows)
    np.testing.assert_allclose(affine.center, x[rows].mean((0, 1, 2), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(affine.scale, x[rows].std((0, 1, 2), dtype=np.float64), rtol=1e-12)
    assert affine.apply(x, rows).shape == (1500, 5, 6, 3)


@pytest.mark.parametrize("shape", [(50, 64), (50, 8, 8)])
def test_rows_that_are_no_images_of_channels_are_one_channel(shape):
    x = RNG.normal(3, 2, shape)
    affine = Channels().fit(x)
    np.testing.assert_allclose([affine.center, affine.scale], [x.mean(), x.std()])


@given(hnp.arrays(np.float64, (3, 2), elements=st.floats(allow_nan=False, allow_infinity=False, width=64)))
def test_an_affine_map_survives_json_bit_for_bit(x):
    affine = Affine(x[0], x[1])
    back = Affine.from_plain(json.loads(json.dumps(affine.to_plain())))
    assert back.center.tobytes() == affine.center.tobytes()
    assert back.scale.tobytes() == affine.scale.tobytes()


@pytest.mark.parametrize("value", [1e30, 0.1, 2.0**62])
def test_a_constant_feature_becomes_zero_however_large_it_is(value):
    x = np.full((39, 1), value)
    assert not Standard().fit(x).apply(x, dtype=np.float64).any()
    assert not Standard().fit(x, np.arange(3, 30)).apply(x, dtype=np.float64).any()


def test_a_constant_feature_has_scale_one():
    x = np.full((20, 1), 0.3)
    for scaling in (Standard(), MinMax(), Robust(), Channels()):
        affine = scaling.fit(x)
        assert affine.scale == 1
        np.testing.assert_allclose(affine.apply(x), 0, atol=1e-12)


def test_scaling_is_fitted_on_the_chosen_rows_alone():
    x = np.array([[0.0], [2.0], [1000.0]])
    assert Standard().fit(x, np.array([0, 1])).center == 1
    assert MinMax().fit(x, np.array([0, 1])).apply(x)[:, 0].tolist() == [0, 1, 500]
    assert Robust().fit(x, np.array([0, 1])).center == 1


def test_pixels_divides_by_white_and_keeps_the_shape():
    x = np.arange(0, 240, 10, dtype=np.uint8).reshape(2, 3, 4)
    scaled = Pixels().fit(x).apply(x)
    assert scaled.shape == (2, 3, 4)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, x / 255, rtol=1e-6)


def test_large_offsets_do_not_lose_their_digits_in_float32():
    x = 2e9 + np.arange(100.0)[:, None]
    scaled = Standard().fit(x).apply(x, dtype=np.float32)
    assert len(np.unique(scaled)) == 100


def test_a_range_must_rise():
    with pytest.raises(ValidationError, match=r"range must rise\. Got \[1, 1\]"):
        Scaling.parse({"minmax": [1, 1]})
    assert Scaling.parse({"minmax": [-1, 1]}) == MinMax(range=(-1.0, 1.0))
