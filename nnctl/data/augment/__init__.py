"""Training rows changed on their way to the network.

Importing the package registers the augmentations but for those that look things up elsewhere, which come when one is
asked for that is not known yet, or all are.
"""

from nnctl.data.augment import audio, image, smote, tabular, text
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
    "image",
    "smote",
    "tabular",
    "text",
]


def _register_the_rest() -> None:
    from nnctl.data.augment import back_translation, synonyms  # noqa: F401, PLC0415


Augmentation.later.append(_register_the_rest)
