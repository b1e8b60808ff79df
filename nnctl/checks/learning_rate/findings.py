"""What the figures of lr-find mean: its rules, and the findings they come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted

__all__ = ["ABOVE_NOISE", "GOOD", "findings", "judge_rate", "refusal"]

ABOVE_NOISE = 3.0
"""A drop counts when it is more than this many standard errors of the curve, of whose points it is the lowest."""
FEWEST = 10
"""Points that a curve needs before anything is read off it."""
GOOD = 0.9
"""A learning rate does well when its short runs reach this share of the suggestion's drop."""
FAR = 10.0
"""A factor between two learning rates, or between two estimates of one, that is worth a warning."""
SLOW = 0.5
"""A learning rate far from the best one is worth a warning where its short runs reach less than this share."""

_SMITH = "Smith (2017), arXiv:1506.01186"

FLAT = Rule(
    "lr-flat-curve",
    "The loss falls at no learning rate.",
    "A range test tries every learning rate from far too small to far too large. Somewhere between, a network that can "
    "learn at all begins to. Where the loss stays as it was, the gradient is next to nothing or leads nowhere: units "
    "are dead or saturated, the layers are too many for their init, the targets have nothing to do with the inputs, or "
    "the range ends before learning begins.",
    "fails where the smoothed loss, or that of the short runs, falls by no more than one standard error of the curve; "
    f"warns up to {ABOVE_NOISE:g}, where a few rows of very large loss may hide what there is",
    "Run nnctl overfit-batch, which names the likeliest cause. If that passes, raise --max or --steps; with targets "
    "far out (nnctl data: outlying-targets) the loss huber shows more.",
    _SMITH,
)
AT_ONCE = Rule(
    "lr-diverges-at-once",
    "The loss runs away before it has fallen.",
    "At a small enough learning rate every step goes downhill. Where even the smallest ones of the range go up, or end "
    "in numbers that are not finite, inputs or targets are usually far too large (unscaled columns, years, prices), or "
    "the initial weights are.",
    f"fails where the sweeps end within {FEWEST} steps, or run away in their first half without having fallen",
    "Scale the inputs (data.scaling) and the targets of a regression (data.target_scaling). If they are, see whether "
    "there is anything to learn (nnctl data: label-conflicts), and then lower --min.",
    _SMITH,
)
ZERO = Rule(
    "lr-nothing-to-lower",
    "The loss is zero before training begins.",
    "A range test watches the loss fall, and a loss of zero cannot. Rosenblatt's perceptron begins so: with all "
    "weights zero its loss is zero on every row, and its learning rate only scales the weights, so that any rate gives "
    "the same answers. With another loss, targets that are all the same are the usual reason.",
    "warns where the first loss of every sweep is exactly 0",
    "With the perceptron loss, keep the rate as it is. Else look at the targets: nnctl data.",
    "Rosenblatt (1958)",
)
TOO_FEW = Rule(
    "lr-too-few-steps",
    "The range test has too few steps to read a curve from.",
    "The learning rate walks through many decades; with a handful of steps the curve is a few noisy points, and any "
    "rule reads chance from it.",
    f"fails below {FEWEST} steps",
    "Leave --steps at 100, or raise it.",
    _SMITH,
)
OWN = Rule(
    "lr-of-the-spec",
    "The spec's learning rate, held against what was measured.",
    "The learning rate matters more than any other number of the training (Bengio, 2012, arXiv:1206.5533, section 3). "
    "A rate far below the best one needs many times the steps; one beyond the edge ends in numbers that are not "
    "finite, or in a network that is worse than an untrained one.",
    f"fails where a short run at it or at a smaller rate diverged, or where the range test ran away before it and its "
    f"short runs reach less than {SLOW:.0%} of the suggestion's drop; warns where they do so and it is more than a "
    f"factor of {FAR:g} from the suggestion",
    "Take the suggestion: nnctl lr-find --apply writes it into the spec.",
)
EDGE = Rule(
    "lr-at-the-edge",
    "The best learning rate is an end of the range that was tried.",
    "Where the best of a range is its end, the best of all may lie outside.",
    "warns where the suggestion is --min or --max",
    "Widen the range with --min or --max. A network that wants more than 10 often has inputs that are far too small.",
)
SUGGESTION = Rule(
    "lr-suggestion",
    "The learning rate that brings the loss down furthest in a short training.",
    "Too small a learning rate wastes steps; too large a one overshoots or diverges. The range test says where to "
    "look: where the loss has fallen most of its way. Short runs around that place, all from the same starts on the "
    "same batches, decide: the best wins, and the smaller one where several tie. Left out are rates within a factor of "
    "two of one that diverged, and unsteady ones, at which some start ends well above what it came to at a smaller "
    "rate. Each start chooses once by itself as well, and the spread of these choices is the interval.",
    f"warns where the starts disagree by more than a factor of {FAR:g}, and not because all in between is good",
    "Raise --sweeps for a firmer answer, or take the lower end of the interval.",
    _SMITH,
)


