"""Initial weights that do not suit what follows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod, sqrt

from nnctl.core.finding import Finding, Rule
from nnctl.nn.activations import Activation, Sigmoid, Tanh
from nnctl.nn.initializers import (
    Auto,
    Constant,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Normal,
    Orthogonal,
    Uniform,
    XavierNormal,
    XavierUniform,
    Zeros,
)
from nnctl.nn.rectifiers import Relu, Selu
from nnctl.spec.lint.reading import Block, Reading

__all__ = ["findings"]

FADED, GROWN = 0.2, 5.0
"""A signal that is so many times weaker or stronger behind the hidden layers than before them."""
FAR = 4.0
"""A single layer whose weights are so many times too large."""
MANY = 4
"""Hidden layers from which on the difference between he and xavier adds up."""

ZERO = Rule(
    "no-symmetry-breaking",
    "All weights of a hidden layer start at one value, so all its units stay alike.",
    "Units that start with the same weights see the same inputs, give the same output, get the same gradient and take "
    "the same step: for ever. A layer of 64 such units is one unit. With zeros, relu and tanh units give zero and "
    "nothing behind or before them ever changes.",
    "",
    "Use 'init: auto', which takes what suits the activation, or he_normal before relu.",
    "Goodfellow, Bengio and Courville (2016), section 8.4",
)
UNSUITED = Rule(
    "init-for-activation",
    "The initial weights are made for another activation.",
    "relu sets half of its input to zero, so he_normal draws weights with twice the variance to make up for it; "
    "xavier and lecun do not, and over many relu layers the signal halves again and again. tanh and sigmoid lose "
    "nothing at zero: he's larger weights drive them into their flat ends.",
    f"Warns for xavier or lecun with {MANY} or more hidden relu layers, and for he with two or more of tanh or "
    f"sigmoid; layers that are normalized are not counted.",
    "Use 'init: auto': he_normal before relu and its kin, xavier_normal before tanh and sigmoid, lecun_normal before "
    "selu.",
    "Glorot and Bengio (2010); He, Zhang, Ren and Sun (2015), arXiv:1502.01852",
)
SELU = Rule(
    "selu-without-lecun",
    "SELU normalizes itself only with lecun_normal.",
    "The constants of SELU are worked out for weights of variance 1 / fan_in, which is lecun_normal. With others the "
    "activations do not come out with mean 0 and variance 1, and the one reason to use SELU is gone.",
    "",
    "Write 'init: lecun_normal', or leave init out: auto takes it for selu.",
    "Klambauer, Unterthiner, Mayr and Hochreiter (2017), arXiv:1706.02515",
)
SCALE = Rule(
    "weight-scale",
    "The initial weights let the signal fade or explode on its way through the layers.",
    "Each layer multiplies the spread of its input by about std * sqrt(fan_in) (times sqrt(1/2) for relu). That should "
    "be near 1: below, the signal and the gradient fade from layer to layer; above, they grow, and the first steps are "
    "wild. A fixed std suits one width only.",
    f"Multiplies what each hidden layer does to the spread, as far as the widths are known: warns outside {FADED} to "
    f"{GROWN:g}, or where one layer is {FAR:g} times too strong.",
    "Use 'init: auto', which follows from the width of each layer.",
    "Glorot and Bengio (2010); He, Zhang, Ren and Sun (2015), arXiv:1502.01852",
)
BIAS = Rule(
    "large-biases",
    "The biases start far from zero.",
    "A bias shifts a unit for every row alike. A negative one lets most relu units start dead: they give zero and get "
    "no gradient. A large one pushes tanh and sigmoid units into their flat ends, or all outputs away from where the "
    "loss expects them.",
    "Warns below -0.5 before relu, and beyond 2 anywhere.",
    "Leave bias_init out: zeros. Some use {constant: 0.01} before relu.",
    "Goodfellow, Bengio and Courville (2016), section 8.4",
)


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with the initial weights."""
    found = [*_symmetric(reading), *(_selu(reading)), *_scale(reading), *_biases(reading)]
    yield from found or _unsuited(reading)


def _kernels(blocks: Iterable[Block]) -> list[Block]:
    """Return the blocks whose weights the spec's init draws: dense layers and convolutions."""
    return [block for block in blocks if block.kernel is not None]


def _init_of(block: Block, reading: Reading) -> Initializer:
    assert block.kernel is not None
    return block.kernel.init or reading.spec.init


def _where(block: Block, reading: Reading) -> str:
    assert block.kernel is not None
    return reading.where(*block.mixer.path, "init") if block.kernel.init else reading.where("init")


