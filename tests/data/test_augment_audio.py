"""Augmentation of sounds: what each does, on what it depends, and that what is not there stays padding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.io import wavfile

from nnctl.core.mistakes import problems_of
from nnctl.data.audio import AudioEncoder, LogMel, Recordings, Waveform
from nnctl.data.augment import Augmentation, Inputs
from nnctl.data.augment.audio import FrequencyMask, PitchShift, TimeMask, TimeStretch, WhiteNoise
from nnctl.data.augment.audio_augmenter import AudioAugmenter
from nnctl.data.augment.augmentation import Chance
from nnctl.data.augment.tabular import Mixup
from nnctl.data.batches import Batches
from nnctl.data.prepare import prepare
from nnctl.data.scaling import NoScaling, Standard
from nnctl.data.sources.audio import Audio
from nnctl.data.sources.tones import Tones
from nnctl.data.splits import SplitPlan

RATE = 4000
RNG = np.random.default_rng(0)
STEPS = [TimeStretch(), PitchShift(), WhiteNoise(), TimeMask(), FrequencyMask()]

IDENTITY = NoScaling().fit(np.zeros((1, 1)))


def chance(n: int = 1, epoch: int = 0, first: int = 0) -> Chance:
    return Chance(0, "augment/0.test", epoch, np.arange(first, first + n))


def tone(frequency: float, samples: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(samples) / RATE)).astype(np.float32)


def pitch_of(wave: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * len(wave)))
    return float(spectrum.argmax() * RATE / (8 * len(wave)))


def inputs_of(shape=(50, 12), lengths=None, features=None, samples: int = 2000) -> Inputs:
    audio = AudioEncoder(features or LogMel(mels=12), RATE, samples)
    return Inputs(shape, None, IDENTITY, audio=audio, lengths=lengths, varies=lengths is not None)


# ------------------------------------------------------------------ what each does


@pytest.mark.parametrize("snr", [-10.0, 0.0, 7.5, 40.0])
def test_noise_has_exactly_the_power_that_is_asked_for(snr):
    wave = tone(440)
    noise = WhiteNoise(snr=(snr, snr)).changed(wave, chance(), RATE).astype(np.float64) - wave
    found = 10 * math.log10(np.square(wave, dtype=np.float64).sum() / np.square(noise).sum())
    assert found == pytest.approx(snr, abs=1e-3)


def test_noise_is_white():
    noise = WhiteNoise(snr=(0, 0)).changed(tone(440, 20_000), chance(), RATE) - tone(440, 20_000)
    power = np.square(np.abs(np.fft.rfft(noise)))[1:]
    bands = np.array([band.mean() for band in np.array_split(power, 10)])
    np.testing.assert_allclose(bands / bands.mean(), 1, atol=0.15)


def test_ratios_lie_between_the_two_and_are_as_likely():
    wave = tone(440, 500)
    found = []
    for row in range(300):
        noise = WhiteNoise(snr=(5, 15)).changed(wave, chance(first=row), RATE).astype(np.float64) - wave
        found.append(10 * math.log10(np.square(wave, dtype=np.float64).sum() / np.square(noise).sum()))
    assert 4.99 < min(found) < 5.5
    assert 14.5 < max(found) < 15.01
    assert np.mean(found) == pytest.approx(10, abs=0.5)


def test_silence_stays_silent():
    for step in (TimeStretch(), PitchShift(), WhiteNoise()):
        assert not step.changed(np.zeros(1000, np.float32), chance(), RATE).any()


@pytest.mark.parametrize("step", [TimeStretch(factor=2), PitchShift(semitones=7), WhiteNoise()])
def test_a_changed_recording_is_as_long_and_the_one_before_is_as_it_was(step):
    for samples in (1, 7, 100, 3000):
        wave = RNG.standard_normal(samples).astype(np.float32)
        before = wave.copy()
        found = step.changed(wave, chance(), RATE)
        assert found.shape == wave.shape
        assert found.dtype == np.float32
        np.testing.assert_array_equal(wave, before)
        assert np.isfinite(found).all()


def test_stretching_reaches_from_slow_to_fast_and_keeps_the_pitch():
    durations = []
    wave = tone(400)
    wave[RATE // 2 :] = 0
    for row in range(60):
        found = TimeStretch(factor=2).changed(wave, chance(first=row), RATE)
        durations.append(np.flatnonzero(np.abs(found) > 0.1)[-1] / (RATE / 2))
        assert pitch_of(found) == pytest.approx(400, rel=0.02)
    assert 0.5 < min(durations) < 0.65
    assert 1.6 < max(durations) < 2.1


def test_shifting_reaches_as_far_down_as_up_and_keeps_the_duration():
    wave = tone(400)
    found = [
        12 * math.log2(pitch_of(PitchShift(semitones=3).changed(wave, chance(first=r), RATE)) / 400) for r in range(60)
    ]
    assert -3.1 < min(found) < -2.5
    assert 2.5 < max(found) < 3.1


def test_a_probability_leaves_the_others_as_they_are():
    wave = tone(400, 200)
    same = [WhiteNoise(probability=0.3).changed(wave, chance(first=row), RATE) is wave for row in range(400)]
    assert np.mean(same) == pytest.approx(0.7, abs=0.07)


@pytest.mark.parametrize(
    ("step", "axis", "places"), [(TimeMask(width=9, share=1), 1, 50), (FrequencyMask(width=6), 2, 12)]
)
def test_a_mask_is_one_band_over_all_of_the_other_axis_of_any_width_and_anywhere(step, axis, places):
    x = step.apply(np.ones((3000, 50, 12)), chance(3000), inputs_of())
    wiped = (x == 0).all(axis=3 - axis)
    np.testing.assert_array_equal(x == 0, np.broadcast_to(np.expand_dims(wiped, 3 - axis), x.shape))
    edges = np.diff(np.pad(wiped, ((0, 0), (1, 1))).astype(int), axis=1)
    assert (edges > 0).sum(axis=1).max() == 1
    counts = np.bincount(wiped.sum(axis=1), minlength=step.width + 1)
    assert len(counts) == step.width + 1
    assert counts.min() > 0.8 * 3000 / (step.width + 1)
    assert wiped.any(axis=0).all()
    starts = np.flatnonzero(wiped.any(axis=0))
    assert (starts[0], starts[-1]) == (0, places - 1)


def test_several_masks_are_drawn_each_for_itself():
    x = TimeMask(width=3, masks=4, share=1).apply(np.ones((500, 50, 12)), chance(500), inputs_of())
    wiped = (x == 0).all(axis=2)
    bands = (np.diff(np.pad(wiped, ((0, 0), (1, 1))).astype(int), axis=1) > 0).sum(axis=1)
    assert bands.max() == 4
    assert wiped.sum(axis=1).max() > 9


def test_time_masks_lie_within_what_is_there_and_cover_no_more_than_their_share():
    lengths = RNG.integers(1, 51, 1000)
    x = TimeMask(width=40, share=0.5).apply(np.ones((1000, 50, 12)), chance(1000), inputs_of(lengths=lengths))
    for row, length in zip(x, lengths, strict=True):
        assert (row[length:] == 1).all()
        assert (row[:, 0] == 0).sum() <= length // 2
    assert ((x[:, :, 0] == 0).sum(axis=1) == lengths // 2).any()


@pytest.mark.parametrize(
    ("spelling", "said"),
    [
        ({"white_noise": {"snr": [20, 10]}}, "snr must rise, between -100 and 200 dB. Got [20, 10]."),
        ({"time_stretch": 1.0}, "must be > 1. Got 1."),
        ({"pitch_shift": 30.0}, "must be <= 24. Got 30.0."),
        ("spec_augment", "Did you mean 'time_mask'"),
    ],
)
def test_augmentations_without_meaning_are_refused(spelling, said):
    with pytest.raises(ValidationError) as caught:
        Augmentation.parse(spelling)
    assert said in " ".join(sentence for _, sentence in problems_of(caught.value))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_only_sounds_are_changed(step):
    said = step.refusal(Inputs((4,), None, IDENTITY))
    assert said is not None
    assert "A row here has shape (4,)" in said


def test_frequencies_are_masked_only_where_they_are_heard():
    said = FrequencyMask().refusal(inputs_of((2000, 1), features=Waveform()))
    assert "the network hears waveform. Take 'features: log_mel'" in (said or "")
    assert FrequencyMask(width=12).refusal(inputs_of()) == "width must be < 12, the number of bands. Got 12."
    assert all(step.refusal(inputs_of()) is None for step in STEPS)


# ------------------------------------------------------------------ on what it depends


@pytest.fixture(params=["log_mel", "waveform"])
def data(request):
    source = Tones(
        samples=30, rate=RATE, seconds=0.2, features={"log_mel": LogMel(mels=12), "waveform": Waveform()}[request.param]
    )
    return prepare(source, SplitPlan(validation=6, test=6), Standard(), task="classification", augment=STEPS[:3])


def augmenter_of(data, steps) -> AudioAugmenter:
    train = data.train
    t = np.eye(6)[train.y]
    return AudioAugmenter(data.recordings, steps, Inputs.of(data), train.x, t, None, train.rows, seed=7)


def suited(data) -> list[Augmentation]:
    return [step for step in STEPS if step.refusal(Inputs.of(data)) is None]


def test_without_a_change_the_rows_are_those_of_the_data_bit_for_bit(data):
    unchanging = [TimeStretch(probability=0), PitchShift(probability=0), WhiteNoise(probability=0)]
    for steps in (unchanging, unchanging[:1], []):
        found = augmenter_of(data, steps).rows_of(np.arange(18), 3)
        np.testing.assert_array_equal(found, data.train.x)


def test_a_row_does_not_depend_on_the_others_nor_on_their_order(data):
    augmenter = augmenter_of(data, suited(data))
    whole = augmenter.rows_of(np.arange(18), 2)
    order = RNG.permutation(18)
    np.testing.assert_array_equal(augmenter.rows_of(order, 2), whole[order])
    for row in (0, 11):
        np.testing.assert_array_equal(augmenter.rows_of(np.array([row]), 2)[0], whole[row])


def test_every_epoch_and_every_seed_changes_a_row_in_another_way(data):
    augmenter = augmenter_of(data, suited(data))
    epochs = [augmenter.rows_of(np.arange(18), epoch) for epoch in (0, 1)]
    again = augmenter_of(data, suited(data)).rows_of(np.arange(18), 0)
    np.testing.assert_array_equal(epochs[0], again)
    augmenter.seed = 8
    others = [epochs[1], augmenter.rows_of(np.arange(18), 0), data.train.x]
    for other in others:
        assert all(not np.array_equal(a, b) for a, b in zip(epochs[0], other, strict=True))


def test_batches_taken_up_in_the_middle_of_an_epoch_are_the_same(data):
    def batches() -> Batches:
        augmenter = augmenter_of(data, suited(data))
        return Batches(data.train.x, augmenter.t, None, 5, seed=7, augmenter=augmenter)

    whole = [batch.x.copy() for batch in batches().epoch(4)]
    taken_up = [batch.x.copy() for batch in batches().epoch(4, first=2)]
    for a, b in zip(whole[2:], taken_up, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_training_part_itself_and_the_recordings_are_never_changed(data):
    x, waves = data.train.x.copy(), [wave.copy() for wave in data.recordings.waves]
    augmenter_of(data, suited(data)).rows_of(np.arange(18), 0)
    np.testing.assert_array_equal(data.train.x, x)
    for wave, before in zip(data.recordings.waves, waves, strict=True):
        np.testing.assert_array_equal(wave, before)


def test_features_are_made_of_the_changed_sound_then_scaled_then_masked(data):
    noise = WhiteNoise(snr=(0, 0))
    mask = TimeMask(width=4, masks=2)
    found = augmenter_of(data, [noise, mask]).rows_of(np.array([5]), 1)
    row = data.train.rows[[5]]
    wave = noise.changed(data.recordings.waves[row[0]], Chance(7, "augment/0.white_noise", 1, row), RATE)
    x = data.preprocessing.scaling.apply(data.preprocessing.audio.features.of(wave, RATE)[None])
    wanted = mask.apply(x, Chance(7, "augment/1.time_mask", 1, row), Inputs.of(data))
    np.testing.assert_array_equal(found, wanted)


def test_mixtures_are_of_changed_sounds(data):
    steps = [WhiteNoise(), Mixup(alpha=1)]
    augmenter = augmenter_of(data, steps)
    noisy = augmenter_of(data, steps[:1]).rows_of(np.arange(18), 0)
    pairs = steps[1].pairs(Chance(7, "augment/1.mixup", 0, data.train.rows), Inputs.of(data), 18)
    share = pairs.share[:, None, None]
    wanted = share * noisy + (1 - share) * noisy[pairs.partner]
    np.testing.assert_allclose(augmenter.rows_of(np.arange(18), 0), wanted, atol=1e-4)


def test_recordings_are_kept_only_where_they_are_to_be_changed():
    for steps, kept in (([], False), ([TimeMask()], False), ([TimeMask(), WhiteNoise()], True)):
        data = prepare(
            Tones(samples=120, rate=1000, features=LogMel(mels=4)),
            SplitPlan(),
            Standard(),
            task="classification",
            augment=steps,
        )
        assert (data.recordings is not None) == kept
        assert data.preprocessing.audio is not None


def test_rows_of_different_durations_keep_their_lengths_and_their_padding():
    waves = [tone(300, n) for n in (800, 500, 650)]
    encoder = AudioEncoder(LogMel(mels=12), RATE, 800)
    x, lengths = encoder.rows(waves)
    inputs = Inputs(x.shape[1:], None, IDENTITY, audio=encoder, lengths=lengths, varies=True)
    rows = np.arange(3)
    augmenter = AudioAugmenter(
        Recordings(waves, encoder), [*STEPS[:3], TimeMask()], inputs, x, x[:, 0], None, rows, seed=0
    )
    found = augmenter.rows_of(rows, 0)
    for row, length in zip(found, lengths, strict=True):
        assert not row[length:].any()
        assert row[length - 1].any()


def test_the_lengths_of_rows_are_known_by_their_places_in_the_source(tmp_path):
    for k in range(24):
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        wavfile.write(tmp_path / "ab"[k % 2] / f"{k}.wav", RATE, tone(300, 400 + 100 * k))
    data = prepare(Audio(path=str(tmp_path)), SplitPlan(validation=4, test=4), Standard(), task="classification")
    assert data.train.lengths is not None
    np.testing.assert_array_equal(Inputs.of(data).lengths_of(data.train.rows), data.train.lengths)
    np.testing.assert_array_equal(Inputs.of(data).lengths_of(data.train.rows[[5, 2]]), data.train.lengths[[5, 2]])


def test_every_step_on_sounds_draws_from_its_own_numbers():
    wave = tone(300, 400)
    noise = WhiteNoise(snr=(0, 0))
    first, second = (noise.changed(wave, Chance(0, f"augment/{k}.white_noise", 0, np.array([0])), RATE) for k in (0, 1))
    assert abs(np.corrcoef(first - wave, second - wave)[0, 1]) < 0.2
