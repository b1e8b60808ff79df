"""What all tests share: a hypothesis profile without deadlines (machines are noisy), and small experiments."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import settings

settings.register_profile("nnctl", deadline=None, max_examples=50)
settings.load_profile("nnctl")

# A shell starts what runs in the background deaf to Ctrl-C, and so would be all processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

SMALL = """
name: small
data: {source: iris}
architecture: [{dense: 8}, tanh, {dropout: 0.2}, batch_norm, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 1e-2}
training: {epochs: 6, batch_size: 16}
"""


FORKING = {"answer_of", "forked", "killed_at", "steps_of"}
"""What tests take from faults.py that forks."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that fork come first: of the threads that other tests leave behind a fork has the locks, but not them."""
    items.sort(key=lambda item: FORKING.isdisjoint(vars(item.module)))  # type: ignore[attr-defined]


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a spec and return its path."""

    def write(text: str = SMALL, name: str = "spec.yaml") -> Path:
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    return write
