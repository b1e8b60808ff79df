"""One line of the table: what came of one tensor, with its verdict and in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from nnctl.checks.gradients.differences import FAIL, PASS, Comparison, Ruler, Tensor
from nnctl.checks.gradients.subjects import Subject
from nnctl.checks.gradients.suspects import Sizes, suspect
from nnctl.core.finding import Verdict

__all__ = ["Line", "measure"]


@dataclass(frozen=True)
class Line:
    """What came of one tensor.

    Parameters
    ----------
    name : str
        Such as ``0.dense.W``; "input" is the gradient that reaches the input.
    shape : tuple of int
    norm : float
        The norm of its gradient.
    comparison : Comparison
    repeatable : bool
        Whether a second backward pass gave the same bits.
    suspect : str
        What it most likely suffers from; "" if nothing comes to mind.
    """

    name: str
    shape: tuple[int, ...]
    norm: float
    comparison: Comparison
    repeatable: bool = True
    suspect: str = field(default="")

    @property
    def on_corners(self) -> bool:
        """Whether none of its derivatives could be judged."""
        return not self.comparison.judged

    @property
    def verdict(self) -> Verdict:
        """Pass below 1e-7, fail from 1e-4 on; gradients that do not repeat fail, those never judged are warned of."""
        if not self.repeatable or not self.comparison.error < FAIL:
            return "fail"
        return "pass" if self.comparison.error < PASS and not self.on_corners else "warn"

    def words(self) -> str:
        """Return in one sentence what is wrong with it."""
        found = self.comparison
        if not self.repeatable:
            return "two backward passes give different gradients"
        if self.on_corners:
            return f"all {found.kinks} derivatives lie on corners"
        if found.index is None:
            return f"relative error {found.error:.1e}"
        place = ", ".join(map(str, found.index))
        said = f"relative error {found.error:.1e}; at [{place}] backward says {found.analytic:.6g}, differences "
        said += f"{found.numeric:.6g}"
        if found.ratio is not None and isfinite(found.ratio):
            said += f", ratio {found.ratio:.4g}{' everywhere' if found.everywhere else ''}"
        return f"{said}. Usual suspect: {self.suspect}" if self.suspect else said

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        found = self.comparison
        return {
            "name": self.name,
            "shape": list(self.shape),
            "norm": self.norm,
            "error": found.error,
            "kinks": found.kinks,
            "judged": found.judged,
            "verdict": self.verdict,
            "repeatable": self.repeatable,
            "index": None if found.index is None else list(found.index),
            "analytic": found.analytic if found.index is not None else None,
            "numeric": found.numeric if found.index is not None else None,
            "ratio": found.ratio,
            "suspect": self.suspect,
        }


def measure(subject: Subject, sizes: Sizes, tell: Callable[[str], None] = lambda _: None) -> list[Line]:
    """Return a line for every tensor of a subject.

    Parameters
    ----------
    subject : Subject
    sizes : Sizes
        What its sums, means and masks run over, for `suspect`.
    tell : callable
        Told the name of every tensor before it is measured.
    """
    ruler = Ruler(subject.evaluate, subject.tensors)
    lines = []
    for tensor in subject.tensors:
        tell(tensor.name)
        lines.append(_line(ruler, tensor, subject, sizes))
    return lines


def _line(ruler: Ruler, tensor: Tensor, subject: Subject, sizes: Sizes) -> Line:
    found = ruler.compare(tensor)
    guess = ""
    if found.index is not None:
        guess = suspect(found.analytic, found.ratio, sizes)
    norm = float(np.linalg.norm(tensor.gradient))
    return Line(tensor.name, tensor.x.shape, norm, found, tensor.name not in subject.unrepeatable, guess)
