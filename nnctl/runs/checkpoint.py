"""Checkpoints: named tensors and a few words about them in one safetensors file, with a hash over all of it.

safetensors (Hugging Face, 2022) is a JSON header and raw numbers: nothing is executed, and other programs read it.
The header's ``blake2b`` entry is ours: a flipped bit anywhere in names, types, shapes, numbers or metadata is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError

__all__ = ["Damaged", "decode", "encode"]

_HASH = "blake2b"


class Damaged(DataError):  # noqa: N818 - a state of the file
    """A checkpoint that is not what was written."""


def encode(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a checkpoint."""
    from safetensors.numpy import save  # noqa: PLC0415 - 3 ms that not every command needs

    whole = {name: np.ascontiguousarray(tensor).reshape(np.shape(tensor)) for name, tensor in tensors.items()}
    content: bytes = save(whole, {**metadata, _HASH: _digest(whole, metadata)})
    return content


def decode(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the tensors and the metadata of a checkpoint.

    Raises
    ------
    Damaged
        If it is cut short, or not what was written.
    DataError
        If it cannot be read.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - 3 ms that not every command needs

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise Damaged(f"{path}: is damaged: {error}.") from None
    if metadata.pop(_HASH, None) != _digest(tensors, metadata):
        raise Damaged(f"{path}: is damaged: its content does not match its hash.")
    return tensors, metadata


def _digest(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    digest = blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, tensor.dtype.str, tensor.shape]).encode())
        digest.update(tensor.reshape(-1).view(np.uint8).data)
    digest.update(json.dumps(dict(metadata), sort_keys=True).encode())
    return digest.hexdigest()
