"""What can be wrong with a gradient."""

from __future__ import annotations

from nnctl.checks.gradients.differences import FAIL, PASS
from nnctl.core.finding import Rule

__all__ = ["NOT_FINITE", "NO_EXAMPLE", "ON_KINKS", "UNREPEATABLE", "WRONG", "WRONG_LOSS", "WRONG_PENALTY"]

_THRESHOLD = (
    f"The relative error in norm, |g - d| / max(|g|, |d|) with g the gradient and d the differences: below {PASS:g} it "
    f"passes, from {FAIL:g} on it fails, between the two look at it. What the rounding of float64 explains is not "
    f"counted; nor are differences across a corner, such as that of relu at zero: they are counted as kinks."
)
_SOURCE = 'Karpathy, notes to the course CS231n, "Gradient checks"; Ridders (1982).'

WRONG = Rule(
    "wrong-gradient",
    "The gradient that backward computes is not the derivative of what forward computes.",
    "Backpropagation is the chain rule written down by hand, layer by layer. A slip in it, such as a sign, a "
    "factor, a forgotten sum, seldom stops a network from learning something: it learns worse, and no loss curve "
    "says why. The check moves the weights a little to both sides, in float64, and looks at how much the loss "
    "really changes. A wrong layer hands a wrong gradient to every layer before it, so look at the last wrong one"
    " first, counted from the input.",
    _THRESHOLD,
    "Compare the layer's backward with its formula, nnctl explain LAYER. The ratio of the two numbers often says "
    "what is wrong: -1 a sign, 2 a factor, the batch size or its inverse a mean, 0 a missing term.",
    _SOURCE,
)
WRONG_LOSS = Rule(
    "wrong-loss-gradient",
    "The gradient of the loss with respect to the network's outputs is not its derivative.",
    "Every other gradient of the network is this one, carried backwards: where it is wrong, all are. The usual "
    "slips are a mean over the rows or the outputs that only one of the two takes, weights of rows that only one "
    "of the two sees, and a softmax that is differentiated twice.",
    _THRESHOLD,
    "Compare the loss's gradient with its formula: nnctl explain LOSS. Mend it before any layer.",
    _SOURCE,
)
WRONG_PENALTY = Rule(
    "wrong-penalty-gradient",
    "What a penalty does to the gradient is not the derivative of what it adds to the loss.",
    "Then the weights are pulled towards something else than the recorded loss tells. A penalty such as l1, whose"
    " derivative jumps at zero, acts after the step of the optimizer; its pull is what that takes from a weight, "
    "divided by the step size.",
    _THRESHOLD,
    "Compare penalty and add_gradient, or after_update, with the formula: nnctl explain regularizer.",
    _SOURCE,
)
UNREPEATABLE = Rule(
    "unrepeatable-gradient",
    "Two backward passes over the same batch give different gradients.",
    "The same weights, batch, and random masks must give the same bits. Where they do not, backward adds to what "
    "was in the gradient before, leaves some of it as it was, changes the weights, or draws new random numbers; "
    "or it computes something else when nobody asks for the gradient of the input.",
    "",
    "Let backward write every entry of every gradient with out= or [...] =, never +=, and draw nothing.",
)
ON_KINKS = Rule(
    "gradient-on-kinks",
    "Every direction crosses a corner of the function, so that there is no derivative to compare with.",
    "At a corner, such as relu at exactly zero, the function has one slope on each side, and differences mix the "
    "two. It happens where many values are exactly zero, as with weights that start at zero. The check was made "
    "beside the point as well, and met corners there too.",
    "No derivative of the tensor can be judged.",
    "Check at other weights: with another init, or after some training.",
)
NOT_FINITE = Rule(
    "gradcheck-not-finite",
    "The loss is not finite, so that there is no gradient to check.",
    "In float64 as well, a value overflowed: weights or inputs far too large, or a learning rate at which the "
    "training leaves all bounds within the first steps.",
    "A loss that is infinite or not a number.",
    "Scale the inputs (data.scaling: standard), take a usual init, or lower optimizer.lr.",
)
NO_EXAMPLE = Rule(
    "component-without-example",
    "A component is registered and nothing says in which shapes to check it.",
    "A layer, loss or penalty with required fields cannot be made from its name alone.",
    "",
    "Add a few spellings of it to nnctl/checks/gradients/examples.py.",
)
