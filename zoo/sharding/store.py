"""Where shards lie: a folder. Files appear complete or not at all. No torch in here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from zoo.errors import DataError, UsageError
from zoo.files.links import refuse_links
from zoo.files.locks import LOCK, folder_lock
from zoo.files.shardfiles import is_ours
from zoo.files.writing import told, temporary_beside, temporary_of, umask


class Store(Protocol):
    """Files by name. place: what the user wrote."""

    place: str

    def sizes(self) -> dict[str, int]:
        """Name and bytes of every file that is there; empty where nothing is."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a small file. Raises DataError."""
        ...

    def sha256(self, name: str) -> str:
        """Hex digest of a file. Raises DataError."""
        ...

    def writing(self, name: str) -> "Writing":
        """A file to write to, which gets its name at the end of the block, if that ends well. Raises DataError."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Raises DataError."""
        ...

    def locked(self) -> "Locked":
        """While the block lasts no other driver writes here, and what killed ones left half-written is gone. Raises DataError."""
        ...


Writing = Iterator[IO[bytes]]
Locked = Iterator[None]


class Folder:
    """A folder of this machine, or of a disk that several share; made when it is first written to."""

    def __init__(self, place: str) -> None:
        """Raises UsageError for a file, or for links where shards are to lie."""
        self.place, self.path = place, Path(place)
        self.absolute, self.shared = str(self.path.absolute()), True
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{place} is a file: name a folder for the shards.")
        if self.path.is_dir():
            refuse_links(self.path, [n for n in os.listdir(self.path) if is_ours(n)])

    def sizes(self) -> dict[str, int]:
        if not self.path.is_dir():
            return {}
        with told(self.path), os.scandir(self.path) as entries:
            return {
                e.name: e.stat().st_size
                for e in entries
                if e.is_file(follow_symlinks=False) and e.name != LOCK and temporary_of(e.name) is None
            }

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise DataError(f"Cannot read {self.path / name}: {error.strerror or error}.") from error

    def sha256(self, name: str) -> str:
        try:
            with (self.path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"Cannot read {self.path / name}: {error.strerror or error}.") from error

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        target = self.path / name
        part = temporary_beside(target)
        with told(target):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                part.chmod(0o666 & ~umask())
                os.replace(part, target)
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        with told(self.path / name):
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.path, " Or choose another <<shards>>."):
            self._sweep()
            try:
                yield
            finally:
                self._sweep()

    def _sweep(self) -> None:
        with told(self.path):
            for entry in list(os.scandir(self.path)):
                name = temporary_of(entry.name)
                if name is not None and is_ours(name) and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)


def open_store(place: str) -> Store:
    """The store that a user named. Raises UsageError."""
    return Folder(place)
