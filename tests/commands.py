"""Commands as they are called: in this process for speed, or as processes of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from nnctl.cli import app

__all__ = ["IRIS", "Answer", "call", "process"]

IRIS = """\
name: iris
data: {source: iris, split: {validation: 0.15, test: 0.15}}
architecture: [dense: 8, relu, dense: outputs]
loss: cross_entropy
optimizer: {adam: 0.01}
training: {epochs: 3}
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


def call(*arguments: object) -> Answer:
    """Call a command in this process, without a terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = app._run([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = leaving.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Answer(code, *texts)


def process(*arguments: object, **environment: str) -> Answer:
    """Call a command as a process of its own, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "nnctl", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )
    return Answer(done.returncode, done.stdout, done.stderr)
