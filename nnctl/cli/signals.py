"""Ctrl-C and SIGTERM: the first one ends the step and saves, the second leaves at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Signals"]


class Signals:
    """Notes the first SIGINT or SIGTERM while active; the second has its usual effect."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __call__(self) -> int | None:
        """Return the number of the signal that came in, if one did."""
        return self.number

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        for each, handler in self._before.items():
            signal.signal(each, handler)
