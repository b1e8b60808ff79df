"""The losses, and how a network's last activation is fused into its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Array, Float, row_sums
from nnctl.core.component import Positive, Share
from nnctl.core.errors import DataError
from nnctl.nn.activations import Activation, Linear
from nnctl.nn.compose import Repeat, Sequential
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.loss import Classification, Loss, Regression, scale
from nnctl.nn.margins import Hinge, Margin, Perceptron

__all__ = ["MAE", "MSE", "BinaryCrossEntropy", "CrossEntropy", "Hinge", "Huber", "Loss", "Margin", "Perceptron", "fuse"]


class MSE(Regression, name="mse"):
    """Mean squared error: large errors weigh heavily. The choice where noise is Gaussian.

    forward:   L = 1/(N D) sum (z - t)^2
    backward:  dz = 2/(N D) (z - t)

    Shapes: z, t (N, D). Nothing is halved, unlike in texts that write 1/2 (z - t)^2; for one output (D = 1) this is
    the usual 1/N sum (z - t)^2 with gradient 2/N (z - t).

    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", eq. 5.4.
    """

    def _of_residual(self, r: Float) -> Float:
        return r * r

    def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
        """Write 2/(total D) w (z - t)."""
        np.subtract(z, t, out=out)
        scale(out, w, 0.5 * total * z.shape[1])


class MAE(Regression, name="mae"):
    """Mean absolute error: every error pulls equally, so that outliers do not rule; it estimates the median.

    forward:   L = 1/(N D) sum |z - t|
    backward:  dz = 1/(N D) sign(z - t), and 0 where z = t

    Shapes: z, t (N, D). The gradient does not shrink near the minimum: let the learning rate do so.

    Source: Hastie, Tibshirani and Friedman (2009), "The Elements of Statistical Learning", section 10.6.
    """

    def _of_residual(self, r: Float) -> Float:
        return np.abs(r)

    def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
        """Write 1/(total D) w sign(z - t)."""
        np.subtract(z, t, out=out)
        np.sign(out, out=out)
        scale(out, w, total * z.shape[1])

    def branches(self, z: Float, t: Float) -> Array:
        """Return the sign of z - t."""
        return np.sign(z - t)


class Huber(Regression, name="huber"):
    """Squared for small residuals, absolute for large ones: smooth at the minimum and robust to outliers.

    forward:   l = 1/2 r^2 where |r| <= delta, else delta |r| - 1/2 delta^2;   L = 1/(N D) sum l,  r = z - t
    backward:  dz = 1/(N D) clip(r, -delta, delta)

    Shapes: z, t (N, D). Within delta it is half of `mse`. "Smooth L1" is this divided by delta.

    Source: Huber (1964), "Robust estimation of a location parameter", eq. 1.
    """

    delta: Positive = 1.0
    """Residual from which on the loss is linear, in units of the (scaled) target."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"beta": "delta", "epsilon": "delta", "threshold": "delta"}

    def _of_residual(self, r: Float) -> Float:
        size = np.abs(r)
        return np.where(size <= self.delta, 0.5 * size * size, self.delta * (size - 0.5 * self.delta))

    def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
        """Write 1/(total D) w clip(z - t, -delta, delta)."""
        np.subtract(z, t, out=out)
        np.clip(out, -self.delta, self.delta, out=out)
        scale(out, w, total * z.shape[1])

    def branches(self, z: Float, t: Float) -> Array:
        """Return where |z - t| <= delta."""
        return np.abs(z - t) <= self.delta


class CrossEntropy(Classification, name="cross_entropy"):
    """Softmax cross-entropy on logits: minus the log of the probability that the network gives to the true class.

    forward:   p = softmax(z),   l = -sum_k t_k log p_k = log(sum_k exp z_k) - sum_k t_k z_k;   L = 1/N sum w l
    backward:  dz = 1/N w (p - t)

    Shapes: z, t, p (N, K); t has rows that sum to one: one-hot, or soft labels; or t (N,) are the indices of the true
    classes. It brings its own softmax, in which the largest logit of each row is subtracted first, so that nothing
    overflows. Label smoothing is in t, and is worked in where t are indices.

    Source: Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs"; label
    smoothing: Szegedy et al. (2016), "Rethinking the Inception architecture", section 7, arXiv:1512.00567.
    """

    label_smoothing: Share = 0.0
    """Share e of the target that is spread evenly over all K classes: t = (1 - e) onehot + e / K. Soft labels are left
    as they are."""

    output = "softmax"

    def _scores(self, classes: int) -> int:
        return classes

    def _one_hot(self, t: Float) -> Float:
        e = self.label_smoothing
        return t * (1.0 - e) + e / t.shape[1] if e else t

    def _positions(self, y: Array, outputs: int) -> Array:
        wrong = (y < 0) | (y >= outputs)
        if wrong.any():
            row = int(wrong.any(axis=1).argmax())
            raise DataError(f"{self.name}: class indices must be 0 to {outputs - 1}. Got {y[wrong][0]} in row {row}.")
        return y.astype(np.int32)

    def shares(self, t: Float) -> Float:
        """Return the targets without their smoothing, (N, K)."""
        e = self.label_smoothing
        return np.asarray((t - e / t.shape[1]) / (1.0 - e))

    def per_sample(self, z: Float, t: Float) -> Float:
        """Return -sum_k t_k log p_k for each row."""
        if t.ndim == 1:
            log_p, e = _log_softmax(z), self.label_smoothing
            true: Float = -log_p[t, np.arange(len(t))]
            return (1 - e) * true - e * log_p.mean(axis=0) if e else true
        log_likelihood: Float = np.einsum("nk,kn->n", t, _log_softmax(z))
        return -log_likelihood

    def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
        """Write w (p - t) / total."""
        np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True), out=out)
        np.exp(out, out=out)
        np.divide(out, row_sums(out), out=out)
        if t.ndim == 1:
            e = self.label_smoothing
            out[np.arange(len(t)), t] -= 1 - e
            if e:
                np.subtract(out, e / z.shape[1], out=out)
        else:
            np.subtract(out, t, out=out)
        scale(out, w, total)

    def predict(self, z: Float) -> Float:
        """Return the class probabilities p (N, K)."""
        p: Float = np.exp(_log_softmax(z).T)
        return p.astype(z.dtype, order="C")


