"""The contract catches every broken layer, and passes each of them unbroken."""

from __future__ import annotations

import pytest
from seeded_bugs import BUGS, Bug


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_the_contract_catches_a_seeded_bug(bug: Bug) -> None:
    with pytest.raises(AssertionError):
        bug.caught_by(bug.layer, bug.shape)


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_the_unbroken_layer_passes_the_check_that_catches_the_bug(bug: Bug) -> None:
    whole = type(bug.layer).__base__
    bug.caught_by(whole(**{name: getattr(bug.layer, name) for name in type(bug.layer).model_fields}), bug.shape)


def test_there_are_more_than_twenty_of_them() -> None:
    assert len(BUGS) > 20
