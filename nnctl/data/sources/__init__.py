"""Where data come from; importing this package registers every source."""

from nnctl.data.sources import bundled, generated, idx, npz
from nnctl.data.sources.source import Source

__all__ = ["Source", "bundled", "generated", "idx", "npz"]
