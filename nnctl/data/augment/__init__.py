"""Training rows changed on their way to the network; importing this package registers every augmentation."""

from nnctl.data.augment import image, tabular
from nnctl.data.augment.augmentation import Augmentation, Inputs
from nnctl.data.augment.augmenter import Augmenter

__all__ = ["Augmentation", "Augmenter", "Inputs", "image", "tabular"]
