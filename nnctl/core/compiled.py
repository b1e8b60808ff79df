"""Loops that a compiler may run in place of passes of NumPy.

What NumPy computes in ten passes over memory, a compiled loop computes in one. A kernel that has both is written twice:
as passes of NumPy, which always work, and as the plain loop that they stand for, which Numba (the extra ``numba``)
compiles where it is installed and the training is long enough. Both round the same operations in the same order, and so
give the same bits: nothing of a run depends on which of them ran, but its time.

A loop has one dtype throughout, walks contiguous vectors (n,), sums nothing (the order of a sum is not NumPy's), and
calls nothing but ``sqrt`` and ``maximum``: exponentials differ in their last bit from one library to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["Loop", "compile_loops", "compiler"]


class Loop:
    """A loop over vectors that may be compiled.

    Parameters
    ----------
    plain : callable
        The loop, in the part of Python that Numba takes. Arguments annotated with ``float`` are numbers of the dtype of
        the vectors, all others vectors: ``Float`` of that dtype.

    Attributes
    ----------
    compiled : dict of dtype to callable
        The loop in machine code, for the dtypes of which NumPy's passes are not to be used.
    """

    known: ClassVar[list[Loop]] = []
    """Every loop there is."""

    def __init__(self, plain: Callable[..., None]) -> None:
        self.plain = plain
        self.compiled: dict[np.dtype[Any], Callable[..., None]] = {}
        self.known.append(self)

    def compile_at_first_call(self, dtype: np.dtype[Any]) -> None:
        """Have the loop compiled when it is first called for vectors of a dtype."""
        import numba  # noqa: PLC0415 - an extra, imported already

        number = numba.from_dtype(dtype)
        arguments = signature(self.plain).parameters.values()
        kinds = tuple(number if argument.annotation == "float" else number[::1] for argument in arguments)

        def first(*values: Any) -> None:
            # Division by zero as NumPy has it; and without Python's lock, so that replicas do not wait for each other.
            self.compiled[dtype] = numba.njit(kinds, nogil=True, error_model="numpy")(self.plain)
            self.compiled[dtype](*values)

        self.compiled.setdefault(dtype, first)


def compile_loops(dtype: DTypeLike) -> bool:
    """Have all loops compiled for vectors of a dtype, float32 or float64; return False where Numba is not installed.

    Numba takes a third of a second to import, and each loop as much at its first call. The machine code is kept in
    memory alone: a cache on disk would be run by whoever finds it there.
    """
    try:
        import numba  # noqa: F401, PLC0415 - an extra
    except ImportError:
        return False
    for loop in Loop.known:
        loop.compile_at_first_call(np.dtype(dtype))
    return True


def compiler() -> str | None:
    """Return by what loops of this process are compiled, with its version, or None where NumPy computes."""
    if not any(loop.compiled for loop in Loop.known):
        return None
    import numba  # noqa: PLC0415 - an extra, imported already

    return f"numba {numba.__version__}"
