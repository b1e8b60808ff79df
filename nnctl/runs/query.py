"""The language of ``--where``: ``optimizer=adam and val_loss<0.3 or not (seed=3)``.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | "(" expression ")" | comparison
    comparison  = key ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") value

A value is a number, true, false, none (the run has no such key), a word, or a text in quotes; ``*`` and ``?`` in a word
stand for any characters. A comparison with a key that a run lacks is false, but for ``!=``, which is then true.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol

from nnctl.core.errors import UsageError
from nnctl.core.hints import did_you_mean

__all__ = ["Query", "parse", "resolve"]

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """A parsed condition.

    Parameters
    ----------
    text : str
        As it was written.
    condition : Condition
    """

    text: str
    condition: Condition

    def select(self, runs: Collection[Facts]) -> list[Facts]:
        """Return the runs that fulfil the condition.

        Raises
        ------
        UsageError
            Where a key is known to none of them, or is compared with what it can never be.
        """
        for comparison in self.condition.comparisons():
            comparison.check(runs, self.text)
        keys = {key for facts in runs for key in facts}
        return [facts for facts in runs if self.condition.holds(facts, keys)]

    def choices(self, runs: Collection[Facts]) -> str:
        """Return which values the texts of the condition have in the runs, for one that no run fulfils."""
        keys = {key for facts in runs for key in facts}
        said = []
        for key in dict.fromkeys(resolve(comparison.key, keys) for comparison in self.condition.comparisons()):
            values = sorted({value for facts in runs if isinstance(value := facts.get(key), str)})
            if 0 < len(values) <= _FEW:
                said.append(f"{key} is {' or '.join(values)}")
        return "; ".join(said)


_FEW = 8


class Condition(Protocol):
    """Something that holds for a run or does not."""

    def holds(self, facts: Facts, keys: Collection[str]) -> bool:
        """Whether it holds for the run with these facts."""

    def comparisons(self) -> Iterator[Comparison]:
        """Yield the comparisons in it."""


@dataclass(frozen=True)
class Both:
    """``left and right``."""

    left: Condition
    right: Condition

    def holds(self, facts: Facts, keys: Collection[str]) -> bool:
        """Whether both hold."""
        return self.left.holds(facts, keys) and self.right.holds(facts, keys)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield those of both."""
        yield from self.left.comparisons()
        yield from self.right.comparisons()


@dataclass(frozen=True)
class Either(Both):
    """``left or right``."""

    def holds(self, facts: Facts, keys: Collection[str]) -> bool:
        """Whether one of them holds."""
        return self.left.holds(facts, keys) or self.right.holds(facts, keys)


@dataclass(frozen=True)
class Not:
    """``not inner``."""

    inner: Condition

    def holds(self, facts: Facts, keys: Collection[str]) -> bool:
        """Whether it does not hold."""
        return not self.inner.holds(facts, keys)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield those within."""
        yield from self.inner.comparisons()


@dataclass(frozen=True)
class Comparison:
    """``key < value``; `at` and `value_at` are their columns in the text."""

    key: str
    sign: str
    value: Any
    at: int
    value_at: int
    pattern: bool = False

    def holds(self, facts: Facts, keys: Collection[str]) -> bool:
        """Whether it holds; between a text and a number only ``!=`` does."""
        found = facts.get(resolve(self.key, keys))
        if self.sign in ("=", "!="):
            return self._equals(found) == (self.sign == "=")
        return _same_kind(found, self.value) and _ORDER[self.sign](found, self.value)

    def comparisons(self) -> Iterator[Comparison]:
        """Yield itself."""
        yield self

    def check(self, runs: Collection[Facts], text: str) -> None:
        """Refuse a key that no run has, and an order between a text and a number."""
        keys = {key for facts in runs for key in facts}
        try:
            key = resolve(self.key, keys)
        except UsageError as error:
            raise _refusal(str(error), text, self.at) from None
        found = [facts[key] for facts in runs if facts.get(key) is not None]
        if self.sign in _ORDER and found and not any(_same_kind(value, self.value) for value in found):
            numbers = [k for k in sorted(keys) if k.endswith(f"_{self.key}")]
            hint = f" Do you mean {' or '.join(numbers)}?" if numbers else ""
            raise _refusal(
                f"{key} is {found[0]!r} in the runs, which is neither less nor more than {self.value!r}.{hint}",
                text,
                self.value_at,
            )

    def _equals(self, found: Any) -> bool:
        if self.pattern:
            return isinstance(found, str) and fnmatchcase(found, self.value)
        return bool(found == self.value) and isinstance(found, bool) == isinstance(self.value, bool)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def resolve(key: str, known: Collection[str]) -> str:
    """Return the known key that is meant: the key itself, or the shortest that ends in ``.key``.

    Raises
    ------
    UsageError
        If there is none, or more than one.
    """
    if key in known:
        return key
    ends = sorted(k for k in known if k.endswith(f".{key}"))
    least = min((end.count(".") for end in ends), default=0)  # optimizer.lr goes before optimizer.adam.lr
    ends = [end for end in ends if end.count(".") == least]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UsageError(f"'{key}' may be {' or '.join(ends)}. Write it whole.")
    hint = did_you_mean(key, known)
    few = ", ".join(sorted(k for k in known if "." not in k))
    raise UsageError(f"no run has the key '{key}'.{hint or f' There are {few}, and the keys of the specs.'}")


def parse(text: str) -> Query:
    """Return the query that a text says.

    Raises
    ------
    UsageError
        With a caret under the place that cannot be read.
    """
    reader = _Reader(text, list(_tokens(text)))
    condition = reader.expression()
    if reader.next.kind != "end":
        said = "a ')' without its '('" if reader.next.text == ")" else "expected 'and' or 'or'"
        raise reader.refusal(f"{said}.")
    return Query(text, condition)


class _Token(NamedTuple):
    kind: str  # word, quoted, sign, open, close, end
    text: str
    at: int


_TOKEN = re.compile(
    r"""\s*(?:(?P<sign><=|>=|!=|==|=|<|>)|(?P<open>\()|(?P<close>\))|'(?P<one>[^']*)'|"(?P<two>[^"]*)"|(?P<word>[^\s()<>=!'",&|]+))"""
)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while match := _TOKEN.match(text, at):
        kind = match.lastgroup or ""
        start = match.start(kind) - (kind in ("one", "two"))
        yield _Token("quoted" if kind in ("one", "two") else kind, match[kind], start)
        at = match.end()
    rest = text[at:].lstrip()
    at = len(text) - len(rest)
    if rest:
        unclosed = rest[0] in "'\""
        said = "a quote that is not closed." if unclosed else f"'{rest[0]}' is not understood. Write 'and' or 'or'."
        raise _refusal(said, text, at)
    yield _Token("end", "", len(text))


