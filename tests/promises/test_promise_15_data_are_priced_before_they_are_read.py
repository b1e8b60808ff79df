"""Promise 15: what a file would unpack to is known from its header, and refused before a byte of it is read.

All is done in one process that may have 4 GB of addresses, thinks that 1 GB is left, and counts what NumPy and Python
take: what is refused in time has taken next to nothing.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from hostile import picture

from nnctl.data.sources import Source

MEMORY, MOST_TAKEN = 10**9, 60_000_000


def header(shape: tuple[int, ...], descr: object = "<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def idx(*shape: int) -> bytes:
    return struct.pack(">HBB", 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape)


def archive(packing: int = zipfile.ZIP_DEFLATED, **arrays: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as zipped:
        for name, content in arrays.items():
            zipped.writestr(f"{name}.npy", content)
    return stream.getvalue()


def encrypted() -> bytes:
    raw = bytearray(archive(x=header((2,)) + b"\0" * 16))
    raw[6] |= 1
    raw[raw.find(b"PK\1\2") + 8] |= 1
    return bytes(raw)


def wav(claimed: int, rate: int = 8000, sound: bytes = b"\0" * 16) -> bytes:
    layout = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", claimed) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def parquet(**columns: Callable) -> bytes:
    import polars as pl

    stream = io.BytesIO()
    pl.select(**{name: make(pl) for name, make in columns.items()}).write_parquet(stream)
    return stream.getvalue()


def zeros(megabytes: int) -> bytes:
    return header((megabytes * 125_000,)) + b"\0" * megabytes * 10**6


NPZ, IDX = "{npz: FILE}", "{idx: {images: FILE, labels: FILE}}"
CSV, PARQUET = "{csv: {path: FILE, target: y}}", "{parquet: {path: FILE, target: y}}"
LISTED = "path,label\nbomb,a\nbomb,b\n"

BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "npz of 200 MB of zeros": (NPZ, lambda: archive(x=zeros(200)), "no data are that uniform"),
    "npz whose member claims a pebibyte": (NPZ, lambda: archive(x=header((2**40, 2**7))), "claims the shape"),
    "npz packed by lzma": (NPZ, lambda: archive(zipfile.ZIP_LZMA, x=header((2,)) + b"\0" * 16), "not use"),
    "npz under a password": (NPZ, encrypted, "encrypted"),
    "npy of 73 TiB in 128 bytes": (NPZ, lambda: header((10**13,)), "claims the shape"),
    "npy of 900 MB in 128 bytes": (NPZ, lambda: header((112_500_000,)), "ends after 0 of 900,000,000 bytes"),
    "npy without rows and of a billion columns": (
        NPZ,
        lambda: archive(x=header((0, 10**9)), y=header((0,))),
        "no rows",
    ),
    "npy of a hundred million columns": (NPZ, lambda: archive(x=header((1, 10**8), "|u1") + bytes(10**8)), "uniform"),
    "npy of nothing, often": (NPZ, lambda: header((2**40,), "|S0"), "no array has"),
    "npy of a type of a terabyte": (NPZ, lambda: header((1,), f"|V{2**30}"), "GB are needed"),
    "npy of 65 axes": (NPZ, lambda: header((1,) * 65), "no array has"),
    "idx of terabytes": (IDX, lambda: idx(2**31, 2**10, 2**10), "claims the shape"),
    "idx of 900 MB": (IDX, lambda: idx(900, 1000, 1000), "ends after 0 of"),
    "idx of terabytes in gzip": (IDX, lambda: gzip.compress(idx(2**31, 2**10, 2**10)), "claims the shape|uniform"),
    "idx of zeros in gzip": (IDX, lambda: gzip.compress(idx(150, 1000, 1000) + bytes(150 * 10**6), 6), "uniform"),
    "idx without rows": (
        "{idx: {images: FILE, labels: NONE}}",
        lambda: gzip.compress(idx(0, 2**15, 2**15)),
        "there are no rows",
    ),
    "idx of 255 axes": (IDX, lambda: idx(*[1] * 255) + b"x", "no array has"),
    "parquet of one number": (
        PARQUET,
        lambda: parquet(x=lambda pl: pl.repeat(1.0, 10**7), y=lambda pl: pl.repeat(1, 10**7)),
        "uniform",
    ),
    "parquet of one text": (
        PARQUET,
        lambda: parquet(x=lambda pl: pl.repeat("c" * 10**5, 11_000), y=lambda pl: pl.repeat(1, 11_000)),
        "its texts",
    ),
    "parquet of a list": (
        PARQUET,
        lambda: parquet(x=lambda pl: pl.lit([[1] * 9]), y=lambda pl: pl.lit(1)),
        "neither a number",
    ),
    "csv of a label of a megabyte": (
        CSV,
        lambda: b"x,y\n" + b"1,a\n" * 9999 + b"1," + b"b" * 10**6 + b"\n",
        "1,000,000 characters",
    ),
    "csv of a million columns": (CSV, lambda: b"y" + b"," * 10**6 + b"\n", "1,000,001 columns"),
    "csv that begins as a zip": (CSV, lambda: b"x^2,y\n1,a\n2\n", "has 1 value"),
    "png of 100,000 pixels a side": ("{images: LIST}", lambda: picture(100_000, 100_000), "pixels|bomb"),
    "png of 9,000 pixels a side": ("{images: LIST}", lambda: picture(9_000, 9_000), "81,000,000|pixels"),
    "png brought to a million pixels a side": (
        "{images: {path: LIST, resize: [1000000, 1000000], keep: memory}}",
        lambda: picture(8, 8),
        "GB are needed",
    ),
    "png on the disk brought to a million pixels a side": (
        "{images: {path: LIST, resize: [1000000, 1000000], keep: disk}}",
        lambda: picture(8, 8),
        "are made at once",
    ),
    "wav that claims 4 GB": ("{audio: LIST}", lambda: wav(2**32 - 2), "cut off"),
    "wav brought to 10,000 times its rate": (
        "{audio: {path: LIST, rate: 1000000}}",
        lambda: wav(2 * 10**5, 100, bytes(2 * 10**5)),
        "GB are needed",
    ),
}
SPARSE = {
    "csv": (CSV, 10**9),
    "parquet": (PARQUET, 2**42),
    "npy": (NPZ, 2**42),
    "idx": (IDX, 2**42),
    "text": ("{text: FILE}", 10**9),
    "jsonl": ("{texts: {path: FILE}}", 10**9),
    "txt": ("{texts: {path: FILE}}", 10**9),
}
"""Files with nothing on the disk that are as large as this."""

TRY_ALL = """
import json, resource, sys, tracemalloc
from pathlib import Path
import numpy, polars, sklearn.impute, PIL.Image, scipy.sparse
from nnctl.data import memory, image_files
from nnctl.data.sources import Source, images
from nnctl.core import yaml
from nnctl.core.errors import DataError
from nnctl.runs import checkpoint
from pydantic import ValidationError

