"""Promise 14: no pickle, no eval, no import named by a spec or a run; what is data is never run."""

from __future__ import annotations

import ast
import functools
import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import call

import nnctl
from nnctl.core.errors import DataError, SpecError
from nnctl.data.image_files import FORMATS
from nnctl.data.sources import Source
from nnctl.runs.store import Run
from nnctl.spec.load import load_spec

CODE = Path(nnctl.__file__).parent
FORBIDDEN = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "runpy",
    "code",
    "imp",
}
NAMED_BY_NNCTL = {"__init__.py", "checks/rulebook.py"}
"""Import what is in a table of this package: its public names, and the modules of its own checks."""


class Canary:
    """Unpickled, it writes a file."""

    def __reduce__(self):
        return exec, ("from pathlib import Path; Path('canary').write_text('sung')",)


PICKLE = pickle.dumps(Canary())


def torch_like() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("archive/data.pkl", PICKLE)
        zipped.writestr("archive/version", "3")
        zipped.writestr("x.npy", PICKLE)
    return archive.getvalue()


def object_array(save=np.save) -> bytes:
    stream = io.BytesIO()
    save(stream, np.array([[Canary(), 1.0], [Canary(), 2.0]], object))
    return stream.getvalue()


def structured() -> bytes:
    header = io.BytesIO()
    fields = {"descr": [("x", "<f8"), ("o", "|O")], "fortran_order": False, "shape": (2,)}
    np.lib.format.write_array_header_1_0(header, fields)
    return header.getvalue() + PICKLE


def code_in_the_header() -> bytes:
    text = "{'descr': __import__('os').system('touch canary') or '<f8', 'fortran_order': False, 'shape': (1,)}\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode() + b"\0" * 8


def safetensors_like() -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + PICKLE


PAYLOADS = {
    "a pickle": PICKLE,
    "a pickle of protocol 0": pickle.dumps(Canary(), 0),
    "a gzipped pickle": gzip.compress(PICKLE),
    "as torch saves": torch_like(),
    "npy of objects": object_array(),
    "npz of objects": object_array(np.savez),
    "npy with objects in a field": structured(),
    "npy with code in its header": code_in_the_header(),
    "safetensors before a pickle": safetensors_like(),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(canary) (w) file\n%%EOF\n",
    "yaml": b"!!python/object/apply:os.system [touch canary]",
    "python": b"open('canary', 'w')\n",
}
every_payload = pytest.mark.parametrize("payload", PAYLOADS)
SOURCES = {
    "csv": "{csv: {path: data.csv, target: y}}",
    "tsv": "{tsv: {path: data.tsv, target: y}}",
    "parquet": "{parquet: {path: data.parquet, target: y}}",
    "npz": "{npz: data.npz}",
    "npy": "{npz: data.npy}",
    "idx": "{idx: {images: data.idx, labels: data.idx}}",
    "gz": "{idx: {images: data.gz, labels: data.gz}}",
    "png": "{images: {path: list.csv}}",
    "jpg": "{images: {path: list.csv}}",
    "wav": "{audio: {path: list.csv}}",
    "txt": "{text: {path: data.txt}}",
    "jsonl": "{texts: {path: data.jsonl}}",
}


@pytest.fixture(autouse=True)
def the_canary_is_quiet(here):
    yield
    assert not list(here.rglob("canary"))


def test_the_canary_can_sing(here):
    pickle.loads(PICKLE)
    assert (here / "canary").read_text() == "sung"
    (here / "canary").unlink()


@every_payload
@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_called_data_is_not_run(kind, payload, here):
    (here / f"data.{kind}").write_bytes(PAYLOADS[payload])
    (here / "list.csv").write_text(f"path,label\ndata.{kind},a\n")
    spec = (here / "spec.yaml").read_text().replace("{csv: {path: rows.csv, target: y}}", SOURCES[kind])
    (here / "data.yaml").write_text(spec)
    with pytest.raises(DataError):
        load_spec("data.yaml").spec.data.source.load(here, 0)


def test_every_source_that_reads_files_is_among_them():
    with_files = {name for name, source in Source.registry.items() if source.files}
    named = {next(iter(__import__("yaml").safe_load(text))) for text in SOURCES.values()}
    assert with_files - named <= {"time_series"}  # which reads by csv and parquet


@every_payload
def test_what_is_to_be_predicted_is_not_run(payload, run, here):
    for suffix in ("csv", "parquet", "npz", "npy", "idx", "png", "pkl", "pt"):
        (here / f"new.{suffix}").write_bytes(PAYLOADS[payload])
        answer = call("predict", run, f"new.{suffix}")
        assert answer.code == 3, answer
        assert "Traceback" not in answer.err


@every_payload
@pytest.mark.parametrize("file", ["checkpoints/last.safetensors", "checkpoints/best.safetensors"])
def test_a_checkpoint_of_somebody_else_is_not_run(file, payload, run):
    (run / file).write_bytes(PAYLOADS[payload])
    name = Path(file).stem
    with pytest.raises(DataError, match=r"damaged|cannot be read"):
        Run.open(run).load_tensors(name)
    answer = call("predict", run, "train", "--checkpoint", name)
    assert answer.code == 3, answer


