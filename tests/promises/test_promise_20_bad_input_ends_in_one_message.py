"""Promise 20: every bad input ends in one readable message and a documented exit code, never in a traceback.

Specs, data, runs and command lines are spoiled at random; 300 specs in the ordinary run, 5,000 in the slow one.
"""

from __future__ import annotations

import functools
import io
import json
import shutil
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from commands import Answer, call
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from nnctl.cli import app
from nnctl.core import yaml
from nnctl.core.component import Component
from nnctl.spec.model import Spec

DOCUMENTED = {0, 2, 3, 4, 5, 74}
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def is_in_order(answer: Answer) -> bool:
    """Tell whether a command ended as it is documented to: with a word where it failed, and with no more than that."""
    said = answer.err.strip()
    assert answer.code in DOCUMENTED, said[-2000:]
    assert "Traceback" not in said, said[-2000:]
    assert said or answer.code == 0
    assert all(c.isprintable() or c == "\n" for c in said), repr(said[-2000:])
    return answer.code == 0


def few(examples: int) -> settings:
    return settings(
        max_examples=examples, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
    )


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory):
    """A working directory for all examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("spoiled"))
        yield Path()


# ---------------------------------------------------------------------- specs

LARGE = ("text", "mnist", "california", "adult", "shakespeare", "pydoc")  # not here, or slow even for one step
LEAVES: list[Any] = [
    *(-1, 0, 1, 2, 3, 0.5, -0.5, 1e-3, 1e30, -1e30, 1e308, 10**30, -(10**30), 2**31, 2**63),
    *(float("inf"), float("nan"), True, False, None, "", "x", "\x1b[31m", "[red]a[/]", "é" * 50, "\0", "\ud800"),
    *("relu", "adam", "outputs", "auto", "1 epoch", "0 steps", "full", "iris", "digits", "1e5", ".inf", "~", "../x"),
    *([], {}, [[]], [{}], {"a": 1}, {"relu": None}, {"dense": 4}, [1, 2], ["relu"], {"units": 3}, {"sgd": {"lr": "x"}}),
]


@functools.cache
def specs() -> list[dict[str, Any]]:
    found = [yaml.load(path).data for path in sorted(EXPERIMENTS.rglob("*.yaml"))]
    return [spec for spec in found if not any(word in str(spec["data"]["source"]) for word in LARGE)]


@functools.cache
def names() -> list[str]:
    """Every word that a spec can have: components and their fields."""
    found, families = set(Spec.model_fields), [Component]
    while families:
        family = families.pop()
        families += family.__subclasses__()
        found |= {str(getattr(family, "name", "")), *family.model_fields}
    return sorted(found)


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [above, *(place for key, value in inner for place in places(value, (*above, key)))]


def copied(tree: Any) -> Any:
    return json.loads(json.dumps(tree))


def at(tree: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


@st.composite
def spoiled_specs(draw) -> str:
    """Return the text of an experiment's spec with one to three changes."""
    spec = copied(draw(st.sampled_from(specs())))
    for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
        *above, key = draw(st.sampled_from(places(spec)[1:] or [("name",)]))
        parent = at(spec, tuple(above))
        other = draw(st.sampled_from(specs()))
        match draw(
            st.sampled_from(["delete", "twice", "leaf", "rename", "swap", "splice", "name", "number", "section"])
        ):
            case "delete":
                parent.pop(key, None) if isinstance(parent, dict) else parent.pop(key)
            case "twice" if isinstance(parent, list):
                parent.insert(key, copied(parent[key]))
            case "leaf":
                parent[key] = copied(draw(st.sampled_from(LEAVES)))
            case "rename" if isinstance(parent, dict):
                parent[draw(st.sampled_from([*names(), f"{key}x", 1, None, True]))] = parent.pop(key, None)
            case "swap":
                parent[key] = copied(at(spec, draw(st.sampled_from(places(spec)))))
            case "splice":
                parent[key] = copied(at(other, draw(st.sampled_from(places(other)[1:]))))
            case "name":
                parent[key] = draw(st.sampled_from(names()))
            case "number" if isinstance(parent[key], int | float):
                parent[key] = draw(st.sampled_from([-parent[key], parent[key] + 0.5, str(parent[key]), [parent[key]]]))
            case "section":
                section = draw(st.sampled_from(sorted(other)))
                spec[section] = copied(other[section])
    text = json.dumps(
        spec, indent=1, ensure_ascii=False
    )  # JSON is YAML, but for NaN and Infinity, which are texts then
    if draw(st.integers(0, 6)) == 0:
        cut, length = draw(st.integers(0, len(text))), draw(st.integers(0, 9))
        text = text[:cut] + draw(st.text("{}[]:,-&*!|>'\"\t\n#%@`?~x0\x85", max_size=4)) + text[cut + length :]
    return text


