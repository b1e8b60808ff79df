"""Where data come from; importing this package registers every source."""

from nnctl.data.sources import (
    audio,
    bundled,
    card,
    delimited,
    generated,
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
from nnctl.data.sources.source import Source

__all__ = [
    "Source",
    "audio",
    "bundled",
    "card",
    "delimited",
    "generated",
    "idx",
    "images",
    "labelled_texts",
    "npz",
    "openml",
    "parquet",
    "seasonal",
    "sequences",
    "text",
    "time_series",
    "tones",
]
