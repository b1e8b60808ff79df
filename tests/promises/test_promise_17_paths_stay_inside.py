"""Promise 17: no name, and no link in a run or a list, leads out of where it belongs.

A canary stands outside of the working directory; nothing that is called there may change it, remove it, or put
something beside it.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from commands import call
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nnctl.core.errors import DataError, DiskError, NnctlError
from nnctl.data.cards import CardFile, data_folder, read_card
from nnctl.data.sources import Source
from nnctl.runs.folder import make_folder
from nnctl.runs.records import Records
from nnctl.runs.store import Run

TRAVERSALS = [
    *("..", "../canary", "../../canary", "../" * 40 + "tmp/canary", "./../canary", "runs/../../canary"),
    *("/etc/passwd", "//etc/passwd", "/tmp/../etc/passwd", "/", "//", "~/canary", "~root", "~nobodyhere/x"),
    *("..\\canary", "..\\..\\canary", "C:\\canary", "\\\\host\\share", "..;/canary", "....//canary", "..././canary"),
    *("%2e%2e/canary", "%2e%2e%2fcanary", "..%2fcanary", "..%c0%afcanary", "%252e%252e%252f", "..%5ccanary"),
    *("\uff0e\uff0e/canary", "..\u2215canary", "..\u2044canary", "canary\0.png", "..\0/canary", ".../canary"),
    *("file:///etc/passwd", "http://localhost/canary", "$HOME/canary", "`touch canary`", "$(touch canary)"),
    *("-rf", "--yes", "*", "../*", "canary/..", "a/../../canary", "x" * 5000, "\ud800", " ../canary", "../canary "),
]
every_traversal = pytest.mark.parametrize("name", TRAVERSALS, ids=range(len(TRAVERSALS)))


@pytest.fixture(autouse=True)
def canary(here) -> Path:
    """What stands outside: a file, and a folder with a file."""
    place = here.parent
    (place / "canary").mkdir()
    (place / "canary" / "file").write_text("alive")
    (place / "canary.txt").write_text("alive")

    def seen() -> dict[str, object]:
        outside = [p for p in place.rglob("*") if here not in p.parents and p != here]
        return {str(p): p.read_text() if p.is_file() else None for p in outside}

    before = seen()
    yield place / "canary"
    assert seen() == before


def test_there_are_more_than_40():
    assert len(set(TRAVERSALS)) > 40


@every_traversal
def test_a_run_has_a_name_of_letters_digits_and_three_signs_in_its_folder(name, here):
    try:
        made = make_folder(here / "runs", name, datetime.now(UTC))
    except NnctlError:
        return
    assert made.parent == here / "runs"
    assert re.fullmatch(r"[A-Za-z0-9._-]+-\d{8}-\d{6}-[0-9a-f]{4}", made.name)
    assert made.name[0] not in ".-"


@given(st.text(max_size=300))
def test_so_has_a_run_of_any_name(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp() / "any"
    try:
        made = make_folder(root, name, datetime.now(UTC))
    except NnctlError:
        return
    assert made.parent == root
    assert re.fullmatch(r"[A-Za-z0-9._-]+", made.name)


@every_traversal
def test_the_name_of_a_spec(name, here):
    text = (here / "spec.yaml").read_text().replace("name: toy", f"name: {json.dumps(name)}")
    (here / "named.yaml").write_text(text)
    before = set((here / "runs").iterdir())
    answer = call("train", "named.yaml", "--no-plot", "-q", "training.epochs=1")
    assert answer.code in {0, 2}, answer
    made = set((here / "runs").iterdir()) - before
    assert len(made) == (answer.code == 0)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", path.name) for path in made)


@every_traversal
def test_the_name_of_a_run_on_the_command_line(name, here):
    for line in (["rm", "--yes", "--", name], ["show", "--", name], ["diff", "--", name, name]):
        answer = call(*line)
        assert answer.code in {0, 2}, (line, answer)
        assert "Traceback" not in answer.err
    assert call("train", f"--resume={name}").code in {2, 3, 74}
    assert call("predict", "--", name, "rows.csv").code in {2, 3}
    assert len(list((here / "runs").iterdir())) == 1


@every_traversal
def test_the_name_of_a_data_set(name, here, monkeypatch):
    monkeypatch.setenv("NNCTL_DATASETS", str(here / "datasets"))
    assert call("fetch", "--", name).code == 2
    with pytest.raises(DataError):
        read_card(name)
    with pytest.raises(NnctlError):
        Source.parse({"card": {"dataset": name}}).load(here, 0)
    assert not (here / "datasets").exists()
    assert data_folder("toy") == here / "datasets" / "toy"


@every_traversal
def test_the_name_of_a_file_of_a_card(name):
    with pytest.raises(ValueError, match="name"):
        CardFile(name=name, sha256="0" * 64, urls=["https://localhost/x"])
    with pytest.raises(ValueError, match="urls"):
        CardFile(name="x", sha256="0" * 64, urls=[name if not name.startswith("http") else "ftp://x"])


@every_traversal
@pytest.mark.parametrize("kind", ["images", "audio"])
def test_a_path_in_a_list_stays_in_the_folder_of_the_list(name, kind, here):
    (here / "list.csv").write_text(f'path,label\n"{name.replace(chr(0), "")}",a\n', errors="replace")
    with pytest.raises(DataError, match=r"leads out of|there is no|cannot be|no CSV|no image|no wav"):
        Source.parse({kind: "list.csv"}).load(here, 0)


def test_an_image_outside_is_not_read_though_it_is_there(here):
    Image.new("L", (4, 4)).save(here / "inside.png")
    (here / "lists").mkdir()
    for path in ("../inside.png", str(here / "inside.png"), "sub/../../inside.png"):
        (here / "lists" / "list.csv").write_text(f"path,label\n{path},a\n{path},b\n")
        with pytest.raises(DataError, match="leads out of"):
            Source.parse({"images": "lists/list.csv"}).load(here, 0)
    (here / "list.csv").write_text(f"path,label\nlists/../inside.png,a\n{here / 'inside.png'},b\n")
    assert len(Source.parse({"images": "list.csv"}).load(here, 0)) == 2


@every_traversal
def test_a_member_of_an_archive(name, here):
    stream = io.BytesIO()
    np.save(stream, np.zeros(4))
    with zipfile.ZipFile(here / "a.npz", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name.replace("\ud800", "?")[:100] + ".npy"), stream.getvalue())
    with pytest.raises(DataError, match="there is no array 'x'"):
        Source.parse({"npz": "a.npz"}).load(here, 0)


@every_traversal
def test_the_checkpoint_that_a_run_names(name, run):
    record = json.loads((run / "run.json").read_text())
    record["summary"]["weights"] = name
    (run / "run.json").write_text(json.dumps(record))
    answer = call("predict", run, "rows.csv")
    assert answer.code == 3
    assert "does not say which weights" in answer.err
    assert call("predict", run, "rows.csv", f"--checkpoint={name}").code == 2


# ---------------------------------------------------------------------- links


LINKS = ["checkpoints", "plots", "metrics.jsonl", "health.jsonl", "run.json", ".lock", "resolved.yaml",
         "preprocessing.json", "checkpoints/last.safetensors"]  # fmt: skip


def led_out(run: Path, name: str) -> None:
    """Put a link to the canary in the place of something of a run; what it leads to is what stood there."""
    place, target = run / name, run.parents[2] / "canary" / "file"
    if name in {"checkpoints", "plots"}:
        target = run.parents[2] / "canary"
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(target)


@pytest.mark.parametrize("name", LINKS)
def test_nothing_is_written_through_a_link_in_a_run(name, run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    if name != "checkpoints":
        shutil.rmtree(run / "checkpoints")
        (run / "checkpoints").mkdir()
    led_out(run, name)
    answer = call("train", "--resume", run)
    assert answer.code in {0, 2, 3, 74}, answer
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("name", LINKS)
def test_links_are_not_followed_when_a_run_is_removed(name, run):
    led_out(run, name)
    answer = call("rm", "--yes", run)
    assert run.exists() == (answer.code != 0), answer


def test_a_link_in_the_place_of_a_run_is_not_removed_and_not_followed(here, run, canary):
    (here / "runs" / "outside").symlink_to(canary)
    (here / "runs" / "again").symlink_to(run)
    for name in ("outside", "again", "outside/", "again/", "again/."):
        assert call("rm", "--yes", name).code == 2
    assert run.exists()


def test_leftovers_are_looked_for_in_the_run_alone(run, canary):
    (run / "elsewhere").symlink_to(canary)
    (run / ".run.json.tmp-1").touch()
    Run.open(run).clean()
    assert not (run / ".run.json.tmp-1").exists()


@pytest.mark.parametrize(
    "record",
    ["{}", '{"tool": "another", "status": "done"}', "[1]", "no JSON at all", '{"format": "1", "status": "done"}'],
)
@pytest.mark.parametrize("name", ["theirs", "theirs-20260101-000000-0a1b"])
@pytest.mark.parametrize("file", ["run.json", "check.json"])
def test_what_another_tool_calls_run_json_is_no_run(record, name, file, here):
    theirs = here / "runs" / name
    (theirs / "data").mkdir(parents=True)
    (theirs / file).write_text(record)
    (theirs / "data" / "precious").touch()
    for word in (name, theirs, f"runs/{name}/"):
        answer = call("rm", "--yes", word)
        assert answer.code == 2
        assert "nnctl does not remove it" in answer.err
    assert (theirs / "data" / "precious").exists()


@pytest.mark.parametrize("name", ["runs", ".", "..", "../canary", "/", "runs/.."])
def test_a_folder_that_is_no_run_is_not_removed(name, here):
    assert call("rm", "--yes", name).code == 2
    assert here.exists()


def test_a_run_that_is_written_to_is_no_link(run, canary):
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").symlink_to(canary)
    with pytest.raises(DiskError, match="is a link"):
        Run.open(run).save_tensors("last", {"a": np.zeros(1)}, {})
    assert [path.name for path in canary.iterdir()] == ["file"]


@pytest.mark.parametrize("file", ["metrics.jsonl", "health.jsonl"])
def test_records_are_not_appended_to_what_a_link_leads_to(file, run, canary):
    (run / file).unlink(missing_ok=True)
    (run / file).symlink_to(canary / "file")
    with pytest.raises(DiskError, match="cannot be written"):
        Records(run / file).append({"epoch": 1})
