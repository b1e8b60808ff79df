"""The first spec for a folder of images or recordings, one folder for each class: a small network and why it is so."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnctl.core import yaml
from nnctl.core.errors import DataError
from nnctl.core.mistakes import Loc
from nnctl.data.sources.audio import Audio
from nnctl.data.sources.images import Images

__all__ = ["LabelledFolder", "folder_of", "folder_spec"]

_CONVOLUTIONS = [
    {"conv2d": {"channels": 16, "padding": "same"}},
    "relu",
    {"conv2d": {"channels": 32, "padding": "same"}},
    "relu",
    "global_avg_pool",
    {"dense": "outputs"},
]


@dataclass(frozen=True)
class LabelledFolder:
    """A folder with a folder for each class.

    Parameters
    ----------
    kind : {"images", "audio"}
        What its files are.
    path : str
        As a spec spells it.
    files, classes : int
    """

    kind: str
    path: str
    files: int
    classes: int


def folder_of(source: str, base: Path) -> LabelledFolder | None:
    """Return what a folder holds; None where `source` is no folder.

    Raises
    ------
    DataError
        It holds neither images nor recordings.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return None
    kinds = {suffix: kind for kind, member in (("images", Images), ("audio", Audio)) for suffix in member.suffixes}
    found: Counter[str] = Counter()
    for _, _, names in os.walk(folder):
        found.update(kinds[suffix] for suffix in map(_suffix, names) if suffix in kinds)
    if not found:
        raise DataError(f"{source}: a folder without images or recordings ({', '.join(kinds)}).")
    [(kind, count)] = found.most_common(1)
    classes = sum(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir())
    whole, base = folder.resolve(), base.resolve()
    path = str(whole.relative_to(base) if whole.is_relative_to(base) else whole)
    return LabelledFolder(kind, path, count, classes)


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def folder_spec(folder: LabelledFolder, name: str, command: str) -> str:
    """Return the text of a spec that tells the classes of a folder apart."""
    images = folder.kind == "images"
    spec: dict[str, Any] = {
        "name": name,
        "seed": 0,
        "data": {"source": {folder.kind: {"path": folder.path}}, **({"scaling": "channels"} if images else {})},
        "architecture": _CONVOLUTIONS if images else [{"lstm": {"units": 32}}, {"dense": "outputs"}],
        "loss": "cross_entropy",
        "optimizer": {"adam": {"lr": 0.003}},
        "training": {"epochs": 20 if folder.files >= 256 else 40, "batch_size": max(1, min(32, folder.files // 4))},
        "metrics": ["accuracy"],
    }
    return yaml.dump(spec, _comments(command, images=images))


def _comments(command: str, *, images: bool) -> dict[Loc, str]:
    """Return what stands above each key."""
    network = (
        "\nKernels of 3 x 3 pixels that look for the same everywhere, and their mean over the picture. Large pictures "
        "gain from max_pool: 2 between the layers; others: lenet, resnet."
        if images
        else "\nA state that reads a recording from its beginning to its end; what padding fills up, it passes over."
    )
    return {
        (): (
            f"A starting point, written by `{command}`.\n"
            "nnctl validate     checks this file and shows the network\n"
            "nnctl data         shows what the network receives\n"
            "nnctl train        trains it\n"
            "nnctl explain NAME tells what a word means, and what could stand for it\n"
        ),
        ("seed",): "\nThe one number that all chance follows from.",
        ("data",): "\nThe names of the folders are the classes; 15 % of the files validate and 15 % test.",
        ("architecture",): network,
        ("loss",): "\nWhat is made small: minus the log of the probability of the true class.",
        ("optimizer",): "\nHow weights follow the gradient. The learning rate lr matters most of all: nnctl lr-find",
        ("training",): "\nAn epoch sees every file once.",
    }
