"""What tests of checks share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from iris import IRIS
from tables import Data

from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Write data and look at them, in a folder of their own."""
    return Data(tmp_path)


@pytest.fixture
def experiment(spec_file: Callable[[str], Path]) -> Callable[..., Experiment]:
    """Make an experiment on iris, with overrides."""

    def make(*overrides: str) -> Experiment:
        return Experiment(load_spec(spec_file(IRIS), overrides))

    return make
