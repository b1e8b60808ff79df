"""Whether the augmentations of a spec suit its data and its loss."""

from __future__ import annotations

from collections.abc import Sequence

from nnctl.data.augment.audio import OfSound
from nnctl.data.augment.augmentation import Augmentation, Inputs, Mixing
from nnctl.data.augment.smote import Smote
from nnctl.data.batches import is_positionwise
from nnctl.data.dataset import Prepared
from nnctl.nn.losses import Loss
from nnctl.spec.load import LoadedSpec

__all__ = ["refuse_unsuited"]


def refuse_unsuited(loaded: LoadedSpec, data: Prepared, loss: Loss) -> None:
    """Raise where an augmentation cannot be used with such inputs, targets or loss.

    Raises
    ------
    SpecError
        With the first that cannot.
    """
    inputs = Inputs.of(data)
    for place, step in enumerate(loaded.spec.data.augment):
        said = step.refusal(inputs) or _unmixable(step, data, loss) or _unenlargeable(step, data)
        if step.comes_first and place > 0:
            said = "is done once, on the rows as they are, so that it must be the first of the list."
        said = said or _too_late(loaded.spec.data.augment[: place + 1])
        if said is not None:
            raise loaded.error(("data", "augment", place), f"{step.name}: {said}")


def _too_late(steps: Sequence[Augmentation]) -> str | None:
    """Return why the last of the steps cannot stand where it does, or None."""
    others = [step.name for step in steps if not isinstance(step, OfSound)]
    if isinstance(steps[-1], OfSound) and others:
        return f"changes the sound, of which {others[0]} changes what the network hears. Put it before {others[0]}."
    return None


def _unenlargeable(step: Augmentation, data: Prepared) -> str | None:
    """Return why no rows can be made for rare classes, where the step would do so, or None."""
    return step.misfit(data.of_source) if isinstance(step, Smote) else None


def _unmixable(step: Augmentation, data: Prepared, loss: Loss) -> str | None:
    """Return why targets cannot be mixed, where the step would do so, or None."""
    if not isinstance(step, Mixing):
        return None
    if is_positionwise(data.train.y):
        return "mixes the targets of two rows, and here every position of a sequence has its own."
    if not loss.takes_mixtures:
        return (
            f"mixes the targets of two rows, and {loss.name} knows one class a row. "
            f"Use cross_entropy, binary_cross_entropy or a regression loss."
        )
    return None
