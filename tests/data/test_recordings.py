"""Recordings from folders and lists: which files, which sound, what is refused; and the toy sounds."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from nnctl.core.errors import DataError
from nnctl.data import memory
from nnctl.data.audio import LogMel, Waveform
from nnctl.data.audio.resampling import resampled
from nnctl.data.audio.wav import header_of, read_wav
from nnctl.data.prepare import prepare
from nnctl.data.scaling import Standard
from nnctl.data.sources import audio
from nnctl.data.sources.audio import Audio
from nnctl.data.sources.tones import SHAPES, Tones
from nnctl.data.splits import SplitPlan

RNG = np.random.default_rng(0)
RATE = 8000


def save(path: Path, wave: np.ndarray, rate: int = RATE) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, wave)
    return wave


def noise(samples: int = 800, channels: int | None = None) -> np.ndarray:
    shape = samples if channels is None else (samples, channels)
    return RNG.integers(-20_000, 20_000, shape).astype(np.int16)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two classes of six recordings of a tenth of a second."""
    for name in ("no", "yes"):
        for k in range(6):
            save(tmp_path / "words" / name / f"{k}.wav", noise())
    return tmp_path / "words"


def load(path: Path | None = None, **fields):
    return Audio(path=None if path is None else str(path), **fields).load(Path.cwd(), 0)


def refused(path: Path, **fields) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **fields)
    return str(caught.value)


# ------------------------------------------------------------------ which files, which sound


def test_the_folders_are_the_classes_and_their_recordings_the_rows(folder):
    save(folder / "no" / "deeper" / "x.WAV", noise())
    (folder / "no" / "notes.txt").write_text("not a sound")
    table = load(folder, features=Waveform())
    assert table.x.shape == (13, 800, 1)
    assert table.y.tolist() == ["no"] * 7 + ["yes"] * 6
    _, sound = wavfile.read(folder / "yes" / "2.wav")
    np.testing.assert_array_equal(table.x[9, :, 0], (sound / 32768).astype(np.float32))


def test_a_list_says_where_the_recordings_are_and_what_is_said(folder):
    (folder / "list.csv").write_text("file, word\nyes/3.wav, yes indeed\nno/0.wav,no")
    table = load(folder / "list.csv", audio="file", target="word")
    assert table.y.tolist() == ["yes indeed", "no"]
    np.testing.assert_array_equal(table.x[0], load(folder).x[9])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("path,label\nno/9.wav,no", "list.csv:2: there is no recording"),
        ("path,label\nno/0.wav,", "list.csv:2: 0.wav has no label"),
        ("file,label\nno/0.wav,no", "data.source.audio.audio:"),
    ],
)
def test_a_list_with_a_mistake_is_refused_with_its_line(folder, lines, said):
    (folder / "list.csv").write_text(lines)
    assert said in refused(folder / "list.csv")


def written_by_hand(bits: int, kind: int, samples: bytes, *, extensible: bool = False) -> bytes:
    width = bits // 8
    layout = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, 1, RATE, RATE * width, width, bits)
    if extensible:
        layout += struct.pack("<HHIH", 22, bits, 4, kind) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    chunks = b"LIST\x03\x00\x00\x00abc\x00" + b"fmt " + struct.pack("<I", len(layout)) + layout
    chunks += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(
    ("bits", "kind", "packed"),
    [
        (8, 1, bytes([0, 64, 128, 192])),
        (16, 1, struct.pack("<4h", -32768, -16384, 0, 16384)),
        (24, 1, b"".join(struct.pack("<i", n)[:3] for n in (-(2**23), -(2**22), 0, 2**22))),
        (32, 1, struct.pack("<4i", -(2**31), -(2**30), 0, 2**30)),
        (32, 3, struct.pack("<4f", -1, -0.5, 0, 0.5)),
        (64, 3, struct.pack("<4d", -1, -0.5, 0, 0.5)),
    ],
)
def test_every_kind_of_sample_becomes_the_same_sound(tmp_path, bits, kind, packed, extensible):
    path = tmp_path / "x.wav"
    path.write_bytes(written_by_hand(bits, kind, packed, extensible=extensible))
    header = header_of(path)
    assert (header.rate, header.channels, header.samples) == (RATE, 1, 4)
    sound = read_wav(path)
    assert sound.dtype == np.float32
    assert sound[:, 0].tolist() == [-1, -0.5, 0, 0.5]


