"""Where a value that is not finite stands: in what a step leaves behind, or in what is said of held-out rows."""

from __future__ import annotations

import numpy as np

from nnctl.core.arrays import Float
from nnctl.data.batches import Batch
from nnctl.nn.layer import Bound
from nnctl.train.evaluate import Examples
from nnctl.train.step import Learner, NotFinite

__all__ = ["first_in_inference", "refuse_not_finite"]


def refuse_not_finite(learner: Learner, batch: Batch) -> None:
    """Raise where weights, statistics or the optimizer's memory are not finite after the last step.

    A step whose gradient is finite can still leave such values: a rate too high for the weights, or the square of a
    gradient that is beyond the number format, after which Adam divides by infinity and its steps are 0 for ever.

    Raises
    ------
    NotFinite
        With the step, and the first tensor.
    """
    network = learner.network
    for what, vector in (("weights", network.theta), ("statistics", network.state)):
        if not np.isfinite(vector).all():
            tensors = network.tensors().items()
            name = next(name for name, tensor in tensors if not np.isfinite(tensor).all())
            raise NotFinite(f"the {what} {name} are not finite", learner.step, batch)
    for moment, vector in learner.slots.moments.items():
        if not np.isfinite(vector).all():
            tensors = network.tensors(vector).items()
            name = next(name for name, tensor in tensors if not np.isfinite(tensor).all())
            raise NotFinite(f"the optimizer's {moment} of {name} is not finite", learner.step, batch)


def first_in_inference(learner: Learner, examples: Examples) -> str:
    """Return where in inference mode on some rows the first value that is not finite appears; "" if all are finite."""
    found: list[str] = []

    def watch(bound: Bound, _direction: str, y: Float | None) -> None:
        if not found and not bound.ctx.parts and y is not None and not np.isfinite(y).all():
            found.append(f"the output of layer {bound.ctx.path}")

    replica = learner.network.replica()
    replica.now.watch = watch
    size = learner.network.layout.evaluation_rows
    for start in range(0, len(examples.x), size):
        block = examples[start : start + size]
        if block.x.dtype.kind == "f" and not np.isfinite(block.x).all():
            return "the inputs"
        with np.errstate(all="ignore"):
            replica.forward(block.x, training=False, mask=block.mask)
        if found:
            return found[0]
    return ""
