"""How long a training is, and how a spec says how long something lasts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = ["Clock", "Length", "PositiveLength", "steps_in"]


@dataclass(frozen=True, slots=True)
class Clock:
    """How long the training is: its steps (updates of the weights), and those of one epoch; both at least 1."""

    total_steps: int
    steps_per_epoch: int


_SPELLING = re.compile(r"\d{1,12} steps?|\d{1,12}(\.\d{1,12})? epochs?")


def _length(value: Any) -> int | float | str:
    match value:
        case bool():
            pass
        case int() if value >= 0:
            return value
        case float() if 0 < value < 1:
            return value
        case str() if _SPELLING.fullmatch(value):
            return value
    raise PydanticCustomError(
        "nnctl",
        'must be a number of epochs (5), "5 epochs", "500 steps", or a share of the training between 0 and 1 (0.1). '
        "Got {found}.",
        {"found": repr(value)},
    )


def _not_zero(length: Length) -> Length:
    if steps_in(length, Clock(1, 1)) == 0:
        raise PydanticCustomError("nnctl", "must be longer than nothing. Got {found}.", {"found": repr(length)})
    return length


Length = Annotated[
    int | float | str,
    PlainValidator(_length),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {
                    "type": "string",
                    "pattern": f"^({_SPELLING.pattern})$".replace("?P<steps>", "").replace("?P<epochs>", ""),
                    "examples": ["5 epochs", "500 steps"],
                },
            ]
        }
    ),
]
"""A stretch of training: epochs (5 or "5 epochs"), "500 steps", or a share of the whole (0.1)."""

PositiveLength = Annotated[Length, AfterValidator(_not_zero)]


def steps_in(length: Length, clock: Clock) -> int:
    """Return a `Length` in steps; any that is not zero has at least one step."""
    if isinstance(length, int):
        return length * clock.steps_per_epoch
    if isinstance(length, float):
        return max(1, round(length * clock.total_steps))
    number, unit = length.split()
    if unit.startswith("step"):
        return int(number)
    epochs = float(number)
    return max(1, round(epochs * clock.steps_per_epoch)) if epochs else 0
