"""Loss: what a network is trained to make small, and how its outputs are to be read.

A loss sees the raw outputs z (N, K) of the last layer and the encoded targets t (N, K), or the indices (N,) of the true
classes, and is a weighted mean of rows,

    L = 1/total sum_i w_i l(z_i, t_i)

with total = B in a training batch and N on a whole split. The weights are scaled to mean 1 over their split, so that on
a whole split L = sum_i w_i l_i / sum_i w_i, and a step's size does not depend on the scale of the weights. Where every
position of a sequence has a target, positions are the rows; padding has no weight. A batch that
is split over replicas has the same `total` in each, and their gradients add up to that of the batch.

Losses own their output activation: `cross_entropy` and `binary_cross_entropy` work on logits, the numbers before
softmax and sigmoid, which is stable at any size and gives the gradient p - t. See `nnctl.nn.losses.fuse`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from nnctl.core.arrays import Array, Float, as_rows
from nnctl.core.component import Component, Items, NonNegative, did_you_mean
from nnctl.core.errors import DataError

__all__ = ["Classification", "Loss", "Positions", "Regression", "positions", "scale"]


class Loss(Component, family="loss"):
    """A weighted mean over rows; see the module."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "mean_squared_error": "mse",
        "squared_error": "mse",
        "l2": "mse",
        "mean_absolute_error": "mae",
        "absolute_error": "mae",
        "l1": "mae",
        "smooth_l1": "huber",
        "bce": "binary_cross_entropy",
        "binary_crossentropy": "binary_cross_entropy",
        "bce_with_logits": "binary_cross_entropy",
        "ce": "cross_entropy",
        "crossentropy": "cross_entropy",
        "categorical_cross_entropy": "cross_entropy",
        "categorical_crossentropy": "cross_entropy",
        "sparse_categorical_crossentropy": "cross_entropy",
        "softmax_cross_entropy": "cross_entropy",
        "log_loss": "cross_entropy",
        "nll": "cross_entropy",
        "nll_loss": "cross_entropy",
        "svm": "hinge",
        "hinge_loss": "hinge",
        "multi_margin": "hinge",
        "rosenblatt": "perceptron",
    }

    task: ClassVar[Literal["classification", "regression"]]
    """What it is for."""
    output: ClassVar[str | None] = None
    """The activation that it brings with it: ``softmax``, ``sigmoid`` or None."""

    @abstractmethod
    def outputs(self, classes: int | None, targets: int) -> int:
        """Return the width of the last layer for that many classes, or columns of targets.

        Raises
        ------
        ValueError
            Where the loss cannot be used with such data.
        """

    @abstractmethod
    def encode(self, y: Array, outputs: int, dtype: Any) -> Float:
        """Return the targets t (N, outputs) for class indices (N,) or for numbers (N,) or (N, outputs).

        Raises
        ------
        DataError
            Where `y` holds something else.
        """

    @abstractmethod
    def per_sample(self, z: Float, t: Float) -> Float:
        """Return the losses l_i (N,) in float64, without weights."""

    @abstractmethod
    def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
        """Write dL/dz (B, K) into `out`, which shares no memory with the others."""

    @abstractmethod
    def predict(self, z: Float) -> Float:
        """Return what the network says (N, K): probabilities, scores or values."""

    def branches(self, z: Float, t: Float) -> Array | None:  # noqa: ARG002 - losses with corners depend on it
        """Return which branch every row's loss took, or every output's; None where the loss has no corners.

        Such as the side of a margin. Differences between points on different branches are no derivative.
        """
        return None

    def labels(self, z: Float) -> Array:  # noqa: ARG002 - classification depends on it
        """Return the predicted class indices (N,)."""
        raise TypeError(f"{self.name} predicts numbers and has no classes.")

    def settled(self, y: Array, classes: Sequence[str] = ()) -> Self:  # noqa: ARG002 - class weights depend on it
        """Return the loss with all that depends on the training set decided: its targets `y`, the classes' names.

        Raises
        ------
        ValueError
            Where the loss names a class that is not there.
        """
        return self

    def weights(self, y: Array, sample_weight: Float | None, dtype: Any) -> Float | None:
        """Return the weight of every row of a split (N,), scaled to mean 1; None where all are alike.

        Raises
        ------
        DataError
            Where a sample weight is negative or not finite, or all are zero.
        """
        return _mean_one(self._raw_weights(y, sample_weight), dtype)

    def value(self, z: Float, t: Float, w: Float | None, total: float) -> float:
        """Return L = sum_i w_i l_i / total, summed in float64."""
        losses = self.per_sample(z, t)
        return float(losses.sum() if w is None else (w * losses).sum()) / float(total)

    def _raw_weights(self, y: Array, sample_weight: Float | None) -> Float | None:
        if sample_weight is None:
            return None
        found = np.asarray(sample_weight, np.float64)
        if found.shape != (len(y),):
            raise DataError(f"sample weights: one per row is needed, {len(y)} in all. Got shape {found.shape}.")
        bad = ~np.isfinite(found) | (found < 0)
        if bad.any():
            raise DataError(
                f"sample weights: must be finite and >= 0. Got {found[bad][0]:g} in row {bad.argmax()}"
                f"{f' and {bad.sum() - 1} more' if bad.sum() > 1 else ''}."
            )
        return found


