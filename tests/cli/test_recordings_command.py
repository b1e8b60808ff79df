"""Recordings from the command line: trained on, looked at, predicted from the run alone; and what is refused."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from nnctl.core.errors import Interrupted
from nnctl.data.audio import LogMel
from nnctl.data.reading import read_input
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.prediction import Predictor
from nnctl.experiment.session import Session
from nnctl.runs.store import find
from nnctl.spec.load import load_spec

RATE = 4000
SPEC = """\
name: words
data:
  source: {{audio: {{path: words{source}}}}}
  split: {{validation: 4, test: 4}}
  augment: [{augment}]
architecture: {architecture}
loss: cross_entropy
training: {{epochs: 2, batch_size: 8}}
"""
NETWORK = "[{conv1d: {channels: 8, kernel: 5}}, relu, {max_pool: 2}, global_avg_pool, {dense: outputs}]"
RAW = "[{conv1d: {channels: 8, kernel: 32, stride: 16}}, relu, global_max_pool, {dense: outputs}]"
RNG = np.random.default_rng(0)


def spoken(frequency: float, samples: int, rate: int = RATE) -> np.ndarray:
    wave = 0.4 * np.sin(2 * np.pi * frequency * np.arange(samples) / rate) + 0.02 * RNG.standard_normal(samples)
    return (wave * 32767).astype(np.int16)


@pytest.fixture
def words(here):
    """A folder with two words of different durations, twelve recordings of each."""
    for word, frequency in (("no", 300.0), ("yes", 800.0)):
        (here / "words" / word).mkdir(parents=True)
        for k in range(12):
            wavfile.write(here / "words" / word / f"{k:02}.wav", RATE, spoken(frequency + 10 * k, 600 + 50 * k))
    return here / "words"


def spec_of(here, source: str = "", augment: str = "", architecture: str = NETWORK) -> str:
    (here / "spec.yaml").write_text(SPEC.format(source=source, augment=augment, architecture=architecture))
    return "spec.yaml"


def run_of(here):
    [run] = here.glob("runs/words-2*")
    return run


ALL = "time_stretch, pitch_shift, white_noise, time_mask, {frequency_mask: 4}"


@pytest.mark.parametrize(
    ("source", "augment", "architecture"),
    [
        ("", ALL, NETWORK),
        (", seconds: 0.2", "", "[{reshape: [-1, 40, 1]}, {conv2d: 4}, relu, global_avg_pool, {dense: outputs}]"),
        (", features: waveform", "time_stretch, {time_mask: 50}", RAW),
        (", rate: 2000, features: {log_mel: {mels: 10}}", "", "[{gru: 4}, {dense: outputs}]"),
        (", features: {log_mel: {mels: 6}}", "", "[flatten, {dense: outputs}]"),
    ],
    ids=["log_mel", "conv2d", "waveform", "resampled", "flatten"],
)
def test_prediction_hears_what_training_heard_bit_for_bit(nnctl, here, words, source, augment, architecture):
    trained = nnctl("train", spec_of(here, source, augment, architecture), "--no-plot")
    assert trained.code == 0, trained.err
    predictor = Predictor(find(here / "runs", run_of(here).name))
    data = Experiment(load_spec(here / "spec.yaml")).data
    assert data.train.rows.size + data.validation.rows.size + data.test.rows.size == 24
    (here / "elsewhere").mkdir()
    words.rename(here / "elsewhere" / "words")  # nothing but the run and the recordings to predict
    table = read_input(str(here / "elsewhere" / "words"), predictor.preprocessing, predictor.spec.data.source)
    x = predictor.preprocessing.transform(table)
    for part in (data.train, data.validation, data.test):
        np.testing.assert_array_equal(x[part.rows], part.x)
        if part.lengths is not None:
            np.testing.assert_array_equal(table.lengths[part.rows], part.lengths)
    answer = nnctl("predict", run_of(here), here / "elsewhere" / "words" / "yes" / "03.wav")
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "row,file,prediction,p_no,p_yes"
    assert len(answer.out.splitlines()) == 2


@pytest.mark.parametrize("steps", [1, 3])
def test_a_training_on_changed_sounds_that_was_interrupted_ends_with_the_same_bits(here, words, steps):
    loaded = load_spec(here / spec_of(here, augment=ALL))
    whole, broken = (Session.start(Experiment(loaded), here / name) for name in ("whole", "broken"))
    list(whole.epochs())
    with pytest.raises(Interrupted):
        list(broken.epochs(lambda: signal.SIGINT if broken.learner.step >= steps else None))
    resumed = Session.resume(broken.run)
    list(resumed.epochs())
    assert resumed.learner.step == whole.learner.step > steps
    assert resumed.learner.network.theta.tobytes() == whole.learner.network.theta.tobytes()


def test_a_folder_whose_folders_are_the_words_is_scored_and_a_list_too(nnctl, here, words):
    assert nnctl("train", spec_of(here), "--no-plot").code == 0
    answer = nnctl("predict", run_of(here), words)
    assert len(answer.out.splitlines()) == 25
    assert "accuracy" in answer.err
    (here / "list.csv").write_text("path\nwords/no/00.wav\nwords/yes/11.wav\n")
    answer = nnctl("predict", run_of(here), "list.csv")
    rows = [line.split(",")[:2] for line in answer.out.splitlines()]
    assert rows == [["row", "file"], ["1", "words/no/00.wav"], ["2", "words/yes/11.wav"]]
    [first, _] = json.loads(nnctl("predict", run_of(here), "list.csv", "--json").out)["predictions"]
    assert first["file"] == "words/no/00.wav"


def test_what_is_to_be_predicted_is_brought_to_the_rate_of_the_run_and_that_is_said_once(nnctl, here, words):
    assert nnctl("train", spec_of(here), "--no-plot").code == 0
    (here / "new").mkdir()
    for k in range(3):
        wavfile.write(here / "new" / f"{k}.wav", 11_025, spoken(300, 3000 + 1000 * k, 11_025))
    wavfile.write(here / "new" / "9.wav", RATE, np.stack([spoken(300, 700)] * 2, axis=1))
    answer = nnctl("predict", run_of(here), "new")
    assert answer.code == 0
    assert answer.err.count("3 recordings of 11,025 Hz resampled to 4,000 Hz") == 1
    assert "1 recording of several channels mixed into one" in answer.err
    assert "2 recordings cut after 0.2875 s" in answer.err
    assert len(answer.out.splitlines()) == 5


@pytest.mark.parametrize("content", [b"", b"nothing", b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff"])
def test_a_broken_recording_to_be_predicted_is_named(nnctl, here, words, content):
    assert nnctl("train", spec_of(here), "--no-plot").code == 0
    (here / "x.wav").write_bytes(content)
    answer = nnctl("predict", run_of(here), "x.wav")
    assert answer.code == 3
    assert "x.wav: is" in answer.err


def test_a_network_that_hears_answers_to_other_files_in_words(nnctl, here, words):
    assert nnctl("train", spec_of(here), "--no-plot").code == 0
    Image.new("L", (4, 4)).save(here / "x.png")
    (here / "x.csv").write_text("a,b\n1,2\n")
    assert nnctl("predict", run_of(here), "x.csv").code == 3
    assert nnctl("predict", run_of(here), "x.png").code == 3
    assert nnctl("predict", run_of(here), "words/none").code == 3


@pytest.mark.parametrize(
    ("augment", "source", "said"),
    [
        ("time_mask, time_stretch", "", "time_stretch: changes the sound, of which time_mask changes what the network"),
        ("mixup", "", "mixup: mixes two rows place by place, and the rows here have different lengths."),
        ("frequency_mask", ", features: waveform", "frequency_mask: masks bands of frequencies, and the network hears"),
        ("{frequency_mask: 40}", "", "width must be < 40, the number of bands. Got 40."),
        ("flip", "", "flip: needs images"),
        ("{white_noise: 3}", "", "white_noise.snr: must be a list"),
        ("gaussian_noisy", "", "unknown augmentation 'gaussian_noisy'"),
    ],
)
def test_an_augmentation_that_cannot_be_is_told_with_its_line(nnctl, here, words, augment, source, said):
    answer = nnctl("train", spec_of(here, source, augment))
    assert answer.code == 2
    assert "spec.yaml:5:" in answer.err
    assert said in answer.err.replace("\n", " ")


def test_sounds_are_needed_to_stretch(nnctl, here):
    (here / "spec.yaml").write_text(
        "data: {source: iris, augment: [time_stretch]}\narchitecture: [{dense: outputs}]\nloss: cross_entropy\n"
    )
    answer = nnctl("train", "spec.yaml")
    assert answer.code == 2
    assert "time_stretch: changes sounds, and the rows are none. A row here has shape (4,)." in answer.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (", rate: 7", "rate: must be >= 100"),
        (", seconds: 0", "seconds: must be > 0"),
        (", features: mfcc", "unknown feature 'mfcc'. Did you mean 'log_mel'?"),
        (", sample_rate: 8000", "Did you mean 'rate'?"),
        (", train: words", "needs either path, or train"),
    ],
)
def test_a_mistake_in_the_source_is_told_with_its_line(nnctl, here, words, source, said):
    answer = nnctl("validate", spec_of(here, source))
    assert answer.code == 2
    assert "spec.yaml:3:" in answer.err
    assert said in answer.err.replace("\n", " ")


@pytest.mark.parametrize("features", ["log_mel", "waveform"])
def test_data_shows_spectrograms_before_and_after(nnctl, here, words, features):
    augment = "white_noise, time_mask" if features == "log_mel" else "white_noise"
    answer = nnctl("data", spec_of(here, f", features: {features}", augment))
    assert answer.code in {0, 5}
    for name in ("data.png", "augmented.png"):
        [picture] = here.glob(f"runs/*/{name}")
        with Image.open(picture) as image:
            assert min(image.size) > 300
    figures = json.loads((picture.parent / "check.json").read_text())["figures"]
    assert [line["label"] for line in figures["sounds"]["lines"]] == ["no", "yes"]
    for line in figures["augmented_sounds"]["lines"]:
        assert len(set(line["pixels"])) == len(line["pixels"]) == 6
    assert figures["sounds"]["hertz"] == sorted(figures["sounds"]["hertz"])
    assert nnctl("data", spec_of(here, f", features: {features}")).code in {0, 5}
    assert len(list(here.glob("runs/*/augmented.png"))) == 1


def test_the_spectrogram_of_a_recording_that_nothing_changes_is_the_one_of_the_features(nnctl, here, words):
    answer = nnctl("data", spec_of(here, augment="{white_noise: {probability: 0}}"), "--json")
    figures = json.loads(answer.out)["figures"]
    assert all(len(set(line["pixels"])) == 1 for line in figures["augmented_sounds"]["lines"])
    _, wave = wavfile.read(words / "no" / "11.wav")
    frames = LogMel().steps(len(wave), RATE)
    assert figures["sounds"]["shape"] == [frames, 40]


def test_toy_sounds_train_and_what_learned_them_hears_a_file(nnctl, here):
    (here / "spec.yaml").write_text(
        "name: tones\ndata: {source: {tones: {samples: 120, rate: 2000, features: {log_mel: {mels: 12}}}},\n"
        f"       augment: [white_noise]}}\narchitecture: {NETWORK}\nloss: cross_entropy\ntraining: {{epochs: 1}}\n"
    )
    assert nnctl("train", "spec.yaml", "--no-plot").code == 0
    wavfile.write(here / "x.wav", 8000, spoken(100, 3000, 8000))
    [run] = here.glob("runs/tones-*")
    answer = nnctl("predict", run, "x.wav")
    assert answer.code == 0
    assert answer.out.splitlines()[0].startswith("row,file,prediction,p_sine,p_square,p_rising")
