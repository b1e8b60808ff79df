"""Schedules: the learning rate as a pure function of the step.

A schedule has no state. Asked for the same step it gives the same rate, so a run can be taken up anywhere, and a
schedule can be drawn before it is used. Steps count from 0. A curve that ends somewhere gets there at step
`total_steps`, one after the last, so that no step is spent on the end point; afterwards it stays there.

Notation: α the rate of the optimizer (`lr`), t the step, T the number of all steps, E the steps of an epoch. With a
warm-up of W steps, t counts from its end and T is what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import get_annotations
from math import cos, inf, isfinite, pi
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnctl.core.component import Component, Items, NonNegative, Positive, PositiveInt
from nnctl.optim.clock import Clock, Length, PositiveLength, steps_in

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "MultiStep",
    "OneCycle",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
]


class Schedule(Component, family="schedule"):
    """A learning rate for every step."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "1cycle": "one_cycle",
        "cosine_annealing": "cosine",
        "cosine_annealing_warm_restarts": "cosine",
        "cosine_decay": "cosine",
        "cosineannealinglr": "cosine",
        "exponential_decay": "exponential",
        "exponentiallr": "exponential",
        "fixed": "constant",
        "linear": "polynomial",
        "multisteplr": "multi_step",
        "multistep": "multi_step",
        "none": "constant",
        "onecycle": "one_cycle",
        "onecyclelr": "one_cycle",
        "plateau": "reduce_on_plateau",
        "piecewise_constant": "multi_step",
        "poly": "polynomial",
        "polynomial_decay": "polynomial",
        "reduce_lr_on_plateau": "reduce_on_plateau",
        "reducelronplateau": "reduce_on_plateau",
        "sgdr": "cosine",
        "step_decay": "step",
        "steplr": "step",
        "warmup": "constant",
    }
    field_synonyms: ClassVar[Mapping[str, str]] = {
        "warm_up": "warmup",
        "warmup_steps": "warmup",
        "warmup_epochs": "warmup",
        "num_warmup_steps": "warmup",
        "pct_start": "warmup",
        "eta_min": "min_lr",
        "end_lr": "min_lr",
        "end": "min_lr",
        "end_learning_rate": "min_lr",
        "final_lr": "min_lr",
        "restarts": "cycle",
        "t_0": "cycle",
        "first_decay_steps": "cycle",
        "t_mult": "cycle_factor",
        "t_mul": "cycle_factor",
        "step_size": "every",
        "milestones": "at",
        "boundaries": "at",
        "drop": "factor",
        "decay": "gamma",
        "decay_rate": "gamma",
        "threshold": "min_delta",
        "epsilon": "min_delta",
    }

    warmup: Length = 0
    """A stretch at the start in which the rate grows in a straight line: α (t + 1) / (W + 1) for t < W, and α at W.

    Source: Goyal et al. (2017), arXiv:1706.02677, section 2.2.
    """

    @classmethod
    def value_field(cls) -> str | None:
        """Return the field that ``name: value`` sets: the one required, or else the first of its own."""
        own = [field for field in get_annotations(cls) if field in cls.model_fields]
        required = [field for field in own if cls.model_fields[field].is_required()]
        return next(iter(required if len(required) == 1 else own), None)

    def lr_at(self, step: int, base_lr: float, clock: Clock, history: Sequence[float] = ()) -> float:  # noqa: ARG002
        """Return the learning rate of one step.

        Parameters
        ----------
        step : int
            From 0.
        base_lr : float
            The optimizer's learning rate α.
        clock : Clock
            How long the training is.
        history : sequence of float
            The values of the monitored metric so far, one an evaluation; only reduce_on_plateau looks at them.
        """
        if not self.warmup:
            return self.curve(step, base_lr, clock)
        ramp = steps_in(self.warmup, clock)
        if step < ramp:
            return self.rise(step, ramp, base_lr)
        return self.curve(step - ramp, base_lr, Clock(max(1, clock.total_steps - ramp), clock.steps_per_epoch))

    def rise(self, step: int, ramp: int, base_lr: float) -> float:
        """Return the rate within a warm-up of `ramp` steps."""
        return base_lr * (step + 1) / (ramp + 1)

    def curve(self, step: int, base_lr: float, clock: Clock) -> float:  # noqa: ARG002
        """Return the rate after the warm-up; `step` counts from its end and `clock` has what is left."""
        return base_lr