# ------------------------------------------------------------------ rates, channels, durations


def test_another_rate_is_refused_by_name_unless_a_rate_is_asked_for(folder):
    save(folder / "no" / "other.wav", noise(1600), rate=16_000)
    said = refused(folder)
    assert "no/other.wav: is recorded at 16,000 Hz, and most of the others at 8,000 Hz. Say 'rate: 8000'" in said
    table = load(folder, rate=4000, features=Waveform())
    assert table.x.shape == (13, 400, 1)
    assert table.recordings.encoder.rate == 4000
    for row, name, old in ((6, "other", 16_000), (0, "0", RATE)):
        sound = read_wav(folder / "no" / f"{name}.wav")[:, 0]
        np.testing.assert_array_equal(table.x[row, :, 0], resampled(sound, 4000, old))
    assert table.notes == (
        "12 recordings of 8,000 Hz resampled to 4,000 Hz",
        "1 recording of 16,000 Hz resampled to 4,000 Hz",
    )


def test_several_channels_are_refused_by_name_unless_they_are_to_be_mixed(folder):
    sound = save(folder / "no" / "0.wav", noise(800, 2))
    assert "no/0.wav: has 2 channels. Say 'mono: true'" in refused(folder)
    table = load(folder, mono=True, features=Waveform())
    np.testing.assert_allclose(table.x[0, :, 0], sound.mean(axis=1) / 32768, atol=1e-7)
    assert table.notes == ("1 recording of several channels mixed into one",)


def test_recordings_of_different_durations_are_padded_and_their_lengths_known(folder):
    save(folder / "no" / "0.wav", noise(400))
    table = load(folder)
    features = LogMel()
    assert table.x.shape == (12, features.steps(800, RATE), 40)
    assert table.lengths.tolist() == [features.steps(400, RATE)] + [features.steps(800, RATE)] * 11


def test_a_duration_cuts_what_is_longer_and_fills_what_is_shorter(folder):
    short = save(folder / "no" / "0.wav", noise(400))
    table = load(folder, seconds=0.0625, features=Waveform())
    assert table.x.shape == (12, 500, 1)
    assert table.lengths is None
    np.testing.assert_allclose(table.x[0, :400, 0], short / 32768, atol=1e-7)
    assert not table.x[0, 400:].any()
    assert table.notes == ("11 recordings cut after 0.0625 s", "1 recording followed by silence up to 0.0625 s")


def test_padding_changes_nothing_that_scaling_learns(folder):
    alike = prepare(Audio(path=str(folder)), SplitPlan(), Standard(), task="classification")
    save(folder / "yes" / "5.wav", noise(1600))
    with_long = load(folder)
    rows = np.setdiff1d(np.arange(12), 11)
    np.testing.assert_array_equal(with_long.x[rows, :8], load(folder, seconds=0.1).x[rows])
    padded = prepare(Audio(path=str(folder)), SplitPlan(), Standard(), task="classification").preprocessing.scaling
    assert np.abs(padded.center - alike.preprocessing.scaling.center).max() < 1  # zeros would pull it by several


# ------------------------------------------------------------------ what is broken


def whole() -> bytes:
    return written_by_hand(16, 1, noise(100).tobytes())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"hello, this is no sound at all", "it does not begin as one"),
        (b"RIFF", "it ends within its header"),
        (whole()[:30], "it ends within its header"),
        (whole()[:-50], "it is cut off: its header promises 200 bytes of sound, and 150 are there"),
        (written_by_hand(16, 1, b""), "it holds no sound"),
        (written_by_hand(16, 7, b"0000"), "its sound is of kind 7 with 16 bits"),
        (written_by_hand(12, 1, b"0000"), "its sound is of kind 1 with 12 bits"),
        (whole().replace(struct.pack("<I", RATE), b"\x00\x28\x6b\xee", 1), "its header says 4,000,000,000 Hz"),
        (whole().replace(b"LIST\x03\x00\x00\x00", b"LIST\xff\xff\xff\xff"), "it ends within its header"),
        (b"RF64" + whole()[4:], "it is of the kind RF64"),
        (written_by_hand(32, 3, struct.pack("<f", float("nan"))), "it holds values that are missing"),
        (written_by_hand(32, 3, struct.pack("<f", 1e9)), "it holds values that are missing or beyond"),
    ],
)  # fmt: skip
def test_a_broken_recording_is_named_and_left_out_only_if_one_says_so(folder, content, said):
    (folder / "no" / "bad.wav").write_bytes(content)
    message = refused(folder)
    assert f"no/bad.wav: is no wav file that can be read: {said}" in message
    assert "skip_broken: true" in message
    table = load(folder, skip_broken=True)
    assert len(table) == 12
    assert table.y.tolist() == ["no"] * 6 + ["yes"] * 6
    assert "1 recording cannot be read and is left out" in table.notes[0]


