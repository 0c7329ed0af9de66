"""Where what is computed from data sets is kept: never inside them, never half written."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from zoo.errors import DataError
from zoo.files.writing import write_atomic

_complained: set[Path] = set()  # folders whose warning was given: the messages differ from file to file


def cache_folder() -> Path:
    """`$ZOO_CACHE`, else `$XDG_CACHE_HOME/zoo`, else `~/.cache/zoo`. Everything in it can be deleted at any time."""
    own = os.environ.get("ZOO_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "zoo"


def digest_of(parts: Iterable[object], length: int = 16) -> str:
    """A short name for what these parts say, to put into a file name."""
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:length]


def files_digest(paths: Iterable[Path]) -> str:
    """Changes when one of the files is replaced: from names, sizes and times of change, without reading them.

    Raises DataError if a file is gone.
    """
    try:
        stats = [(path.name, path.stat()) for path in paths]
    except OSError as error:
        raise DataError(f"Cannot read {error.filename}: {error.strerror or error}.") from error
    return digest_of((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def cached(path: Path) -> bool:
    """Whether the cache has this file, as far as we may look."""
    try:
        return path.is_file()
    except OSError:
        return False


def store(path: Path, write: Callable[[Path], object]) -> None:
    """Put a file into the cache. A cache that cannot be written costs time, nothing else: one warning per program."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, write)
    except (OSError, DataError) as error:
        folder = cache_folder()
        if folder in _complained:
            return
        _complained.add(folder)
        warnings.warn(
            f"The cache {folder} cannot be written ({error}): data sets are read the slow way each time."
            " ZOO_CACHE=DIR names another place.",
            stacklevel=2,
        )
