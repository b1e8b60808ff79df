"""Augmentation of recordings: changes of the sound itself, and masks over what the network hears of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from nnctl.core.arrays import Array, Float
from nnctl.core.component import Items, PositiveInt
from nnctl.data.audio.encoder import brought_to
from nnctl.data.audio.vocoder import frame_length, shifted, stretched
from nnctl.data.augment.augmentation import Augmentation, Chance, Inputs, Probability

__all__ = ["FrequencyMask", "OfSound", "PitchShift", "TimeMask", "TimeStretch", "WhiteNoise"]


class OfSound(Augmentation):
    """A change of the waveform, before the features are made of it."""

    changes_sound = True

    probability: Probability = 1.0
    """Of a recording to be changed at all."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"p": "probability"}

    @classmethod
    def value_field(cls) -> str | None:
        """``pitch_shift: 3`` says how far."""
        return next((name for name in cls.model_fields if name != "probability"), None)

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse what is no sound."""
        if inputs.audio is None:
            return f"changes sounds, and the rows are none. A row here has shape {inputs.shape}."
        return super().refusal(inputs)

    def changed(self, wave: Float, chance: Chance, rate: int) -> Float:
        """Return one recording (S,), changed or not, for the chance of one row.

        Parameters
        ----------
        wave : float array (S,)
        chance : Chance
        rate : int
            Samples a second.
        """
        whether, how_much = chance.uniform(2)[0]
        return self.change(wave, how_much, chance, rate) if whether < self.probability else wave

    @abstractmethod
    def change(self, wave: Float, how_much: float, chance: Chance, rate: int) -> Float:
        """Return a recording (S,) changed, in a new array of its length; `how_much` is from 0 to 1, each as likely."""


class TimeStretch(OfSound, name="time_stretch"):
    """Faster or slower, at the same pitch: up to `factor` times either way, each ratio as likely as its inverse.

    The speed is factor^u with u even from -1 to 1. The recording keeps its duration: what lasts longer is cut at the
    end, what lasts shorter is followed by silence. By a phase vocoder, which blurs what is short and sharp.

    Source: Flanagan and Golden (1966), "Phase vocoder"; as augmentation of recordings Salamon and Bello (2017),
    arXiv:1608.04363, section II-B.
    """

    factor: Annotated[float, Field(gt=1, le=4)] = 1.25
    """How many times as fast, or as slow, at most."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"max_rate": "factor", "rate": "factor", "speed": "factor"}

    def change(self, wave: Float, how_much: float, chance: Chance, rate: int) -> Float:  # noqa: ARG002 - one draw
        """Return the recording at another speed."""
        speed = self.factor ** (2 * how_much - 1)
        return brought_to(len(wave), stretched(wave, speed, frame_length(rate)))


class PitchShift(OfSound, name="pitch_shift"):
    """Higher or lower, at the same speed: by up to `semitones` either way, each amount as likely.

    By a phase vocoder and resampling, so that the overtones that make a voice are shifted with it.

    Source: Laroche and Dolson (1999), "Improved phase vocoder time-scale modification of audio", section II; as
    augmentation of recordings Salamon and Bello (2017), arXiv:1608.04363, section II-B.
    """

    semitones: Annotated[float, Field(gt=0, le=24)] = 2.0
    """How far at most; 12 make an octave."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"n_steps": "semitones", "steps": "semitones"}

    def change(self, wave: Float, how_much: float, chance: Chance, rate: int) -> Float:  # noqa: ARG002 - one draw
        """Return the recording at another pitch."""
        return shifted(wave, self.semitones * (2 * how_much - 1), frame_length(rate))


class WhiteNoise(OfSound, name="white_noise"):
    """White noise, so that the sound stands out from it by a given number of decibels.

    s <- s + a n,   n ~ N(0, 1),   a² = Σ s² / (Σ n² 10^(snr / 10))

    The power of both is that of the whole recording, so that the ratio is exact; silence is left silent.

    Source: Ko, Peddinti, Povey, Seltzer and Khudanpur (2017), "A study on data augmentation of reverberant speech for
    robust speech recognition", section 2, there with recorded noise.
    """

    snr: Annotated[Items[float], Field(min_length=2, max_length=2)] = (10.0, 30.0)
    """The lowest and the highest ratio of the sound's power to that of the noise, in decibels, each between as likely:
    at 0 both are as loud, at 20 the noise has a tenth of the amplitude."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"db": "snr", "snr_db": "snr"}

    @model_validator(mode="after")
    def _snr_rises(self) -> Self:
        low, high = self.snr
        if not -100 <= low <= high <= 200:
            raise PydanticCustomError("nnctl", f"snr must rise, between -100 and 200 dB. Got [{low:g}, {high:g}].")
        return self

    def change(self, wave: Float, how_much: float, chance: Chance, rate: int) -> Float:  # noqa: ARG002 - any rate
        """Return the recording with noise."""
        low, high = self.snr
        noise = chance.normal(2 + len(wave))[0, 2:].astype(wave.dtype)  # the first two decide how much
        sound, noisy = (float(np.square(a, dtype=np.float64).sum()) for a in (wave, noise))
        amplitude = np.sqrt(sound / (noisy * 10 ** ((low + (high - low) * how_much) / 10)))
        return wave + wave.dtype.type(amplitude) * noise