def findings(figures: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return what the figures of `lr_find` come to: the refusal, or the judgement and the suggestion."""
    refused = refusal(figures)
    if refused is not None:
        return (refused,)
    if figures["suggestion"] is None:
        return (
            FLAT.fail(
                "None of the short runs, safely below the rates that diverge, ended with a lower loss than it began."
            ),
        )
    return (*_edge(figures), judge_rate(figures["lr"], figures), _suggestion(figures))


def judge_rate(lr: float, figures: Mapping[str, Any]) -> Finding:
    """Return how a spec's learning rate stands to what `lr_find` measured.

    Parameters
    ----------
    lr : float
    figures : mapping
        The figures of a report that has a suggestion.
    """
    suggestion = figures["suggestion"]
    trial = next((trial for trial in figures["trials"] if trial["lr"] == lr), None)
    is_slow = trial is None or trial["share"] < SLOW
    too_high = _too_high(lr, is_slow, figures)
    if too_high:
        said = f"The spec's {lr:g} is too high: {too_high}. The suggestion is {suggestion:g}."
        if figures["warms_up"]:
            said = f"{said} The schedule {figures['schedule']}, which begins with smaller steps, may save it."
            return OWN.warn(said, where="optimizer.lr", value=lr, threshold=suggestion)
        return OWN.fail(said, where="optimizer.lr", value=lr, threshold=suggestion)
    reached = f", and brings the loss down {max(trial['share'], 0):.0%} as far" if trial and lr != suggestion else ""
    said = f"The spec's {lr:g} is {_distance(lr, suggestion)}{reached}."
    if is_slow and not 1 / FAR <= lr / suggestion <= FAR:
        return OWN.warn(said, where="optimizer.lr", value=lr, threshold=suggestion)
    return OWN.passed(said, where="optimizer.lr", value=lr, threshold=suggestion)


def _too_high(lr: float, is_slow: bool, figures: Mapping[str, Any]) -> str:
    """Return what tells that a rate is beyond the edge; "" where nothing does."""
    diverges, last = figures["diverges"], figures["rules"]["last before divergence"]
    if diverges is not None and lr >= diverges:
        return f"a short run at {diverges:g} diverged"
    if last is not None and lr > last and is_slow:
        return f"the range test ran away beyond {last:.2g}, and short runs at {lr:g} hardly lower the loss"
    return ""


def refusal(figures: Mapping[str, Any]) -> Finding | None:
    """Return why no learning rate can be read off the sweeps; None where one can."""
    rates, curve = figures["rates"], figures["curve"]
    points = len(curve["lr"]) if curve else 0
    if len(rates) < FEWEST:
        return TOO_FEW.fail(f"{len(rates)} steps are too few for a curve.", value=len(rates), threshold=FEWEST)
    if not points:
        fix = "Look at the data first: nnctl data. Then at the initial weights: init."
        said = (
            "The very first gradient or loss is not finite, before any step: it is not a matter of the learning rate."
        )
        return AT_ONCE.fail(said, fix=fix, value=0, threshold=FEWEST)
    if all(losses[:1] == [0.0] for losses in figures["sweeps"]):
        return ZERO.warn("The loss is 0 before the first step, so there is nothing to bring down.", value=0.0)
    if points < FEWEST:
        said = f"The loss ran away within {counted(points + 1, 'step')}, at a learning rate of {rates[points]:.1e}."
        return AT_ONCE.fail(said, value=points, threshold=FEWEST)
    drop, least = curve["start"] - min(curve["loss"]), ABOVE_NOISE * curve["noise"]
    if drop > least:
        return None
    if points < len(rates) / 2:
        said = f"The loss rose from {rates[points]:.1e} on without ever having fallen."
        return AT_ONCE.fail(said, value=drop, threshold=least)
    then = f" From {rates[points]:.1e} on it rose." if points < len(rates) else ""
    said = f"Up to {rates[points - 1]:.2g} the loss fell by {max(drop, 0):.2g}, no more than chance would do.{then}"
    judged = FLAT.warn if drop > figures["curve"]["noise"] else FLAT.fail
    return judged(said, value=drop, threshold=least)


def _edge(figures: Mapping[str, Any]) -> tuple[Finding, ...]:
    lr, rates = figures["suggestion"], figures["rates"]
    said = f"The best learning rate, {lr:g}, is {'--min' if lr == rates[0] else '--max'}: a better one may lie beyond."
    if lr == rates[0]:
        fix = (
            "Scale the data (data.scaling, data.target_scaling): large numbers ask for tiny steps. If they are, see "
            "whether there is anything to learn (nnctl data: label-conflicts), and then lower --min."
        )
        return (EDGE.warn(said, fix=fix, value=lr),)
    return (EDGE.warn(said, value=lr),) if lr == rates[-1] else ()


def _suggestion(figures: Mapping[str, Any]) -> Finding:
    lr, (least, most), (low, high) = figures["suggestion"], figures["interval"], figures["good"]
    starts = len(figures["sweeps"])
    runs = (
        f"{counted(len(figures['trials']), 'learning rate')} were tried in short runs of "
        f"{counted(figures['run_steps'], 'step')}"
    )
    chosen = f"{least:g}" if least == most else f"{least:g} to {most:g}"
    spread = f"each of {starts} starts alone would choose {chosen}" if starts > 1 else "from one start"
    where = f"At {low:g} alone" if low == high else f"From {low:g} to {high:g}"
    said = f"{runs}; {spread}. {where} the loss falls at least {GOOD:.0%} as far.{figures['pace']}"
    if most > FAR * least and not low <= least <= most <= high:
        return SUGGESTION.warn(said, value=lr, threshold=FAR)
    return SUGGESTION.passed(said, value=lr, threshold=FAR)


def _distance(lr: float, suggestion: float) -> str:
    if lr == suggestion:
        return "the suggestion itself"
    factor = max(lr / suggestion, suggestion / lr)
    times = f"{factor:.1f}" if factor < 10 else f"{factor:,.0f}"
    return f"{times} times {'larger' if lr > suggestion else 'smaller'} than the suggestion of {suggestion:g}"