def test_broken_recordings_alone_are_nothing_to_learn_from(tmp_path):
    (tmp_path / "words" / "a").mkdir(parents=True)
    (tmp_path / "words" / "a" / "x.wav").write_bytes(b"nothing")
    assert "a/x.wav: cannot be read" in refused(tmp_path / "words", skip_broken=True)


def test_what_does_not_fit_into_the_memory_is_refused_before_it_is_read(folder, monkeypatch):
    vast, size = folder / "no" / "vast.wav", 2**32 - 256
    header = b"RIFF" + struct.pack("<I", size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE, 1, 8)
    with vast.open("wb") as file:
        file.write(header + b"data" + struct.pack("<I", size))
        file.truncate(len(header) + 8 + size)  # a hole: nothing is on the disk
    assert header_of(vast).samples == size
    monkeypatch.setattr(memory, "available_memory", lambda: 2**32)
    monkeypatch.setattr(audio, "read_wav", lambda path: pytest.fail(f"{path} is read"))
    assert "vast.wav: 536,871 s of sound: 51.5 GB are needed and 4.3 GB of memory are left" in refused(folder)
    vast.unlink()
    assert "12 recordings of 12,000,000,000 s together" in refused(folder, seconds=1e9)
    assert "12 recordings of 1 s together" in refused(folder, features=LogMel(mels=10**8))


# ------------------------------------------------------------------ toy sounds


def test_a_seed_draws_the_same_sounds_and_another_one_others():
    first, again, other = (Tones(samples=30).load(Path(), seed) for seed in (0, 0, 1))
    assert first.x.shape == (30, LogMel().steps(4000, RATE), 40)
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x)
    assert np.bincount(first.y).tolist() == [5] * 6
    assert first.classes == tuple(SHAPES)


def test_each_sound_is_what_it_is_called():
    table = Tones(samples=60, noise=0, features=Waveform()).load(Path(), 0)
    for wave, kind in zip(table.x[..., 0], table.y, strict=True):
        sound = wave[np.flatnonzero(wave)[0] : np.flatnonzero(wave)[-1] + 1]
        assert 0.25 * 4000 < len(sound) < 0.75 * 4000
        begin, end = (np.abs(np.fft.rfft(half * np.hanning(len(half)), 8192)) for half in np.array_split(sound, 2))
        pitch = [float(spectrum.argmax()) for spectrum in (begin, end)]
        name = table.classes[kind]
        if name == "rising":
            assert pitch[1] > 1.2 * pitch[0]
        elif name == "falling":
            assert pitch[0] > 1.2 * pitch[1]
        elif name in {"sine", "square", "warbling"}:
            assert 0.9 < pitch[1] / pitch[0] < 1.1
            third = round(3 * pitch[0])
            overtone = begin[third - 40 : third + 40].max() / begin.max()
            assert (overtone > 0.2) == (name == "square")
        else:
            assert np.median(begin) > 0.2 * begin.max()


def test_noise_is_added_to_the_sounds():
    still, noisy = (Tones(samples=30, noise=a, features=Waveform(), seed=3).load(Path(), 0) for a in (0.0, 0.2))
    quiet = noisy.x[:, :300][np.abs(still.x[:, :300]) == 0]
    assert quiet.std() == pytest.approx(0.2, rel=0.1)


def test_too_many_sounds_are_refused():
    with pytest.raises(DataError, match="GB are needed"):
        Tones(samples=10**11).load(Path(), 0)
