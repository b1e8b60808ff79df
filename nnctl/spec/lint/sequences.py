"""Sequences: recurrent layers and attention, and what they cannot do without."""

from __future__ import annotations

from collections.abc import Iterator

from nnctl.core.finding import Finding, Rule
from nnctl.data.sources.card import FromCard
from nnctl.data.sources.text import Corpus
from nnctl.data.sources.windowed import Windowed
from nnctl.nn.attention import Attention
from nnctl.nn.conv import Conv1d
from nnctl.nn.layer import Layer
from nnctl.nn.position import Position
from nnctl.nn.recurrent import Recurrent
from nnctl.nn.transformer import TransformerBlock
from nnctl.spec.lint.reading import Reading

__all__ = ["findings"]

DEEP_POST = 4
"""Post-norm blocks in a row that want a warm-up."""

AHEAD = Rule(
    "looks-ahead",
    "The network sees the very tokens, or steps, that it is to foretell.",
    "In a language model the target of a position stands in the input one place further on, and in a forecast at every "
    "position some steps further on. A layer that reads on has only to copy it: the loss falls to nothing, on the "
    "validation part too, and the network can foretell nothing where the text or the series ends.",
    "Fails where every position foretells what comes behind it, and attention is not causal, a recurrent layer reads "
    "from the end too, or a convolution has padding behind the sequence.",
    "Write 'causal: true' in attention, leave out 'bidirectional', and take recurrent layers or attention in the place "
    "of convolutions.",
    "Vaswani et al. (2017), section 3.2.3, arXiv:1706.03762",
)
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
    ahead = [placed for placed in reading.everywhere if _looks_ahead(placed.layer)]
    if ahead and _foretells_everywhere(reading):
        yield AHEAD.fail(f"{ahead[0].layer.name} reads on behind each position.", where=reading.where(*ahead[0].path))
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


def _foretells_everywhere(reading: Reading) -> bool:
    """Return whether the targets of every position are what comes behind it."""
    source = reading.spec.data.source
    if isinstance(source, FromCard):
        source = source.source()
    return isinstance(source, Corpus) or (isinstance(source, Windowed) and source.forecast_at == "every position")


def _looks_ahead(layer: Layer) -> bool:
    if isinstance(layer, Recurrent):
        return bool(layer.bidirectional)
    if isinstance(layer, Conv1d):
        return any(layer.windows.after)
    return isinstance(layer, Attention | TransformerBlock) and not layer.causal


def _sees_order(layer: object) -> bool:
    return bool(getattr(layer, "rotary", False) or getattr(layer, "causal", False))
