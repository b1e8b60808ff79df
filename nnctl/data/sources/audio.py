"""Recordings as wav files: a folder for each class, or a CSV of paths and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float
from nnctl.core.component import Positive
from nnctl.core.errors import DataError
from nnctl.data.audio.encoder import AudioEncoder
from nnctl.data.audio.features import Features, LogMel
from nnctl.data.audio.recordings import Recordings
from nnctl.data.audio.resampling import resampled, samples_at
from nnctl.data.audio.wav import RATES, SUFFIXES, Header, header_of, read_wav
from nnctl.data.memory import refuse_too_large
from nnctl.data.sources.labelled_files import LabelledFiles, values_of
from nnctl.data.table import Table, counted

__all__ = ["Audio", "Rate"]

Rate = Annotated[int, Field(ge=RATES[0], le=RATES[1])]


class Audio(LabelledFiles, name="audio"):
    """Recordings in wav files: a folder with a folder for each class, or a CSV of paths and labels.

    PCM of 8, 16, 24 or 32 bits, or floats; full scale is -1 to 1. In a folder, the names of its folders are the
    classes, and recordings at any depth in them belong to the class; other files, and names that begin with a dot, are
    passed over. In a CSV, paths start from its own folder and stay in it.

    A row is a sequence (T, D) of what `features` says. Without `seconds`, rows of different durations are padded, and
    masked, so that padding changes nothing that a sequence layer says. Recordings of several rates, or of several
    channels, are refused unless `rate` or `mono` says what to make of them. `nnctl predict` brings what it is given to
    the rate and the duration of the run, and says so.

    All recordings are held in memory: 4 bytes a sample, and 8 for each value of the features, both counted from the
    headers before anything is read. Where no augmentation needs the waveforms they are let go.
    """

    kind = "recording"
    suffixes = SUFFIXES

    rate: Rate | None = None
    """Samples a second, in hertz, to which every recording is brought (resampled); left out, all must have one rate."""
    mono: bool = False
    """Whether several channels are mixed into one, their mean; else they are refused."""
    seconds: Positive | None = None
    """Duration to which every recording is brought, in seconds: longer ones are cut at their end, shorter ones followed
    by silence that counts as sound. Left out, each keeps its own."""
    features: Features = Field(default_factory=LogMel)
    """What the network hears: log_mel or waveform."""
    audio: str = "path"
    """The column of a CSV with the paths."""

    field_synonyms: ClassVar[dict[str, str]] = {
        "audio_column": "audio",
        "channels": "mono",
        "duration": "seconds",
        "feature": "features",
        "sample_rate": "rate",
        "sampling_rate": "rate",
        "sr": "rate",
        "target_sr": "rate",
        "transform": "features",
    }

    @property
    def column(self) -> tuple[str, str]:
        """The field of the column of paths, and its value."""
        return "audio", self.audio

    def read(self, paths: Sequence[Path]) -> tuple[Table, Array]:
        """Return a table of the recordings that can be read, and which of the paths they are."""
        headers = [self._header(path) for path in paths]
        known = [header for header in headers if header is not None]
        self.refuse_none(paths, [header is not None for header in headers])
        rate = self.rate or Counter(header.rate for header in known).most_common(1)[0][0]
        self._refuse_other_kinds(paths, headers, rate)
        _refuse_too_large(paths, headers, self._encoder(known, rate))
        waves, there, whole = self._heard(paths, headers, rate)
        encoder = self._encoder(there, rate)
        recordings = Recordings([encoder.fitted(wave) for wave in waves], encoder)
        notes = (*self.left_out(paths, whole), *_Changes.of(there, encoder).sentences())
        return table_of(recordings, notes), whole

    def of_input(self, file: Path, encoder: AudioEncoder, classes: Sequence[str] = ()) -> Table:
        """Return the recordings of a file, a folder or a CSV as rows of an encoder; y where all labels are there.

        Raises
        ------
        DataError
            One of them cannot be read.
        """
        listed = self.listed_in(file, classes)
        headers = [self._header(path) for path in listed.paths]
        self.refuse_none(listed.paths, [header is not None for header in headers])
        _refuse_too_large(listed.paths, headers, encoder)
        waves, there, whole = self._heard(listed.paths, headers, encoder.rate)
        x, lengths = encoder.rows([encoder.fitted(wave) for wave in waves])
        notes = (*self.left_out(listed.paths, whole), *_Changes.of(there, encoder).sentences())
        listed = listed.those(whole)
        y, files = values_of(listed.labels) if listed.labels else None, self.named(listed, file)
        return Table(x, y, (), self.target, files=files, lengths=lengths, sequence=True, notes=notes)

    def _heard(
        self, paths: Sequence[Path], headers: Sequence[Header | None], rate: int
    ) -> tuple[list[Float], list[Header], Array]:
        """Return the waveforms that can be read, with their headers, and which of the paths they are."""
        whole = np.ones(len(paths), bool)
        waves, there = [], []
        for place, (path, header) in enumerate(zip(paths, headers, strict=True)):
            wave = None if header is None else self._wave(path, header, rate)
            whole[place] = wave is not None
            if wave is not None and header is not None:
                waves.append(wave)
                there.append(header)
        self.refuse_none(paths, whole)
        return waves, there, whole

    def _header(self, path: Path) -> Header | None:
        try:
            return header_of(path)
        except DataError:
            if self.skip_broken:
                return None
            raise

    def _wave(self, path: Path, header: Header, rate: int) -> Float | None:
        try:
            return _at_rate(read_wav(path), header.rate, rate)
        except DataError:
            if self.skip_broken:
                return None
            raise

    def _refuse_other_kinds(self, paths: Sequence[Path], headers: Sequence[Header | None], rate: int) -> None:
        for path, header in zip(paths, headers, strict=True):
            if header is None:
                continue
            if self.rate is None and header.rate != rate:
                raise DataError(
                    f"{path}: is recorded at {header.rate:,} Hz, and most of the others at {rate:,} Hz. "
                    f"Say 'rate: {rate}' in the source to bring all to one rate."
                )
            if header.channels > 1 and not self.mono:
                raise DataError(
                    f"{path}: has {header.channels} channels. Say 'mono: true' in the source to mix them into one."
                )

    def _encoder(self, headers: Sequence[Header], rate: int) -> AudioEncoder:
        if self.seconds is not None:
            return AudioEncoder(self.features, rate, max(1, round(self.seconds * rate)), filled=True)
        longest = max(samples_at(rate, header.samples, header.rate) for header in headers)
        return AudioEncoder(self.features, rate, longest)


def table_of(recordings: Recordings, notes: tuple[str, ...] = ()) -> Table:
    """Return a table of recordings, without targets."""
    x, lengths = recordings.rows()
    return Table(x, None, lengths=lengths, sequence=True, recordings=recordings, notes=notes)


def _at_rate(sound: Float, old_rate: int, rate: int) -> Float:
    """Return sound (S, channels) as one channel at another rate."""
    return resampled(sound.mean(axis=1), rate, old_rate)


def _refuse_too_large(paths: Sequence[Path], headers: Sequence[Header | None], encoder: AudioEncoder) -> None:
    """Raise where the recordings do not fit into the memory, or the largest as it is in its file does not."""
    known = [(path, header) for path, header in zip(paths, headers, strict=True) if header is not None]
    path, largest = max(known, key=lambda each: each[1].samples * each[1].channels)
    refuse_too_large(
        12 * largest.samples * largest.channels, f"{path}: {largest.samples / largest.rate:,.0f} s of sound"
    )
    encoder.refuse_too_large([samples_at(encoder.rate, header.samples, header.rate) for _, header in known])


@dataclass(frozen=True)
class _Changes:
    """How many recordings were not as the rows are, and what was done to them."""

    rates: dict[int, int]
    rate: int
    mixed: int
    cut: int
    filled: int
    seconds: float

    @classmethod
    def of(cls, headers: Sequence[Header], encoder: AudioEncoder) -> _Changes:
        """Return what is done to recordings."""
        samples = [samples_at(encoder.rate, header.samples, header.rate) for header in headers]
        return cls(
            Counter(header.rate for header in headers if header.rate != encoder.rate),
            encoder.rate,
            sum(header.channels > 1 for header in headers),
            sum(each > encoder.samples for each in samples),
            sum(each < encoder.samples for each in samples) if encoder.filled else 0,
            encoder.samples / encoder.rate,
        )

    def sentences(self) -> tuple[str, ...]:
        """Return a note on each kind of change."""
        found = [
            f"{counted(count, 'recording')} of {rate:,} Hz resampled to {self.rate:,} Hz"
            for rate, count in sorted(self.rates.items())[:3]
        ]
        others = sum(count for _, count in sorted(self.rates.items())[3:])
        found += [f"{counted(others, 'recording')} of other rates resampled to {self.rate:,} Hz"] * (others > 0)
        found += [f"{counted(self.mixed, 'recording')} of several channels mixed into one"] * (self.mixed > 0)
        found += [f"{counted(self.cut, 'recording')} cut after {self.seconds:.4g} s"] * (self.cut > 0)
        found += [f"{counted(self.filled, 'recording')} followed by silence up to {self.seconds:.4g} s"] * (
            self.filled > 0
        )
        return tuple(found)
