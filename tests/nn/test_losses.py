"""Losses: gradients against differences, values against scikit-learn, stability."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from seeded_bugs import LOSS_BUGS
from sklearn import metrics as sk

from nnctl.checks.gradients.differences import Ruler
from nnctl.checks.gradients.subjects import loss_alone
from nnctl.nn.losses import Loss

REGRESSION = ["mse", "mae", {"huber": {"delta": 0.5}}]
ENTROPIES = [
    "cross_entropy",
    {"cross_entropy": {"label_smoothing": 0.2}},
    "binary_cross_entropy",
    {"binary_cross_entropy": {"label_smoothing": 0.2}},
]
MARGINS = ["hinge", "perceptron"]
EVERY = [*REGRESSION, *ENTROPIES, *MARGINS]


def batch(loss, rows=7, classes=2, seed=0, dtype=np.float64, soft=False):
    """Return outputs z and targets t of a random batch."""
    rng = np.random.default_rng(seed)
    width = loss.outputs(classes if loss.task == "classification" else None, 3)
    if loss.task == "regression":
        y = rng.normal(size=(rows, width))
    elif soft:
        least = -1 if loss.name in MARGINS else 0
        y = rng.dirichlet(np.ones(width), rows) if width > 1 else rng.uniform(least, 1, size=(rows, 1))
    else:
        y = rng.integers(0, classes, rows)
    return rng.normal(size=(rows, width)).astype(dtype), loss.encode(y, width, dtype)


def gradient(loss, z, t, w, total):
    out = np.full_like(z, np.nan)
    loss.gradient(z, t, w, total, out)
    return out


def gradient_error(loss, *, classes, weighted, soft=False):
    """Return the relative error of the loss's gradient against central differences."""
    z, t = batch(loss, classes=classes, soft=soft)
    w = np.random.default_rng(1).uniform(0.2, 3, len(z)) if weighted else None
    subject = loss_alone(loss, z, t, w, 9.0)
    return Ruler(subject.evaluate, subject.tensors).compare(*subject.tensors).error


