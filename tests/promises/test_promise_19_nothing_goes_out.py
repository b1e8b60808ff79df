"""Promise 19: no network unless the spec names a remote source; no writes outside of what is said to be written.

Every command is a process of its own, with a home that is watched like all else, and tells of every file that it opens
for writing, makes, renames or removes, of every socket, and of every program that it starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Answer

from nnctl.cli.app import app

pytestmark = pytest.mark.slow  # many processes; the quick part of this is in tests/cli

WATCHED = """
import json, os, sys
seen = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
           "os.chown", "os.utime", "shutil.rmtree", "shutil.copyfile", "shutil.move", "tempfile.mkstemp",
           "tempfile.mkdtemp", "os.setxattr"}

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, (str, bytes)) and flags is not None and flags & WRITING:
            seen.append([event, os.path.abspath(os.fsdecode(path))])
    elif event in CHANGES:
        for path in arguments[: 2 if event in {"os.rename", "os.link", "shutil.copyfile", "shutil.move"} else 1]:
            if isinstance(path, (str, bytes, os.PathLike)):
                held = arguments[1] if event in {"os.remove", "os.rmdir"} else -1
                base = os.readlink(f"/proc/self/fd/{held}") if isinstance(held, int) and held >= 0 else os.getcwd()
                seen.append([event, os.path.normpath(os.path.join(base, os.fsdecode(path)))])
    elif event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.")):
        if event not in {"socket.gethostname"}:
            seen.append([event, repr(arguments)[:200]])
            raise OSError("there is no network")
    elif event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"}:
        seen.append([event, repr(arguments)[:200]])

