"""Training rows changed on their way to the network; importing this package registers every augmentation."""

from nnctl.data.augment import audio, back_translation, image, smote, synonyms, tabular, text
from nnctl.data.augment.audio_augmenter import AudioAugmenter
from nnctl.data.augment.augmentation import Augmentation, Inputs
from nnctl.data.augment.augmenter import Augmenter, TextAugmenter

__all__ = [
    "AudioAugmenter",
    "Augmentation",
    "Augmenter",
    "Inputs",
    "TextAugmenter",
    "audio",
    "back_translation",
    "image",
    "smote",
    "synonyms",
    "tabular",
    "text",
]