class Constant(Schedule, name="constant"):
    """Keep the learning rate.

    lr(t) = α

    Source: Robbins and Monro (1951) ask for a rate that falls; a constant one ends in noise whose size grows with α.
    """


class Step(Schedule, name="step"):
    """Lower the rate at regular intervals.

    lr(t) = α factor^⌊t / every⌋

    From α in the first interval; it has no end point.

    Source: as in He et al. (2016), arXiv:1512.03385, and many before them.
    """

    every: PositiveLength
    """The length of an interval."""

    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the rate is multiplied by after each interval."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"gamma": "factor"}

    def curve(self, step: int, base_lr: float, clock: Clock) -> float:
        """Return α factor^⌊t / every⌋."""
        return float(base_lr * self.factor ** (step // steps_in(self.every, clock)))


class MultiStep(Schedule, name="multi_step"):
    """Lower the rate at given moments.

    lr(t) = α factor^k,    k the number of moments that t has reached

    From α to α factor^K with K moments.

    Source: as in He et al. (2016), arXiv:1512.03385, section 4.2 (a tenth after 32 and 48 thousand steps).
    """

    at: Annotated[Items[PositiveLength], Field(min_length=1)]
    """The moments, each as its distance from the start (or from the end of the warm-up)."""

    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the rate is multiplied by at each moment."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"gamma": "factor"}

    def curve(self, step: int, base_lr: float, clock: Clock) -> float:
        """Return α factor^k."""
        return float(base_lr * self.factor ** sum(step >= steps_in(moment, clock) for moment in self.at))


class Exponential(Schedule, name="exponential"):
    """Lower the rate by the same share all the time.

    lr(t) = α γ^(t / E)

    From α down by the factor γ every epoch, evenly over its steps; after n epochs α γⁿ.

    Source: Senior et al. (2013), "An empirical study of learning rates in deep neural networks for speech recognition".
    """

    gamma: Annotated[float, Field(gt=0, le=1)] = 0.95
    """γ: what one epoch multiplies the rate by."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"factor": "gamma"}

    def curve(self, step: int, base_lr: float, clock: Clock) -> float:
        """Return α γ^(t / E)."""
        return float(base_lr * self.gamma ** (step / clock.steps_per_epoch))


class Cosine(Schedule, name="cosine"):
    """Fall along half a cosine, once or again and again.

    lr(t) = min_lr + (α - min_lr) (1 + cos(π t / T)) / 2

    From α at t = 0 to min_lr at t = T. With a cycle, T is its length and t starts anew after it; each cycle is
    cycle_factor times as long as the one before.

    Source: Loshchilov and Hutter (2017), arXiv:1608.03983, eq. 5 (SGDR).
    """

    min_lr: NonNegative = 0.0
    """The rate at the end."""

    cycle: PositiveLength | None = None
    """The length of the first cycle; without it the training is one cycle."""

    cycle_factor: Annotated[float, Field(ge=1)] = 1.0
    """How many times longer each cycle is than the one before."""

    def curve(self, step: int, base_lr: float, clock: Clock) -> float:
        """Return the cosine's value within the cycle that `step` falls into."""
        share = _share(step, clock.total_steps) if self.cycle is None else self._share_of_cycle(step, self.cycle, clock)
        return self.min_lr + (base_lr - self.min_lr) * _half_cosine(share)

    def _share_of_cycle(self, step: float, cycle: Length, clock: Clock) -> float:
        length: float = steps_in(cycle, clock)
        if self.cycle_factor == 1:
            return step % length / length
        while step >= length:
            step -= length
            length *= self.cycle_factor
        return step / length


class OneCycle(Schedule, name="one_cycle"):
    """Rise to a high rate, then fall far below the first one.

    t < W:  lr(t) = α/div_factor + (α - α/div_factor) (1 - cos(π t / W)) / 2
    then:   lr(t) = end + (α - end) (1 + cos(π (t - W) / (T - W))) / 2,    end = α / (div_factor final_div_factor)

    Here the warm-up is the rising phase and the rate of the optimizer is the peak: from α/div_factor at t = 0 to α at
    t = W and the end at t = T, with T all steps.

    Source: Smith and Topin (2018), arXiv:1708.07120; with cosines instead of straight lines and no third phase, as in
    PyTorch and fastai. The momentum, which the paper lowers while the rate rises, is left alone.
    """

    warmup: Length = 0.3
    """W: the rising phase."""

    div_factor: Annotated[float, Field(ge=1)] = 25.0
    """The peak over the first rate."""

    final_div_factor: Annotated[float, Field(ge=1)] = 1e4
    """The first rate over the last one."""

    def rise(self, step: int, ramp: int, base_lr: float) -> float:
        """Return the rate of the rising phase."""
        start = base_lr / self.div_factor
        return start + (base_lr - start) * (1 - _half_cosine(step / ramp))

    def curve(self, step: int, base_lr: float, clock: Clock) -> float:
        """Return the rate of the falling phase."""
        end = base_lr / (self.div_factor * self.final_div_factor)
        return end + (base_lr - end) * _half_cosine(_share(step, clock.total_steps))


class Polynomial(Schedule, name="polynomial"):
    """Fall along a power of the time that is left; with power 1 in a straight line.

    lr(t) = min_lr + (α - min_lr) (1 - t / T)^power

    From α at t = 0 to min_lr at t = T.

    Source: as in Chen et al. (2018), arXiv:1606.00915 (the "poly" policy).
    """

    power: Positive = 1.0
    """The exponent: 1 is a straight line, 2 falls early, 0.5 late."""

    min_lr: NonNegative = 0.0
    """The rate at the end."""

    def curve(self, step: int, base_lr: float, clock: Clock) -> float:
        """Return the polynomial's value."""
        left = 1 - _share(step, clock.total_steps)
        return float(self.min_lr + (base_lr - self.min_lr) * left**self.power)


class ReduceOnPlateau(Schedule, name="reduce_on_plateau"):
    """Lower the rate when the monitored metric has stopped getting better.

    lr(t) = max(α factor^k, min_lr),    k the number of reductions so far

    A reduction comes after `patience` evaluations in a row none of which was better than the best by more than
    min_delta; then `cooldown` evaluations are not counted. A value that is not finite is no improvement. From α; it
    has no end point.

    Source: by hand in He et al. (2016), arXiv:1512.03385, section 3.4. Patience is counted as in Keras, the cooldown as
    in PyTorch: PyTorch's patience waits for one evaluation more, and its threshold is relative to the best unless told
    otherwise; Keras's cooldown ends one evaluation sooner.
    """

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What a reduction multiplies the rate by."""

    patience: PositiveInt = 10
    """How many evaluations without improvement bring a reduction."""

    mode: Literal["min", "max"] = "min"
    """Whether smaller is better (a loss) or larger (an accuracy)."""

    min_delta: NonNegative = 0.0
    """By how much a value must beat the best to count as better, in the metric's own units."""

    cooldown: Annotated[int, Field(ge=0)] = 0
    """How many evaluations after a reduction are not counted."""

    min_lr: NonNegative = 0.0
    """The rate never falls below this."""

    def lr_at(self, step: int, base_lr: float, clock: Clock, history: Sequence[float] = ()) -> float:
        """Return the reduced rate, within a warm-up its share; takes 0.1 us for every evaluation so far."""
        reduced: float = base_lr * self.factor ** self.reductions(history)
        return super().lr_at(step, max(reduced, min(self.min_lr, base_lr)), clock)

    def reductions(self, history: Sequence[float]) -> int:
        """Return how often a history of the monitored metric has lowered the rate."""
        sign = 1 if self.mode == "min" else -1
        best, stale, resting, reductions = inf, 0, 0, 0
        for value in history:
            better = isfinite(value) and sign * value < best - self.min_delta
            if better:
                best = sign * value
            if resting:
                resting -= 1
            elif better:
                stale = 0
            else:
                stale += 1
            if stale == self.patience:
                reductions, stale, resting = reductions + 1, 0, self.cooldown
        return reductions


def _share(step: float, total: int) -> float:
    return min(1.0, step / total)


def _half_cosine(share: float) -> float:
    return (1 + cos(pi * share)) / 2