def classes_for(loss):
    return (2,) if loss.name == "binary_cross_entropy" else (2, 5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("spelling", EVERY, ids=str)
def test_the_gradient_is_the_derivative_of_the_value(spelling, weighted):
    loss = Loss.parse(spelling)
    for classes in classes_for(loss):
        assert gradient_error(loss, classes=classes, weighted=weighted) < 1e-8


@pytest.mark.parametrize("spelling", [*ENTROPIES, *MARGINS], ids=str)
def test_the_gradient_is_the_derivative_for_soft_labels(spelling):
    loss = Loss.parse(spelling)
    for classes in classes_for(loss):
        assert gradient_error(loss, classes=classes, weighted=True, soft=True) < 1e-8


@pytest.mark.parametrize("spelling", [*ENTROPIES, *MARGINS], ids=str)
def test_a_soft_label_costs_the_mean_of_what_its_classes_cost(spelling):
    loss = Loss.parse(spelling)
    for classes in classes_for(loss):
        z, t = batch(loss, rows=20, classes=classes)
        other = loss.encode(np.random.default_rng(9).integers(0, classes, 20), z.shape[1], float)
        s = np.linspace(0, 1, 20)
        mixed = s[:, None] * t + (1 - s[:, None]) * other
        expected = s * loss.per_sample(z, t) + (1 - s) * loss.per_sample(z, other)
        np.testing.assert_allclose(loss.per_sample(z, mixed), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spelling", [*ENTROPIES, *MARGINS], ids=str)
def test_the_shares_of_a_mixture_are_those_that_it_was_mixed_by_without_smoothing(spelling):
    loss = Loss.parse(spelling)
    for classes in classes_for(loss):
        width = loss.outputs(classes, 0)
        t = loss.encode(np.arange(classes), width, float)
        np.testing.assert_allclose(loss.shares(t), np.eye(classes), atol=1e-15)
        np.testing.assert_allclose(loss.shares(0.3 * t[:1] + 0.7 * t[1:2])[0, :2], [0.3, 0.7], rtol=1e-12)


@pytest.mark.parametrize("name", MARGINS)
def test_a_margin_has_nothing_to_smooth_and_says_so(name):
    with pytest.raises(ValidationError, match="It is for losses of probabilities: cross_entropy and binary"):
        Loss.parse({name: {"label_smoothing": 0.1}})


@pytest.mark.parametrize("bug", LOSS_BUGS.values(), ids=LOSS_BUGS)
def test_the_gradient_test_catches_a_seeded_bug(bug):
    assert gradient_error(bug, classes=2, weighted=True) > 1e-3


def test_cross_entropy_has_the_fused_gradient_p_minus_y_over_b():
    loss = Loss.parse("cross_entropy")
    z, t = batch(loss, rows=32, classes=10)
    np.testing.assert_allclose(
        gradient(loss, z, t, None, 32), (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - t) / 32, atol=1e-15
    )


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("spelling", EVERY, ids=str)
def test_the_gradient_stays_in_its_dtype_and_leaves_its_inputs_alone(spelling, classes):
    loss = Loss.parse(spelling)
    if classes not in classes_for(loss):
        return
    z, t = batch(loss, rows=8, classes=classes, dtype=np.float32)
    w = np.linspace(0.5, 1.5, 8, dtype=np.float32)
    for given_ in (z, t, w):
        given_.flags.writeable = False
    # A float64 total, as NumPy's sums return it, must not carry the arithmetic into float64.
    out = gradient(loss, z, t, w, np.float64(8.0))
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    exact = gradient(loss, z.astype(np.float64), t.astype(np.float64), w.astype(np.float64), 8.0)
    np.testing.assert_allclose(out, exact, rtol=1e-4, atol=1e-7)
    assert loss.predict(z).dtype == np.float32


@pytest.mark.parametrize("spelling", EVERY, ids=str)
def test_the_gradient_allocates_nothing_of_the_size_of_the_batch(spelling):
    loss = Loss.parse(spelling)
    z = np.zeros((4096, 64), np.float32)
    t, out = np.zeros_like(z), np.empty_like(z)
    t[:, 0] = 1
    loss.gradient(z, t, None, 4096, out)
    tracemalloc.start()
    loss.gradient(z, t, None, 4096, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes / 4


@pytest.mark.parametrize("spelling", EVERY, ids=str)
def test_the_gradients_of_two_shards_add_up_to_that_of_the_batch(spelling):
    loss = Loss.parse(spelling)
    z, t = batch(loss, rows=10)
    w = np.linspace(0.1, 1.9, 10)
    parts = [gradient(loss, z[s], t[s], w[s], 10) for s in (slice(0, 4), slice(4, 10))]
    np.testing.assert_allclose(np.concatenate(parts), gradient(loss, z, t, w, 10), atol=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_entropies_equal_scikit_learns_log_loss(weighted):
    rng = np.random.default_rng(3)
    w = rng.uniform(0, 2, 200) if weighted else None
    total = 200 if w is None else w.sum()
    for name, classes in (("cross_entropy", 4), ("cross_entropy", 2), ("binary_cross_entropy", 2)):
        loss = Loss.parse(name)
        y = rng.integers(0, classes, 200)
        width = loss.outputs(classes, 0)
        z = rng.normal(scale=3, size=(200, width))
        expected = sk.log_loss(y, loss.predict(z), labels=range(classes), sample_weight=w)
        assert loss.value(z, loss.encode(y, width, float), w, total) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_hinge_equals_scikit_learns(weighted):
    rng = np.random.default_rng(4)
    loss = Loss.parse("hinge")
    w = rng.uniform(0, 2, 200) if weighted else None
    for classes in (2, 4):
        y = rng.integers(0, classes, 200)
        z = rng.normal(size=(200, loss.outputs(classes, 0)))
        scores = z[:, 0] if classes == 2 else z
        expected = sk.hinge_loss(y, scores, labels=np.arange(classes), sample_weight=w)
        total = 200 if w is None else w.sum()
        assert loss.value(z, loss.encode(y, z.shape[1], float), w, total) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_regression_losses_equal_their_definitions(weighted):
    rng = np.random.default_rng(5)
    z, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    w = rng.uniform(0, 2, 50) if weighted else None
    total = 50 if w is None else w.sum()
    mse, mae, huber = (Loss.parse(x) for x in ("mse", "mae", {"huber": 0.7}))
    assert mse.value(z, y, w, total) == pytest.approx(sk.mean_squared_error(y, z, sample_weight=w))
    assert mae.value(z, y, w, total) == pytest.approx(sk.mean_absolute_error(y, z, sample_weight=w))
    r = np.abs(z - y)
    each = np.where(r <= 0.7, r**2 / 2, 0.7 * r - 0.7**2 / 2)
    assert huber.value(z, y, w, total) == pytest.approx(np.average(each.mean(axis=1), weights=w))


def test_huber_is_half_the_squared_error_inside_delta_and_continuous_at_it():
    wide, narrow = Loss.parse({"huber": 100.0}), Loss.parse({"huber": 1.0})
    z, t = np.array([[0.3], [-2.0]]), np.zeros((2, 1))
    assert wide.value(z, t, None, 2) == pytest.approx(0.5 * Loss.parse("mse").value(z, t, None, 2))
    below, above = (narrow.value(np.array([[1 + h]]), np.zeros((1, 1)), None, 1) for h in (-1e-9, 1e-9))
    assert below == pytest.approx(above, abs=1e-8)


@pytest.mark.parametrize("spelling", EVERY, ids=str)
def test_a_loss_is_stable_at_ten_thousand_in_float32(spelling):
    loss = Loss.parse(spelling)
    for classes in classes_for(loss):
        z, t = batch(loss, rows=64, classes=classes, dtype=np.float32)
        z = np.where(z > 0, np.float32(1e4), np.float32(-1e4))
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            assert np.isfinite(loss.value(z, t, None, 64))
            assert np.isfinite(gradient(loss, z, t, None, 64)).all()
            assert np.isfinite(loss.predict(z)).all()
            assert np.isfinite(loss.per_sample(z, t)).all()


def test_a_confident_wrong_answer_costs_what_its_logit_says():
    wrong = Loss.parse("cross_entropy").value(np.array([[1e4, 0]], "f"), np.array([[0, 1]], "f"), None, 1)
    assert wrong == pytest.approx(1e4)
    loss = Loss.parse("binary_cross_entropy")
    assert loss.value(np.array([[-1e4]], "f"), np.ones((1, 1), "f"), None, 1) == pytest.approx(1e4)
    # A right one still costs a little: float32 alone would say nothing at all.
    right = Loss.parse("cross_entropy").value(np.array([[20, 0]], "f"), np.array([[1, 0]], "f"), None, 1)
    assert right == pytest.approx(np.exp(-20), rel=1e-6)
    assert loss.value(np.array([[30.0]], "f"), np.ones((1, 1), "f"), None, 1) == pytest.approx(np.exp(-30), rel=1e-6)


def test_values_are_summed_in_float64():
    z = np.full((100_000, 1), 0.1, np.float32)
    exact = float(np.float32(0.1)) ** 2
    assert Loss.parse("mse").value(z, np.zeros_like(z), None, len(z)) == pytest.approx(exact, rel=1e-12)


LOGITS = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(-1e4, 1e4))


@given(LOGITS, st.floats(-1e3, 1e3))
def test_softmax_rows_sum_to_one_and_do_not_feel_a_shift(z, shift):
    loss = Loss.parse("cross_entropy")
    p = loss.predict(z)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (p >= 0).all()
    np.testing.assert_allclose(loss.predict(z + shift), p, rtol=1e-8, atol=1e-10)


@given(LOGITS)
def test_cross_entropy_is_not_negative_and_its_gradient_rows_sum_to_zero(z):
    loss = Loss.parse("cross_entropy")
    t = loss.encode(np.zeros(len(z), int), z.shape[1], float)
    assert (loss.per_sample(z, t) >= 0).all()
    np.testing.assert_allclose(gradient(loss, z, t, None, 1).sum(axis=1), 0, atol=1e-12)


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.just(1)), elements=st.floats(-1e4, 1e4)))
def test_the_two_entropies_agree_on_two_classes(z):
    binary, several = Loss.parse("binary_cross_entropy"), Loss.parse("cross_entropy")
    y, pair = np.arange(len(z)) % 2, np.hstack([np.zeros_like(z), z])
    one, two = binary.encode(y, 1, float), several.encode(y, 2, float)
    np.testing.assert_allclose(binary.per_sample(z, one), several.per_sample(pair, two), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(binary.predict(z)[:, 0], several.predict(pair)[:, 1], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(binary.labels(z), several.labels(pair))
