"""Loops that a compiler may run in place of passes of NumPy.

What NumPy computes in ten passes over memory, a compiled loop computes in one. A kernel that has both is written twice:
as passes of NumPy, which always work, and as the plain loop that they stand for, which Numba (the extra ``numba``)
compiles where it is installed and the training is long enough. Both round the same operations in the same order, and so
give the same bits: nothing of a run depends on which of them ran, but its time.

A loop has one dtype throughout, walks contiguous vectors (n,) or matrices (n, m), sums nothing (the order of a sum is
not NumPy's), and calls nothing but ``sqrt`` and ``maximum``: exponentials differ in their last bit from one library to
the next. Its indices begin at 0 and go up by one, or the compiler does not vectorise it.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from nnctl.core.arrays import Float

__all__ = ["Loop", "Matrix", "compile_loops", "compiler"]

Matrix: TypeAlias = Float


class Loop:
    """A loop over vectors that may be compiled.

    Parameters
    ----------
    plain : callable
        The loop, in the part of Python that Numba takes. Arguments are annotated as ``Float``, a vector; ``Matrix``; or
        ``float``, a number of their dtype.

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
        known = {"float": number, "Float": number[::1], "Matrix": number[:, ::1]}
        kinds = tuple(known[argument.annotation] for argument in arguments)

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
