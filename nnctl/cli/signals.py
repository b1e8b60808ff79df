"""Ctrl-C and SIGTERM: while training the first one ends the step and saves; everywhere else one leaves at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, ClassVar, NoReturn, Self

__all__ = ["Leaving", "Signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Leaving:
    """Raises KeyboardInterrupt at SIGINT and SIGTERM while active, and notes which of them it was.

    SIGTERM would else end the process where it stands, with half-written files left behind and no word.
    """

    number: ClassVar[int] = signal.SIGINT
    """The last of them that came in."""

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._leave) for number in _SIGNALS if _is_heard(number)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @staticmethod
    def _leave(number: int, _frame: FrameType | None) -> NoReturn:
        Leaving.number = number
        raise KeyboardInterrupt


class Signals:
    """Notes the first SIGINT or SIGTERM while active; the second has its usual effect.

    Where the step that is under way, or the evaluation, takes longer than `WAIT` after the first, it is left as it is.
    """

    WAIT = 3.0
    """Seconds."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __call__(self) -> int | None:
        """Return the number of the signal that came in, if one did."""
        return self.number

    def __enter__(self) -> Self:
        for number in filter(_is_heard, _SIGNALS):
            self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._late)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        for each in filter(self._before.__contains__, _SIGNALS):
            signal.signal(each, self._before[each])
        signal.setitimer(signal.ITIMER_REAL, self.WAIT)

    def _late(self, _number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt


def _is_heard(number: int) -> bool:
    """Whether a signal is not ignored, as Ctrl-C is in a shell's background."""
    return signal.getsignal(number) != signal.SIG_IGN
