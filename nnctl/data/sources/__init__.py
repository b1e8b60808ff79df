"""Where data come from.

Importing the package registers the bundled sets and the generators of tables; the other sources are registered when a
spec names one that is not known yet, or all are asked for.
"""

from nnctl.data.sources import bundled, generated
from nnctl.data.sources.source import Source

__all__ = ["Source", "bundled", "generated"]


def _register_the_rest() -> None:
    from nnctl.data.sources import (  # noqa: F401, PLC0415
        audio,
        card,
        delimited,
        idx,
        images,
        labelled_texts,
        npz,
        openml,
        parquet,
        seasonal,
        sequences,
        text,
        time_series,
        tones,
    )


Source.later.append(_register_the_rest)
