"""Sequences: recurrent layers and attention, and what they cannot do without."""

from __future__ import annotations

from collections.abc import Iterator

from nnctl.core.finding import Finding, Rule
from nnctl.nn.attention import Attention
from nnctl.nn.position import Position
from nnctl.nn.recurrent import Recurrent
from nnctl.nn.transformer import TransformerBlock
from nnctl.spec.lint.reading import Reading

__all__ = ["findings"]

DEEP_POST = 4
"""Post-norm blocks in a row that want a warm-up."""

NO_CLIPPING = Rule(
    "recurrent-without-clipping",
    "A recurrent layer is trained without a bound on the gradient.",
    "On its way back the gradient passes through the same weights once for every position. Where they lengthen it a "
    "little, a hundred positions lengthen it beyond measure, and one such step throws away what was learned. It comes "
    "seldom and without warning, so the bound is there from the start.",
    "",
    "Write 'clip: {norm: 1}'.",
    "Pascanu, Mikolov and Bengio (2013), arXiv:1211.5063",
)
NO_POSITION = Rule(
    "attention-without-position",
    "Attention is not told where in the sequence anything stands.",
    "Attention weighs what the positions hold, and not where they are: with the words of a sentence in another order "
    "it gives the same answers in another order. Only a position layer, rotary attention or a causal mask lets it know "
    "what comes first.",
    "",
    "Put '- position' before the first block, or write 'rotary: true'. Leave it so where the order means nothing.",
    "Vaswani et al. (2017), section 3.5, arXiv:1706.03762",
)
NO_WARMUP = Rule(
    "post-norm-without-warmup",
    "Deep post-norm transformers diverge without a warm-up.",
    "With the norm behind the sum, the gradients near the output are large at the start, and the full learning rate "
    "throws the weights away in the first steps. A warm-up keeps the steps small until they have settled; with the "
    "norm in front (pre) there is no need for one.",
    f"Warns from {DEEP_POST} blocks with 'placement: post' on, where the schedule has no warm-up.",
    "Write 'placement: pre', or give the schedule a warm-up such as 0.1.",
    "Xiong et al. (2020), arXiv:2002.04745",
)


def findings(reading: Reading) -> Iterator[Finding]:
    """Yield what is wrong with recurrent layers and attention."""
    recurrent = [placed for placed in reading.everywhere if isinstance(placed.layer, Recurrent)]
    if recurrent and reading.spec.clip is None:
        yield NO_CLIPPING.warn(f"{recurrent[0].layer.name} without clip.", where=reading.where(*recurrent[0].path))
    attending = [placed for placed in reading.everywhere if isinstance(placed.layer, Attention | TransformerBlock)]
    knows_order = any(isinstance(placed.layer, Position | Recurrent) for placed in reading.everywhere)
    if attending and not knows_order and not any(_sees_order(placed.layer) for placed in attending):
        yield NO_POSITION.warn(f"{attending[0].layer.name} without positions.", where=reading.where(*attending[0].path))
    post = [p for p in attending if isinstance(p.layer, TransformerBlock) and p.layer.placement == "post"]
    if len(post) >= DEEP_POST and not reading.spec.schedule.warmup:
        yield NO_WARMUP.warn(
            f"{len(post)} post-norm blocks without a warm-up.",
            where=reading.where(*post[0].path),
            value=len(post),
            threshold=DEEP_POST,
        )


def _sees_order(layer: object) -> bool:
    return bool(getattr(layer, "rotary", False) or getattr(layer, "causal", False))
