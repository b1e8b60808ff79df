"""Back-translation by programs of the user's: run once, kept, and every way in which they can fail."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from nnctl.core.errors import DataError, DiskError
from nnctl.data.augment import Augmentation
from nnctl.data.augment.augmentation import Chance

TEXTS = ("a good film", "a bad film", "a good film", "two\nlines")
TRANSLATOR = """\
import sys
with open("calls.txt", "a") as calls:
    calls.write("x")
words = dict(pair.split("=") for pair in sys.argv[1:])
for line in sys.stdin:
    print(" ".join(words.get(word, word) for word in line.split()))
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNCTL_DATASETS", raising=False)
    monkeypatch.setenv("NNCTL_PROGRAMS", str(Path(sys.executable).resolve()))
    (tmp_path / "translator.py").write_text(TRANSLATOR)
    return tmp_path


def translation(
    there: str = "translator.py good=bueno", back: str = "translator.py bueno=fine", **others
) -> Augmentation:
    python = shlex.quote(sys.executable)
    commands = {"there": f"{python} {there}", "back": f"{python} {back}"}
    return Augmentation.parse({"back_translation": {"probability": 1.0, **commands, **others}})


def rewritten(step: Augmentation, base: Path, texts=TEXTS, epoch: int = 0) -> list[str]:
    chance = Chance(0, "augment/0.back_translation", epoch, np.arange(len(texts)))
    return step.rewriter(texts, base).rewrite(list(texts), np.arange(len(texts)), chance)


def test_texts_come_back_in_other_words_each_in_its_place(here):
    assert rewritten(translation(), here) == ["a fine film", "a bad film", "a fine film", "two lines"]
    seen = {rewritten(translation(probability=0.5), here, epoch=k)[0] for k in range(20)}
    assert seen == {"a good film", "a fine film"}


def test_the_programs_run_once_for_the_same_texts_and_it_is_said_where_the_answer_is_kept(here):
    first = translation().rewriter(TEXTS, here)
    again = translation().rewriter(TEXTS, here)
    assert (here / "calls.txt").read_text() == "xx"  # there and back
    [kept] = (here / "datasets" / "translations").iterdir()
    assert first.note == f"back_translation: 2 of 4 texts came back in other words; kept in {kept}"
    assert again.note.endswith(f"read from {kept}")
    translation().rewriter(TEXTS[:2], here)
    translation(back="translator.py bueno=nice").rewriter(TEXTS, here)
    assert (here / "calls.txt").read_text() == "xx" * 3


def test_what_is_kept_and_damaged_is_made_anew(here):
    translation().rewriter(TEXTS, here)
    [kept] = (here / "datasets" / "translations").iterdir()
    for damage in ("", "[1, 2]", '["a"]'):
        kept.write_text(damage)
        assert rewritten(translation(), here)[0] == "a fine film"


def test_it_is_kept_where_the_environment_says(here, monkeypatch):
    monkeypatch.setenv("NNCTL_DATASETS", str(here / "elsewhere"))
    translation().rewriter(TEXTS, here)
    assert len(list((here / "elsewhere" / "translations").glob("*.json"))) == 1


def test_all_words_that_came_back_are_there_for_the_vocabulary(here):
    assert "a fine film" in translation().rewriter(TEXTS, here).brought


def test_a_text_that_comes_back_empty_stays_as_it_is(here):
    assert rewritten(translation(back="-c 'import sys; [print() for _ in sys.stdin]'"), here) == list(TEXTS)


def test_a_resolved_command_finds_the_files_beside_the_spec_from_anywhere(here, tmp_path_factory, monkeypatch):
    expected = rewritten(translation(), here)
    located = translation().located(here)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("NNCTL_DATASETS", str(here / "datasets"))
    assert rewritten(located, Path("/")) == expected
    assert (here / "calls.txt").read_text() == "xx"  # the same commands, so that what is kept was read


def test_nothing_of_a_shell_is_understood(here):
    step = translation(there="translator.py ; touch pwned", back="translator.py $(touch pwned) `touch pwned`")
    with pytest.raises(DataError, match="failed with exit code"):
        rewritten(step, here)
    assert (
        rewritten(translation(there="translator.py 'a=>pwned'", back="translator.py '|=x'"), here)[0]
        == ">pwned good film"
    )
    assert not (here / "pwned").exists()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("-c 'import sys; sys.exit(7)'", "there: .*failed with exit code 7"),
        ("-c 'import sys; sys.exit(\"no such pair\")'", "failed with exit code 1, saying: no such pair"),
        ("-c 'print(1)'", r"must write one line for every line that it reads. It read 3 and wrote 1"),
        ("-c 'pass'", "It read 3 and wrote 0"),
    ],
)
def test_a_program_that_does_not_translate_is_told_and_nothing_is_kept(here, program, said):
    with pytest.raises(DataError, match=said):
        rewritten(translation(there=program), here)
    assert not (here / "datasets").exists()


def test_a_program_that_is_not_there_or_cannot_be_started_is_told(here):
    for back, said in (("apertium-that-is-not-there es-en", "there is no program 'apertium-that"), ("./plain", "")):
        (here / "plain").write_text("no program")
        step = Augmentation.parse({"back_translation": {"there": sys.executable, "back": back}})
        with pytest.raises(DataError, match=rf"back_translation.(there|back): .*{said}"):
            rewritten(step.model_copy(update={"there": translation().there}), here)


@pytest.mark.slow
def test_a_program_that_takes_too_long_is_stopped_with_all_that_it_started(here):
    (here / "late.py").write_text("import time\ntime.sleep(2)\nopen('late', 'w')\n")
    (here / "slow.py").write_text(
        "import subprocess, sys, time\nsubprocess.Popen([sys.executable, 'late.py'])\ntime.sleep(60)\n"
    )
    with pytest.raises(DataError, match=r"was stopped after 1 seconds, at 3 texts"):
        rewritten(translation(there="slow.py", timeout=1.0), here)
    time.sleep(3)
    assert not (here / "late").exists()


def test_a_folder_that_cannot_be_written_is_told(here):
    (here / "datasets").write_text("a file")
    with pytest.raises(DiskError, match="cannot be written"):
        rewritten(translation(), here)


@pytest.mark.parametrize(
    ("line", "said"), [("", "such as 'apertium en-es'"), ("  ", "such as"), ("a 'b", "No closing quotation")]
)
def test_a_command_line_that_is_none_is_refused(line, said):
    with pytest.raises(ValidationError, match=said):
        Augmentation.parse({"back_translation": {"there": line, "back": "cat"}})
