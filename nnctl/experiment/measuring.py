"""What is measured of an experiment beside the loss."""

from __future__ import annotations

from nnctl.data.batches import is_positionwise
from nnctl.data.dataset import Prepared
from nnctl.spec.load import LoadedSpec
from nnctl.train.metrics import Metric, Summed

__all__ = ["metrics_of"]


def metrics_of(loaded: LoadedSpec, data: Prepared) -> tuple[Metric, ...]:
    """Return the metrics that a spec names, or those that suit its task.

    Raises
    ------
    SpecError
        Where one needs all rows at once, and they are all positions of all sequences.
    """
    metrics = loaded.spec.metrics
    if metrics is None:
        return (Metric.parse("accuracy" if loaded.spec.loss.task == "classification" else "r2"),)
    for place, metric in enumerate(metrics):
        if is_positionwise(data.train.y) and not isinstance(metric, Summed):
            raise loaded.error(
                ("metrics", place),
                f"{metric.name} compares every row with every other, and here the rows are all positions of all "
                f"sequences. Use balanced_accuracy, f1 or log_loss.",
            )
    return tuple(metrics)
