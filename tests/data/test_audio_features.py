"""Features of recordings against formulas written out; resampling and the phase vocoder by what they do to a tone."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nnctl.core.errors import DataError
from nnctl.data.audio import AudioEncoder, Features, LogMel, Waveform
from nnctl.data.audio.mel import filter_bank, hertz, mels
from nnctl.data.audio.resampling import resampled, samples_at
from nnctl.data.audio.vocoder import frame_length, shifted, stretched

RATE = 2000
RNG = np.random.default_rng(0)


def tone(frequency: float, seconds: float = 1.0, rate: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pitch_of(wave: np.ndarray, rate: int = 16_000) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * len(wave)))
    return float(spectrum.argmax() * rate / (8 * len(wave)))


# ------------------------------------------------------------------ log-mel, written out


def slow_log_mel(wave, rate, count, window, hop, low, high, floor):
    """Every sum of the documented formula, one number at a time."""
    points = 1
    while points < window:
        points *= 2

    def in_mels(f):
        return 2595 * math.log10(1 + f / 700)

    def in_hertz(m):
        return 700 * (10 ** (m / 2595) - 1)

    ends = in_mels(low), in_mels(high)
    corners = [in_hertz(ends[0] + (ends[1] - ends[0]) * k / (count + 1)) for k in range(count + 2)]
    found = []
    for start in range(0, len(wave) - window + 1, hop):
        power = []
        for f in range(points // 2 + 1):
            terms = (
                (0.5 - 0.5 * math.cos(2 * math.pi * n / window))
                * wave[start + n]
                * cmath.exp(-2j * math.pi * f * n / points)
                for n in range(window)
            )
            power.append(abs(sum(terms)) ** 2)
        row = []
        for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
            energy = 0.0
            for f, value in enumerate(power):
                at = f * rate / points
                if left < at <= middle:
                    energy += value * (at - left) / (middle - left)
                elif middle < at < right:
                    energy += value * (right - at) / (right - middle)
            row.append(math.log(max(floor, energy)))
        found.append(row)
    return np.array(found)


@pytest.mark.parametrize(
    ("window", "hop", "low", "high"), [(20.0, 10.0, 0.0, None), (16.0, 4.0, 100.0, 900.0), (25.0, 40.0, 0.0, 500.0)]
)
def test_log_mel_is_what_its_formula_says(window, hop, low, high):
    wave = RNG.uniform(-1, 1, 150)
    features = LogMel(mels=5, window=window, hop=hop, low=low, high=high, floor=1e-3)
    samples, step = features.samples_of(RATE)
    slow = slow_log_mel(wave, RATE, 5, samples, step, low, high or RATE / 2, 1e-3)
    found = features.of(wave, RATE)
    assert found.shape == slow.shape == (features.steps(150, RATE), 5)
    np.testing.assert_allclose(found, slow, rtol=0, atol=1e-10)
    single = features.of(wave.astype(np.float32), RATE)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, slow, rtol=0, atol=1e-4)


def test_all_energy_of_a_frame_is_in_its_bands_where_they_add_up_to_one():
    # Parseval: the mean of |X|² over all bins is the sum of the squares of the windowed samples.
    wave = RNG.standard_normal(50)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(50) / 50)
    frequencies = np.arange(33) * RATE / 64
    bank = filter_bank(5, 0, RATE / 2, frequencies)
    inner = (frequencies >= hertz(mels(RATE / 2) * 1 / 6)) & (frequencies <= hertz(mels(RATE / 2) * 5 / 6))
    np.testing.assert_allclose(bank.sum(axis=0)[inner], 1)
    power = np.abs(np.fft.rfft(wave * window, 64)) ** 2
    assert (2 * power.sum() - power[0] - power[-1]) / 64 == pytest.approx(np.square(wave * window).sum())
    energy = np.exp(LogMel(mels=5, window=25.0, hop=25.0, floor=1e-30).of(wave, RATE))
    assert power[inner].sum() <= energy.sum() <= power.sum()


def test_a_sound_ten_times_as_strong_is_twice_ln_10_louder_in_every_band():
    wave = RNG.standard_normal(400)
    quiet, loud = (LogMel(mels=8, floor=1e-30).of(a * wave, RATE) for a in (1, 10))
    np.testing.assert_allclose(loud - quiet, 2 * math.log(10), atol=1e-9)


def test_a_sound_that_begins_a_hop_later_has_its_features_a_frame_later():
    features, wave = LogMel(mels=8), RNG.standard_normal(600)
    _, hop = features.samples_of(RATE)
    later = np.concatenate([np.zeros(3 * hop), wave])
    np.testing.assert_array_equal(features.of(later, RATE)[3:], features.of(wave, RATE))


@given(st.floats(0, 20_000))
def test_mels_and_hertz_are_each_others_inverse(frequency):
    assert float(hertz(mels(frequency))) == pytest.approx(frequency, abs=1e-6)


def test_a_thousand_hertz_are_a_thousand_mels():
    assert float(mels(1000.0)) == pytest.approx(1000, abs=0.1)


def test_the_loudest_band_of_a_tone_is_the_one_around_its_frequency():
    features = LogMel()
    for frequency in (300.0, 1000.0, 3000.0):
        band = int(features.of(tone(frequency), 16_000).mean(axis=0).argmax())
        corners = hertz(np.linspace(0, float(mels(8000)), 42))
        assert corners[band] < frequency < corners[band + 2]


def test_silence_has_the_floor_and_a_sound_shorter_than_a_frame_has_one():
    features = LogMel(floor=0.01)
    np.testing.assert_allclose(features.of(np.zeros(3, np.float32), 16_000), np.full((1, 40), math.log(0.01)))
    assert features.steps(3, 16_000) == 1
    assert features.steps(400, 16_000) == 1
    assert features.steps(560, 16_000) == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"high": 9000}, "bands from 0 to 9000 Hz, and of recordings at 16,000 Hz frequencies below 8000 Hz"),
        ({"mels": 400}, "band 1 of 400 is so narrow that no frequency lies in it"),
    ],
)
def test_bands_that_a_rate_does_not_allow_are_refused(fields, said):
    with pytest.raises(DataError, match=said):
        LogMel(**fields).of(np.zeros(1000, np.float32), 16_000)


@pytest.mark.parametrize("fields", [{"window": 0}, {"hop": -1}, {"mels": 0}, {"low": 500, "high": 400}, {"floor": 0}])
def test_features_without_meaning_are_refused(fields):
    with pytest.raises(ValidationError):
        LogMel(**fields)


def test_other_names_for_features_are_known():
    with pytest.raises(ValidationError, match="Did you mean 'log_mel'"):
        Features.parse("mfcc")


# ------------------------------------------------------------------ rows


def test_the_features_of_a_recording_are_those_it_has_alone_bit_for_bit():
    waves = [RNG.standard_normal(n).astype(np.float32) for n in (700, 400, 90, 650)]
    encoder = AudioEncoder(LogMel(mels=10), RATE, 700)
    x, lengths = encoder.rows(waves)
    assert lengths is not None
    for i, wave in enumerate(waves):
        alone = encoder.features.of(wave, RATE)
        assert lengths[i] == len(alone)
        np.testing.assert_array_equal(x[i, : len(alone)], alone)
        assert not x[i, len(alone) :].any()


def test_rows_of_one_duration_have_no_lengths():
    encoder = AudioEncoder(Waveform(), RATE, 50, filled=True)
    waves = [encoder.fitted(RNG.standard_normal(n)) for n in (50, 70, 20)]
    x, lengths = encoder.rows(waves)
    assert x.shape == (3, 50, 1)
    assert lengths is None
    assert not x[2, 20:].any()


def test_an_encoder_survives_its_way_through_json():
    encoder = AudioEncoder(LogMel(mels=17, high=800.0), RATE, 700, filled=True)
    assert AudioEncoder.from_plain(encoder.to_plain()) == encoder


# ------------------------------------------------------------------ rates, speed and pitch


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (8000, 16_000), (22_050, 8000), (48_000, 44_100)])
def test_a_tone_keeps_its_frequency_and_its_size_at_another_rate(old, new):
    wave = resampled(tone(1000, 0.5, old), new, old)
    assert len(wave) == samples_at(new, round(0.5 * old), old)
    assert pitch_of(wave, new) == pytest.approx(1000, abs=1)
    middle = wave[len(wave) // 4 : -len(wave) // 4]
    assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.5 / math.sqrt(2), rel=0.01)


def test_what_a_lower_rate_cannot_hold_is_taken_out_and_not_folded_down():
    assert np.abs(resampled(tone(7000), 8000, 16_000)[100:-100]).max() < 0.01


def test_the_same_rate_changes_nothing():
    wave = tone(1000)
    assert resampled(wave, 8000, 8000) is wave


@pytest.mark.parametrize("n", [1, 5, 100, 3000])
def test_speed_one_gives_the_sound_back(n):
    wave = RNG.standard_normal(n).astype(np.float32)
    np.testing.assert_allclose(stretched(wave, 1.0, 256), wave, atol=1e-5)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0, 3.7])
def test_another_speed_changes_the_duration_and_not_the_pitch(speed):
    found = stretched(tone(440), speed, frame_length(16_000))
    assert len(found) == round(16_000 / speed)
    assert pitch_of(found) == pytest.approx(440, rel=0.005)


def slow_stretch(wave, speed, frame):
    """The documented formula, frame by frame and bin by bin, in the middle of a long recording."""
    hop = frame // 4
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / frame) for n in range(frame)]
    around = [0.0] * (frame // 2) + list(wave) + [0.0] * (6 * frame)

    def spectrum(i):
        return np.fft.rfft([w * s for w, s in zip(window, around[i * hop : i * hop + frame], strict=True)])

    frames = -(-round(len(wave) / speed) // hop) + 1
    total, weight = np.zeros(frames * hop + frame), np.zeros(frames * hop + frame)
    angle = np.angle(spectrum(0))
    for k in range(frames):
        i, share = int(k * speed), k * speed - int(k * speed)
        here, there = spectrum(i), spectrum(i + 1)
        size = (1 - share) * np.abs(here) + share * np.abs(there)
        total[k * hop : k * hop + frame] += np.fft.irfft(size * np.exp(1j * angle)) * window
        weight[k * hop : k * hop + frame] += np.square(window)
        angle = angle + np.angle(there) - np.angle(here)
    found = total / np.maximum(weight, 1e-3)
    return found[frame // 2 :][: round(len(wave) / speed)]


@pytest.mark.parametrize("speed", [0.7, 1.0, 1.3, 2.5])
def test_the_phase_vocoder_is_what_its_formula_says(speed):
    wave = RNG.standard_normal(400)
    np.testing.assert_allclose(stretched(wave, speed, 32), slow_stretch(wave, speed, 32), atol=1e-9)


def test_what_happens_later_happens_at_another_time():
    wave = np.zeros(16_000, np.float32)
    wave[8000:] = tone(600, 0.5)
    found = stretched(wave, 1.6, frame_length(16_000))
    loud = np.flatnonzero(np.abs(found) > 0.1)[0]
    assert loud == pytest.approx(5000, abs=frame_length(16_000) // 2)


@pytest.mark.parametrize("semitones", [-12, -5, -0.5, 0.7, 4, 12])
def test_another_pitch_changes_the_frequency_and_not_the_duration(semitones):
    found = shifted(tone(600), semitones, frame_length(16_000))
    assert len(found) == 16_000
    assert 12 * math.log2(pitch_of(found) / 600) == pytest.approx(semitones, abs=0.1)


def test_silence_stays_silent_at_any_speed_and_pitch():
    silence = np.zeros(1000, np.float32)
    assert not stretched(silence, 1.3, 256).any()
    assert not shifted(silence, 3, 256).any()
