"""Health: what the samples of a training say, each rule told once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeAlias

from nnctl.core.finding import Finding, Rule, Verdict
from nnctl.nn.initializers import Zeros
from nnctl.nn.layout import Layout
from nnctl.train.flow import Sample
from nnctl.train.step import Learner

__all__ = [
    "DEAD_RELU",
    "EXPLODING_GRADIENT",
    "NOT_FINITE",
    "SATURATED_UNITS",
    "UNCHANGED_WEIGHTS",
    "UPDATE_RATIO",
    "VANISHING_GRADIENT",
    "Health",
]

DEAD: Mapping[Verdict, float] = {"warn": 0.1, "fail": 0.5}
SATURATED: Mapping[Verdict, float] = {"warn": 0.5, "fail": 0.9}
VANISHED = 1e-7
JUMP = 10.0
RATIOS = (1e-5, 1e-1)
UNCHANGED_AFTER = 100

EXPLODING_GRADIENT = Rule(
    "exploding-gradient",
    "The gradient is suddenly far longer than it usually is.",
    "On the way back every layer multiplies the gradient by its weights and slopes. Where that makes it longer from "
    "layer to layer, or a step has thrown the weights onto a steep place, one long gradient throws them further still,"
    " and soon nothing is finite. A long gradient that does no harm is not told of: late in a training most rows are "
    "learned and one hard batch stands out, but the loss goes on falling.",
    "warns where the norm of a step's gradient is more than 10 times its running median and the loss has risen since "
    "the last look; not where gradients are clipped. The running median moves by 1 % a step towards each new norm, by "
    "more in the first hundred steps",
    "Set clip: {norm: 1}, or try a tenth of the learning rate.",
    "Pascanu, Mikolov and Bengio (2013), arXiv:1211.5063; the running median after Ma, Muthukrishnan and Sandler "
    "(2013), arXiv:1407.1121",
)
VANISHING_GRADIENT = Rule(
    "vanishing-gradient",
    "Next to no gradient arrives at some of the layers, so they do not learn.",
    "On the way back every layer multiplies the gradient by its weights and by the slope of its activation. The "
    "sigmoid's is 1/4 at most, and weights drawn too small do the rest: after ten such layers a millionth of a "
    "millionth is left. The last layers then learn from the random features of the first ones.",
    "warns where the mean absolute gradient of a layer's weights is below 1e-7 and a thousandth of the largest of all "
    "tensors, while the loss is above half of what it was at the start",
    "Use relu with he_normal, or tanh with xavier_normal (init: auto picks what suits), fewer layers, batch_norm or "
    "residual blocks.",
    "Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks",
)
DEAD_RELU = Rule(
    "dead-relu",
    "Units of a relu layer answer 0 to everything.",
    "Where the input of a relu is negative its slope is 0. A unit whose input is negative for every row gets no "
    "gradient, so nothing brings it back: it is lost, and the layer as narrow as its living units. Large steps push "
    "units there, and so do a large negative bias, and inputs that are not scaled.",
    "the share of a layer's units, one of them left out, that are 0 for each of up to 512 training rows: over half "
    "fails, over 10 % in two looks in a row warns",
    "Try a third of the learning rate, scale the inputs (data.scaling: standard), or use leaky_relu, elu or gelu.",
    "Maas, Hannun and Ng (2013), Rectifier nonlinearities improve neural network acoustic models",
)
SATURATED_UNITS = Rule(
    "saturated-units",
    "Sigmoid or tanh units are pressed against their bounds, where they are flat.",
    "Far from zero these functions hardly change, so hardly any gradient gets through and the layers before learn "
    "slowly or not at all. Weights that are too large bring it about, from the start or through steps that are too "
    "long, and so do inputs that are not scaled.",
    "the share of a layer's outputs where the slope is under 5 % of the steepest (|tanh| > 0.975): over 90 % fails, "
    "over half in two looks in a row warns, while the loss is above half of what it was at the start",
    "Use xavier_normal weights, scale the inputs (data.scaling: standard), lower the learning rate, or put batch_norm "
    "before the activation.",
    "Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, section 3",
)
UPDATE_RATIO = Rule(
    "update-ratio",
    "Steps are far too long, or far too short, for the weights they change.",
    "A step that changes weights by a thousandth of their size is about right. By a tenth and more, they are thrown "
    "about and what was learned is lost; by a hundred-thousandth, a training takes for ever.",
    "norm of the change over norm of a layer's weights, healthy at about 1e-3: outside 1e-5 to 1e-1 in two looks in a "
    "row, from step 10 on, warns. Too short counts only while the loss is above half of what it was at the start and "
    "the schedule gives at least a tenth of the learning rate; weights that start at zero are left out",
    "Change the learning rate by the factor that is missing to 1e-3; nnctl lr-find measures one.",
    "Karpathy (2015), CS231n, Neural networks part 3: ratio of weights to updates",
)
UNCHANGED_WEIGHTS = Rule(
    "unchanged-weights",
    "Weights are what they were before the first step, to the bit.",
    "A tensor that is trained and never changes gets no gradient at all, or steps too small for its number format: all"
    " weights start at zero, every unit behind it is dead, the learning rate is next to nothing, or a layer is written"
    " wrongly and forgets its gradient.",
    "warns where a tensor has not changed at any look up to step 100 or later; not where no tensor has and the loss is "
    "not above half of what it was at the start",
    "Look at the init (zeros leave weights without a gradient), at dead units and at the learning rate; nnctl "
    "gradcheck finds a layer that is written wrongly.",
)
NOT_FINITE = Rule(
    "not-finite-loss",
    "The loss of the validation part is infinite or no number, though the weights are finite.",
    "Some rows of the validation part drive the network, or its loss, beyond what its number format can hold: outliers "
    "that the training part does not have, or running statistics that do not fit. Such an epoch is never the best, and "
    "counts as no improvement for early stopping and for the schedule.",
    "warns where the validation loss of an epoch is not finite",
    "Look at the data with nnctl data (drift, outliers), set data.scaling: robust, or training.dtype: float64.",
)

_Found: TypeAlias = Iterator[Finding]
_TELL = {"warn": Rule.warn, "fail": Rule.fail}


class Health:
    """Judges the samples of a training, in their order; every rule is told of once, and once more where it gets worse.

    What it knows follows from the samples and the records of the epochs alone, so a training that is taken up again
    judges its earlier ones anew.

    Parameters
    ----------
    layout : Layout
    lr : float
        The learning rate that the schedule starts from.
    clipped : bool
        Whether gradients are clipped.

    Attributes
    ----------
    samples : list of Sample
    findings : list of Finding
        In the order in which they were found.
    """

    def __init__(self, layout: Layout, *, lr: float, clipped: bool = False) -> None:
        self.samples: list[Sample] = []
        self.findings: list[Finding] = []
        self._lr = lr
        self._clipped = clipped
        kernels = [slot for slot in layout.slots if slot.param.decayed]
        self._kernels = [slot.name for slot in kernels]
        self._scaled = [slot.name for slot in kernels if not isinstance(slot.init, Zeros)]
        self._units = {row.path: row.out_shape[-1] for row in layout.rows if row.out_shape}
        self._settled = 100 if layout.state_size else 0  # until then running statistics mislead inference mode
        self._told: set[tuple[str, Verdict]] = set()

    @classmethod
    def of(cls, learner: Learner) -> Self:
        """Return what judges the training of a learner."""
        return cls(learner.network.layout, lr=learner.optimizer.lr, clipped=learner.clip is not None)

    @property
    def figures(self) -> dict[str, Any]:
        """What a picture of the flow is made of: the weights from the input to the output, and every sample."""
        return {"kernels": self._kernels, "samples": [sample.record() for sample in self.samples]}

    def judge_epoch(self, record: Mapping[str, Any]) -> None:
        """Look at the record of the next epoch."""
        where = record.get("not_finite")
        if where and (NOT_FINITE.id, "warn") not in self._told:
            self._told.add((NOT_FINITE.id, "warn"))
            message = f"it is not finite after epoch {record['epoch']}, step {record['step']}; first in {where}"
            self.findings.append(NOT_FINITE.warn(message, where="val_loss"))

    def judge(self, sample: Sample) -> None:
        """Look at the next sample."""
        self.samples.append(sample)
        for look in (self._exploding, self._vanishing, self._dead, self._saturated, self._ratio, self._unchanged):
            for finding in look(sample):
                if not self._told & {(finding.rule, finding.verdict), (finding.rule, "fail")}:
                    self._told.add((finding.rule, finding.verdict))
                    self.findings.append(finding)

    def _learning(self, sample: Sample) -> bool:
        """Return whether there is still something to learn; so there is where the loss is not finite."""
        return not sample.loss <= 0.5 * self.samples[0].loss

    def _exploding(self, now: Sample) -> _Found:
        before = self.samples[-2:-1]
        if now.jump > JUMP and not self._clipped and before and not now.loss <= before[0].loss:
            yield EXPLODING_GRADIENT.warn(
                f"a gradient was {now.jump:.3g} times as long as usual, between steps {before[0].step} and {now.step}, "
                f"and the loss went from {before[0].loss:.3g} to {now.loss:.3g}",
                value=now.jump,
                threshold=JUMP,
            )

    def _vanishing(self, now: Sample) -> _Found:
        largest = max(now.mean_grad.values(), default=0.0)
        bound = min(VANISHED, largest / 1000)
        faint = {name: now.mean_grad[name] for name in self._kernels if 0 < now.mean_grad[name] < bound}
        if faint and self._learning(now):
            where = min(faint, key=faint.__getitem__)
            yield VANISHING_GRADIENT.warn(
                f"its mean |gradient| is {faint[where]:.1e} at step {now.step}, and {largest:.1e} where it is largest"
                f"{_alike(len(faint), len(self._kernels), 'layers')}",
                where=where,
                value=faint[where],
                threshold=VANISHED,
            )

    def _dead(self, now: Sample) -> _Found:
        if now.step < self._settled:
            return
        units = self._units  # one of them is left out: in a small layer it may be chance
        looks = [{path: share - 1 / units[path] for path, share in s.dead.items()} for s in self.samples[-2:]]
        verdict, lost = _beyond(looks, DEAD)
        if lost:
            where = max(lost, key=now.dead.__getitem__)
            share = now.dead[where]
            yield _TELL[verdict](
                DEAD_RELU,
                f"{round(share * units[where])} of its {units[where]} units ({share:.0%}) are 0 for all of {now.rows} "
                f"training rows, at step {now.step}{_alike(len(lost), len(now.dead), 'relu layers')}",
                where=where,
                value=share,
                threshold=DEAD[verdict],
            )

    def _saturated(self, now: Sample) -> _Found:
        if now.step < self._settled or not self._learning(now):
            return
        verdict, flat = _beyond([sample.saturated for sample in self.samples[-2:]], SATURATED)
        if flat:
            where = max(flat, key=now.saturated.__getitem__)
            share = now.saturated[where]
            yield _TELL[verdict](
                SATURATED_UNITS,
                f"{share:.0%} of its outputs on {now.rows} training rows are where it is flat, at step {now.step}"
                f"{_alike(len(flat), len(now.saturated), 'sigmoid and tanh layers')}",
                where=where,
                value=share,
                threshold=SATURATED[verdict],
            )

    def _ratio(self, now: Sample) -> _Found:
        looks = [sample for sample in self.samples[-2:] if sample.step >= 10]
        if len(looks) < 2:
            return
        low, high = RATIOS
        ratios = {name: [sample.update_ratio[name] for sample in looks] for name in self._scaled}
        annealed = min(sample.lr for sample in looks) < 0.1 * self._lr
        long = [name for name, found in ratios.items() if min(found) > high]
        short = [
            name
            for name, found in ratios.items()
            if max(found) < low and now.mean_grad[name] >= VANISHED and self._learning(now) and not annealed
        ]
        for names, bound, other in ((long, high, "smaller"), (short, low, "larger")):
            if names:
                worst = (max if names is long else min)(names, key=now.update_ratio.__getitem__)
                yield UPDATE_RATIO.warn(
                    f"a step changes it by {now.update_ratio[worst]:.1e} of its size, at step {now.step}, where about "
                    f"1e-3 is healthy{_alike(len(names), len(ratios), 'layers')}",
                    where=worst,
                    value=now.update_ratio[worst],
                    threshold=bound,
                    fix=f"Try a {other} learning rate than {self._lr:g}; nnctl lr-find measures one.",
                )

    def _unchanged(self, now: Sample) -> _Found:
        if now.step < UNCHANGED_AFTER:
            return
        unchanged = [name for name in now.unchanged if all(name in sample.unchanged for sample in self.samples)]
        nothing_to_do = len(unchanged) == len(now.mean_grad) and not self._learning(now)
        if unchanged and not nothing_to_do:
            yield UNCHANGED_WEIGHTS.warn(
                f"it is to be trained, and after {now.step} steps holds the bits it began with"
                f"{_alike(len(unchanged), len(now.mean_grad), 'tensors')}",
                where=unchanged[0],
            )


def _beyond(looks: Sequence[Mapping[str, float]], bounds: Mapping[Verdict, float]) -> tuple[Verdict, list[str]]:
    """Return the layers that are beyond a bound: that of a failure now, or that of a warning in two looks in a row."""
    now = looks[-1]
    failed = [path for path in now if now[path] > bounds["fail"]]
    if failed or len(looks) < 2:
        return "fail", failed
    return "warn", [path for path in now if min(look[path] for look in looks) > bounds["warn"]]


def _alike(count: int, among: int, what: str) -> str:
    return f"; {count} of {among} {what} are like that" if count > 1 else ""
