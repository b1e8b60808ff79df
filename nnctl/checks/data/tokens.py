"""Rows of tokens: how frequent they are, how long the rows, and how much of what judges was never seen in training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnctl.checks.data.sheets import groups_of
from nnctl.checks.data.view import View
from nnctl.core.arrays import Array
from nnctl.core.finding import Finding, Rule
from nnctl.data.table import counted
from nnctl.data.tokens import UNKNOWN

__all__ = ["judge_tokens", "measure_tokens", "token_column", "token_histograms"]

MUCH = 0.05
SHOWN = 16
BINS = 30

UNKNOWN_TOKENS = Rule(
    "unknown-tokens",
    about="Many tokens of a part are not in the vocabulary.",
    why="The vocabulary is that of the training part. Whatever else comes becomes one and the same unknown token, so "
    "that nothing is left of it but its place. Where that is frequent, the part is written in other words than the "
    "training part: another source, another language, or so few training texts that most words are new.",
    threshold=f"The share of the tokens of a validation or test part that are unknown: warns beyond {MUCH:.0%}.",
    fix="Use smaller pieces, tokenizer: char or bpe, which know almost any word; or get more training texts.",
)


def token_column(view: View) -> dict[str, Any]:
    """Return the rows of tokens as an entry of the table of columns; their size and mean would mean nothing."""
    assert view.data is not None
    (T,) = view.data.input_shape
    return {
        "name": f"{counted(T, 'token')} a row",
        "type": "token",
        "rows": len(view.table),
        "missing": 0,
        "infinite": 0,
        "distinct": len(view.data.preprocessing.tokens or ()),
        "min": None,
        "mean": None,
        "max": None,
    }


def measure_tokens(view: View) -> dict[str, Any]:
    """Return the size of the vocabulary, and of each part its tokens, the share of unknown ones, and the lengths."""
    assert view.data is not None
    names = view.data.preprocessing.tokens or ()
    unknown = names.index(UNKNOWN) if UNKNOWN in names else -1
    parts = {}
    for name in view.parts:
        tokens, lengths = _there(view, name)
        parts[name] = {
            "tokens": len(tokens),
            "unknown": float(np.mean(tokens == unknown)),
            "shortest": int(lengths.min()),
            "median": float(np.median(lengths)),
            "longest": int(lengths.max()),
        }
    return {"vocabulary": len(names), "parts": parts}


def judge_tokens(found: dict[str, Any]) -> Iterator[Finding]:
    """Judge the unknown tokens of the parts that are not trained on."""
    for name, part in found["parts"].items():
        if name == "train":
            continue
        share = part["unknown"]
        said = (
            f"{share:.2%} of the {part['tokens']:,} tokens of the {name} part are not in the vocabulary of "
            f"{counted(found['vocabulary'], 'token')}."
        )
        judged = UNKNOWN_TOKENS.warn if share > MUCH else UNKNOWN_TOKENS.passed
        yield judged(said, where=f"{name} part", value=share, threshold=MUCH)


def token_histograms(view: View) -> dict[str, Any]:
    """Return how frequent the tokens of the training part are by class, and how long its rows."""
    assert view.data is not None
    names, train = view.data.preprocessing.tokens or (), view.data.train
    groups, group_names = groups_of(view)
    tokens, lengths = _there(view, "train")
    of_token = np.repeat(groups, lengths)
    common = np.argsort(-np.bincount(tokens, minlength=len(names)), kind="stable")[:SHOWN]
    counts = [np.bincount(tokens[of_token == g], minlength=len(names)) for g in range(len(group_names))]
    columns: list[dict[str, Any]] = [
        {
            "name": "most frequent tokens",
            "labels": [repr(names[k])[1:-1] for k in common],
            "counts": [count[common].tolist() for count in counts],
            "shares_of": "tokens",
            "totals": [int(count.sum()) for count in counts],
        }
    ]
    if train.lengths is not None and lengths.min() < lengths.max():
        edges = np.linspace(lengths.min() - 0.5, lengths.max() + 0.5, min(BINS, int(np.ptp(lengths)) + 1) + 1)
        by_group = [np.histogram(lengths[groups == g], edges)[0].tolist() for g in range(len(group_names))]
        columns.append({"name": "tokens of a row", "edges": edges.tolist(), "counts": by_group, "whole": True})
    return {"groups": group_names, "columns": columns, "left_out": 0}


def _there(view: View, part: str) -> tuple[Array, Array]:
    """Return all tokens of a part, padding left out, and how many each of its rows has."""
    assert view.data is not None
    split = getattr(view.data, part)
    T = split.x.shape[1]
    lengths = np.full(len(split), T) if split.lengths is None else split.lengths
    return split.x[np.arange(T) < lengths[:, None]], lengths
