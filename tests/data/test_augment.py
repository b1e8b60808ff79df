"""Augmentation: what becomes of a row depends on that row alone, and what cannot be augmented is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from nnctl.data.augment import Augmentation, Inputs
from nnctl.data.augment.augmentation import Chance, Mixing, Pairs
from nnctl.data.augment.augmenter import Augmenter
from nnctl.data.augment.image import CutMix, Cutout, Flip, RandomCrop, Rotation, inside
from nnctl.data.augment.tabular import Mixup, Noise
from nnctl.data.batches import Batches
from nnctl.data.scaling import Affine

RNG = np.random.default_rng(0)
MEAN, STD = np.array([90.0, 120.0, 60.0]), np.array([50.0, 40.0, 80.0])


def inputs_of(shape: tuple[int, ...], scaling: Affine | None = None, **others) -> Inputs:
    return Inputs(shape, shape if len(shape) == 3 else None, scaling or Affine(np.zeros(()), np.ones(())), **others)


# ---------------------------------------------------------------------- what a row depends on


EVERY = ["flip", {"random_crop": 2}, {"rotation": 20}, "color_jitter", {"cutout": 2}, "noise", "mixup", "cutmix"]
every_augmentation = pytest.mark.parametrize(
    "steps", [[each] for each in EVERY] + [EVERY], ids=[*map(str, EVERY), "all"]
)


def augmenter(steps: list, n: int = 30, rows: np.ndarray | None = None, seed: int = 0) -> Augmenter:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 6, 5, 3)).astype(np.float32)
    t = np.eye(4, dtype=np.float32)[rng.integers(0, 4, n)]
    w = rng.uniform(0.5, 2, n).astype(np.float32)
    parsed = [Augmentation.parse(step) for step in steps]
    rows = np.arange(n) if rows is None else rows
    return Augmenter(parsed, inputs_of((6, 5, 3)), x, t, w, rows, seed=seed)


def batches_of(steps: list, size: int, **settings) -> Batches:
    change = augmenter(steps)
    return Batches(change.x, change.t, change.w, size, seed=0, augmenter=change, **settings)


def seen(batches: Batches, epoch: int, first: int = 0) -> dict[int, tuple]:
    """Return inputs, targets and weights of an epoch by the place of the row."""
    order = batches.order(epoch)
    return {
        int(row): (x.copy(), t.copy(), w)
        for batch in batches.epoch(epoch, first)
        for row, x, t, w in zip(order[batch.start : batch.stop], batch.x, batch.t, batch.w, strict=True)
    }


def assert_equal(some: dict, others: dict) -> None:
    for row, arrays in some.items():
        for one, other in zip(arrays, others[row], strict=True):
            np.testing.assert_array_equal(one, other)


@every_augmentation
def test_every_augmentation_changes_rows_and_not_the_data(steps):
    change = augmenter(steps)
    before = change.x.copy(), change.t.copy(), change.w.copy()
    found = change.rows_of(np.arange(30), 0)
    change.targets(0)
    assert found.dtype == np.float32
    assert found.shape == change.x.shape
    assert found.flags.c_contiguous
    assert not np.array_equal(found, change.x)
    for now, then in zip((change.x, change.t, change.w), before, strict=True):
        np.testing.assert_array_equal(now, then)


@every_augmentation
@pytest.mark.parametrize("settings", [{"size": 7}, {"size": 30}, {"size": 4, "shuffle": False}])
def test_neither_the_order_nor_the_size_of_batches_changes_what_becomes_of_a_row(steps, settings):
    together = seen(batches_of(steps, 10), 3)
    assert len(together) == 30
    assert_equal(together, seen(batches_of(steps, **settings), 3))


@every_augmentation
def test_an_epoch_that_is_taken_up_in_the_middle_shows_the_same_rows(steps):
    rest = seen(batches_of(steps, 8), 2, first=2)
    assert len(rest) == 14
    assert_equal(rest, seen(batches_of(steps, 8), 2))


@every_augmentation
def test_the_targets_of_an_epoch_are_those_that_its_batches_had_also_after_it_was_taken_up(steps):
    whole, rest = batches_of(steps, 8), batches_of(steps, 8)
    shown = np.concatenate([batch.t.copy() for batch in whole.epoch(1)])
    for _ in rest.epoch(1, first=3):
        pass
    for batches in (whole, rest):
        np.testing.assert_array_equal(batches.targets()[0], shown)
    np.testing.assert_array_equal(shown, augmenter(steps).targets(1)[0][whole.order(1)])


@every_augmentation
def test_epochs_and_seeds_differ(steps):
    rows = np.arange(30)
    first = augmenter(steps).rows_of(rows, 0)
    assert not np.array_equal(first, augmenter(steps).rows_of(rows, 1))
    assert not np.array_equal(first, augmenter(steps, seed=1).rows_of(rows, 0))
    np.testing.assert_array_equal(first, augmenter(steps).rows_of(rows, 0))


@pytest.mark.parametrize("step", EVERY[:6], ids=str)
def test_a_row_is_known_by_its_place_in_the_source(step):
    some = augmenter([step], rows=np.arange(100, 130))
    others = augmenter([step], rows=np.arange(129, 99, -1))
    others.x[...] = some.x[::-1]
    np.testing.assert_array_equal(some.rows_of(np.arange(30), 4), others.rows_of(np.arange(30), 4)[::-1])


def test_the_same_augmentation_twice_draws_twice():
    once, twice = augmenter(["noise"]), augmenter(["noise", "noise"])
    rows = np.arange(30)
    first, both = once.rows_of(rows, 0) - once.x, twice.rows_of(rows, 0) - once.x
    assert np.abs(np.corrcoef(first.ravel(), (both - first).ravel())[0, 1]) < 0.1


# ---------------------------------------------------------------------- mixtures


@pytest.mark.parametrize("steps", [["mixup"], ["cutmix"], ["mixup", "cutmix"], ["flip", "mixup"]], ids=str)
def test_mixtures_keep_the_sum_of_every_label(steps):
    t, w = augmenter(steps).targets(5)
    np.testing.assert_allclose(t.sum(1), 1, rtol=1e-6)
    assert (t >= 0).all()
    assert ((t > 0).sum(1) > 1).any()
    assert w.min() >= 0.5
    assert w.max() <= 2


def test_a_mixture_is_of_both_rows_as_what_stands_before_has_changed_them():
    change = augmenter(["flip", {"random_crop": 1}, "mixup"])
    before, rows = augmenter(["flip", {"random_crop": 1}]), np.arange(30)
    pairs = Mixup().pairs(Chance(0, "augment/2.mixup", 6, rows), change.inputs, 30)
    share = pairs.share.astype(np.float32)[:, None, None, None]
    mixed = share * before.rows_of(rows, 6) + (1 - share) * before.rows_of(pairs.partner, 6)
    np.testing.assert_allclose(change.rows_of(rows, 6), mixed, atol=1e-6)
    t, w = change.targets(6)
    np.testing.assert_allclose(t, share[:, 0, 0] * change.t + (1 - share[:, 0, 0]) * change.t[pairs.partner], atol=1e-6)
    np.testing.assert_allclose(w, pairs.share * change.w + (1 - pairs.share) * change.w[pairs.partner], rtol=1e-5)


def test_targets_that_nothing_mixes_are_the_rows_own():
    change = augmenter(["flip", "noise"])
    assert change.targets(0)[0] is change.t
    assert not change.mixes


# ---------------------------------------------------------------------- what is refused


PER_PIXEL = Affine(RNG.normal(size=(4, 5, 3)), np.ones((4, 5, 3)))


@pytest.mark.parametrize("step", [Flip(), RandomCrop(padding=1), Rotation(degrees=5)])
def test_pixels_that_are_scaled_each_by_itself_may_not_move(step):
    assert "scaling: channels" in step.refusal(inputs_of((4, 5, 3), PER_PIXEL))
    assert step.refusal(inputs_of((4, 5, 3), Affine(MEAN, STD))) is None


@pytest.mark.parametrize("step", [Flip(), Cutout(size=1), CutMix()])
def test_rows_that_are_no_images_are_refused(step):
    assert "(13,)" in step.refusal(inputs_of((13,)))


@pytest.mark.parametrize("step", [Noise(), Mixup()])
def test_tokens_are_refused(step):
    assert "tokens" in step.refusal(inputs_of((13,), is_token=True))


def test_rows_of_different_lengths_are_not_mixed():
    assert "different lengths" in Mixup().refusal(inputs_of((13, 2), varies=True))


def test_a_padding_as_large_as_the_image_is_refused():
    assert "must be smaller than the image, which is 4 x 9. Got 4." in RandomCrop(padding=4).refusal(
        inputs_of((4, 9, 1))
    )


@pytest.mark.parametrize(
    "spelling",
    [
        {"rotation": 0},
        {"rotation": 200},
        {"flip": {"probability": 2}},
        {"noise": -1},
        {"mixup": 0},
        {"cutout": 0},
        "rotation",
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(spelling):
    with pytest.raises(ValidationError):
        Augmentation.parse(spelling)


def test_pairs_are_of_rows_and_boxes_of_pixels():
    assert issubclass(Mixup, Mixing)
    assert Pairs(np.zeros(1, int), np.ones(1)).box is None
    assert inside(tuple(np.array([[0], [0], [0], [5]])), (3, 3)).sum() == 0