class Positions(NamedTuple):
    """Outputs, targets and weights with a row for every position of every sequence."""

    z: Float
    t: Array
    w: Float | None


def positions(z: Float, t: Array, w: Float | None, mask: Array | None) -> Positions:
    """Return outputs (B, T, K) and targets (B, T) or (B, T, K) as rows, one a position; padding weighs nothing.

    Outputs (B, K), of one position a row, are left as they are.
    """
    if z.ndim == 2:
        return Positions(z, t, w)
    t = t.reshape(-1) if t.ndim == 2 else as_rows(t)
    if w is not None or mask is not None:
        there = np.ones(z.shape[:2], z.dtype) if mask is None else mask.astype(z.dtype)
        w = (there if w is None else there * w[:, None]).reshape(-1)
    return Positions(as_rows(z), t, w)


def scale(out: Float, w: Float | None, total: float) -> None:
    """Multiply the gradient of every row by its weight, and divide it by the total."""
    # float(): a float64 scalar of NumPy would turn the product into a float64 one.
    step = 1.0 / float(total)
    np.multiply(out, step if w is None else (w * step)[:, None], out=out)


class Regression(Loss):
    """A loss of the residual r = z - t, averaged over the D outputs as well as over the rows."""

    task = "regression"

    def outputs(self, classes: int | None, targets: int) -> int:  # noqa: ARG002
        """Return the number of target columns."""
        return targets

    def encode(self, y: Array, outputs: int, dtype: Any) -> Float:
        """Return the targets as (N, outputs), or (N, T, outputs) where every position has its own."""
        t = np.ascontiguousarray(y, dtype)
        t = t[:, None] if t.ndim == 1 else t
        if t.ndim not in {2, 3} or t.shape[-1] != outputs:
            raise DataError(f"{self.name}: the network has {outputs} output(s), the targets have shape {np.shape(y)}.")
        return t

    def predict(self, z: Float) -> Float:
        """Return z: the outputs are the predicted values."""
        return z

    def per_sample(self, z: Float, t: Float) -> Float:
        """Return the mean over the outputs of each row's losses."""
        residual = np.subtract(z, t, dtype=np.float64)
        return self._of_residual(residual).mean(axis=1)  # type: ignore[no-any-return]

    @abstractmethod
    def _of_residual(self, r: Float) -> Float:
        """Return the loss of every residual."""


