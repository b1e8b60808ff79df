"""The opponent of every forecast: that nothing changes, or that the last season comes again."""

from __future__ import annotations

from typing import Any

from nnctl.core.finding import Finding, Rule
from nnctl.data.dataset import Split
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.forecasting import naive_forecasts
from nnctl.train.metrics import R2

__all__ = ["NAIVE", "beats_naive", "naive_scores"]

NAIVE = Rule(
    "naive-forecast",
    "A forecast that costs nothing does better than the network.",
    "Of a time series one can always say that it stays as it is (persistence), or that the last season comes again. "
    "Many published forecasts are worse than that. A network that is has not learned what the last value alone tells: "
    "too short a training, too small a learning rate, or a series that walks at random, of which nothing more can be "
    "known.",
    "r2 on the validation part (on the training part where there is none) in the best epoch of a short training. Warns "
    "where a naive forecast has more.",
    "Train longer, look at the learning rate (nnctl lr-find), give it a longer lookback, or let it foretell the change "
    "from the last value; and see in the run whether the full training does better.",
    "Hyndman and Athanasopoulos (2021), Forecasting: principles and practice, section 5.2",
)


def naive_scores(experiment: Experiment, judged: Split) -> dict[str, float]:
    """Return the r2 of every naive forecast on a part; none where the data are no time series."""
    series = experiment.data.series
    if series is None:
        return {}
    truth = series.targets_of(series.values, judged.rows)
    truth = truth.reshape(-1, truth.shape[-1])
    said = naive_forecasts(series, judged.rows)
    return {who: R2().score(truth, values.reshape(truth.shape), truth) for who, values in said.items()}


def beats_naive(figures: dict[str, Any]) -> list[Finding]:
    """Judge the network beside the naive forecasts; nothing where there are none."""
    scores: dict[str, float] = figures["naive"]
    if not scores:
        return []
    best = max(scores, key=lambda who: scores[who])
    network = figures["network"]
    said = f"r2 {network:.3g} on the {figures['part']} part, and {scores[best]:.3g} by {best}."
    judge = NAIVE.passed if network > scores[best] else NAIVE.warn
    return [judge(said, value=network, threshold=scores[best])]
