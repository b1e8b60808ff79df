"""What tests of whole trainings share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from everything import EVERYTHING
from faults import finish, start

from nnctl.runs.store import Run


@pytest.fixture
def whole(spec_file: Callable[[str], Path], tmp_path: Path) -> Run:
    """A run that was never interrupted."""
    return finish(start(spec_file(EVERYTHING), tmp_path / "whole"))
