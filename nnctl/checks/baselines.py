"""Two opponents that a network has to beat: itself without its inputs, and a linear model."""

from __future__ import annotations

import warnings
from dataclasses import replace
from math import hypot, sqrt
from typing import Any

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.finding import Finding, Report, Rule, Tell, silent
from nnctl.data.dataset import Prepared
from nnctl.experiment.assembly import Experiment
from nnctl.train.loop import Epoch, Training, fit
from nnctl.train.metrics import Metric
from nnctl.train.step import NotFinite

__all__ = ["check_baselines"]

FLOP = 1e10
"""Work of each of the two short trainings; a fixed sum and not a time, so that every machine finds the same."""
MOST_STEPS = 4000
LEAST_STEPS = 200
GAIN = 0.05
LEAST_GAP = 0.02
ROWS, CELLS = 5000, 1_000_000
"""Rows, and numbers in them, that the linear model gets at most."""

IGNORED = Rule(
    "inputs-ignored",
    "The network does no better with its inputs than without them.",
    "Trained on inputs that are all zero, a network can only learn how frequent the classes are, or the mean of the "
    "target. If the true inputs give no lower loss, then nothing of them arrives: labels that do not belong to their "
    "rows, inputs that are crushed by scaling or by dead units, or a learning rate that moves nothing.",
    f"Both are trained for the same number of steps, a short training with the spec's own schedule; fails where the "
    f"loss on the training part is not at least {GAIN:.0%} lower with the true inputs, or not finite.",
    "Check that rows and labels belong together (nnctl data), then whether one batch can be learned (nnctl "
    "overfit-batch).",
    "Karpathy (2019), A recipe for training neural networks",
)
LINEAR = Rule(
    "linear-baseline",
    "A linear model does better than the network.",
    "Logistic and ridge regression have no hidden layers, one best solution and nothing to tune by hand. A network can "
    "do all that they can; one that does less is not trained well enough, or overfits. Where both do alike the simple "
    "model is the better choice.",
    "scikit-learn's LogisticRegression or Ridge on the same arrays, against the best epoch of a short training, by "
    "accuracy or r2 on the validation part (on the training part where there is none). Warns where the network is "
    f"worse by more than two standard errors of the difference and by more than {LEAST_GAP}.",
    "Look at the learning rate (nnctl lr-find), then train longer; with a gap to the training part, regularize.",
    "Hastie, Tibshirani and Friedman (2009), chapters 3 and 4",
)


def check_baselines(experiment: Experiment, tell: Tell = silent) -> Report:
    """Return whether a short training beats one without inputs, and a linear model.

    Parameters
    ----------
    experiment : Experiment
    tell : callable

    Returns
    -------
    Report
        Figures: ``steps``; ``loss`` and ``loss_without_inputs``, ``train`` and ``train_without_inputs`` (scores) on the
        training part; ``metric``, ``part``, ``network`` and ``linear``, the scores of both; ``rows`` of that part.
    """
    short = _short(experiment)
    metric = Metric.parse("accuracy" if experiment.loss.task == "classification" else "r2").name
    tell(0.0, "a short training")
    loss, scores = _train(short, metric)
    tell(0.5, "the same without inputs")
    without, blind = _train(Experiment(short.loaded, _without_inputs(short.data)), metric)
    tell(0.8, "a linear model")
    part, linear, rows = _linear(experiment)
    figures: dict[str, Any] = {
        "steps": short.spec.training.steps,
        "loss": loss,
        "loss_without_inputs": without,
        "train": scores.get("train"),
        "train_without_inputs": blind.get("train"),
        "metric": metric,
        "part": part,
        "network": scores.get("val" if part == "validation" else "train"),
        "linear": linear,
        "rows": rows,
    }
    findings = [_inputs_used(figures)]
    if figures["network"] is not None and linear is not None:
        findings.append(_beats_linear(figures))
    return Report("baselines", findings[0].message, tuple(findings), figures)


# ------------------------------------------------------------------ the network, with and without its inputs


def _short(experiment: Experiment) -> Experiment:
    """Return the experiment with as many steps as the work allows, its schedule fitted to them."""
    spec = experiment.spec
    planned = experiment.plan(experiment.batches(experiment.examples(experiment.data.train))).steps
    rows = experiment.batch_rows * spec.training.accumulate
    affordable = int(FLOP / (6 * rows * max(1, experiment.layout.size)))
    steps = min(planned, max(LEAST_STEPS, min(MOST_STEPS, affordable)))
    metric = Metric.parse("accuracy" if experiment.loss.task == "classification" else "r2")
    measured = {each.name: each for each in (*experiment.metrics, metric)}
    training = spec.training.model_copy(update={"epochs": None, "steps": steps})
    return experiment.variant(training=training, metrics=tuple(measured.values()))


