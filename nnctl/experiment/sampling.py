"""Text from a language model: one token after another, each drawn from what the network expects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.errors import UsageError
from nnctl.core.random import stream
from nnctl.data.tokens import Windows
from nnctl.experiment.prediction import Predictor

__all__ = ["Sampler"]


class Sampler:
    """A language model, ready to go on with a text.

    Parameters
    ----------
    predictor : Predictor
        The network of a run.

    Raises
    ------
    UsageError
        The run is no language model, or its network sees the tokens that it is to foretell.
    """

    def __init__(self, predictor: Predictor) -> None:
        text = predictor.preprocessing.text
        if not isinstance(text, Windows):
            raise UsageError(
                f"{predictor.run.path} is no language model: it was not trained to foretell the next token of a text. "
                f"Train one on the source text, such as experiments/text/pydoc-lstm.yaml."
            )
        self.network = predictor.network
        self.vocabulary = text.vocabulary
        self.context = text.length
        if self._looks_ahead():
            raise UsageError(
                f"the network of {predictor.run.path} sees the tokens that it is to foretell, so it has learned to "
                f"copy them. Use 'causal: true' in attention, and no second direction in recurrent layers."
            )

    def notes(self, prompt: str) -> tuple[str, ...]:
        """Return what a person should know of how the prompt is read."""
        unseen = self.vocabulary.unseen([prompt])
        length = len(self.vocabulary.encode(prompt))
        cut = f"the network sees the last {self.context} of the prompt's {length} tokens." * (length > self.context)
        return tuple(note for note in (unseen, cut) if note)

    def pieces(self, prompt: str, length: int, temperature: float = 1.0, seed: int = 0) -> Iterator[str]:
        r"""Yield the text that follows the prompt, piece by piece.

        The next token k is drawn with p_k = exp(z_k / temperature) / \sum_j exp(z_j / temperature) from the scores z
        that the network gives at the last token so far; temperature 0 takes the largest. It sees the last `context`
        tokens and reads them anew for every token, which is right for any network that does not look ahead.

        Parameters
        ----------
        prompt : str
        length : int
            How many tokens to add.
        temperature : float
            Below 1 the likely tokens become likelier, above 1 the unlikely ones.
        seed : int
            Of the draws.

        Raises
        ------
        UsageError
            The prompt has no token.
        """
        tokens = self.vocabulary.encode(prompt).tolist()
        if not tokens:
            raise UsageError("the prompt has no token in it. Give a --prompt that the text can go on from.")
        begun = len(tokens)
        rng = stream(seed, "sample")
        shown = self.vocabulary.decode(tokens)
        for _ in range(length):
            tokens.append(_drawn(self._scores(tokens), temperature, rng))
            text = self.vocabulary.decode(tokens)
            if not text.endswith("\N{REPLACEMENT CHARACTER}") or len(tokens) == begun + length:
                yield text[len(shown) :]  # bytes that are no character yet wait for the next token
                shown = text

    def _scores(self, tokens: list[int]) -> Float:
        """Return the scores (K,) of what may follow; what stands for no text cannot."""
        seen = tokens[-self.context :]
        row = np.zeros((1, self.context), np.int32)
        row[0, : len(seen)] = seen
        z: Float = self.network.predict(row)[0, len(seen) - 1].astype(np.float64)
        z[list(self.vocabulary.special)] = -np.inf
        return z

    def _looks_ahead(self) -> bool:
        """Return whether another last token changes what is said at those before it."""
        row: Array = np.arange(self.context, dtype=np.int32)[None] % len(self.vocabulary)
        other = row.copy()
        other[0, -1] = (row[0, -1] + 1) % len(self.vocabulary)
        before, after = self.network.predict(row)[0, :-1], self.network.predict(other)[0, :-1]
        return not np.allclose(before, after, rtol=1e-4, atol=1e-5)


def _drawn(z: Float, temperature: float, rng: np.random.Generator) -> int:
    """Return a token drawn by its score; the largest at temperature 0."""
    best = int(z.argmax())
    if temperature == 0:
        return best
    with np.errstate(over="ignore"):  # a temperature near 0 makes all but the largest infinitely unlikely
        p = np.exp((z - z[best]) / temperature)
    return int(np.searchsorted(np.cumsum(p), rng.random() * p.sum(), side="right"))
