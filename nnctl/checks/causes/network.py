"""Causes in the network: units alike, saturated or dead, gradients that fade, layers that stand still, no room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nnctl.checks.causes.evidence import VANISHING, Evidence
from nnctl.checks.symptoms import KernelSymptoms, UnitSymptoms
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted
from nnctl.nn.activations import Activation, Linear
from nnctl.nn.attention import Attention
from nnctl.nn.recurrent import Recurrent

__all__ = [
    "dead_units",
    "dying_units",
    "identical_units",
    "saturated",
    "too_small",
    "unchanged_layer",
    "vanishing_gradient",
]

HALF = 0.5
MOST = 0.75
FADING = 1e-5
"""And so is one this much smaller than that of another layer, which the learning rate has to suit as well."""
UNCHANGED = 1e-6
NARROW = 4

IDENTICAL_UNITS = Rule(
    id="overfit-identical-units",
    about="All units of a hidden layer start with the same weights, so that they stay the same for ever.",
    why="Units with equal weights give equal answers and get equal gradients: however many there are, they do the work "
    "of one. Weights that are all zero are worse still, since then no gradient passes through. Only chance can break "
    "the symmetry, which is why weights start random; biases may start at zero.",
    threshold="all columns of a hidden layer's weights are equal at the start",
    fix="Take a random init: leave init out, or set it to he_normal (relu) or xavier_normal (tanh, sigmoid).",
    source="Goodfellow, Bengio and Courville (2016), Deep Learning, section 8.4",
)

SATURATED = Rule(
    id="overfit-saturated",
    about="Sigmoid, tanh or softmax units answer at the ends of their range, where their slope is next to zero.",
    why="A squashing unit passes back the gradient times its slope. At the ends that is nothing, so the weights before "
    "it stand still: the unit says the same whatever is wrong. Large weights or large inputs drive it there.",
    threshold="half of a layer's answers on the batch, at the start or, for the output, at the end, have a slope under "
    "5 % of the steepest",
    fix="Scale the inputs, take an init with smaller weights (xavier_normal), or use relu in hidden layers and no "
    "activation at the output.",
    source="Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks",
)

DEAD_UNITS = Rule(
    id="overfit-dead-units",
    about="Relu units are zero for every row of the batch.",
    why="A relu that is zero for all rows passes no gradient, so nothing can ever wake it: the unit is lost. Many are "
    "lost where biases start far below zero, where weights are large and unlucky, or where one step of a high learning "
    "rate pushed them over the edge.",
    threshold="three quarters of the units of a layer are zero for every row of the batch",
    fix="Let biases start at zero, take he_normal, lower the learning rate, or use leaky_relu.",
    source="Maas, Hannun and Ng (2013), Rectifier nonlinearities improve neural network acoustic models, section 2",
)

VANISHING_GRADIENT = Rule(
    id="overfit-vanishing-gradient",
    about="The gradient fades on its way back, so that some layers get next to none.",
    why="On the way back every layer multiplies the gradient by its weights and by the slopes of its units. Where that "
    "is less than one, it shrinks with every layer, and the first layers learn nothing although they decide what the "
    "others see.",
    threshold="at the start, the mean size of a layer's gradient is below 1e-7, or below 1e-5 of the largest layer's",
    fix="Take relu, gelu or tanh in place of sigmoid, an init that suits it (init: auto), layer_norm or batch_norm "
    "between the layers, or residual blocks.",
    source="Hochreiter (1991); Glorot and Bengio (2010)",
)

UNCHANGED_LAYER = Rule(
    id="overfit-unchanged-layer",
    about="The weights of a layer are after the training what they were before.",
    why="Either no gradient reaches them, or the steps are so small that they vanish in the rounding of the weights "
    "(float32 has seven digits). In both cases the rest of the network has to do without that layer.",
    threshold="the largest change of a weight is below 1e-6 of the largest weight",
    fix="Mend what keeps the gradient away, if something is named above; otherwise raise the learning rate.",
)

TOO_SMALL = Rule(
    id="overfit-too-small",
    about="The network is too small, or too straight, for its batch.",
    why="A network without a hidden layer, or without an activation between its layers, can only draw straight lines "
    "and planes, and the smallest problem that needs a curve, exclusive or, is beyond it. A very narrow layer lets "
    "hardly anything of the input through, whatever stands around it.",
    threshold="no activation between two layers with weights, or a layer of fewer than 4 units in the middle, or fewer "
    "weights than the batch has numbers to learn",
    fix="Add a hidden layer with an activation, such as 'dense: 32' and 'relu', or make the narrow layer wider.",
    source="Minsky and Papert (1969), Perceptrons",
)


def identical_units(evidence: Evidence) -> Iterator[Finding]:
    """Hidden layers whose units start the same: so certain a fault that it is told even where the batch is learned."""
    alike = _alike(evidence)
    if alike:
        yield evidence.blame(
            IDENTICAL_UNITS,
            f"in {_counted(alike, evidence.start.kernels[:-1])} hidden layers all units have the same weights at the "
            f"start: {_named(alike)}.",
            where=alike[0].name,
            value=len(alike),
            threshold=0.0,
        )


def saturated(evidence: Evidence) -> Iterator[Finding]:
    """Squashing units at the ends of their range."""
    layers = [unit for unit in evidence.start.activations if unit.saturated >= HALF]
    when = "at the start"
    if not layers and evidence.output_activation is not None:  # which ends there only where it cannot go further
        layers = [unit for unit in evidence.own.after.activations[-1:] if unit.saturated >= HALF]
        when = "at the end"
    if layers:
        worst = max(layers, key=lambda unit: unit.saturated)
        yield evidence.blame(
            SATURATED,
            f"{worst.saturated:.0%} of the answers of {worst.path} are flat {when}{_and_more(layers)}.",
            where=worst.path,
            value=worst.saturated,
            threshold=HALF,
        )


def dead_units(evidence: Evidence) -> Iterator[Finding]:
    """Relu layers most of whose units are silent from the start, unless weights that are all alike explain it."""
    if not _alike(evidence):
        yield from _silent(evidence, evidence.start.activations, "at the start")


def dying_units(evidence: Evidence) -> Iterator[Finding]:
    """Relu layers most of whose units fell silent while they were trained; those that a high rate killed are its."""
    own = evidence.own
    if evidence.learned is None and own.outcome == "short" and not _dead(evidence.start.activations):
        yield from _silent(evidence, own.after.activations, f"after {counted(own.steps, 'step')}")


def _silent(evidence: Evidence, units: Sequence[UnitSymptoms], when: str) -> Iterator[Finding]:
    layers = _dead(units)
    if layers:
        worst = max(layers, key=lambda unit: unit.dead)
        yield evidence.blame(
            DEAD_UNITS,
            f"{worst.dead:.0%} of the {counted(worst.units, 'unit')} of {worst.path} are zero for all rows {when}"
            f"{_and_more(layers)}.",
            where=worst.path,
            value=worst.dead,
            threshold=MOST,
        )


def vanishing_gradient(evidence: Evidence) -> Iterator[Finding]:
    """Layers that hardly a gradient reaches, for no other reason that is known."""
    kernels = evidence.start.kernels
    explained = _alike(evidence) or any(unit.dead == 1 for unit in evidence.start.activations)
    largest = max((kernel.gradient for kernel in kernels), default=0.0)
    faded = [kernel for kernel in kernels if kernel.gradient < max(VANISHING, FADING * largest)]
    if faded and len(kernels) > 1 and not explained:
        least = min(faded, key=lambda kernel: kernel.gradient)
        yield evidence.blame(
            VANISHING_GRADIENT,
            f"at the start the mean gradient of {least.name} is {least.gradient:.1e}, and that of {kernels[-1].name} "
            f"{kernels[-1].gradient:.1e}; it is too small in {_counted(faded, kernels)} layers.",
            where=least.name,
            value=least.gradient,
            threshold=max(VANISHING, FADING * largest),
        )


def unchanged_layer(evidence: Evidence) -> Iterator[Finding]:
    """Layers whose weights the training left as they were."""
    own = evidence.own
    still = [kernel for kernel in own.after.kernels if own.moved[kernel.name] < UNCHANGED]
    if still and own.outcome == "short":
        largest = max(own.moved[kernel.name] for kernel in still)
        yield evidence.blame(
            UNCHANGED_LAYER,
            f"{_counted(still, own.after.kernels)} layers did not change in {own.steps} steps at lr {own.lr:.3g}: "
            f"{_named(still)}.",
            where=still[0].name,
            value=largest,
            threshold=UNCHANGED,
        )


def too_small(evidence: Evidence) -> Iterator[Finding]:
    """A network that could not hold the batch, however it is trained."""
    if evidence.learned is not None:
        return
    frozen, straight = evidence.goal.frozen, evidence.goal.straight
    layout, rows = frozen.experiment.layout, len(frozen.batch.x)
    if any(isinstance(row.layer, Attention | Recurrent) for row in layout.rows):  # they bend without an activation
        return
    bends = [row for row in layout.rows if isinstance(row.layer, Activation) and not isinstance(row.layer, Linear)]
    hidden = [kernel.units for kernel in evidence.start.kernels[:-1]]
    x = frozen.batch.x.reshape(rows, -1).astype(np.float64)
    if (not hidden or not bends) and evidence.goal.asked is None:
        rank = int(np.linalg.matrix_rank(np.column_stack([x, np.ones(rows)])))
        how = "has no hidden layer" if not hidden else "has no activation between its layers"
        said = (
            f"the network {how}, so all its borders are straight. They are sure to fit {rows} rows only where these, "
            f"with the bias, span {rows} directions; they span {rank}."
        )
        if straight is not None:
            said += f" The best straight fit leaves a loss of {straight.loss:.3g}, one answer {straight.constant:.3g}."
        yield evidence.blame(
            TOO_SMALL,
            said,
            where="architecture",
            value=rank,
            threshold=rows,
        )
    elif hidden and bends and (min(hidden) < NARROW or layout.size < evidence.targets.size):
        yield evidence.blame(
            TOO_SMALL,
            f"the narrowest hidden layer has {counted(min(hidden), 'unit')} and the network "
            f"{counted(layout.size, 'weight')}, for {evidence.targets.size} numbers to learn.",
            where="architecture",
            value=min(hidden),
            threshold=NARROW,
        )


def _alike(evidence: Evidence) -> list[KernelSymptoms]:
    """Return the hidden layers whose units all start the same; an output layer may, its targets are not the same."""
    return [kernel for kernel in evidence.start.kernels[:-1] if kernel.alike]


def _dead(units: Sequence[UnitSymptoms]) -> list[UnitSymptoms]:
    return [unit for unit in units if unit.dead >= MOST]


def _and_more(layers: Sequence[UnitSymptoms]) -> str:
    return f", and it is much the same in {len(layers) - 1} more layers" if len(layers) > 1 else ""


def _counted(some: Sequence[KernelSymptoms], of: Sequence[KernelSymptoms]) -> str:
    return f"{len(some)} of {len(of)}"


def _named(kernels: Sequence[KernelSymptoms]) -> str:
    names = [kernel.name for kernel in kernels]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