def _train(experiment: Experiment, metric: str) -> tuple[float, dict[str, float]]:
    """Train and return the loss on the training part at the end, and the best score of each part on the way."""
    learner = experiment.learner()
    train = experiment.examples(experiment.data.train)
    held_out = experiment.data.validation
    batches = experiment.batches(train)
    training = Training(
        learner=learner,
        batches=batches,
        judge=experiment.judge,
        train=train,
        validation=None if held_out is None else experiment.examples(held_out),
        plan=experiment.plan(batches),
        progress=experiment.progress(batches),
    )
    best: dict[str, float] = {}
    try:
        for record in fit(training):
            if isinstance(record, Epoch):
                found = {part: record.metrics.get(f"{part}_{metric}", -np.inf) for part in ("train", "val")}
                best = {part: max(score, best.get(part, -np.inf)) for part, score in found.items()}
        return experiment.judge.network(learner.network, train)["loss"], _known(best)
    except NotFinite:
        return float("nan"), _known(best)
    finally:
        learner.team.close()


def _known(best: dict[str, float]) -> dict[str, float]:
    return {part: score for part, score in best.items() if np.isfinite(score)}


def _without_inputs(data: Prepared) -> Prepared:
    validation = data.validation and replace(data.validation, x=np.zeros_like(data.validation.x))
    return replace(data, train=replace(data.train, x=np.zeros_like(data.train.x)), validation=validation)


def _inputs_used(figures: dict[str, Any]) -> Finding:
    loss, without, steps = figures["loss"], figures["loss_without_inputs"], figures["steps"]
    if not np.isfinite(loss):
        fix = "Lower the learning rate (nnctl lr-find), and look at the scaling of the inputs."
        return IGNORED.fail(f"a training of {steps} steps diverges.", fix=fix)
    if not np.isfinite(without):
        return IGNORED.passed(f"after {steps} steps the loss is {loss:.3g}; without inputs it diverges.")
    if without > 0:
        gain = 1 - loss / without
        said = f"after {steps} steps the loss is {loss:.3g}, and {without:.3g} with all inputs at zero."
    else:  # the perceptron's loss is zero for scores of zero too
        gain = (figures["train"] or 0.0) - (figures["train_without_inputs"] or 0.0)
        said = f"after {steps} steps the {figures['metric']} is {gain:.2g} higher than with all inputs at zero."
    judged = IGNORED.passed if gain >= GAIN else IGNORED.fail
    return judged(said, value=gain, threshold=GAIN)


# ------------------------------------------------------------------ the linear model


def _linear(experiment: Experiment) -> tuple[str, float | None, int]:
    """Return the part that is judged on, the linear model's score there, and its rows."""
    from sklearn.linear_model import LogisticRegression, Ridge  # noqa: PLC0415 - a second to import

    train, held_out = experiment.data.train, experiment.data.validation
    part, judged = ("train", train) if held_out is None else ("validation", held_out)
    rows = min(len(train), ROWS, max(100, CELLS // max(1, int(np.prod(train.x.shape[1:])))))
    model = LogisticRegression(max_iter=200) if experiment.loss.task == "classification" else Ridge()
    x, y = _table(train.x[:rows]), train.y[:rows]
    weight = None if train.weight is None else train.weight[:rows]
    if len(np.unique(y)) < 2:
        return part, None, len(judged)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a solver that wants more iterations is still an opponent
        model.fit(x, y, sample_weight=weight)
        return part, float(model.score(_table(judged.x), judged.y, sample_weight=judged.weight)), len(judged)


def _table(x: Array) -> Float:
    return x.reshape(len(x), -1).astype(np.float64)


def _beats_linear(figures: dict[str, Any]) -> Finding:
    network, linear, metric = figures["network"], figures["linear"], figures["metric"]
    error = hypot(*(_standard_error(metric, score, figures["rows"]) for score in (network, linear)))
    allowed = max(LEAST_GAP, 2 * error)
    said = f"{metric} {network:.3g} on the {figures['part']} part, and {linear:.3g} by a linear model."
    if network < linear - allowed:
        return LINEAR.warn(said, value=network - linear, threshold=-allowed)
    alike = "" if network > linear + error else " The two are alike: the linear one is the simpler."
    return LINEAR.passed(said + alike, value=network - linear, threshold=-allowed)


def _standard_error(metric: str, score: float, rows: int) -> float:
    """Return the standard error of a share of rows; of r2 that for normal variables (Olkin and Finn, 1995)."""
    score = min(max(score, 0.0), 1.0)
    variance = score * (1 - score) if metric == "accuracy" else 4 * score * (1 - score) ** 2
    return sqrt(variance / rows)