class _Mask(Augmentation):
    """Bands of what the network hears, wiped out."""

    width: PositiveInt = 10
    """The widest mask; each has a width from 0 to this, all as likely."""
    masks: PositiveInt = 1
    """How many there are; they may overlap."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "count": "masks",
        "num_masks": "masks",
        "n_masks": "masks",
        "size": "width",
        "max_width": "width",
    }

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse what is no sound."""
        if inputs.audio is None:
            return f"masks what is heard of sounds, and the rows are none. A row here has shape {inputs.shape}."
        return super().refusal(inputs)

    def places(self, chance: Chance, lengths: Array, widest: Array) -> tuple[Array, Array]:
        """Return where masks (B, masks) begin and end, within the first `lengths` of an axis."""
        u = chance.uniform(2 * self.masks).reshape(len(chance), self.masks, 2)
        width = (u[..., 0] * (widest[:, None] + 1)).astype(np.intp)
        start = (u[..., 1] * (lengths[:, None] - width + 1)).astype(np.intp)
        return start, start + width


class TimeMask(_Mask, name="time_mask"):
    """Some time is wiped out, so that no single moment is relied on.

    Each mask has t steps, even from 0 to `width` (and no more than `share` of those that are there), and begins at any
    step at which it fits. What is wiped out is 0 for the network: the mean where the scaling has a center, as
    `standard` has.

    Source: Park et al. (2019), "SpecAugment", section 2, arXiv:1904.08779.
    """

    width: PositiveInt = 10
    """The widest mask in steps, frames of log_mel or samples of waveform; each is as likely from 0 to this."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of a recording that one mask may cover at most; the paper's p, there 1 or 0.2."""

    def apply(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return the rows (B, T, D) with masks over some steps."""
        lengths = inputs.lengths_of(chance.rows)
        widest = np.minimum(self.width, (lengths * self.share).astype(np.intp))
        start, stop = self.places(chance, lengths, widest)
        x[_inside(start, stop, x.shape[1])] = 0
        return x


class FrequencyMask(_Mask, name="frequency_mask"):
    """Some frequencies are wiped out, so that no single band is relied on.

    Each mask has f bands, even from 0 to `width`, and begins at any band at which it fits. What is wiped out is 0 for
    the network: the mean where the scaling has a center, as `standard` has.

    Source: Park et al. (2019), "SpecAugment", section 2, arXiv:1904.08779.
    """

    width: PositiveInt = 8
    """The widest mask in bands; each is as likely from 0 to this."""

    def refusal(self, inputs: Inputs) -> str | None:
        """Refuse waveforms, and a mask over all bands."""
        if inputs.audio is not None and not inputs.audio.features.has_frequencies:
            return (
                f"masks bands of frequencies, and the network hears {inputs.audio.features.name}. "
                f"Take 'features: log_mel' in the source."
            )
        if inputs.audio is not None and self.width >= inputs.shape[1]:
            return f"width must be < {inputs.shape[1]}, the number of bands. Got {self.width}."
        return super().refusal(inputs)

    def apply(self, x: Float, chance: Chance, inputs: Inputs) -> Float:
        """Return the rows (B, T, D) with masks over some bands."""
        bands = np.full(len(x), inputs.shape[1])
        start, stop = self.places(chance, bands, np.minimum(self.width, bands))
        x[np.broadcast_to(_inside(start, stop, x.shape[2])[:, None], x.shape)] = 0
        return x


def _inside(start: Array, stop: Array, length: int) -> Array:
    """Return which places of an axis lie in one of the masks (B, masks), bool (B, length)."""
    place = np.arange(length)
    within = (start[..., None] <= place) & (place < stop[..., None])
    return np.asarray(within.any(axis=1))
