"""Training rows changed on their way to the network.

The augmentations are registered when a spec names one that is not known yet, or all are asked for.
"""

from nnctl.data.augment.augmentation import Augmentation, Inputs

__all__ = ["Augmentation", "Inputs"]


def _register_them() -> None:
    from nnctl.data.augment import (  # noqa: F401, PLC0415
        audio,
        back_translation,
        image,
        smote,
        synonyms,
        tabular,
        text,
    )


Augmentation.later.append(_register_them)
