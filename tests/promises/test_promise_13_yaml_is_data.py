"""Promise 13: YAML is data, wherever it is read, and of a size that can be read; so is the JSON of a run.

What the rules are, one by one, is tested in tests/spec/test_yaml.py.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from commands import call
from hostile import JSON_BOMBS, YAML_BOMBS, YAML_TRICKS
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from nnctl.core import compose
from nnctl.core.errors import DataError, SpecError
from nnctl.core.foreign import json_of, read_up_to
from nnctl.core.mistakes import problems_of
from nnctl.data import cards
from nnctl.spec.load import _below, load_spec

ALL = {**YAML_BOMBS, **YAML_TRICKS}
BY_NAME = pytest.mark.parametrize("bomb", ALL)
LONG = 20
"""Seconds of this process, not of the clock: what has no limit takes hours."""


@pytest.fixture(autouse=True)
def nobody_waits():
    """Each of these ends soon, in this process's own time."""
    start = time.process_time()
    yield
    assert time.process_time() - start < LONG


def is_told(answer, said: str) -> None:
    assert answer.code in {2, 3}, answer
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err) < 4000


@BY_NAME
def test_a_spec(bomb, here):
    text, said = ALL[bomb]
    Path("bomb.yaml").write_text(text)
    for command in ("validate", "train", "lint"):
        is_told(call(command, "bomb.yaml"), said)
    assert not Path("canary").exists()


def test_the_bomb_of_aliases_has_324_bytes_and_there_are_1000_open_brackets():
    assert len(YAML_BOMBS["aliases"][0].encode()) == 324
    assert YAML_BOMBS["open brackets"][0].count("[") == 1000


STEPS = {"aliases": 200_000, "wide": 200_000, "depth by aliases": 20_000, "large": 0}
"""Events looked at before a text is refused: four for each value that is allowed, where 48,000,000 are written."""


@BY_NAME
def test_no_more_of_it_is_looked_at_than_values_and_levels_are_allowed(bomb, here, monkeypatch):
    steps = 0
    following = compose._Composer._next

    def counted(composer):
        nonlocal steps
        steps += 1
        assert steps <= STEPS.get(bomb, 200)
        return following(composer)

    monkeypatch.setattr(compose._Composer, "_next", counted)
    Path("bomb.yaml").write_text(ALL[bomb][0])
    with pytest.raises(SpecError):
        load_spec("bomb.yaml")


SOUND = "data: {source: iris}\narchitecture: [dense: outputs]\nloss: cross_entropy\n"
NOTHING_BUT_MISTAKES = {
    "keys": SOUND + "".join(f"key{i}: 1\n" for i in range(1_000)),
    "empty": SOUND + "regularizers: [" + "~," * 1_000 + "]",
}


@pytest.mark.parametrize("kind", NOTHING_BUT_MISTAKES)
def test_a_spec_of_a_thousand_mistakes_is_told_of_in_a_page(kind, here):
    Path("bomb.yaml").write_text(NOTHING_BUT_MISTAKES[kind])
    answer = call("validate", "bomb.yaml")
    assert answer.code == 2
    assert "... and 950 more" in answer.err
    assert "1,000 mistakes in bomb.yaml." in answer.err
    assert len(answer.err.splitlines()) < 200
    assert len(json.loads(call("validate", "bomb.yaml", "--json").out)["error"]["errors"]) == 1_000


def test_as_many_mistakes_as_values_are_allowed_are_sorted_in_steps_of_their_number():
    """Comparing each with each would take a minute."""
    kind = PydanticCustomError("nnctl", "is wrong")
    details = [InitErrorDetails(type=kind, loc=("a", i, "b"), input=0) for i in range(40_000)]
    error = ValidationError.from_exception_data("Spec", details)
    assert len(problems_of(error)) == 40_000
    parents = {("c", i) for i in range(40_000)}
    assert not any(_below(path, parents) for path, _ in problems_of(error))


