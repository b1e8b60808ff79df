"""Two opponents that a network has to beat: itself without its inputs, and a linear model."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from math import hypot, isfinite, nan, sqrt
from typing import Any

import numpy as np

from nnctl.checks.naive import beats_naive, naive_scores
from nnctl.checks.short_run import ShortRun, score_of
from nnctl.core.arrays import Array, Float
from nnctl.core.finding import Finding, Report, Rule, Tell, silent
from nnctl.data.dataset import Prepared, Split
from nnctl.data.table import counted
from nnctl.experiment.assembly import Experiment

__all__ = ["against_linear_model", "without_inputs"]

GAIN = 0.05
"""A loss this much lower is lower, whatever the rows."""
SLIGHT, SURE = 0.01, 3.0
"""A loss that is lower by no more than the first is not; between the two, so many standard errors decide."""
FALLS = 0.03
"""A loss that has fallen by this share and is still above that without inputs is on its way."""
LEAST_GAP = 0.02
ROWS, CELLS = 5000, 1_000_000
"""Rows, and numbers in them, that the linear model gets at most."""

IGNORED = Rule(
    "inputs-ignored",
    "The network does no better with its inputs than without them.",
    "Trained on inputs that are all zero, a network can only learn how frequent the classes are, or the mean of the "
    "target. If the true inputs give no lower loss, then nothing of them arrives: labels that do not belong to their "
    "rows, inputs that are crushed by scaling or by dead units, or a learning rate that moves nothing.",
    f"Both are trained for the same number of steps, a short training with the spec's own schedule. Passes where the "
    f"loss on the training part is at least {GAIN:.0%} lower with the true inputs, or more than {SLIGHT:.0%} and "
    f"{SURE:g} standard errors of the mean difference over the rows. Where it is higher than without inputs and has "
    f"fallen by {FALLS:.0%} or more, it is too early to tell: passes if the training is a longer one, else warns. "
    f"Fails otherwise.",
    "Check that rows and labels belong together (nnctl data), then whether one batch can be learned (nnctl "
    "overfit-batch).",
    "Karpathy (2019), A recipe for training neural networks",
)
BY_HEART = Rule(
    "learned-by-heart",
    "The network learns its training rows, and nothing that holds for others.",
    "A network can learn any labels by heart, random ones too. What it has learned of the inputs shows on rows that it "
    "has not seen: where even its best epoch does no better there than a network without inputs, the inputs tell "
    "nothing of the target. Labels of other rows do that, a shuffled or shifted column, or inputs that have nothing to "
    "do with what is asked.",
    f"The loss on the validation part in the best epoch of a short training: warns where it is not at least {GAIN:.0%} "
    f"lower than without inputs; where it is less than that on the training part too, where it is higher.",
    "Look at some rows with their labels (nnctl data): do they belong together? Then whether the inputs can tell.",
    "Zhang, Bengio, Hardt, Recht and Vinyals (2017), Understanding deep learning requires rethinking generalization, "
    "arXiv:1611.03530",
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


def without_inputs(experiment: Experiment, run: ShortRun, tell: Tell = silent) -> Report:
    """Return whether a short training does better than the same one with all inputs at zero.

    Parameters
    ----------
    experiment : Experiment
    run : ShortRun
        That of the experiment.
    tell : callable

    Returns
    -------
    Report
        Figures: ``metric``, and of ``network`` and ``blind`` each ``steps``, ``loss``, ``validation_loss``, ``train``
        and ``validation``.
    """
    tell(0.0, "a training without inputs")
    data = experiment.spec.data.model_copy(update={"augment": ()})  # what is rewritten or played again is an input
    blind = ShortRun.of(Experiment(experiment.variant(data=data).loaded, _zeroed(experiment.data)))
    metric = score_of(experiment).name
    finding = _inputs_used(run, blind, metric)
    figures = {"metric": metric, "network": run.plain(), "blind": blind.plain()}
    return Report("without-inputs", finding.message, (finding,), figures)


def against_linear_model(experiment: Experiment, run: ShortRun, tell: Tell = silent) -> Report:
    """Return whether a short training does at least as well as a linear model on the same arrays.

    Of a time series, also whether it does better than a naive forecast.

    Parameters
    ----------
    experiment : Experiment
    run : ShortRun
        That of the experiment.
    tell : callable

    Returns
    -------
    Report
        Figures: ``metric``, ``part``, ``rows`` of it, the scores ``network`` and ``linear``, and ``linear_rows``, how
        many training rows the linear model got; ``naive``, the scores of the naive forecasts of a time series.
    """
    tell(0.0, "a linear model")
    held_out = experiment.data.validation
    part, judged = ("training", experiment.data.train) if held_out is None else ("validation", held_out)
    figures: dict[str, Any] = {
        "metric": score_of(experiment).name,
        "part": part,
        "rows": len(judged),
        "network": run.train if held_out is None else run.validation,
        "linear_rows": _linear_rows(experiment),
        "linear": _linear_score(experiment, judged),
        "naive": naive_scores(experiment, judged),
    }
    finding = _beats_linear(figures)
    return Report("linear-model", finding.message, (finding, *beats_naive(figures)), figures)


# ------------------------------------------------------------------ the network, with and without its inputs


def _zeroed(data: Prepared) -> Prepared:
    def blank(split: Split) -> Split:
        return replace(split, x=np.zeros_like(split.x))

    validation = None if data.validation is None else blank(data.validation)
    return replace(data, train=blank(data.train), validation=validation)


def _inputs_used(run: ShortRun, blind: ShortRun, metric: str) -> Finding:
    steps = f"after {counted(run.steps, 'step')}"
    if not isfinite(run.loss):
        fix = "Lower the learning rate (nnctl lr-find), and look at the scaling of the inputs."
        return IGNORED.fail(f"a training of {counted(run.steps, 'step')} diverges.", fix=fix)
    if not isfinite(blind.loss):
        return IGNORED.passed(f"{steps} the loss is {run.loss:.3g}; without inputs it diverges.")
    if blind.loss == 0:  # the perceptron's loss is zero for scores of zero too
        gain = run.train - blind.train
        judged = IGNORED.passed if gain >= GAIN else IGNORED.fail
        return judged(f"{metric} is {gain:.2g} higher than with all inputs at zero.", value=gain, threshold=GAIN)
    gain = 1 - run.loss / blind.loss
    errors = run.standard_errors_below(blind)
    said = f"{steps} the loss is {run.loss:.3g}, and {blind.loss:.3g} with all inputs at zero"
    if gain < 0 and run.loss < (1 - FALLS) * run.first:
        said = f"{said}; it began at {run.first:.3g} and has not come so far: too early to tell"
        if run.planned > run.steps:
            return IGNORED.passed(f"{said} after {run.steps} of {run.planned:,} steps.", value=gain, threshold=GAIN)
        return IGNORED.warn(
            f"{said}.",
            fix="Train longer, or look for a better learning rate: nnctl lr-find.",
            value=gain,
            threshold=GAIN,
        )
    if gain < GAIN and not (gain > SLIGHT and errors > SURE):
        return IGNORED.fail(f"{said}.", value=gain, threshold=GAIN)
    if gain < GAIN:
        said = f"{said}: little, but {errors:.3g} standard errors"
    elsewhere = 1 - run.validation_loss / blind.validation_loss
    least = GAIN if gain >= GAIN else 0.0  # what is little on the training part is less on others
    if elsewhere < least:
        said = (
            f"the loss on the training part falls to {run.loss:.3g}; on the validation part it is at best "
            f"{run.validation_loss:.3g}, and {blind.validation_loss:.3g} with all inputs at zero."
        )
        return BY_HEART.warn(said, value=elsewhere, threshold=least)
    return IGNORED.passed(f"{said}.", value=gain, threshold=GAIN)


# ------------------------------------------------------------------ the linear model


def _linear_rows(experiment: Experiment) -> int:
    train = experiment.data.train
    return min(len(train), ROWS, max(100, CELLS // max(1, int(np.prod(train.x.shape[1:])))))


def _linear_score(experiment: Experiment, judged: Split) -> float:
    """Return the accuracy or r2 of a linear model on a part; nan where targets are not one label or value a row."""
    from sklearn.linear_model import LogisticRegression, Ridge  # noqa: PLC0415 - a second to import
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - 18 ms

    train = experiment.data.train
    model = LogisticRegression(max_iter=200) if experiment.loss.task == "classification" else Ridge()
    chosen = (
        np.linspace(0, len(train) - 1, _linear_rows(experiment)).round().astype(np.intp)
    )  # a file may be sorted by class
    tokens = experiment.data.preprocessing.tokens
    table = _table if tokens is None else partial(_bag_of_tokens, len(tokens))
    x, y = table(train.x[chosen], _some(train.lengths, chosen)), train.y[chosen]
    weight = None if train.weight is None else train.weight[chosen]
    is_one_label = y.ndim == 1 or (experiment.loss.task == "regression" and y.ndim == 2)
    if not is_one_label or len(np.unique(y)) < 2:
        return nan
    # SciPy brings a BLAS of its own, and its threads wait for each other where others are at work.
    with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore")  # a solver that wants more iterations is still an opponent
        model.fit(x, y, sample_weight=weight)
        return float(model.score(table(judged.x, judged.lengths), judged.y, sample_weight=judged.weight))


def _some(lengths: Array | None, rows: Array) -> Array | None:
    return None if lengths is None else lengths[rows]


def _table(x: Array, _lengths: Array | None) -> Float:
    return np.asarray(x).reshape(len(x), -1).astype(np.float64)


def _bag_of_tokens(count: int, x: Array, lengths: Array | None) -> Any:
    """Return how often each token is in each row, a sparse matrix (N, count); where they stand is not in it."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - 0.1 s, and scikit-learn needs it anyway

    there = np.ones(x.shape, np.bool_) if lengths is None else np.arange(x.shape[1]) < lengths[:, None]
    rows = np.nonzero(there)[0]
    return coo_array((np.ones(len(rows)), (rows, x[there])), (len(x), count)).tocsr()


