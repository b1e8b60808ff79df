"""Checkpoints: named tensors and a few words about them in one safetensors file, with a hash over all of it.

safetensors (Hugging Face, 2022) is a JSON header and raw numbers: nothing is executed, and other programs read it.
The header's ``blake2b`` entry is ours: a flipped bit anywhere in names, types, shapes, numbers or metadata is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError

__all__ = ["Damaged", "decode", "encode"]

_HASH = "blake2b"
_KINDS = {"b1": "BOOL"} | {f"{kind}{n}": f"{kind.upper()}{8 * n}" for kind in "fiu" for n in (1, 2, 4, 8)}
"""What safetensors calls the types."""


class Damaged(DataError):  # noqa: N818 - a state of the file
    """A checkpoint that is not what was written."""


def encode(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """Return the bytes of a checkpoint in pieces: its header, and every tensor in the memory where it is.

    safetensors' own writer returns them as one, which takes twice the memory of all tensors on top; the format is the
    length of the header in eight bytes, the header as JSON with the place of every tensor, and the tensors.
    """
    whole = {name: np.ascontiguousarray(tensor).reshape(np.shape(tensor)) for name, tensor in tensors.items()}
    in_order = sorted(whole, key=lambda name: (-whole[name].itemsize, name))  # so that each is aligned
    header: dict[str, Any] = {"__metadata__": {**metadata, _HASH: _digest(whole, metadata)}}
    end = 0
    for name in in_order:
        tensor, start = whole[name], end
        end += tensor.nbytes
        header[name] = {"dtype": _KINDS[tensor.dtype.str[1:]], "shape": tensor.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *(whole[name].reshape(-1).view(np.uint8).data for name in in_order)]


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
