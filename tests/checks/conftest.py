"""What tests of checks share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tables import Data


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Write data and look at them, in a folder of their own."""
    return Data(tmp_path)
