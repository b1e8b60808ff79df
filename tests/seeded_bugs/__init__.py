"""Broken layers, losses and penalties, each with one classic bug: whatever claims to check them must catch every one.

Each is a subclass of what it breaks, which shows that the bug and nothing else makes the difference. For a layer,
`caught_by` names a check of the contract that must fail on it; those of `BACKWARD` gradcheck must find as well.
"""

from __future__ import annotations

from seeded_bugs import activations, attention, composites, convolution, dropout, normalization  # noqa: F401 - plant theirs
from seeded_bugs.dense import BiasGradientAveraged, KernelSteppedInBackward
from seeded_bugs.dropout import NotRescaledInBackward
from seeded_bugs.losses import LOSS_BUGS
from seeded_bugs.penalties import PENALTY_BUGS
from seeded_bugs.planting import ADJOINT, BUGS, NO_DX, OVERWRITES, Bug

__all__ = [
    "BACKWARD",
    "BUGS",
    "LOSS_BUGS",
    "NO_DX",
    "PENALTY_BUGS",
    "BiasGradientAveraged",
    "Bug",
    "NotRescaledInBackward",
]

BACKWARD = {
    name: bug
    for name, bug in BUGS.items()
    if bug.caught_by in {ADJOINT, OVERWRITES, NO_DX} or isinstance(bug.layer, KernelSteppedInBackward)
}
"""Those whose backward is wrong."""
