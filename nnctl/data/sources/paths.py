"""Paths as a spec writes them: relative to the spec, or else to the working directory."""

from __future__ import annotations

from pathlib import Path

from nnctl.core.component import did_you_mean
from nnctl.core.errors import DataError

__all__ = ["found"]


def found(path: str, base: Path, *, folders: bool = False) -> Path:
    """Return the file that `path` names; or, where it may be one, the folder.

    Raises
    ------
    DataError
        There is no such file, or it is empty, or a folder where a file is needed.
    """
    try:
        return _found(path, Path(path).expanduser(), base, folders=folders)
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, the home of nobody, a null byte
        raise DataError(f"{path[:80]}: cannot be a file: {getattr(error, 'strerror', None) or error}.") from None


def _found(path: str, given: Path, base: Path, *, folders: bool) -> Path:
    for candidate in (base / given, Path.cwd() / given):
        if candidate.is_dir():
            if folders:
                return candidate.resolve()
            raise DataError(f"{candidate}: is a folder. Name a file in it.")
        if candidate.exists():
            if candidate.stat().st_size == 0:
                raise DataError(f"{candidate}: is empty.")
            return candidate.resolve()
    looked = dict.fromkeys([(base / given).parent, (Path.cwd() / given).parent])
    there = [entry.name for folder in looked if folder.is_dir() for entry in folder.iterdir()]
    places = " or ".join(map(str, looked))
    kind = "file or folder" if folders else "file"
    raise DataError(f"{path}: there is no such {kind} in {places}.{did_you_mean(given.name, there)}")
