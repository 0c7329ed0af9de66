"""What a file of shards is written to. No torch in here."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Protocol

from zoo.files.writing import told


class Sink(Protocol):
    """What is written to while a file is made."""

    def write(self, content: bytes, /) -> object: ...


class Written:
    """A file being made; an error in a write is an error of `target`."""

    def __init__(self, file: IO[bytes], target: Path) -> None:
        self._file, self._target = file, target

    def write(self, content: bytes, /) -> None:
        """Add bytes. Raises DataError."""
        with told(self._target):
            self._file.write(content)