class Classification(Loss):
    """A loss of class scores; two classes may share one score, positive for class 1."""

    class_weight: Literal["balanced"] | dict[str, NonNegative] | Items[NonNegative] | None = None
    """Weight of each class: ``balanced`` (N / (K N_k), so that every class counts alike), a mapping of class names to
    weights (1 for those left out), or a list with one for each class in their order. Weights are scaled to mean 1 over
    the training part, and a minibatch is divided by its rows; PyTorch divides it by its own sum of weights, and weights
    each smoothed label by its own class."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "class_weights": "class_weight",
        "weight": "class_weight",
        "weights": "class_weight",
        "smoothing": "label_smoothing",
        "label_smooth": "label_smoothing",
    }

    task = "classification"
    after: ClassVar[tuple[str, ...]] = ()
    """Activations that may stand before it, apart from `output` and ``linear``."""

    def outputs(self, classes: int | None, targets: int) -> int:  # noqa: ARG002
        """Return the number of scores for that many classes."""
        if classes is None:
            raise ValueError(f"{self.name} needs classes to tell apart, and the target is a number. Use mse.")
        if isinstance(self.class_weight, tuple) and len(self.class_weight) != classes:
            found = len(self.class_weight)
            raise ValueError(f"class_weight needs one weight for each of the {classes} classes. Got {found}.")
        return self._scores(classes)

    def encode(self, y: Array, outputs: int, dtype: Any) -> Float:
        """Return the targets of class indices (N,); those already encoded (N, outputs) are only checked.

        Indices of every position (N, T) stay indices, since K numbers for each would fill the memory.
        """
        y = np.asarray(y)
        if y.shape == (len(y), outputs) and y.dtype.kind == "f":
            return self._checked(np.ascontiguousarray(y, dtype))
        if y.ndim == 2 and y.dtype.kind in "iu":
            return self._positions(y, outputs)
        if y.ndim != 1 or y.dtype.kind not in "iub":
            raise DataError(f"{self.name}: targets must be class indices. Got {y.dtype} of shape {y.shape}.")
        classes = max(2, outputs)
        wrong = (y < 0) | (y >= classes) if y.dtype.kind != "b" else np.zeros(len(y), np.bool_)
        if wrong.any():
            raise DataError(
                f"{self.name}: class indices must be 0 to {classes - 1}. Got {y[wrong][0]} in row {wrong.argmax()}."
            )
        if outputs == 1:
            return self._two_classes(y.astype(dtype))[:, None]
        t = np.zeros((len(y), outputs), dtype)
        t[np.arange(len(y)), y.astype(np.intp)] = 1.0
        return self._one_hot(t)

    @abstractmethod
    def shares(self, t: Float) -> Float:
        """Return the share of every class (N, K) in targets that were encoded, and then perhaps mixed."""

    def labels(self, z: Float) -> Array:
        """Return the class with the highest score; with one score, class 1 where it is positive."""
        return z.argmax(axis=1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(np.intp)

    def settled(self, y: Array, classes: Sequence[str] = ()) -> Self:
        """Return the loss with one number for each class, from their counts in the training set or from their names."""
        named = self.class_weight
        if named is None or isinstance(named, tuple):
            return self
        counts = np.bincount(self._indices(y), minlength=len(classes))
        if named == "balanced":
            present = counts > 0
            weight = np.where(present, len(y) / (present.sum() * np.maximum(counts, 1)), 1.0).tolist()
        else:
            known = classes or [str(k) for k in range(len(counts))]
            wrong = [name for name in named if name not in known]
            if wrong:
                hint = did_you_mean(wrong[0], known) or f" Classes: {', '.join(known)}."
                raise ValueError(f"class_weight names '{wrong[0]}', which is no class.{hint}")
            weight = [named.get(name, 1.0) for name in known]
        return self.model_copy(update={"class_weight": tuple(weight)})

    def _raw_weights(self, y: Array, sample_weight: Float | None) -> Float | None:
        by_row = super()._raw_weights(y, sample_weight)
        weight = self.settled(y).class_weight
        if weight is None:
            return by_row
        by_class: Float = np.asarray(weight, np.float64)[self._indices(y)]
        return by_class if by_row is None else by_class * by_row

    def _indices(self, y: Array) -> Array:
        y = np.asarray(y)
        if y.ndim != 1 or y.dtype.kind not in "iub":
            raise DataError(f"{self.name}: class_weight needs class indices. Got {y.dtype} of shape {y.shape}.")
        return y.astype(np.intp)

    def _positions(self, y: Array, outputs: int) -> Array:  # noqa: ARG002 - cross-entropy depends on it
        """Return the class indices of every position, where the loss can take them."""
        raise DataError(f"{self.name}: one target a row is needed, not one for every position. Use cross_entropy.")

    @abstractmethod
    def _scores(self, classes: int) -> int:
        """Return how many outputs the classes need."""

    def _checked(self, t: Float) -> Float:
        """Return soft targets as they are, if that is what they are."""
        wrong = ~((t >= 0).all(axis=1) & (np.abs(t.sum(axis=1, dtype=np.float64) - 1.0) < 1e-4))
        if wrong.any():
            raise DataError(f"{self.name}: soft labels must be >= 0 and sum to 1. Row {wrong.argmax()} does not.")
        return t

    def _two_classes(self, y: Float) -> Float:  # noqa: ARG002 - losses of one score depend on it
        """Return the targets of one score for labels 0 and 1."""
        raise DataError(f"{self.name}: one output cannot tell classes apart.")

    def _one_hot(self, t: Float) -> Float:
        """Return the targets of K scores for one-hot rows."""
        return t


def _mean_one(raw: Float | None, dtype: Any) -> Float | None:
    if raw is None or not raw.size:
        return None
    mean = raw.mean()
    if mean == 0:
        raise DataError("all weights are zero: there is nothing to learn from.")
    return None if (raw == raw[0]).all() else np.asarray(raw / mean, dtype)
