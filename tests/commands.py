"""Commands as they are called: in this process for speed, as processes of their own, or on a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from nnctl.cli import app

__all__ = ["IRIS", "Answer", "Shown", "call", "on_a_terminal", "plain", "process"]

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


class Shown(NamedTuple):
    code: int
    text: str


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


def on_a_terminal(*arguments: object, columns: int = 80, **environment: str) -> Shown:
    """Call a command as a process of its own on a terminal, which cannot tell output from errors."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}}
    child = subprocess.Popen(
        [sys.executable, "-m", "nnctl", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:
        pass  # Linux ends a terminal without a process on it so
    os.close(ours)
    return Shown(child.wait(timeout=120), shown.decode().replace("\r\n", "\n"))


def plain(text: str) -> str:
    """Return what a terminal shows without what moves and colours it."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
