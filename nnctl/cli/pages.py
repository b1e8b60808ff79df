"""The pages of `nnctl explain` on a terminal; see `nnctl.cli.render` for what else knows Rich."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nnctl.core.finding import Rule
    from nnctl.spec.reference import FieldEntry, Page

__all__ = ["Pages"]

_WIDEST = 100
"""Longer lines are hard to read, however wide the terminal is."""


class Pages:
    """Pages of the reference, laid out for the terminal, or 100 columns wide where there is none."""

    def __init__(self) -> None:
        is_terminal = sys.stdout.isatty()
        self.console = Console(file=StringIO(), highlight=False, force_terminal=is_terminal)
        self.console.width = min(self.console.width, _WIDEST) if is_terminal or "COLUMNS" in os.environ else _WIDEST

    def text(self) -> str:
        """Return all that was put on the pages; Rich fills every line with spaces, which are taken off."""
        assert isinstance(self.console.file, StringIO)
        return "\n".join(line.rstrip() for line in self.console.file.getvalue().splitlines())

    def contents(
        self, entries: Iterable[tuple[str, str, list[tuple[str, str]]]], rules: Iterable[tuple[str, str]]
    ) -> None:
        """Put down everything that there is a page about: what a spec can say, and what the checks find."""
        for word, about, rows in [*entries, ("rules", "What the checks can find to be wrong.", rules)]:
            self._heading(word, about)
            self._pairs(rows)
            self.console.print()
        self.console.print(
            Text("More on each: nnctl explain NAME, such as adam, training, data.split, adam.beta1, dead-relu.")
        )

    def page(self, page: Page) -> None:
        """Put down one page."""
        self._heading(page.title)
        self.console.print()
        self._prose(page.text)
        if page.places:
            self._section("In a spec")
            self._pairs(page.places)
        if page.members:
            self._section("Which there are")
            self._pairs(page.members)
        if page.fields:
            self._section("Fields")
            for entry in page.fields:
                self._field(entry)
        if page.examples:
            self._section("Written as")
            for example in page.examples:
                self._indented(Text(example, style="cyan"))
        if page.elsewhere:
            self._section("Elsewhere called")
            self._indented(Text(", ".join(page.elsewhere)))

    def page_of_rule(self, rule: Rule) -> None:
        """Put down the page of something that a check can find."""
        self._heading(f"rule {rule.id}")
        self.console.print()
        self._prose(rule.about)
        for title, text in (
            ("Why", rule.why),
            ("Threshold", rule.threshold),
            ("What to do", rule.fix),
            ("Source", rule.source),
        ):
            if text:
                self._section(title)
                self._indented(Text(_joined(text)))

    def rule(self) -> None:
        """Part two pages."""
        self.console.print()
        self.console.rule(characters="-")
        self.console.print()

    def _heading(self, title: str, about: str = "") -> None:
        self.console.print(Text.assemble((title, "bold"), f"   {about}" if about else ""))

    def _section(self, title: str) -> None:
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def _prose(self, text: str) -> None:
        """Put down documentation: paragraphs are wrapped anew, formulas keep their lines."""
        for i, paragraph in enumerate(re.split(r"\n\s*\n", text)):
            if i:
                self.console.print()
            is_labelled = re.match(r"[a-z]+:", paragraph)  # forward: ... backward: ...
            is_prose = not is_labelled and (paragraph[:1].isupper() or len(paragraph.split("\n")[0]) > _WIDEST)
            lines = [_joined(paragraph)] if is_prose else _within(paragraph.split("\n"), self.console.width - 2)
            self._indented(Text("\n".join(lines)))

    def _pairs(self, rows: Iterable[tuple[str, str]]) -> None:
        rows = list(rows)
        longest = max((len(name) for name, _ in rows), default=0)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=2 * longest < self.console.width, overflow="fold")
        table.add_column()
        for name, about in rows:
            table.add_row(Text(name, style="cyan"), Text(_joined(about)))
        self.console.print(Padding(table, (0, 0, 0, 2)))

    def _field(self, entry: FieldEntry) -> None:
        if entry.default is None:
            kind = f"{entry.kind}; required"
        else:
            kind = f"{entry.kind}; default {entry.default}" if entry.default else entry.kind
        self._indented(Text.assemble((entry.name, "cyan"), f"   {kind}"))
        for paragraph in re.split(r"\n\s*\n", entry.meaning):
            self._indented(Text(_joined(paragraph)), 6)
        if entry.elsewhere:
            self._indented(Text(f"elsewhere: {', '.join(entry.elsewhere)}", style="dim"), 6)

    def _indented(self, text: Text, by: int = 2) -> None:
        self.console.print(Padding(text, (0, 0, 0, by)))


def _joined(text: str) -> str:
    """Return prose on one line, code in single backticks."""
    return " ".join(text.replace("``", "`").split())


def _within(lines: Sequence[str], width: int) -> Iterator[str]:
    """Yield formulas; one that is too long is broken where a part of it ends, and goes on below its beginning."""
    left = list(lines)
    while left:
        line = left.pop(0)
        start = re.match(r" *([a-z]+: +)?", line).end()  # type: ignore[union-attr]  # it matches the empty text
        at = _end_of_part(line, start, width) if len(line) > width else 0
        if not at:
            yield line
            continue
        yield line[:at]
        rest = " " * start + line[at:].lstrip()
        goes_on = left and left[0].startswith(" " * (start or 1)) and "=" not in left[0]
        left.insert(0, f"{rest} {left.pop(0).lstrip()}" if goes_on else rest)


def _end_of_part(line: str, start: int, width: int) -> int:
    """Return where to break a formula: behind a comma or a semicolon, or else elsewhere, outside of brackets; or 0."""
    spaces = [i for i in range(start + 1, width + 1) if line[i] == " " and line[i - 1] != " "]
    free = [i for i in spaces if sum(map(line[:i].count, "([{")) == sum(map(line[:i].count, ")]}"))]
    ends = [i for i in free if line[i - 1] in ",;"]
    return max(ends or free or spaces, default=0)
