"""Back-translation: texts in other words, by a translator of the user's that translates them there and back."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from nnctl.core.arrays import Array
from nnctl.core.component import Positive
from nnctl.core.errors import DataError, DiskError
from nnctl.data.augment.augmentation import Chance, Probability
from nnctl.data.augment.text import Rewriter, TextAugmentation
from nnctl.data.cards import data_folder
from nnctl.data.table import counted

__all__ = ["BackTranslation"]

ALLOWED = "NNCTL_PROGRAMS"
"""The environment variable with the programs that may be started."""
LAST_WORDS = 300
"""Characters of what a failing translator says that are shown."""


def _command(line: str) -> str:
    """Return a command line that has at least one word.

    Raises
    ------
    ValueError
        It has none, or a quotation mark is left open.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"must be a command line: {error}") from None
    if not words:
        raise ValueError("must be a command line, such as 'apertium en-es'")
    return line


Command = Annotated[str, AfterValidator(_command)]


class BackTranslation(TextAugmentation, name="back_translation"):
    """The text in other words: translated into another language and back, by programs that the spec names.

    Each program reads texts, one a line, and writes as many lines with their translations, such as ``apertium en-es``
    and ``apertium es-en``. Both run once, over all training texts, without a shell, and what they said is kept on disk,
    in ``translations`` beside the fetched data sets, under a hash of both commands and all texts: the next run with the
    same ones starts no program. A spec may come from somebody else: only programs are started that the environment
    variable ``NNCTL_PROGRAMS`` names, ``NNCTL_PROGRAMS=apertium``, several with colons between them. Line ends within a
    text become spaces. A text that comes back empty stays as it is. It must be the first of the list, since it knows
    the texts only as they are.

    Source: Sennrich, Haddow and Birch (2016), "Improving neural machine translation models with monolingual data",
    section 3, arXiv:1511.06709, where it makes sources for translations; for classification Yu et al. (2018), "QANet",
    section 3, arXiv:1804.09541.
    """

    comes_first = True

    there: Command
    """The command line that translates into the other language; words are divided as a shell does, and nothing else of
    a shell is understood. A word that names a file beside the spec stands for that file."""
    back: Command
    """The command line that translates back."""
    probability: Probability = 0.5
    """Of a text to be shown as it came back; the others are shown as they are."""
    timeout: Positive = 3600.0
    """Seconds after which a program that is still at work is stopped."""

    field_synonyms: ClassVar[Mapping[str, str]] = {"p": "probability", "forward": "there", "backward": "back"}

    def located(self, base: Path) -> BackTranslation:
        """Return the same with absolute paths for the words of the commands that name files beside the spec."""
        commands = {name: shlex.join(_words(getattr(self, name), base)) for name in ("there", "back")}
        return self.model_copy(update=commands)

    def rewriter(self, texts: Sequence[str], base: Path) -> Rewriter:
        """Return what shows texts as they came back; the programs run if they have not yet done so for these texts.

        Raises
        ------
        DataError
            A program is not there, fails, takes too long, or does not write a line for every text.
        DiskError
            What they said cannot be kept.
        """
        found = self._kept(tuple(texts), _words(self.there, base), _words(self.back, base))
        translations, path, is_new = found
        said = tuple(there.strip() or text for there, text in zip(translations, texts, strict=True))
        changed = sum(" ".join(text.split()) != other for text, other in zip(texts, said, strict=True))
        note = (
            f"back_translation: {changed:,} of {counted(len(texts), 'text')} came back in other words; "
            f"{'kept in' if is_new else 'read from'} {path}"
        )

        def rewritten(some: list[str], chosen: Array, chance: Chance) -> list[str]:
            u = chance.uniform(1)[:, 0]
            return [
                said[place] if number < self.probability else text
                for text, place, number in zip(some, chosen, u, strict=True)
            ]

        return Rewriter(rewritten, said, note)

    def _kept(
        self, texts: tuple[str, ...], there: Sequence[str], back: Sequence[str]
    ) -> tuple[Sequence[str], Path, bool]:
        """Return what the texts became, where that is kept, and whether the programs had to run for it."""
        key = hashlib.sha256(json.dumps([list(there), list(back), texts]).encode()).hexdigest()[:16]
        path = data_folder("translations") / f"{key}.json"
        with suppress(OSError, ValueError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(kept, list) and len(kept) == len(texts) and all(isinstance(text, str) for text in kept):
                return kept, path, False
        lines = [" ".join(text.split()) for text in texts]
        distinct = list(dict.fromkeys(lines))
        foreign = _translated(there, distinct, self.timeout, "there")
        returned = dict(zip(distinct, _translated(back, foreign, self.timeout, "back"), strict=True))
        translations = [returned[line] for line in lines]
        _write(path, translations)
        return translations, path, True


def _words(line: str, base: Path) -> list[str]:
    """Return the words of a command, those that name files beside the spec with their whole path."""
    return [str((base / word).resolve()) if (base / word).is_file() else word for word in shlex.split(line)]


def _translated(command: Sequence[str], lines: Sequence[str], timeout: float, field: str) -> list[str]:
    """Return what a program makes of some lines.

    Raises
    ------
    DataError
        It is not there, fails, takes too long, or does not write a line for every line.
    """
    where = f"data.augment: back_translation.{field}: {shlex.join(command)}"
    if shutil.which(command[0]) is None:
        raise DataError(f"{where}: there is no program '{command[0]}'. Install it, or give its path.")
    if command[0] not in os.environ.get(ALLOWED, "").split(os.pathsep):
        raise DataError(
            f"{where}: a spec starts no program unless you allow it. If you know what it does, set "
            f"{ALLOWED}={shlex.quote(command[0])} and call nnctl again."
        )
    try:
        out, said, code = _run(command, "".join(f"{line}\n" for line in lines), timeout)
    except subprocess.TimeoutExpired:
        raise DataError(
            f"{where}: was stopped after {timeout:g} seconds, at {counted(len(lines), 'text')}. "
            f"Give it more with timeout, or translate fewer."
        ) from None
    except OSError as error:
        raise DataError(f"{where}: cannot be started: {error.strerror}.") from None
    if code:
        words = " ".join(said.split())[-LAST_WORDS:]
        raise DataError(f"{where}: failed with exit code {code}{f', saying: {words}' if words else ''}.")
    translated = out.removesuffix("\n").split("\n")
    if len(translated) != len(lines):
        raise DataError(
            f"{where}: must write one line for every line that it reads. It read {len(lines):,} and wrote "
            f"{len(translated) if out else 0:,}."
        )
    return translated


def _run(command: Sequence[str], text: str, timeout: float) -> tuple[str, str, int]:
    """Return what a program writes, what it complains of, and its exit code; it and what it started end with us."""
    with subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as program:
        try:
            out, said = program.communicate(text, timeout)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            raise
    return out.replace("\r\n", "\n"), said, program.returncode


def _write(path: Path, translations: Sequence[str]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(translations, ensure_ascii=False, indent=0), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error}.") from error
