"""The augmentations of a spec: whether they suit its data, and what changes the training rows by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnctl.data.augment import Augmentation, Inputs
from nnctl.data.dataset import Prepared
from nnctl.spec.load import LoadedSpec
from nnctl.spec.model import Spec
from nnctl.train.evaluate import Examples

if TYPE_CHECKING:
    from nnctl.data.augment.augmenter import Augmenter

__all__ = ["augmenter_of", "changes_rows", "enlarged", "refuse_unsuited"]


def refuse_unsuited(loaded: LoadedSpec, data: Prepared) -> None:
    """Raise where an augmentation cannot be used with such inputs or targets.

    Raises
    ------
    SpecError
        With the first that cannot.
    """
    inputs = Inputs.of(data)
    for place, step in enumerate(loaded.spec.data.augment):
        said = step.refusal(inputs) or step.misfit(data)
        if step.comes_first and place > 0:
            said = "is done once, on the rows as they are, so that it must be the first of the list."
        said = said or _too_late(loaded.spec.data.augment[: place + 1])
        if said is not None:
            raise loaded.error(("data", "augment", place), f"{step.name}: {said}")


def _too_late(steps: Sequence[Augmentation]) -> str | None:
    """Return why the last of the steps cannot stand where it does, or None."""
    others = [step.name for step in steps if not step.changes_sound]
    if steps[-1].changes_sound and others:
        return f"changes the sound, of which {others[0]} changes what the network hears. Put it before {others[0]}."
    return None


def enlarged(data: Prepared, spec: Spec) -> Prepared:
    """Return the data with the training rows that are made once, before the training."""
    for step in spec.data.augment:
        data = step.enlarged(data, spec.seed)
    return data


def changes_rows(spec: Spec) -> bool:
    """Return whether rows are changed on their way to the network, and not only made before."""
    return not all(step.makes_rows for step in spec.data.augment)


def augmenter_of(spec: Spec, data: Prepared, train: Examples) -> Augmenter | None:
    """Return what changes the training rows on their way to the network, or None where nothing does."""
    if not changes_rows(spec):
        return None
    from nnctl.data.augment.audio_augmenter import AudioAugmenter  # noqa: PLC0415 - plain runs do without
    from nnctl.data.augment.augmenter import Augmenter, TextAugmenter  # noqa: PLC0415

    steps = [step for step in spec.data.augment if not step.makes_rows]
    given = (steps, Inputs.of(data), train.x, train.t, train.w, data.train.rows)
    if data.recordings is not None:
        return AudioAugmenter(data.recordings, *given, seed=spec.seed)
    encoder = data.preprocessing.text
    if data.texts is None or encoder is None:
        return Augmenter(*given, seed=spec.seed)
    return TextAugmenter(data.texts, encoder, *given, seed=spec.seed)
