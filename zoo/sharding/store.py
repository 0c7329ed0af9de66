"""Where shards lie: a folder, or what an fsspec URL names. Files appear complete or not at all. No torch in here."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from zoo.errors import DataError, UsageError
from zoo.files.links import refuse_links
from zoo.files.locks import LOCK, folder_lock
from zoo.files.shardfiles import is_ours
from zoo.files.writing import temporary_beside, temporary_of, told, umask
from zoo.sharding.sinks import Sink, Written

OTHER = " Or choose another <<shards>>."
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://")


class Store(Protocol):
    """Files by name. place: as the user wrote it; absolute: for processes that work elsewhere; shared: False where only this process
    sees the files."""

    place: str
    absolute: str
    shared: bool

    def sizes(self) -> dict[str, int]:
        """Name and bytes of every file that is there; empty where nothing is. Raises DataError."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a small file. Raises DataError."""
        ...

    def sha256(self, name: str) -> str:
        """Hex digest of a file. Raises DataError."""
        ...

    def writing(self, name: str) -> AbstractContextManager[Sink]:
        """A file to write to, which gets its name at the end of the block, if that ends well. Raises DataError."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Raises DataError."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """While the block lasts no other driver writes here, as far as the place can keep others out, and what killed ones left half-written
        is gone. Raises DataError."""
        ...


class Folder:
    """A folder of this machine, or of a disk that several machines share; made when it is first written to."""

    shared = True

    def __init__(self, place: str) -> None:
        """Raises UsageError for a file, or for links where shards are to lie."""
        self.place, self.path = place, Path(place)
        self.absolute = str(self.path.absolute())
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{place} is a file: name a folder for the shards.")
        if self.path.is_dir():
            refuse_links(self.path, [n for n in os.listdir(self.path) if is_ours(n)], f"remove it, or{OTHER[3:-1]}")

    def sizes(self) -> dict[str, int]:
        """As of `Store`; locks and temporary files of ours do not count."""
        if not self.path.is_dir():
            return {}
        with told(self.path), os.scandir(self.path) as entries:
            return {
                e.name: e.stat(follow_symlinks=False).st_size
                for e in entries
                if e.name != LOCK and temporary_of(e.name) is None
            }

    def read(self, name: str) -> bytes:
        """As of `Store`."""
        with _reading(self.path / name):
            return (self.path / name).read_bytes()

    def sha256(self, name: str) -> str:
        """As of `Store`."""
        with _reading(self.path / name), (self.path / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def writing(self, name: str) -> Iterator[Sink]:
        """As of `Store`; what is renamed has reached the disk."""
        target = self.path / name
        part = temporary_beside(target)
        try:
            with told(target):
                self.path.mkdir(parents=True, exist_ok=True)
                file = part.open("wb")
            with file:
                yield Written(file, target)
                with told(target):
                    file.flush()
                    os.fsync(file.fileno())
            with told(target):
                part.chmod(0o666 & ~umask())
                os.replace(part, target)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """As of `Store`."""
        with told(self.path / name):
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """As of `Store`, by the lock of the folder."""
        with told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.path, OTHER):
            self._sweep()
            try:
                yield
            finally:
                with suppress(DataError):  # what is raised in the block tells more
                    self._sweep()

    def _sweep(self) -> None:
        with told(self.path):
            for entry in list(os.scandir(self.path)):
                name = temporary_of(entry.name)
                if name is not None and is_ours(name) and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error


def open_store(place: str) -> Store:
    """The store that a user named: a folder, or a URL of fsspec (s3://BUCKET/PATH, memory://NAME). Raises UsageError, DataError."""
    matched = _URL.match(place)
    if matched is None:
        return Folder(place)
    if matched[1] in ("file", "local"):
        return Folder(place[matched.end() :] or "/")
    from zoo.sharding.remote import Remote

    return Remote(place, matched[1])
