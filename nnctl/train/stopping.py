"""Early stopping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Literal

__all__ = ["Patience"]


@dataclass(frozen=True)
class Patience:
    """How long a monitored value may go without improving; a value object, `after` returns the next one.

    A value improves if it is finite and better than the best so far by more than `min_delta`. Any value is better than
    none.

    Parameters
    ----------
    mode : {"min", "max"}
        Which way is better.
    limit : int or None
        Evaluations without improvement after which training stops; None never stops.
    min_delta : float
        What counts as an improvement.

    Source: Prechelt (1998), "Early stopping - but when?", with the patience rule of common practice instead of his
    generalization-loss criteria.
    """

    mode: Literal["min", "max"] = "min"
    limit: int | None = None
    min_delta: float = 0.0
    best: float | None = None
    waited: int = 0

    @property
    def improved(self) -> bool:
        """Whether the last value was the best so far."""
        return self.best is not None and self.waited == 0

    @property
    def exhausted(self) -> bool:
        """Whether training should stop."""
        return self.limit is not None and self.waited >= self.limit

    def after(self, value: float) -> Patience:
        """Return the patience left after one more evaluation."""
        sign = 1.0 if self.mode == "min" else -1.0
        best = inf if self.best is None else sign * self.best
        if isfinite(value) and sign * value < best - self.min_delta:
            return replace(self, best=value, waited=0)
        return replace(self, waited=self.waited + 1)
