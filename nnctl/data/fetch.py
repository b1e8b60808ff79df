"""Fetching a data set by its card: download or copy, check the hash, and only then give the file its name."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, TypeAlias, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from nnctl.core.errors import DataError, DiskError
from nnctl.data.cards import Card, CardFile

__all__ = ["Progress", "fetch", "hash_of"]

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here, and how many there will be, where that is known."""

BLOCK = 1 << 20
TIMEOUT = 30.0
ATTEMPTS = 3


def fetch(card: Card, folder: Path, *, from_dir: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """Bring every file of a data set into `folder` and return the paths; what is there and right is left alone.

    A download that was cut off is taken up where it stopped. A file gets its name only after its hash was found right.

    Parameters
    ----------
    card : Card
        Says which files, from where, and their hashes.
    folder : Path
        Where the files are kept; it is made if need be.
    from_dir : Path or None
        Take the files from this folder or its subfolders, whatever they are called there, and use no network.
    progress : callable or None
        Told about every block that arrives.

    Raises
    ------
    DataError
        A file cannot be had, or its hash is wrong; such a file is not kept.
    DiskError
        A file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"{folder}: cannot be made: {error}.") from error
    paths = []
    for file in card.files:
        path = folder / file.name
        if not (path.is_file() and _hash_or_reason(path, file) == file.sha256):
            if from_dir is None:
                _download(file, path, progress or _silent)
            else:
                _copy(file, from_dir, path)
        paths.append(path)
    return paths


def hash_of(path: Path, kind: str) -> str:
    """Return the SHA-256 of a file, or with ``kind="content"`` of what is inside its gzip wrapping, if it has one."""
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        zipped = kind == "content" and raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if zipped else raw
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _hash_or_reason(path: Path, file: CardFile) -> str:
    """Return the hash, or why there is none, which is no hash and so never the right one."""
    try:
        return hash_of(path, file.hash_of)
    except (OSError, EOFError, zlib.error) as error:
        return f"none ({error})"


def _copy(file: CardFile, folder: Path, path: Path) -> None:
    """Take the file from a folder: first by its name, then by its hash."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.")
    found = sorted(
        (p for p in (*folder.glob("*"), *folder.glob("*/*")) if p.is_file()), key=lambda p: p.name != file.name
    )
    for candidate in found:
        actual = _hash_or_reason(candidate, file)
        if actual == file.sha256:
            part = path.with_name(f".{path.name}.part")
            try:
                shutil.copyfile(candidate, part)
                part.replace(path)
            except OSError as error:
                raise DiskError(f"{path}: cannot be written: {error}.") from error
            return
        if candidate.name == file.name:
            raise DataError(f"{candidate}: has the SHA-256 {actual}; the card says {file.sha256}. It was not taken.")
    raise DataError(f"{folder}: holds no {file.name}, nor a file with its SHA-256 {file.sha256} under another name.")


def _download(file: CardFile, path: Path, progress: Progress) -> None:
    """Try one mirror after the other until one yields the file with the right hash."""
    reasons = []
    for url in file.urls:
        mark = hashlib.sha256(url.encode()).hexdigest()[:8]
        part = path.with_name(f".{path.name}.{mark}.part")
        try:
            resumed = _receive(url, part, file.name, progress)
            if resumed and _hash_or_reason(part, file) != file.sha256:
                part.unlink()
                _receive(url, part, file.name, progress)
        except (HTTPException, OSError) as error:
            reasons.append(f"{url}: {error}.")
            continue
        actual = _hash_or_reason(part, file)
        if actual == file.sha256:
            part.replace(path)
            return
        part.unlink()
        reasons.append(f"{url}: has the SHA-256 {actual}; the card says {file.sha256}. It was not kept.")
    raise DataError(
        f"{file.name} cannot be fetched.\n  " + "\n  ".join(reasons) + "\n"
        "  Try again later: a broken download goes on where it stopped. With --from DIR files that you have are taken."
    )


def _receive(url: str, part: Path, name: str, progress: Progress) -> bool:
    """Bring the whole of `url` into `part`, taking up what is there; return whether something was."""
    resumed = part.exists() and part.stat().st_size > 0
    for _ in range(ATTEMPTS):
        total = _receive_once(url, part, name, progress)
        if total is None or part.stat().st_size == total:
            return resumed
        resumed = True
    raise OSError(f"the connection broke {ATTEMPTS} times; {part.stat().st_size:,} of {total:,} bytes are here")


def _receive_once(url: str, part: Path, name: str, progress: Progress) -> int | None:
    """Append what one request yields, and return how many bytes there are in all, where the server says so."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "nnctl", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer: Any = urlopen(Request(url, headers=headers), timeout=TIMEOUT)  # noqa: S310 - a card's URLs are http(s)
    except HTTPError as error:
        if error.code != 416 or not have:
            raise
        part.unlink()  # it is no beginning of that file
        return _receive_once(url, part, name, progress)
    with answer:
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        if have == 0 and part.exists():
            part.unlink()
        while block := answer.read(BLOCK):
            _append(part, block)
            have += len(block)
            progress(name, have, total)
    return total


def _append(part: Path, block: bytes) -> None:
    try:
        with part.open("ab") as file:
            file.write(block)
    except OSError as error:
        raise DiskError(
            f"{part}: cannot be written: {error}. What is there is taken up again by the next fetch."
        ) from error


def _silent(name: str, have: int, total: int | None) -> None:
    """Tell nobody."""