@pytest.mark.parametrize("bomb", [name for name in ALL if name != "large"])
def test_the_value_of_an_override(bomb, here):
    text, said = ALL[bomb]
    with pytest.raises(
        SpecError, match=r"Remove|Keep|nested|values|stands twice|holds itself|is not YAML|flow mapping"
    ):
        load_spec("spec.yaml", [f"training={text}"])
    if "\n" not in text and len(text) < 100_000:  # longer ones the system does not pass on
        is_told(call("validate", "spec.yaml", f"training={text}"), said)


@pytest.mark.parametrize("depth", [100, 5000])
def test_the_key_of_an_override(depth, here):
    assert call("validate", "spec.yaml", ".".join(["data"] * depth) + "=1").code == 2
    assert call("validate", "spec.yaml", ".".join(["architecture", *["0"] * depth]) + "=1").code == 2


@BY_NAME
def test_the_card_of_a_data_set(bomb, here, monkeypatch):
    text, said = ALL[bomb]
    card = here / "toy.yaml"
    card.write_text(text)
    monkeypatch.setattr(cards, "_cards", lambda: {"toy": card})
    with pytest.raises(DataError) as caught:
        cards.read_card("toy")
    assert said in str(caught.value)
    is_told(call("fetch", "toy"), said)


@pytest.mark.parametrize("bomb", ["aliases", "open brackets", "large", *YAML_TRICKS])
def test_the_spec_of_a_run_of_somebody_else(bomb, run):
    text, said = ALL[bomb]
    (run / "resolved.yaml").write_text(text)
    is_told(call("predict", run, "train"), said)
    is_told(call("train", run / "resolved.yaml"), said)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "interrupted", "spec": {}}))
    is_told(call("train", "--resume", run), said)
    for command in (["show", run], ["ls"], ["compare"], ["diff", run, run]):
        assert call(*command).code == 0
    assert not Path("canary").exists()


READERS = [["ls"], ["ls", "--json"], ["compare"], ["show", "{run}"], ["diff", "{run}", "{run}"],
           ["predict", "{run}", "rows.csv"], ["train", "--resume", "{run}"], ["repro", "{run}"]]  # fmt: skip


def tell_all(run: Path) -> list[str]:
    said = []
    for line in READERS:
        answer = call(*(word.format(run=run) for word in line))
        assert answer.code in {0, 2, 3, 5, 74}, (line, answer)
        assert "Traceback" not in answer.err, answer.err
        said.append(answer.err)
    return said


@pytest.mark.parametrize("bomb", JSON_BOMBS)
@pytest.mark.parametrize("file", ["run.json", "preprocessing.json", "metrics.jsonl", "health.jsonl", "check.json"])
def test_the_json_of_a_run_of_somebody_else(bomb, file, run):
    if file == "check.json":
        (run / "run.json").unlink()
    (run / file).write_bytes(JSON_BOMBS[bomb] + b"\n")
    tell_all(run)


@pytest.mark.parametrize("file", ["run.json", "preprocessing.json", "metrics.jsonl", "resolved.yaml"])
@pytest.mark.parametrize("kind", ["endless", "huge"])
def test_a_file_of_a_run_that_never_ends(file, kind, run):
    (run / file).unlink()
    if kind == "endless":
        (run / file).symlink_to("/dev/zero")
    else:
        (run / file).touch()
        os.truncate(run / file, 2**42)  # 4 TiB, none of which is on the disk
    tell_all(run)


@pytest.mark.parametrize("file", ["run.json", "preprocessing.json", "metrics.jsonl", ".lock"])
def test_nobody_waits_for_a_pipe_in_a_run(file, run):
    (run / file).unlink()
    os.mkfifo(run / file)
    tell_all(run)


@pytest.mark.parametrize("bomb", JSON_BOMBS)
def test_json_is_refused_in_a_sentence(bomb):
    with pytest.raises(ValueError, match=r"levels deep|NaN is not JSON|Expecting|digits"):
        json_of(JSON_BOMBS[bomb])
    assert json_of(b"[" * 199 + b"]" * 199)


def test_a_file_is_read_up_to_a_size(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_up_to(tmp_path / "a", 5) == b"12345"
    with pytest.raises(ValueError, match="larger"):
        read_up_to(tmp_path / "a", 4)
    with pytest.raises(ValueError, match="no regular file"):
        read_up_to("/dev/zero")