sys.addaudithook(watch)
from nnctl.cli.app import _run
code = _run(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump(seen, file)
sys.exit(code)
"""

SPEC = """\
name: toy
data: {source: {csv: {path: rows.csv, target: y}}, split: {validation: 0.2, test: 0.2}}
architecture: [dense: 4, relu, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 8}
"""
TEXT = """\
data: {source: {text: {path: text.txt, context: 8}}}
architecture: [{embedding: 4}, {lstm: 4}, {dense: outputs}]
loss: cross_entropy
training: {epochs: 1, batch_size: 4}
"""
PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"}
RUN = "toy-20260101-000000-0a1b"
FONTS = {"home/.cache/matplotlib", "home/.config/matplotlib"}
HIDDEN = {"home/.cache", "home/.config"}
"""Made by Matplotlib where they are missing."""
COMMANDS: dict[str, tuple[list[str], set[str]]] = {
    "train": (["train"], {"runs", *FONTS}),
    "train, in a folder": (["train", "--runs-dir", "mine", "--no-plot"], {"mine"}),
    "train, dry": (["train", "--dry-run"], set()),
    "train, resumed": (["train", "--resume", RUN, "--no-plot"], {f"runs/{RUN}"}),
    "validate": (["validate"], set()),
    "lint": (["lint"], set()),
    "init": (["init", "rows.csv", "-o", "made.yaml"], {"made.yaml"}),
    "init, by name": (["init", "iris", "-o", "made.yaml"], {"made.yaml"}),
    "predict": (["predict", RUN, "rows.csv"], set()),
    "predict, to a file": (["predict", RUN, "rows.csv", "-o", "out.csv"], {"out.csv"}),
    "schema": (["schema"], set()),
    "schema, to a file": (["schema", "-o", "schema.json"], {"schema.json"}),
    "explain": (["explain", "adam"], set()),
    "explain, all": (["explain"], set()),
    "ls": (["ls"], set()),
    "show": (["show", RUN], set()),
    "compare": (["compare"], set()),
    "compare, drawn": (["compare", "--plot", "curves.png"], {"curves.png", *FONTS}),
    "compare, to a file": (["compare", "--csv", "table.csv"], {"table.csv"}),
    "diff": (["diff", RUN, RUN], set()),
    "rm": (["rm", RUN, "--yes"], {f"runs/{RUN}"}),
    "fetch": (["fetch"], set()),
    "data": (["data"], {"runs", *FONTS}),
    "data, of a file": (["data", "rows.csv"], {"runs", *FONTS}),
    "gradcheck": (["gradcheck", "spec.yaml"], {"runs"}),
    "overfit-batch": (["overfit-batch", "--steps", "5"], {"runs", *FONTS}),
    "lr-find": (["lr-find", "--steps", "5", "--sweeps", "1"], {"runs", *FONTS}),
    "doctor": (["doctor"], {"runs", *FONTS}),
    "repro": (["repro", RUN], {"runs"}),
    "sample": (["sample", RUN], set()),
    "forecast": (["forecast", RUN], set()),
    "help": (["--help"], set()),
}
QUICK = {
    "train",
    "train, in a folder",
    "validate",
    "predict, to a file",
    "rm",
    "compare",
    "init",
    "show",
    "help",
    "data",
}


def watched(here: Path, *arguments: str, **environment: str) -> tuple[Answer, list[tuple[str, str]]]:
    """Call a command and return its answer and what it did."""
    home = here / "home"
    home.mkdir(exist_ok=True)
    report = here.parent / "seen.json"
    report.unlink(missing_ok=True)
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "NNCTL_", "MPL", "SCIKIT"))}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(report), *arguments],
        cwd=here, capture_output=True, text=True, check=False, timeout=240, stdin=subprocess.DEVNULL,
        env={**variables, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )  # fmt: skip
    seen = [(event, what) for event, what in json.loads(report.read_text()) if what != str(report)]
    return Answer(done.returncode, done.stdout, done.stderr), seen


def lies_in(path: str, here: Path, allowed: set[str]) -> bool:
    """Tell whether a path is one of those, lies in one, or is a half-written one beside it."""
    place = Path(path)
    for name in allowed:
        inside = here / name
        beside = place.parent == inside.parent and place.name.startswith(f".{inside.name}.tmp-")
        if place == inside or inside in place.parents or beside:
            return True
    return path in {"/dev/null", "/dev/tty", *(str(here / name) for name in HIDDEN)}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in COMMANDS])
def test_a_command_writes_where_it_says_and_calls_nobody(name, here, run):
    line, allowed = COMMANDS[name]
    if "resumed" in name:
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    answer, seen = watched(here, *line)
    assert answer.code in {0, 2, 5}, answer
    assert not [what for event, what in seen if event.startswith(("socket.", "urllib.", "http."))]
    assert not [what for event, what in seen if event in PROGRAMS and "fc-list" not in what]  # Matplotlib's, for fonts
    written = [(e, what) for e, what in seen if e.startswith(("open", "os.", "shutil.", "tempfile."))]
    outside = [(e, what) for e, what in written if not lies_in(what, here, allowed)]
    assert not outside, outside
    assert bool(allowed) == bool(written)


def test_every_command_is_among_them():
    named = {line[0] for line, _ in COMMANDS.values()}
    assert {command.name for command in app.registered_commands} <= named


def test_the_watch_sees_what_is_written_and_who_is_called(here):
    """Without this the tests above would prove nothing."""
    (here / "spec.yaml").write_text(SPEC.replace("{csv: {path: rows.csv, target: y}}", "{openml: iris}"))
    answer, seen = watched(here, "validate")
    assert answer.code == 3
    assert "cannot be fetched" in answer.err
    assert [event for event, _ in seen if event.startswith(("socket.", "urllib."))]
    assert [what for _, what in seen if what.startswith(str(here / "home" / "scikit_learn_data"))]


def test_only_fetch_and_openml_call_somebody(here):
    answer, seen = watched(here, "fetch", "mnist")
    assert answer.code == 3
    assert [event for event, _ in seen if event.startswith(("socket.", "urllib."))]
    assert all(lies_in(what, here, {"datasets/mnist", "datasets"}) for event, what in seen if event == "os.mkdir")
    (here / "spec.yaml").write_text(SPEC.replace("{csv: {path: rows.csv, target: y}}", "mnist"))
    answer, seen = watched(here, "train")
    assert answer.code == 3
    assert "nnctl fetch mnist" in answer.err
    assert seen == []


ADDRESSES = ["http://localhost/x.csv", "https://localhost/a.parquet", "s3://bucket/x.csv", "file:///etc/passwd"]


@pytest.mark.parametrize("address", [*ADDRESSES, "//host/share/rows.csv", "hf://datasets/x/y.parquet"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_address_in_the_place_of_a_path_is_a_file_that_is_not_there(kind, address, here):
    from nnctl.core.errors import DataError
    from nnctl.data.sources import Source

    with pytest.raises(DataError, match="there is no such file"):
        Source.parse({kind: {"path": address, "target": "y"}}).load(here, 0)


def test_the_caches_are_where_help_says(here):
    answer, seen = watched(here, "--help")
    assert answer.code == 0
    assert seen == []
    for word in ("--runs-dir", "NNCTL_DATASETS", "MPLCONFIGDIR", "SCIKIT_LEARN_DATA"):
        assert word in answer.out
    (here / "fonts").mkdir()
    answer, seen = watched(here, "train", "-q", MPLCONFIGDIR=str(here / "fonts"))
    assert answer.code == 0, answer
    written = [what for event, what in seen if event not in PROGRAMS]
    assert not [what for what in written if not lies_in(what, here, {"runs", "fonts"})]


def test_a_home_that_cannot_be_written_is_no_fault(here):
    answer, seen = watched(here, "train", "-q", HOME="/proc/nobody")
    assert answer.code == 0, answer
    assert "Traceback" not in answer.err
    scratch = [what for _, what in seen if not lies_in(what, here, {"runs"}) and not what.startswith("/proc")]
    assert not [what for what in scratch if Path(what).exists()]  # it is gone with the process