def try_spec(text: str) -> None:
    """Validate a spec, and where it is in order train a step of it, judge it, and predict with it."""
    Path("spec.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    if not is_in_order(call("validate", "spec.yaml")):
        return
    shutil.rmtree("runs", ignore_errors=True)
    if is_in_order(call("train", "spec.yaml", "training={steps: 1, batch_size: 2}", "--no-plot", "--json")):
        [run] = Path("runs").iterdir()
        assert is_in_order(call("predict", run, "train"))
        assert is_in_order(call("show", run))
    is_in_order(call("lint", "spec.yaml"))


@few(300)
@given(spoiled_specs())
def test_a_spoiled_spec_ends_in_a_message_or_trains(text):
    try_spec(text)


@pytest.mark.slow
@few(5000)
@given(spoiled_specs())
def test_5000_spoiled_specs_end_in_a_message_or_train(text):
    try_spec(text)


@few(40)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=200).map(lambda text: text.encode(errors="replace"))))
@example(b"\xff\xfe")
@example(b"\x00")
@example(b"&a [*a]")
@example(b"? [1]\n: 2")
def test_random_bytes_are_no_spec(content):
    Path("spec.yaml").write_bytes(content)
    assert not is_in_order(call("validate"))


# ---------------------------------------------------------------------- data


def image_file() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(out, "png")
    return out.getvalue()


def wav_file() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(np.sin(np.arange(4000) / 5).astype("<i2").tobytes())
    return out.getvalue()


def npz_file() -> bytes:
    out = io.BytesIO()
    np.savez(out, x=np.random.default_rng(0).normal(size=(40, 3)), y=np.arange(40) % 2)
    return out.getvalue()


def parquet_file() -> bytes:
    import polars as pl

    out = io.BytesIO()
    pl.DataFrame({"a": range(40), "b": [str(i % 3) for i in range(40)], "y": [i % 2 for i in range(40)]}).write_parquet(
        out
    )
    return out.getvalue()


TABLE = ("a,b,y\n" + "".join(f"{i},{['', 'red', '2.5'][i % 3]},{i % 2}\n" for i in range(40))).encode()
FILES: dict[str, tuple[str, bytes]] = {
    "rows.csv": ("{csv: {path: rows.csv, target: y}}", TABLE),
    "rows.tsv": ("{tsv: {path: rows.tsv, target: y}}", TABLE.replace(b",", b"\t")),
    "rows.parquet": ("{parquet: {path: rows.parquet, target: y}}", parquet_file()),
    "rows.npz": ("{npz: rows.npz}", npz_file()),
    "images.idx": (
        "{idx: {images: images.idx, labels: labels.idx}}",
        struct.pack(">IIII", 0x803, 40, 2, 2) + bytes(range(160)),
    ),
    "text.txt": ("{text: {path: text.txt, context: 8}}", b"the cat sat on the mat. " * 40),
    "texts.jsonl": (
        "{texts: {path: texts.jsonl}}",
        b"".join(b'{"text": "a good film %d", "label": %d}\n' % (i, i % 2) for i in range(40)),
    ),
    "pictures/a/1.png": ("{images: {path: pictures}}", image_file()),
    "sounds/a/1.wav": ("{audio: {path: sounds}}", wav_file()),
}


def lay_out_files() -> None:
    for name, (_, content) in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
    for name in ("pictures/a/1.png", "sounds/a/1.wav"):
        kind, suffix = name.split("/")[0], Path(name).suffix
        Path(kind, "b").mkdir(exist_ok=True)
        for i in range(2, 8):
            Path(kind, "ab"[i % 2], f"{i}{suffix}").write_bytes(FILES[name][1])
    Path("labels.idx").write_bytes(struct.pack(">II", 0x801, 40) + bytes(i % 2 for i in range(40)))