for module in (memory, images):
    module.available_memory = lambda: MEMORY
image_files.cores = lambda: 2
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
said = {}
tracemalloc.start()
for name, text in json.load(open("cases.json")).items():
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        if text.endswith(".safetensors"):
            checkpoint.decode(Path(text))
        else:
            Source.parse(yaml.loads(f"source: {text}").data["source"]).load(Path.cwd(), 0)
        answer = "it was read"
    except (DataError, ValidationError) as error:
        answer = str(error)
    except BaseException as error:
        answer = f"!!! {type(error).__name__}: {error}"
    said[name] = [answer, tracemalloc.get_traced_memory()[1] - before]
json.dump(said, open("said.json", "w"))
""".replace("MEMORY", str(MEMORY))


def generated() -> dict[str, str]:
    """Return every source that makes its rows, told to make a hundred billion."""
    made = {name: source for name, source in Source.registry.items() if "samples" in source.model_fields}
    assert len(made) > 5
    return {name: f"{{{name}: {{samples: 100000000000}}}}" for name in made}


def safetensors(size: int, **tensor: object) -> bytes:
    text = json.dumps({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8], **tensor}}).encode()
    return struct.pack("<Q", size or len(text)) + text + bytes(8)


CHECKPOINTS = {
    "a header of an exbibyte": safetensors(2**60),
    "a header of 99 MB": safetensors(99 * 10**6),
    "a tensor of terabytes": safetensors(0, shape=[10**13], data_offsets=[0, 8 * 10**13]),
    "a tensor of more than its bytes": safetensors(0, shape=[10**13]),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, tuple[str, int]]:
    folder = tmp_path_factory.mktemp("bombs")
    cases = generated()
    for number, (name, (source, content, _)) in enumerate(BOMBS.items()):
        (folder / f"{number}").mkdir()
        kind = source.split(":")[0].strip("{ ")
        suffix = {"images": ".png", "audio": ".wav"}.get(kind, "")
        (folder / f"{number}" / f"bomb{suffix}").write_bytes(content())
        (folder / f"{number}" / "none").write_bytes(idx(0))
        (folder / f"{number}" / "list.csv").write_text(LISTED.replace("bomb", f"bomb{suffix}"))
        cases[name] = (
            source.replace("FILE", f"{number}/bomb")
            .replace("LIST", f"{number}/list.csv")
            .replace("NONE", f"{number}/none")
        )
    for name, (source, size) in SPARSE.items():
        (folder / f"large.{name}").touch()
        os.truncate(folder / f"large.{name}", size)
        cases[f"large {name}"] = source.replace("FILE", f"large.{name}")
    for number, (name, content) in enumerate(CHECKPOINTS.items()):
        (folder / f"{number}.safetensors").write_bytes(content)
        cases[name] = f"{number}.safetensors"
    (folder / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "said.json").read_text())


def is_refused(answers: dict[str, tuple[str, int]], name: str, said: str) -> None:
    answer, taken = answers[name]
    assert any(word in answer for word in said.split("|")), answer
    assert not answer.startswith("!!!"), answer
    assert taken < MOST_TAKEN, f"{taken:,} bytes"


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(name, answers):
    is_refused(answers, name, BOMBS[name][2])


@pytest.mark.parametrize("kind", SPARSE)
def test_a_file_larger_than_the_memory_is_refused_by_its_size(kind, answers):
    said = {"npy": "no NumPy archive", "idx": "is no idx file", "parquet": "no parquet", "txt": "of no kind"}
    is_refused(answers, f"large {kind}", said.get(kind, "GB are needed"))


@pytest.mark.parametrize("kind", generated())
def test_rows_that_would_be_made_are_priced_too(kind, answers):
    is_refused(answers, kind, "GB are needed|must be|at most")


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_refused_by_its_header(name, answers):
    is_refused(answers, name, "is damaged|cannot be read")


def test_a_header_of_128_bytes_and_an_archive_of_194_kilobytes_are_what_the_promise_says():
    assert len(BOMBS["npy of 73 TiB in 128 bytes"][1]()) == 128
    assert 10**13 * 8 / 2**40 > 72
    assert len(archive(x=zeros(200))) < 200_000


def test_what_is_packed_as_well_as_data_can_be_is_read(tmp_path):
    """Rare ones among zeros, of which an archive makes a hundredth."""
    x = np.zeros((20_000, 100), np.float64)
    x[np.arange(20_000), np.arange(20_000) % 100] = np.random.default_rng(0).normal(size=20_000)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.arange(20_000) % 2)
    assert Source.parse({"npz": "a.npz"}).load(tmp_path, 0).x.shape == (20_000, 100)
