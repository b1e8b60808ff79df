"""The first spec for a language model: a text, a small recurrent network, and comments that teach the choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnctl.core import yaml
from nnctl.core.errors import DataError
from nnctl.core.mistakes import Loc
from nnctl.data.cards import card_names, read_card
from nnctl.data.sources import Source
from nnctl.data.sources.text import Corpus

__all__ = ["corpus_of", "language_model_spec"]


def corpus_of(source: str, base: Path) -> Any:
    """Return how a spec spells a text to learn a language from; None where it is no such text.

    Parameters
    ----------
    source : str
        A .txt file, or the name of a source or a card.
    base : Path
        The directory of the spec to be.

    Raises
    ------
    DataError
        There is no such file.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() == ".txt":
        if not path.is_file():
            raise DataError(f"{path}: there is no such file.")
        whole, base = path.resolve(), base.resolve()
        return {"text": {"path": str(whole.relative_to(base) if whole.is_relative_to(base) else whole)}}
    member = Source.member(source)
    is_corpus = member is not None and issubclass(member, Corpus) and not member.files
    return source if is_corpus or (source in card_names() and "text" in read_card(source).source) else None


def language_model_spec(source: Any, name: str, command: str) -> str:
    """Return the text of a spec that learns a language from a text, character by character.

    Parameters
    ----------
    source : object
        What `corpus_of` returned.
    name : str
        What its runs are called.
    command : str
        What was typed to get it.
    """
    spec: dict[str, Any] = {
        "name": name,
        "seed": 0,
        "data": {"source": source},
        "architecture": [{"embedding": 64}, {"lstm": {"units": 128, "returns": "sequence"}}, {"dense": "outputs"}],
        "loss": "cross_entropy",
        "optimizer": {"adam": {"lr": 0.005}},
        "schedule": "one_cycle",
        "clip": {"norm": 1.0},
        "training": {"epochs": 5, "batch_size": 32},
    }
    return yaml.dump(spec, _comments(command))


def _comments(command: str) -> dict[Loc, str]:
    """Return what stands above each key."""
    return {
        (): (
            f"A language model: a starting point, written by `{command}`.\n"
            "nnctl validate     checks this file and shows the network\n"
            "nnctl train        trains it; then it writes: nnctl sample RUN --prompt TEXT\n"
            "nnctl explain NAME tells what a word means, and what could stand for it\n"
        ),
        ("seed",): "\nThe one number that all chance follows from.",
        ("data",): (
            "\nThe text is cut by position: the last tenth validates. A row is `context` tokens long, 128 if left "
            "out, and a token is a character; others: tokenizer: word, bpe."
        ),
        ("architecture",): (
            "\nA vector for every token, a state that reads them one after another, a score for every token that may "
            "come next. Whatever looks at other positions must not look ahead: no second direction, and attention "
            "only as transformer_block: {heads: 4, causal: true, rotary: true}."
        ),
        ("loss",): "\nWhat is made small: minus the log of the probability of the token that comes, in nats a token.",
        ("optimizer",): "\nHow weights follow the gradient. The learning rate lr matters most of all: nnctl lr-find",
        ("clip",): "\nA limit on the length of the gradient, which can grow where a state goes through many steps.",
        ("training",): "\nAn epoch sees the whole text once. More of them, and more units, get further.",
    }
