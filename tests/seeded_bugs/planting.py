"""How a bug is planted: a broken layer beside the check of the contract that catches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import contract

from nnctl.core.arrays import Shape
from nnctl.nn.layer import Layer


@dataclass(frozen=True)
class Bug:
    layer: Layer
    shape: Shape
    caught_by: contract.Check


BUGS: dict[str, Bug] = {}


def seeded(caught_by: contract.Check, shape: Shape = (4,), **fields: Any) -> Callable[[type[Layer]], type[Layer]]:
    def plant(broken: type[Layer]) -> type[Layer]:
        broken.name = broken.__name__.lower()  # a part must have a name; the registry does not learn it
        BUGS[broken.__name__] = Bug(broken(**fields), shape, caught_by)
        return broken

    return plant


ADJOINT = contract.gradients_are_the_adjoint
OVERWRITES = contract.backward_overwrites_every_gradient
PADDING = contract.padding_changes_nothing
DY_ALONE = contract.backward_destroys_dy_and_nothing_else
INPUT = contract.forward_leaves_its_input_alone
BUFFERS = contract.buffers_are_reused
TEMPORARIES = contract.no_large_temporary_is_allocated
INFERENCE = contract.inference_is_deterministic
FLOAT32 = contract.float32_stays_float32
OUT_SHAPE = contract.out_shape_is_true
REPEATS = contract.training_repeats_at_the_same_step
NO_DX = contract.gradients_do_not_need_dx
BATCH_OF_ONE = contract.batch_of_one_works