def _symmetric(reading: Reading) -> Iterator[Finding]:
    alike = [block for block in _kernels(reading.hidden) if isinstance(_init_of(block, reading), Zeros | Constant)]
    if alike:
        init = _init_of(alike[0], reading)
        start = f"{init.value:g}" if isinstance(init, Constant) else "0"
        plural = "s" if len(alike) > 1 else ""
        yield ZERO.fail(
            f"{len(alike)} hidden layer{plural} with all weights at {start}.", where=_where(alike[0], reading)
        )


def _selu(reading: Reading) -> Iterator[Finding]:
    for block in _kernels(reading.hidden):
        init = _init_of(block, reading)
        suited = isinstance(init, Auto | LecunNormal | LecunUniform | Orthogonal)
        if block.activation and isinstance(block.activation.layer, Selu) and not suited and not block.is_normed:
            yield SELU.warn(f"selu with {init.name}.", where=_where(block, reading))
            return


def _scale(reading: Reading) -> Iterator[Finding]:
    """Follow the spread of the signal through the layers whose weights are given in numbers."""
    factors = [
        (block, factor)
        for block in _kernels(reading.blocks)
        if not block.is_normed and not block.mixer.is_bypassed
        for factor in [_factor(block, reading)]
        if factor is not None
    ]
    if not factors:
        return
    # Small weights before the outputs only make the first predictions small.
    through = prod(factor for block, factor in factors if block is not reading.output)
    worst, most = max(factors, key=lambda entry: entry[1])
    if FADED <= through <= GROWN and most <= FAR:
        return
    by, over = (most, 1) if most > FAR else (through, sum(block is not reading.output for block, _ in factors))
    yield SCALE.warn(
        f"{_init_of(worst, reading).name} multiplies the spread of the signal by {by:.2g} over {over} "
        f"layer{'s' if over > 1 else ''}; near 1 is right.",
        where=_where(worst, reading),
        value=by,
    )


def _factor(block: Block, reading: Reading) -> float | None:
    """Return what a layer multiplies the spread by where its weights do not follow its width; else None."""
    init = _init_of(block, reading)
    gain = getattr(init, "gain", 1.0)
    halved = sqrt(0.5) if block.activation and block.activation.layer.suits.startswith("he") else 1.0  # type: ignore[attr-defined]
    if isinstance(init, Normal | Uniform):
        std = init.std if isinstance(init, Normal) else init.limit / sqrt(3)
        return None if block.fan_in is None else std * sqrt(block.fan_in) * halved
    if isinstance(init, Orthogonal):
        return float(gain) * halved if gain != 1 else None
    return float(gain) if gain != 1 else None


def _biases(reading: Reading) -> Iterator[Finding]:
    for block in _kernels(reading.blocks):
        assert block.kernel is not None
        own = block.kernel.bias_init
        init = own or reading.spec.bias_init
        if not isinstance(init, Constant) or not block.kernel.bias:
            continue
        has_relu = block.activation is not None and isinstance(block.activation.layer, Relu)
        if (has_relu and init.value < -0.5) or abs(init.value) > 2:
            where = reading.where(*block.mixer.path, "bias_init") if own else reading.where("bias_init")
            dead = ": most relu units start dead" if has_relu and init.value < 0 else ""
            yield BIAS.warn(f"the biases start at {init.value:g}{dead}.", where=where, value=init.value)
            return


def _unsuited(reading: Reading) -> Iterator[Finding]:
    small = (XavierNormal, XavierUniform, LecunNormal, LecunUniform)
    hidden = _kernels(reading.hidden)
    plain = [b for b in hidden if not b.is_normed and not b.mixer.is_bypassed and b.activation is not None]
    weak = [b for b in plain if isinstance(_init_of(b, reading), small) and _wants(b).startswith("he")]
    strong = [
        b
        for b in plain
        if isinstance(_init_of(b, reading), HeNormal | HeUniform) and isinstance(_activation(b), Tanh | Sigmoid)
    ]
    if len(weak) >= MANY:
        yield UNSUITED.warn(_said(weak, reading), where=_where(weak[0], reading))
    elif len(strong) >= 2:
        yield UNSUITED.warn(_said(strong, reading), where=_where(strong[0], reading))
    elif hidden:
        yield UNSUITED.passed(f"{_init_of(hidden[0], reading).name} before {_before(hidden[0])}.")


def _said(blocks: list[Block], reading: Reading) -> str:
    init, wants = _init_of(blocks[0], reading).name, _wants(blocks[0])
    return f"{init} in {len(blocks)} hidden layers of {_activation(blocks[0]).name}, which want {wants}."


def _activation(block: Block) -> Activation:
    assert block.activation is not None
    assert isinstance(block.activation.layer, Activation)
    return block.activation.layer


def _wants(block: Block) -> str:
    return _activation(block).suits


def _before(block: Block) -> str:
    return "no activation" if block.activation is None else _activation(block).name