@st.composite
def spoiled_bytes(draw, content: bytes) -> bytes:
    """Return a file with bytes flipped, cut out, put in or at random altogether."""
    match draw(st.sampled_from(["random", "cut", "flip", "insert", "twice", "empty"])):
        case "random":
            return draw(st.binary(max_size=300))
        case "cut":
            return content[: draw(st.integers(0, len(content)))]
        case "flip":
            spoiled = bytearray(content)
            for _ in range(draw(st.integers(1, 8))):
                spoiled[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
            return bytes(spoiled)
        case "insert":
            place = draw(st.integers(0, len(content)))
            return content[:place] + draw(st.binary(min_size=1, max_size=40)) + content[place:]
        case "twice":
            return content + content
    return b""


def write_spec(name: str) -> None:
    layers = {
        "text.txt": "{embedding: 4}, {lstm: {units: 4, returns: sequence}}",
        "texts.jsonl": "{embedding: 4}, {lstm: 4}",
    }
    split = "" if name == "text.txt" else ", split: {validation: 0, test: 0}"  # a text has parts of its own
    Path("spec.yaml").write_text(
        f"data: {{source: {FILES[name][0]}{split}}}\n"
        f"architecture: [{layers.get(name, 'flatten')}, {{dense: outputs}}]\n"
        "loss: cross_entropy\ntraining: {steps: 1, batch_size: 4}\n"
    )


@pytest.mark.parametrize("name", FILES)
def test_the_data_that_are_spoiled_can_be_learned_from_before(name):
    lay_out_files()
    write_spec(name)
    assert is_in_order(call("train", "--no-plot"))


def try_data(name: str, data: st.DataObject) -> None:
    lay_out_files()
    write_spec(name)
    Path(name).write_bytes(data.draw(spoiled_bytes(FILES[name][1])))
    is_in_order(call("train", "--no-plot"))
    path = Path(name).parts[0]
    is_in_order(call("init", path, "-o", "started.yaml", "--force"))
    is_in_order(call("data", path))


@pytest.mark.parametrize("name", FILES)
@few(5)
@given(data=st.data())
def test_a_spoiled_data_file_ends_in_a_message_or_trains(name, data):
    try_data(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@few(200)
@given(data=st.data())
def test_200_spoiled_data_files_end_in_a_message_or_train(name, data):
    try_data(name, data)


# ---------------------------------------------------------------------- runs

POINTS = """\
name: points
data: {source: {blobs: {samples: 60}}}
architecture: [dense: 4, batch_norm, relu, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 2, batch_size: 8}
"""
KEPT = [
    "run.json",
    "resolved.yaml",
    "preprocessing.json",
    "metrics.jsonl",
    "health.jsonl",
    "checkpoints/last.safetensors",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "points.yaml").write_text(POINTS)
    answer = call("train", folder / "points.yaml", "--no-plot", "--runs-dir", folder, "--json")
    return Path(json.loads(answer.out)["run"])


def try_run(trained: Path, file: str, data: st.DataObject) -> None:
    shutil.rmtree("spoiled", ignore_errors=True)
    shutil.copytree(trained, "spoiled/run")
    path = Path("spoiled/run", file)
    if data.draw(st.booleans()) and path.suffix == ".json":
        record = json.loads(path.read_text())
        place = data.draw(st.sampled_from(places(record)[1:]))
        at(record, place[:-1])[place[-1]] = copied(data.draw(st.sampled_from(LEAVES)))
        path.write_text(json.dumps(record))
    else:
        path.write_bytes(data.draw(spoiled_bytes(path.read_bytes())))
    for command in (
        ["predict", "spoiled/run", "test"],
        ["show", "spoiled/run"],
        ["ls", "spoiled"],
        ["compare", "spoiled"],
    ):
        is_in_order(call(*command))
    is_in_order(call("diff", "spoiled/run", trained))
    if file != "resolved.yaml":  # which may ask for hours
        is_in_order(call("repro", "spoiled/run", "-q"))
    if path.exists() and path.name == "run.json":
        path.write_text(path.read_text(errors="replace").replace('"done"', '"interrupted"'))
    is_in_order(call("train", "--resume", "spoiled/run", "--no-plot"))


@pytest.mark.parametrize("file", KEPT)
@few(4)
@given(data=st.data())
def test_a_spoiled_run_ends_in_a_message(trained, file, data):
    try_run(trained, file, data)


@pytest.mark.slow
@pytest.mark.parametrize("file", KEPT)
@few(150)
@given(data=st.data())
def test_150_spoiled_runs_end_in_a_message(trained, file, data):
    try_run(trained, file, data)


# ---------------------------------------------------------------------- command lines

COMMANDS = typer.main.get_command(app.app).commands
QUICK = sorted(set(COMMANDS) - {"doctor", "gradcheck"})  # seconds each
WORDS = [
    *(
        "spec.yaml",
        "run",
        "spoiled",
        "rows.csv",
        "text.txt",
        "pictures",
        "no.yaml",
        ".",
        "..",
        "/",
        "-",
        "--",
        "",
        " ",
        "iris",
    ),
    *(
        "-1",
        "0",
        "1",
        "2",
        "nan",
        "1e400",
        "x",
        "=",
        "a=",
        "=b",
        "optimizer.lr=1",
        "training.epochs=1",
        "data.source=iris",
    ),
    *(
        "a.b.c=1",
        "architecture.0.units=3",
        "[]",
        "{}",
        "*",
        "~",
        "\udc80",
        "\x1b[31m",
        "é",
        "a" * 300,
        "adam",
        "relu",
        "test",
    ),
]


@st.composite
def command_lines(draw) -> list[str]:
    name = draw(st.sampled_from(QUICK))
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("-")]
    if name == "fetch":
        options.remove("--from")  # the rest would look into the network
    words = draw(st.lists(st.sampled_from([*WORDS, *options, *options, "--json", "--nope"]), max_size=5))
    return [*draw(st.sampled_from([[], [], [], ["--nope"]])), name, *words]


def try_command_line(trained: Path, words: list[str]) -> None:
    lay_out_files()
    Path("spec.yaml").write_text(POINTS)
    if not Path("run").exists():
        shutil.copytree(trained, "run")
    is_in_order(call(*words))


@few(60)
@given(command_lines())
@example(["train", "spec.yaml", "--seeds", "0"])
@example(["show", "\udc80", "--json"])
@example(["ls", "\x1b[31m"])
def test_any_command_line_ends_in_a_message_or_is_carried_out(trained, words):
    try_command_line(trained, words)


@pytest.mark.slow
@few(2000)
@given(command_lines())
def test_2000_command_lines_end_in_a_message_or_are_carried_out(trained, words):
    try_command_line(trained, words)