def _beats_linear(figures: dict[str, Any]) -> Finding:
    network, linear, metric = figures["network"], figures["linear"], figures["metric"]
    if not isfinite(linear):
        return LINEAR.passed("there is no linear model for such targets.")
    if not isfinite(network):
        return LINEAR.warn(f"the network has no {metric}, and a linear model has {linear:.3g}.")
    error = hypot(*(_standard_error(metric, score, figures["rows"]) for score in (network, linear)))
    allowed = max(LEAST_GAP, 2 * error)
    by = f"by a linear model of {figures['linear_rows']:,} rows"
    said = f"{metric} {network:.3g} on the {figures['part']} part, and {linear:.3g} {by}."
    if network < linear - allowed:
        return LINEAR.warn(said, value=network - linear, threshold=-allowed)
    alike = "" if network > linear + error else " The two are alike: the linear one is the simpler."
    return LINEAR.passed(said + alike, value=network - linear, threshold=-allowed)


def _standard_error(metric: str, score: float, rows: int) -> float:
    """Return the standard error of a share of rows; of r2 that for normal variables (Olkin and Finn, 1995)."""
    score = min(max(score, 0.0), 1.0)
    variance = score * (1 - score) if metric == "accuracy" else 4 * score * (1 - score) ** 2
    return sqrt(variance / rows)