class BinaryCrossEntropy(Classification, name="binary_cross_entropy"):
    """Sigmoid cross-entropy on one logit for two classes: the log loss of logistic regression.

    forward:   p = sigmoid(z),   l = -t log p - (1 - t) log(1 - p);   L = 1/N sum w l
    backward:  dz = 1/N w (p - t)

    Shapes: z, t, p (N, 1); t in [0, 1], p is the probability of class 1. It brings its own sigmoid.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", eq. 4.90 and 4.91.
    """

    label_smoothing: Share = 0.0
    """Share e of the target that is spread over both classes: t = (1 - e) y + e / 2. Soft labels are left as they
    are."""

    output = "sigmoid"

    def _scores(self, classes: int) -> int:
        if classes > 2:
            raise ValueError(
                f"binary_cross_entropy tells two classes apart, and there are {classes}. Use cross_entropy."
            )
        return 1

    def shares(self, t: Float) -> Float:
        """Return the shares of both classes without smoothing, (N, 2)."""
        e = self.label_smoothing
        s = (t - 0.5 * e) / (1.0 - e)
        return np.hstack([1.0 - s, s])

    def _two_classes(self, y: Float) -> Float:
        return y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing

    def _checked(self, t: Float) -> Float:
        wrong = ~((t >= 0) & (t <= 1)).all(axis=1)
        if wrong.any():
            raise DataError(f"binary_cross_entropy: soft labels must be from 0 to 1. Row {wrong.argmax()} is not.")
        return t

    def per_sample(self, z: Float, t: Float) -> Float:
        """Return -t log p - (1 - t) log(1 - p) for each row."""
        z = z.astype(np.float64)
        return (t * np.logaddexp(0.0, -z) + (1.0 - t) * np.logaddexp(0.0, z)).sum(axis=1)  # type: ignore[no-any-return]

    def gradient(self, z: Float, t: Float, w: Float | None, total: float, out: Float) -> None:
        """Write w (p - t) / total."""
        # sigmoid(z) = (1 + tanh(z / 2)) / 2: stable without a branch.
        np.multiply(z, 0.5, out=out)
        np.tanh(out, out=out)
        np.multiply(out, 0.5, out=out)
        np.add(out, 0.5, out=out)
        np.subtract(out, t, out=out)
        scale(out, w, total)

    def predict(self, z: Float) -> Float:
        """Return the probability of class 1, (N, 1)."""
        return np.exp(-np.logaddexp(z.dtype.type(0.0), -z))


def fuse(loss: Loss, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers without the output activation that the loss brings itself.

    A network that ends in ``softmax`` and is trained with `cross_entropy` means the same as one without it; so do
    ``sigmoid`` and `binary_cross_entropy`.

    Raises
    ------
    ShapeError
        Where the last activation and the loss do not fit; `path` leads to that activation.
    """
    if not layers:
        return ()
    *before, last = layers
    place: tuple[str | int, ...] = (len(before), last.name)
    if type(last) is Sequential:
        try:
            return (*before, last.model_copy(update={"layers": fuse(loss, last.layers)}))
        except ShapeError as error:
            error.path = (*place, "layers", *error.path)
            raise
    bend = _last_bend(last)
    if not isinstance(loss, Classification) or bend is None or bend.name in loss.after:
        return tuple(layers)
    if last.name == loss.output:
        return tuple(before)
    raise ShapeError(_misfit(loss, bend), place)


def _last_bend(layer: Layer) -> Activation | None:
    """Return the activation that the outputs come from, if there is one and it changes anything."""
    if type(layer) in {Sequential, Repeat}:
        parts: tuple[Layer, ...] = layer.layers  # type: ignore[attr-defined]
        return _last_bend(parts[-1]) if parts else None
    return layer if isinstance(layer, Activation) and not isinstance(layer, Linear) else None


def _misfit(loss: Classification, bend: Activation) -> str:
    if loss.output is None:
        need, way = "raw scores, of either sign and any size", "Leave it out, or use cross_entropy."
    else:
        need = f"logits, of either sign and any size, and brings its own {loss.output}"
        way = "Leave it out." if bend.name == loss.output else f"Leave it out, or write {loss.output}."
        way += " The layer before the loss is 'dense: outputs'."
    return f"{bend.name} at the end does not fit the loss: {loss.name} works on {need}. {way}"


def _log_softmax(z: Float) -> Float:
    # Transposed, (K, N): sums over the few classes then run along the rows, in a quarter of the time.
    log_p = np.array(z.T, np.float64, order="C")
    log_p -= log_p.max(axis=0)
    log_p -= np.log(np.exp(log_p).sum(axis=0))
    return log_p
