"""Tars whose bytes depend on their members alone: USTAR, no times, no owners, one mode. No torch in here."""

from __future__ import annotations

import hashlib
import tarfile
from typing import Protocol, Self

END = 2 * tarfile.BLOCKSIZE
"""Bytes of zeros that end a tar, before it is filled up to a whole record."""


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, content: bytes, /) -> object: ...


class TarWriter:
    """Adds members to a stream one after the other; `size` and `sha256` tell of what has been written so far."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self.size = 0

    def add(self, name: str, content: bytes) -> None:
        """One member."""
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._write(member.tobuf(tarfile.USTAR_FORMAT))
        self._write(content)
        self._write(bytes(-len(content) % tarfile.BLOCKSIZE))

    def finish(self) -> Self:
        """What a tar ends with."""
        self._write(bytes(END))
        self._write(bytes(-self.size % tarfile.RECORDSIZE))
        return self

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes so far."""
        return self._digest.hexdigest()

    def _write(self, content: bytes) -> None:
        self._sink.write(content)
        self._digest.update(content)
        self.size += len(content)
