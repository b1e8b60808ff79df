"""The run directory: exclusive, atomic, locked, found again, and honest about what is damaged."""

import json
import math
import os
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.errors import DataError, DiskError, UsageError
from nnctl.runs import atomic
from nnctl.runs.store import Run, find, runs_in

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TENSORS = {
    "theta": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4).T,
    "slots/m": np.arange(5, dtype=np.float64),
    "step": np.array(7, dtype=np.uint64),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 3)),
}


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "runs", "toy", NOW)
    run.begin("toy", NOW)
    return run


def start(program, *arguments):
    """Start a Python program in a process of its own, with its output in a pipe."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def test_a_run_has_a_directory_named_by_name_time_and_four_hex_digits(run):
    assert run.name[:-4] == "toy-20260102-030405-"
    assert int(run.name[-4:], 16) >= 0
    assert json.loads((run.path / "run.json").read_text()) == {
        "format": 1, "name": "toy", "status": "running", "created": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip


def test_the_time_is_utc_whatever_the_zone(tmp_path):
    run = Run.create(tmp_path, "toy", NOW.astimezone(timezone(timedelta(hours=9))))
    assert run.name.startswith("toy-20260102-030405-")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a b/c", "a-b-c"),
        ("../../etc", "etc"),
        (".hidden", "hidden"),
        ("x" * 500, "x" * 80),
        ("Zürich", "Z-rich"),
        ("a\n", "a"),
    ],
)
def test_a_name_is_made_safe(tmp_path, name, stem):
    run = Run.create(tmp_path, name, NOW)
    assert run.path.parent == tmp_path
    assert run.name.startswith(f"{stem}-2026")


@pytest.mark.parametrize("name", ["", "..", "///", "実験"])
def test_a_name_of_which_nothing_is_left_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="use letters, digits"):
        Run.create(tmp_path, name)


def test_sixteen_creations_at_once_give_sixteen_directories(tmp_path, monkeypatch):
    hexes = iter(["0000"] * 16 + [f"{i:04x}" for i in range(1, 200)])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(hexes))
    made, gate = [], threading.Barrier(16)

    def create():
        gate.wait()
        made.append(run := Run.create(tmp_path, "toy", NOW))
        run.begin("toy")

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16
    assert runs_in(tmp_path) == sorted(run.path for run in made)


def test_files_are_read_back(run):
    run.write_text("spec.yaml", "name: é\n")
    run.write_bytes("plots/loss.png", b"\x89PNG")
    run.write_json("preprocessing.json", {"mean": np.float32(0.5), "shape": (2, 3), "scale": np.array([1, 2])})
    assert (run.path / "spec.yaml").read_text() == "name: é\n"
    assert (run.path / "plots/loss.png").read_bytes() == b"\x89PNG"
    assert run.read_json("preprocessing.json") == {"mean": 0.5, "shape": [2, 3], "scale": [1, 2]}


def test_a_number_that_is_not_finite_is_null_in_json(run):
    run.write_json("x.json", [math.nan, np.float32("inf"), {"a": np.array([1.0, -np.inf])}])
    assert run.read_json("x.json") == [None, None, {"a": [1.0, None]}]


def test_a_status_is_written_with_its_fields_and_times(run):
    run.set_status("running", environment={"cores": 2})
    assert run.read_json("run.json")["ended"] is None
    run.set_status("done", summary={"loss": 0.5})
    written = Run.open(run.path).read_json("run.json")
    assert (run.status, written["summary"], written["environment"]) == ("done", {"loss": 0.5}, {"cores": 2})
    assert datetime.fromisoformat(written["ended"]).utcoffset() == timedelta(0)


def test_a_run_of_a_later_format_is_refused(run):
    run.write_json("run.json", {"format": 2})
    with pytest.raises(DataError, match=r"newer nnctl: it has format 2, and this one reads 1\. Update nnctl\."):
        Run.open(run.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"null"])
def test_a_damaged_run_json_is_named(run, content):
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(DataError, match=r"run\.json: "):
        Run.open(run.path)


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is not the directory of a run"):
        Run.open(tmp_path)


def test_a_run_is_found_by_path_and_by_name(run, monkeypatch):
    assert find(run.path.parent, str(run.path)) == run
    assert find(run.path.parent, run.name) == run
    monkeypatch.chdir(run.path)
    assert find(run.path.parent, ".").path.resolve() == run.path


@pytest.mark.parametrize("typo", ["toy", "toi-20260102-030405-0000"])
def test_a_run_that_is_not_there_suggests_one_that_is(run, typo):
    with pytest.raises(UsageError, match=f"Did you mean '{run.name}'"):
        find(run.path.parent, typo)


def test_tensors_are_read_back_bit_for_bit(run):
    run.save_tensors("last", TENSORS, {"epoch": "3", "größe": "ü"})
    tensors, metadata = run.load_tensors("last")
    assert metadata == {"epoch": "3", "größe": "ü"}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], tensor, strict=True)


def test_a_checkpoint_that_is_not_there_names_those_that_are(run):
    run.save_tensors("last", TENSORS, {})
    with pytest.raises(DataError, match="Checkpoints of this run: last"):
        run.load_tensors("best")


def test_a_checkpoint_with_any_byte_flipped_is_recognised(run):
    run.save_tensors("last", TENSORS, {"epoch": "3"})
    file = run.path / "checkpoints" / "last.safetensors"
    whole = file.read_bytes()
    for at in range(len(whole)):
        for bit in (1, 32, 128):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            with pytest.raises(DataError, match=r"last\.safetensors: is damaged"):
                run.load_tensors("last")


def test_a_checkpoint_cut_anywhere_is_recognised(run):
    run.save_tensors("last", TENSORS, {"epoch": "3"})
    file = run.path / "checkpoints" / "last.safetensors"
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"last\.safetensors: is damaged"):
            run.load_tensors("last")


@given(
    st.dictionaries(st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1), st.text()),
    st.lists(st.integers(0, 4), max_size=3),
)
def test_any_metadata_and_shape_come_back(tmp_path_factory, metadata, shape):
    metadata.pop("blake2b", None)
    run = Run(tmp_path_factory.getbasetemp())
    tensor = np.ones(shape, np.float32)
    run.save_tensors("any", {"x": tensor}, metadata)
    tensors, read = run.load_tensors("any")
    assert read == metadata
    np.testing.assert_array_equal(tensors["x"], tensor, strict=True)


WRITER = """
    import sys
    from pathlib import Path
    from nnctl.runs.store import Run
    run = Run(Path(sys.argv[1]))
    print("ready", flush=True)
    n = 0
    while True:
        n += 1
        run.write_text("big.txt", str(n % 10) * 2_000_000)
