"""Augmentations of images, and mixtures: each against a slow reference, one row at a time."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from nnctl.data.augment import Inputs
from nnctl.data.augment.augmentation import Chance, beta
from nnctl.data.augment.image import (
    ColorJitter,
    CutMix,
    Cutout,
    Flip,
    RandomCrop,
    Rotation,
    cropped,
    jittered,
    rotated,
)
from nnctl.data.augment.tabular import Mixup, Noise
from nnctl.data.batches import Batches
from nnctl.data.scaling import Affine

RNG = np.random.default_rng(0)
SHAPES = [(7, 5, 1), (6, 8, 3), (4, 4, 2)]
MEAN, STD = np.array([90.0, 120.0, 60.0]), np.array([50.0, 40.0, 80.0])
every_shape = pytest.mark.parametrize("shape", SHAPES)


def images(n: int, shape: tuple[int, ...], dtype=np.float64) -> np.ndarray:
    return RNG.uniform(0, 255, (n, *shape)).astype(dtype)


def inputs_of(shape: tuple[int, ...], scaling: Affine | None = None, **others) -> Inputs:
    return Inputs(shape, shape if len(shape) == 3 else None, scaling or Affine(np.zeros(()), np.ones(())), **others)


def chance(n: int, epoch: int = 0, seed: int = 0) -> Chance:
    return Chance(seed, "augment/0.test", epoch, np.arange(n))


@every_shape
@pytest.mark.parametrize("padding", [1, 3])
def test_a_crop_is_a_window_of_the_padded_image(shape, padding):
    x, outside = images(20, shape), RNG.normal(size=shape[2])
    top, left = RNG.integers(0, 2 * padding + 1, (2, 20))
    found = cropped(x, top, left, padding, outside)
    height, width, channels = shape
    for b, i, j, c in product(range(20), range(height), range(width), range(channels)):
        y, z = i + top[b] - padding, j + left[b] - padding
        is_there = 0 <= y < height and 0 <= z < width
        assert found[b, i, j, c] == (x[b, y, z, c] if is_there else outside[c])


@every_shape
def test_a_crop_shifts_by_every_amount_up_to_the_padding_as_often(shape):
    x = np.zeros((4000, *shape))
    x[:, 2, 2] = 1
    y, z = np.argwhere(RandomCrop(padding=2).apply(x, chance(4000), inputs_of(shape))[..., 0])[:, 1:].T
    counts = np.bincount(y * shape[1] + z)
    counts = counts[counts > 0]
    rows, columns = min(5, shape[0]), min(5, shape[1])
    assert len(counts) == rows * columns
    assert counts.min() > 100  # 160 are to be expected


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "both"])
def test_a_flip_mirrors_half_of_the_images_and_leaves_the_others(direction):
    x = images(2000, (3, 4, 2))
    found = Flip(direction=direction).apply(x.copy(), chance(2000), inputs_of((3, 4, 2)))
    ways = {"horizontal": [(1, -1)], "vertical": [(-1, 1)], "both": [(1, -1), (-1, 1), (-1, -1)]}[direction]
    counts = [sum(np.array_equal(a, b[::i, ::j]) for a, b in zip(found, x, strict=True)) for i, j in [(1, 1), *ways]]
    assert sum(counts) == 2000
    assert all(abs(count - 2000 / len(counts)) < 100 for count in counts)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_flip_has_the_probability_that_it_is_given(probability):
    x = images(50, (3, 4, 1))
    found = Flip(probability=probability).apply(x.copy(), chance(50), inputs_of((3, 4, 1)))
    np.testing.assert_array_equal(found, x[:, :, ::-1] if probability else x)


@every_shape
def test_a_rotation_agrees_with_scipys(shape):
    x, angle = images(12, shape), RNG.uniform(-np.pi, np.pi, 12)
    outside = np.full(shape[2], 17.0)
    found = rotated(x, angle, outside)
    for b, c in product(range(12), range(shape[2])):
        slow = ndimage.rotate(
            x[b, :, :, c], np.rad2deg(angle[b]), reshape=False, order=1, mode="grid-constant", cval=17.0
        )
        np.testing.assert_allclose(found[b, :, :, c], slow, rtol=0, atol=1e-10)


@every_shape
def test_a_rotation_agrees_with_a_plain_loop(shape):
    height, width, channels = shape
    x, angle = images(4, shape), RNG.uniform(-np.pi, np.pi, 4)
    found = rotated(x, angle, np.zeros(channels))
    for b, i, j, c in product(range(4), range(height), range(width), range(channels)):
        down, right = i - (height - 1) / 2, j - (width - 1) / 2
        y = math.cos(angle[b]) * down + math.sin(angle[b]) * right + (height - 1) / 2
        z = math.cos(angle[b]) * right - math.sin(angle[b]) * down + (width - 1) / 2
        value = 0.0
        for row, column in product((math.floor(y), math.floor(y) + 1), (math.floor(z), math.floor(z) + 1)):
            if 0 <= row < height and 0 <= column < width:
                value += (1 - abs(y - row)) * (1 - abs(z - column)) * x[b, row, column, c]
        assert found[b, i, j, c] == pytest.approx(value, abs=1e-10)


def test_angles_are_uniform_up_to_the_given_degrees(monkeypatch):
    seen = []
    monkeypatch.setattr("nnctl.data.augment.image.rotated", lambda x, angle, _: seen.append(angle) or x)
    Rotation(degrees=30).apply(images(3000, (2, 2, 1)), chance(3000), inputs_of((2, 2, 1)))
    degrees = np.rad2deg(seen[0])
    assert stats.kstest(degrees, stats.uniform(-30, 60).cdf).pvalue > 0.01


def slowly_jittered(image: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    def grey(pixel):
        return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2] if len(pixel) == 3 else sum(pixel) / len(pixel)

    out = image * brightness
    mean = np.mean([grey(pixel) for line in out for pixel in line])
    out = mean + contrast * (out - mean)
    if image.shape[2] != 3:
        return out
    return np.array([[grey(pixel) + saturation * (pixel - grey(pixel)) for pixel in line] for line in out])


@every_shape
def test_color_jitter_agrees_with_a_slow_one(shape):
    x, factors = images(6, shape), RNG.uniform(0.5, 1.5, (6, 3))
    for image, found, three in zip(x, jittered(x, factors), factors, strict=True):
        np.testing.assert_allclose(found, slowly_jittered(image, *three), rtol=1e-12)


def test_color_jitter_works_on_the_values_of_the_source_whatever_the_scaling():
    raw = images(10, (4, 5, 3))
    scaling = Affine(MEAN, STD)
    plain = ColorJitter(brightness=0.5).apply(raw.copy(), chance(10), inputs_of((4, 5, 3)))
    scaled = ColorJitter(brightness=0.5).apply((raw - MEAN) / STD, chance(10), inputs_of((4, 5, 3), scaling))
    np.testing.assert_allclose(scaled * STD + MEAN, plain, rtol=1e-10)


def test_saturation_leaves_grey_images_as_they_are():
    x = images(5, (3, 3, 1))
    found = ColorJitter(brightness=0.0, contrast=0.0, saturation=1.0).apply(x.copy(), chance(5), inputs_of((3, 3, 1)))
    np.testing.assert_allclose(found, x, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_cutout_is_a_square_around_any_pixel_cut_off_at_the_edges(size):
    height, width = 5, 4
    x = images(400, (height, width, 2)) + 1
    found = Cutout(size=size).apply(x.copy(), chance(400), inputs_of((height, width, 2)))
    allowed = set()
    for y, z in product(range(height), range(width)):
        holes = [
            (i, j)
            for i, j in product(range(height), range(width))
            if 0 <= i - (y - size // 2) < size and 0 <= j - (z - size // 2) < size
        ]
        allowed.add(tuple(holes))
    seen = set()
    for image, original in zip(found, x, strict=True):
        hole = (image == 0).all(2)
        seen.add(tuple(map(tuple, np.argwhere(hole))))
        np.testing.assert_array_equal(image[~hole], original[~hole])
    assert seen == allowed


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_have_the_beta_distribution(alpha):
    u = chance(3000).uniform(1)[:, 0]
    assert stats.kstest(beta(alpha, u), stats.beta(alpha, alpha).cdf).pvalue > 0.01


@given(st.integers(2, 30), st.sampled_from([(3,), (4, 5, 1), (6, 2)]))
def test_a_mixup_is_the_mean_of_two_rows_weighted_by_the_share(total, shape):
    x = RNG.normal(size=(total, *shape))
    pairs = Mixup(alpha=1.0).pairs(chance(total), inputs_of(shape), total)
    found = Mixup().mix(x.copy(), x[pairs.partner], pairs, inputs_of(shape))
    for b in range(total):
        s = pairs.share[b]
        np.testing.assert_allclose(found[b], s * x[b] + (1 - s) * x[pairs.partner[b]], atol=1e-12)


@every_shape
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_a_cutmix_takes_from_the_partner_what_its_target_says(shape, alpha):
    height, width, _ = shape
    x, total, inputs = np.zeros((300, *shape)), 300, inputs_of(shape)
    pairs = CutMix(alpha=alpha).pairs(chance(300), inputs, total)
    found = CutMix().mix(x, np.ones_like(x), pairs, inputs)
    top, bottom, left, right = pairs.box
    for b in range(300):
        slow = np.zeros(shape)
        for i, j in product(range(height), range(width)):
            if top[b] <= i < bottom[b] and left[b] <= j < right[b]:
                slow[i, j] = 1
        np.testing.assert_array_equal(found[b], slow)
        assert pairs.share[b] == pytest.approx(1 - slow.mean())
    assert len(np.unique(pairs.share)) > 3
    assert 0 <= pairs.partner.min() < 20
    assert 280 < pairs.partner.max() < 300


def test_a_box_of_cutmix_has_the_images_proportions_and_its_middle_in_the_image():
    height, width = 200, 100
    pairs = CutMix().pairs(chance(2000), inputs_of((height, width, 1)), 5)
    top, bottom, left, right = pairs.box
    whole = (top > 0) & (bottom < height) & (left > 0) & (right < width)
    np.testing.assert_allclose((bottom - top)[whole], 2 * (right - left)[whole], atol=2)
    assert top.max() > 0.8 * height
    assert left.max() < width
    share = chance(2000).uniform(5)[:, 1]  # lam, uniform for alpha = 1
    np.testing.assert_allclose(pairs.share[whole], share[whole], atol=0.02)


@pytest.mark.parametrize("mixing", [Mixup(probability=0.25), CutMix(probability=0.25)])
def test_a_mixture_has_the_probability_that_it_is_given(mixing):
    share = mixing.pairs(chance(4000), inputs_of((20, 20, 1)), 100).share
    assert 0.2 < (share < 1).mean() < 0.26  # a box may be so small that nothing is inside


def test_noise_is_normal_and_its_deviation_is_that_given():
    x = Noise(std=0.5).apply(np.zeros((500, 7, 3)), chance(500), inputs_of((7, 3)))
    assert x.std() == pytest.approx(0.5, rel=0.02)
    assert stats.kstest(x.ravel() / 0.5, "norm").pvalue > 0.01
    assert np.abs(np.corrcoef(x.reshape(500, -1).T) - np.eye(21)).max() < 0.2


def test_noise_leaves_categories_alone():
    onehot = np.array([False, True, True])
    x = Noise().apply(np.ones((10, 3), np.float32), chance(10), inputs_of((3,), is_category=onehot))
    assert (x[:, onehot] == 1).all()
    assert (x[:, ~onehot] != 1).all()


def test_what_is_outside_of_the_image_is_what_black_became():
    raw = np.full((30, 12, 12, 3), 200.0)
    inputs = inputs_of((12, 12, 3), Affine(MEAN, STD))
    for step in (RandomCrop(padding=3), Rotation(degrees=180.0)):
        found = step.apply((raw - MEAN) / STD, chance(30), inputs) * STD + MEAN
        assert found.min() == pytest.approx(0, abs=1e-9)
        assert found.max() == pytest.approx(200)


@pytest.mark.parametrize("step", [Flip(), RandomCrop(padding=1), Rotation(degrees=10), Cutout(size=2), ColorJitter()])
def test_images_laid_end_to_end_are_changed_as_images(step):
    x = images(9, (5, 4, 3))
    flat = Inputs((60,), (5, 4, 3), Affine(np.zeros(()), np.ones(())))
    found = step.apply(x.reshape(9, 60).copy(), chance(9), flat)
    np.testing.assert_array_equal(found, step.apply(x.copy(), chance(9), inputs_of((5, 4, 3))).reshape(9, 60))


def seen(batches: Batches, epoch: int, first: int = 0) -> dict[int, tuple]:
    """Return inputs, targets and weights of an epoch by the place of the row."""
    order = batches.order(epoch)
    return {
        int(row): (x.copy(), t.copy(), w)
        for batch in batches.epoch(epoch, first)
        for row, x, t, w in zip(order[batch.start : batch.stop], batch.x, batch.t, batch.w, strict=True)
    }
