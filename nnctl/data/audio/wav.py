"""Wav files: what their headers say, and their sound."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nnctl.core.arrays import Float
from nnctl.core.errors import DataError

__all__ = ["SUFFIXES", "Header", "header_of", "read_wav"]

SUFFIXES = (".wav", ".wave")
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
BITS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}
RATES = (100, 1_000_000)
"""What a rate can be; beyond lies a damaged header."""
MOST_CHANNELS = 256
LOUDEST = 1e4
"""Full scale is 1; samples of another kind in a file that says it holds floats are far beyond."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of a wav file say.

    Parameters
    ----------
    rate : int
        Samples a second.
    channels : int
    samples : int
        Of every channel.
    """

    rate: int
    channels: int
    samples: int


class _BrokenError(Exception):
    """A wav file is not as it should be; the text says how."""


def header_of(path: Path) -> Header:
    """Return what the header of a wav file says; the sound is not read.

    Raises
    ------
    DataError
        It is no wav file that can be read, or holds no sound.
    """
    try:
        with path.open("rb") as file:
            return _header(file, path.stat().st_size)
    except (OSError, struct.error, _BrokenError) as error:
        said = "it ends within its header" if isinstance(error, struct.error) else error
        raise DataError(_unreadable(path, said)) from None


def _header(file: BinaryIO, size: int) -> Header:
    """Walk through the chunks of a RIFF file up to the one that holds the sound."""
    if size == 0:
        raise _BrokenError("it is empty")
    riff, _, wave = struct.unpack("<4sI4s", file.read(12))
    if riff == b"RF64":
        raise _BrokenError("it is of the kind RF64, for more than 4 GB. Cut it into shorter ones")
    if riff != b"RIFF" or wave != b"WAVE":
        raise _BrokenError("it does not begin as one")
    layout: tuple[int, int, int] | None = None
    while True:
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            break
        start = file.tell()
        if name == b"fmt ":
            layout = _layout(file.read(min(length, 40)))
        file.seek(start + length + length % 2)
    if layout is None:
        raise _BrokenError("it does not say how its sound is stored")
    rate, channels, width = layout
    there = size - file.tell()
    if length > there:
        raise _BrokenError(f"it is cut off: its header promises {length:,} bytes of sound, and {there:,} are there")
    if length < width:
        raise _BrokenError("it holds no sound")
    return Header(rate, channels, length // width)


def _layout(chunk: bytes) -> tuple[int, int, int]:
    """Return rate, channels, and the bytes that hold one sample of all channels."""
    kind, channels, rate, _, width, bits = struct.unpack("<HHIIHH", chunk[:16])
    if kind == EXTENSIBLE:
        kind = struct.unpack("<H", chunk[24:26])[0]
    if bits not in BITS.get(kind, ()):
        raise _BrokenError(
            f"its sound is of kind {kind} with {bits} bits. Save it as PCM of 8, 16, 24 or 32 bits, or float"
        )
    if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= MOST_CHANNELS or width != channels * bits // 8:
        raise _BrokenError(f"its header says {rate:,} Hz and {channels:,} channels of {bits} bits in {width} bytes")
    return rate, channels, width


def read_wav(path: Path) -> Float:
    """Return the sound of a wav file, float32 (samples, channels); full scale is -1 to 1.

    Raises
    ------
    DataError
        It cannot be read, or holds what is no sound.
    """
    from scipy.io import wavfile  # noqa: PLC0415 - only sound needs it

    header = header_of(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that hold no sound
            _, sound = wavfile.read(path)
    except (OSError, ValueError, EOFError, struct.error) as error:
        raise DataError(_unreadable(path, error)) from None
    sound = sound.reshape(header.samples, header.channels)
    if sound.dtype.kind in "iu":
        bits = 8 * sound.dtype.itemsize  # 24 bits are the upper ones of 32
        zero = 1 << (bits - 1)
        return np.asarray((sound - np.float32(zero if sound.dtype.kind == "u" else 0)) / np.float32(zero), np.float32)
    if not np.abs(sound).max() <= LOUDEST:  # so that NaN is caught, too
        raise DataError(_unreadable(path, f"it holds values that are missing or beyond {LOUDEST:g}; full scale is 1"))
    return np.asarray(sound, np.float32)


def _unreadable(path: Path, error: object) -> str:
    advice = "Mend or remove it; with 'skip_broken: true' in the source it is left out."
    return f"{path}: is no wav file that can be read: {error}. {advice}"