"""


@pytest.mark.parametrize("after", [0.01, 0.03, 0.07])
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(run, after):
    run.write_text("big.txt", "0" * 2_000_000)
    writer = start(WRITER, run.path)
    assert writer.stdout.readline() == "ready\n"
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(after)
    writer.kill()
    writer.communicate()
    content = (run.path / "big.txt").read_text()
    assert len(content) == 2_000_000
    assert len(set(content)) == 1


def test_a_writer_killed_before_the_rename_leaves_the_old_file_and_clean_removes_the_rest(run):
    run.write_text("a.txt", "old")
    program = """
        import os, signal, sys
        from pathlib import Path
        from nnctl.runs.store import Run
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        Run(Path(sys.argv[1])).write_text("a.txt", "new")
    """
    writer = start(program, run.path)
    writer.communicate()
    assert writer.returncode == -9
    assert (run.path / "a.txt").read_text() == "old"
    assert len(atomic.leftovers(run.path)) == 1
    run.save_tensors("last", TENSORS, {})
    run.clean()
    assert atomic.leftovers(run.path) == []
    assert {p.name for p in run.path.iterdir()} == {"a.txt", "run.json", "checkpoints"}


def test_every_replacement_is_synced_file_first_then_directory(run, monkeypatch):
    order = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda file: (order.append(str(Path(f"/proc/self/fd/{file}").readlink())), sync(file))
    )
    monkeypatch.setattr(Path, "replace", lambda a, b: (order.append("rename"), replace(a, b))[1])
    run.write_text("a.txt", "new")
    assert order == [str(run.path / f".a.txt.tmp-{os.getpid()}"), "rename", str(run.path)]


FULL_DISK = """
    import resource, sys
    import numpy as np
    from pathlib import Path
    from nnctl.core.errors import DiskError
    from nnctl.runs.store import Run
    run = Run(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    for write in (
        lambda: run.write_text("big.txt", "x" * 10_000),
        lambda: run.save_tensors("last", {"theta": np.ones(10_000)}, {}),
        lambda: [run.append({"epoch": n, "loss": 0.5}) for n in range(1000)],
    ):
        try:
            write()
        except DiskError as error:
            print(error)
"""


def test_a_full_disk_is_a_disk_error_and_what_was_there_stays(run):
    run.write_text("big.txt", "old")
    run.save_tensors("last", TENSORS, {})
    said = start(FULL_DISK, run.path).communicate()[0].splitlines()
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in said] == ["big.txt", "last.safetensors", "metrics.jsonl"]
    assert all(line.endswith("file too large. Raise the limit on the size of a file (ulimit -f).") for line in said)
    assert (run.path / "big.txt").read_text() == "old"
    assert run.load_tensors("last")[0].keys() == TENSORS.keys()
    assert (run.path / "metrics.jsonl").read_bytes().endswith(b"\n")
    assert len(run.records.read()) > 100
    assert atomic.leftovers(run.path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_a_disk_error(run):
    run.path.chmod(0o500)
    with pytest.raises(DiskError, match=r"permission denied\. Give yourself write permission"):
        run.write_text("a.txt", "new")
    run.path.chmod(0o700)


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS", "EACCES"])
def test_every_way_a_disk_refuses_says_what_to_do(run, monkeypatch, code):
    import errno

    def refuse(_):
        raise OSError(getattr(errno, code), "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskError, match=r"a\.txt: cannot be written: .*--runs-dir"):
        run.write_text("a.txt", "new")
    assert atomic.leftovers(run.path) == []


def test_a_root_that_is_a_file_is_a_disk_error(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(DiskError, match="cannot be written"):
        Run.create(tmp_path / "runs", "toy")


def test_a_run_directory_that_vanished_is_a_disk_error(run):
    with pytest.raises(DiskError, match="no such file"):
        Run(run.path / "gone").write_text("a.txt", "new")


HOLDER = """
    import sys
    from pathlib import Path
    from nnctl.runs.store import Run
    with Run(Path(sys.argv[1])).lock():
        print("held", flush=True)
        sys.stdin.read()
"""


def test_a_run_is_locked_against_a_second_process_and_free_when_the_first_is_killed(run):
    holder = start(HOLDER, run.path)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=f"is in use by process {holder.pid}"), run.lock():
        pass
    holder.kill()
    holder.communicate()
    with run.lock():
        assert (run.path / ".lock").read_text() == str(os.getpid())


def test_a_lock_is_free_again_after_its_block(run):
    with run.lock():
        pass
    with run.lock():
        pass
