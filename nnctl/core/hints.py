"""Did you mean: the known word that a mistyped one resembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["did_you_mean"]


def did_you_mean(word: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Return ``" Did you mean 'x'?"`` for a known word close to `word`, else ``""``; synonyms go first.

    Capitals and underscores make no difference, but where a synonym is written with capitals: ``Linear``. A call,
    ``SGD(lr=0.1)``, is taken for its name.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - 6 ms that only a mistake costs

    names, name = list(known), str(word).partition("(")[0]
    alike = {_folded(known_name): known_name for known_name in names}
    alike |= {_folded(synonym): meant for synonym, meant in (synonyms or {}).items() if synonym.islower()}
    match = (synonyms or {}).get(name) or alike.get(_folded(name))
    if match is None:
        close = get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.6)
        match = close[0] if close else None
    return f" Did you mean '{match}'?" if match else ""


def _folded(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")
