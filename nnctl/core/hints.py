"""Did you mean: the known word that a mistyped one resembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["did_you_mean"]


def did_you_mean(word: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Return ``" Did you mean 'x'?"`` for a known word close to `word`, else ``""``; synonyms go first."""
    from difflib import get_close_matches  # noqa: PLC0415 - 6 ms that only a mistake costs

    folded = str(word).lower().replace("-", "_")
    match = (synonyms or {}).get(folded)
    if match is None:
        close = get_close_matches(folded, list(known), n=1, cutoff=0.6)
        match = close[0] if close else None
    return f" Did you mean '{match}'?" if match else ""