@dataclass
class _Reader:
    """Descends through the grammar, one method a rule."""

    text: str
    tokens: list[_Token]

    @property
    def next(self) -> _Token:
        return self.tokens[0]

    def expression(self) -> Condition:
        condition = self.conjunction()
        while self._takes("or"):
            condition = Either(condition, self.conjunction())
        return condition

    def conjunction(self) -> Condition:
        condition = self.negation()
        while self._takes("and"):
            condition = Both(condition, self.negation())
        return condition

    def negation(self) -> Condition:
        if len(self.tokens) > _LONGEST:
            raise self.refusal(f"has more than {_LONGEST} words.")
        if self._takes("not"):
            return Not(self.negation())
        if self.next.kind != "open":
            return self.comparison()
        opened = self.tokens.pop(0)
        condition = self.expression()
        if self.next.kind != "close":
            raise _refusal("this '(' is not closed.", self.text, opened.at)
        self.tokens.pop(0)
        return condition

    def comparison(self) -> Condition:
        key = self.next
        if key.kind != "word" or key.text.lower() in _JOINING or _NUMBER.fullmatch(key.text):
            raise self.refusal("expected a key, such as val_loss or optimizer.lr.")
        self.tokens.pop(0)
        if self.next.kind != "sign":
            raise self.refusal(f"expected one of = != < <= > >= after '{key.text}'.")
        sign = self.tokens.pop(0).text.replace("==", "=")
        value = self.next
        if value.kind not in ("word", "quoted") or (value.kind == "word" and value.text.lower() in _JOINING):
            raise self.refusal(f"expected a value after '{key.text}{sign}'.")
        self.tokens.pop(0)
        pattern = value.kind == "word" and sign in ("=", "!=") and any(c in value.text for c in "*?")
        meant = value.text if value.kind == "quoted" or pattern else _value(value.text)
        return Comparison(key.text, sign, meant, key.at, value.at, pattern)

    def refusal(self, message: str) -> UsageError:
        return _refusal(message, self.text, self.next.at)

    def _takes(self, word: str) -> bool:
        if self.next.kind == "word" and self.next.text.lower() == word:
            self.tokens.pop(0)
            return True
        return False


_LONGEST = 400
_JOINING = {"and", "or", "not"}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WORDS = {"true": True, "false": False, "none": None, "null": None}


def _value(word: str) -> Any:
    if _NUMBER.fullmatch(word):
        return float(word)
    return _WORDS.get(word.lower(), word)


def _same_kind(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    return (isinstance(a, str) and isinstance(b, str)) or (isinstance(a, int | float) and isinstance(b, int | float))


def _refusal(message: str, text: str, at: int) -> UsageError:
    line = "".join(c if c.isprintable() else " " for c in text)
    return UsageError(f"--where: {message}\n    {line}\n    {' ' * at}^")