@every_payload
@pytest.mark.parametrize("file", ["run.json", "preprocessing.json", "metrics.jsonl", "resolved.yaml"])
def test_a_run_of_somebody_else_is_not_run(file, payload, run):
    (run / file).write_bytes(PAYLOADS[payload])
    for line in (["ls"], ["show", run], ["compare"], ["predict", run, "rows.csv"], ["train", "--resume", run]):
        answer = call(*line)
        assert answer.code in {0, 2, 3, 74}, (line, answer)
        assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "nnctl.cli.app.main",
        "__import__('os')",
        "os",
        "subprocess",
        "../canary",
        "lambda: 1",
    ],
)
def test_a_name_in_a_spec_is_looked_up_and_never_imported(name, here):
    text = (here / "spec.yaml").read_text()
    for old in ("relu", "cross_entropy", "adam: 0.01", "csv: {path: rows.csv, target: y}"):
        (here / "named.yaml").write_text(text.replace(old, json.dumps(name)))
        with pytest.raises(SpecError):
            load_spec("named.yaml")


@pytest.mark.parametrize(
    "tokenizer", ["os.system", {"os.system": "touch canary"}, "tokenizers", {"bpe": {"path": "x"}}]
)
def test_a_tokenizer_in_a_run_is_looked_up_and_never_imported(tokenizer, run):
    plain = json.loads((run / "preprocessing.json").read_text())
    vocabulary = {"tokenizer": tokenizer, "tokens": ["a"], "merges": []}
    plain["text"] = {"kind": "windows", "length": 4, "vocabulary": vocabulary}
    (run / "preprocessing.json").write_text(json.dumps(plain))
    assert call("predict", run, "rows.csv").code == 3


def test_pictures_are_read_by_the_three_readers_that_start_no_program():
    assert FORMATS == ("PNG", "JPEG", "BMP")


# ---------------------------------------------------------------------- what the code says


@functools.cache
def sources() -> list[tuple[str, ast.AST]]:
    return [(str(file.relative_to(CODE)), ast.parse(file.read_text())) for file in sorted(CODE.rglob("*.py"))]


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    """Return the calls of functions by their last names: load of np.load and of yaml.load."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in found if last_name(node.func) in names]


def last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def owner(node: ast.Call) -> str:
    func = node.func
    return func.value.id if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) else ""


def test_no_module_imports_what_runs_data():
    for file, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN, file
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert (node.module or "").split(".")[0] not in FORBIDDEN, file


def test_no_module_runs_a_text():
    for file, tree in sources():
        for node in ast.walk(tree):
            bare = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            assert not (bare and node.func.id in {"eval", "exec", "compile", "__import__"}), (file, node.lineno)


def test_no_module_imports_by_a_name_that_is_not_written_there():
    for file, tree in sources():
        for call_ in calls(tree, "import_module"):
            literal = isinstance(call_.args[0], ast.Constant)
            assert literal or file in NAMED_BY_NNCTL, (file, call_.lineno)


def test_yaml_is_read_by_events_alone():
    users = set()
    for file, tree in sources():
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
        if any(alias.name == "yaml" for node in imports for alias in node.names):
            users.add(file)
            loads = calls(tree, "load", "load_all", "full_load", "unsafe_load", "safe_load", "safe_load_all")
            assert not [node for node in loads if owner(node) == "yaml"], file
    assert users == {"core/compose.py", "spec/edit.py"}  # where something stands in a spec that was read before


def test_numpy_reads_no_pickles():
    for file, tree in sources():
        for node in calls(tree, "load", "memmap", "fromfile"):
            if owner(node) in {"np", "numpy"}:
                allowed = {word.arg: word.value for word in node.keywords}.get("allow_pickle")
                assert getattr(allowed, "value", True) is False, (file, node.lineno)


def test_no_shell_is_started():
    started = set()
    for file, tree in sources():
        assert not [n for n in calls(tree, "system", "popen", "execv", "execve", "spawnv") if owner(n) == "os"], file
        for node in calls(tree, "run", "Popen", "call", "check_output", "check_call"):
            if owner(node) == "subprocess":
                started.add(file)
                assert not [word for word in node.keywords if word.arg == "shell"], file
    assert started == {"runs/environment.py", "data/augment/back_translation.py"}  # git, and what the user allows


@pytest.mark.parametrize("allowed", ["", "cat", "/bin/sh:other", "sh:"])
def test_a_program_that_a_spec_names_is_started_where_the_user_allows_it_and_nowhere_else(allowed, here, monkeypatch):
    monkeypatch.setenv("NNCTL_PROGRAMS", allowed)
    (here / "rows.csv").write_text("text,label\n" + "".join(f"word {i},{'uv'[i % 2]}\n" for i in range(40)))
    (here / "spec.yaml").write_text(
        "data:\n  source: {texts: rows.csv}\n"
        "  augment: [{back_translation: {there: \"sh -c 'touch canary; cat'\", back: cat}}]\n"
        "architecture: [{embedding: 4}, global_avg_pool, {dense: outputs}]\nloss: cross_entropy\n"
    )
    for command in ("validate", "train", "data", "doctor"):
        answer = call(command)
        if allowed == "sh:":
            (here / "canary").unlink()
            return
        assert answer.code in {3, 5}, answer
        assert "NNCTL_PROGRAMS=sh" in answer.err + answer.out
