"""What the picture of recordings is drawn from: spectrograms of what the network hears, and before augmentation."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np

from nnctl.checks.data.view import View
from nnctl.core.arrays import Array, Float
from nnctl.data.audio import AudioEncoder, LogMel
from nnctl.data.audio.mel import hertz, mels
from nnctl.experiment.assembly import Experiment

__all__ = ["augmented_sounds", "sounds"]

LINES = 8
ACROSS = 6
SHORTEST_FRAME = 128
"""Samples, so that each of the bands below holds a frequency at any rate."""
BANDS = 24
FINEST = 256
"""Frames that are drawn at most."""
QUIET = 60.0
"""Decibels below the loudest, from which on all is black."""


def sounds(view: View) -> dict[str, Any]:
    """Return spectrograms of the first training recordings of each class."""
    assert view.experiment is not None
    data = view.experiment.data
    y, classes = data.train.y, data.classes
    if classes is None:
        lines = [("", np.arange(i, min(i + ACROSS, len(y)))) for i in range(0, min(len(y), 3 * ACROSS), ACROSS)]
    else:
        lines = [(name, np.flatnonzero(y == k)[:ACROSS]) for k, name in enumerate(classes[:LINES])]
    shown = np.concatenate([rows for _, rows in lines])
    pictures = _spectrograms(view.experiment, data.train.x[shown], shown)
    left_out = max(0, len(classes or ()) - LINES)
    return {"left_out": left_out, **_sheet(view.experiment, pictures, [(name, len(rows)) for name, rows in lines])}


def augmented_sounds(experiment: Experiment) -> dict[str, Any]:
    """Return spectrograms of training recordings, each followed by what becomes of it in the first epochs."""
    train = experiment.examples(experiment.data.train)
    batches, classes = experiment.batches(train), experiment.data.classes
    rows = batches.order(0)[:ACROSS]
    epochs = [train.x[rows], *(batches.rows_of(rows, epoch)[0] for epoch in range(ACROSS - 1))]
    pictures = np.stack([_spectrograms(experiment, x, rows) for x in epochs], axis=1)
    labels = [classes[train.y[row]] if classes else f"{train.y[row][0]:.4g}" for row in rows]
    pictures = pictures.reshape(-1, *pictures.shape[2:])
    return _sheet(experiment, pictures, [(label, ACROSS) for label in labels])


def _spectrograms(experiment: Experiment, x: Float, rows: Array) -> Float:
    """Return inputs x (B, T, D) of training rows as log-mel spectrograms (B, T', bands); padding is -inf."""
    pre, lengths = experiment.data.preprocessing, experiment.data.train.lengths
    assert pre.audio is not None
    heard = pre.scaling.invert(x)
    there = np.full(len(x), x.shape[1]) if lengths is None else lengths[rows]
    picture = _picture_of(pre.audio)
    if not pre.audio.features.has_frequencies:
        waves = [wave[:n, 0] for wave, n in zip(heard, there, strict=True)]
        there = np.array([picture.steps(len(wave), pre.audio.rate) for wave in waves])
        heard = np.zeros((len(x), picture.steps(x.shape[1], pre.audio.rate), picture.width))
        for i, wave in enumerate(waves):
            heard[i, : there[i]] = picture.of(wave, pre.audio.rate)
    heard[np.arange(heard.shape[1]) >= there[:, None]] = -np.inf
    return heard


def _picture_of(encoder: AudioEncoder) -> LogMel:
    """Return the features that are drawn: the network's own, or a spectrogram of waveforms."""
    if isinstance(encoder.features, LogMel):
        return encoder.features
    window = max(25.0, SHORTEST_FRAME * 1000 / encoder.rate)
    return LogMel(mels=BANDS, window=window, hop=window / 2)


def _sheet(experiment: Experiment, pictures: Float, lines: list[tuple[str, int]]) -> dict[str, Any]:
    """Return spectrograms (N, T, bands) as lines of a label and so many of them, from silent 0 to loud 255."""
    encoder = experiment.data.preprocessing.audio
    assert encoder is not None
    features = _picture_of(encoder)
    pictures = pictures[:, :: max(1, pictures.shape[1] // FINEST)]
    high = float(np.quantile(pictures[np.isfinite(pictures)], 0.999))
    low = high - QUIET / 10 * np.log(10)
    grey = (255 * ((pictures - low) / (high - low)).clip(0, 1)).round().astype(np.uint8)
    pixels = iter(grey)
    top = encoder.rate / 2 if features.high is None else features.high
    middles = hertz(np.linspace(float(mels(features.low)), float(mels(top)), features.mels + 2))[1:-1]
    return {
        "shape": list(grey.shape[1:]),
        "seconds": encoder.samples / encoder.rate,
        "hertz": middles.tolist(),
        "decibels": QUIET,
        "lines": [
            {"label": name, "pixels": [b64encode(next(pixels).tobytes()).decode() for _ in range(count)]}
            for name, count in lines
        ],
    }
