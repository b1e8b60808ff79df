"""Sound: wav files, rates, and the features that a network hears."""

from nnctl.data.audio import features  # importing a family registers it
from nnctl.data.audio.encoder import AudioEncoder
from nnctl.data.audio.features import Features, LogMel, Waveform
from nnctl.data.audio.recordings import Recordings

__all__ = ["AudioEncoder", "Features", "LogMel", "Recordings", "Waveform", "features"]
