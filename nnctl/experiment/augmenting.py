"""The augmentations of a spec: whether they suit its data, and what changes the training rows by them."""

from __future__ import annotations

from collections.abc import Sequence

from nnctl.data.augment.audio import OfSound
from nnctl.data.augment.audio_augmenter import AudioAugmenter
from nnctl.data.augment.augmentation import Augmentation, Inputs, Mixing
from nnctl.data.augment.augmenter import Augmenter, TextAugmenter
from nnctl.data.augment.smote import Smote
from nnctl.data.batches import is_positionwise
from nnctl.data.dataset import Prepared
from nnctl.spec.load import LoadedSpec
from nnctl.spec.model import Spec
from nnctl.train.evaluate import Examples

__all__ = ["augmenter_of", "changes_rows", "refuse_unsuited"]


def refuse_unsuited(loaded: LoadedSpec, data: Prepared) -> None:
    """Raise where an augmentation cannot be used with such inputs or targets.

    Raises
    ------
    SpecError
        With the first that cannot.
    """
    inputs = Inputs.of(data)
    for place, step in enumerate(loaded.spec.data.augment):
        said = step.refusal(inputs) or _unmixable(step, data) or _unenlargeable(step, data)
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


def changes_rows(spec: Spec) -> bool:
    """Return whether rows are changed on their way to the network, and not only made before."""
    return any(not isinstance(step, Smote) for step in spec.data.augment)


def augmenter_of(spec: Spec, data: Prepared, train: Examples) -> Augmenter | None:
    """Return what changes the training rows on their way to the network, or None where nothing does."""
    if not changes_rows(spec):
        return None
    steps = [step for step in spec.data.augment if not isinstance(step, Smote)]
    given = (steps, Inputs.of(data), train.x, train.t, train.w, data.train.rows)
    if data.recordings is not None:
        return AudioAugmenter(data.recordings, *given, seed=spec.seed)
    encoder = data.preprocessing.text
    if data.texts is None or encoder is None:
        return Augmenter(*given, seed=spec.seed)
    return TextAugmenter(data.texts, encoder, *given, seed=spec.seed)


def _unenlargeable(step: Augmentation, data: Prepared) -> str | None:
    """Return why no rows can be made for rare classes, where the step would do so, or None."""
    return step.misfit(data.of_source) if isinstance(step, Smote) else None


def _unmixable(step: Augmentation, data: Prepared) -> str | None:
    """Return why targets cannot be mixed, where the step would do so, or None."""
    if isinstance(step, Mixing) and is_positionwise(data.train.y):
        return "mixes the targets of two rows, and here every position of a sequence has its own."
    return None
