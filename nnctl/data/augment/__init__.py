"""Training rows changed on their way to the network; importing this package registers every augmentation."""

from nnctl.data.augment import back_translation, image, smote, synonyms, tabular, text
from nnctl.data.augment.augmentation import Augmentation, Inputs
from nnctl.data.augment.augmenter import Augmenter, TextAugmenter

__all__ = [
    "Augmentation",
    "Augmenter",
    "Inputs",
    "TextAugmenter",
    "back_translation",
    "image",
    "smote",
    "synonyms",
    "tabular",
    "text",
]
