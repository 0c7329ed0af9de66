"""Shards at a URL, by fsspec: object stores, where a file is there once it has been sent whole. No torch in here."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DataError, UsageError
from zoo.sharding.sinks import Sink, Written

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "hf": "huggingface_hub",
}
"""What a protocol needs besides fsspec."""
BLOCK = 1 << 20


class Remote:
    """Files below a URL. Credentials and endpoints are those of the environment, as the protocol's own package reads them.

    There is no lock: two drivers at once make the same bytes, twice.
    """

    def __init__(self, place: str, protocol: str) -> None:
        """Raises UsageError for a protocol that is unknown or whose package is missing."""
        self.place = self.absolute = place.rstrip("/")
        self.shared = protocol != "memory"
        try:
            import fsspec
        except ImportError as error:
            raise UsageError(_lacking(place, "fsspec")) from error
        try:
            self._fs, self._root = fsspec.url_to_fs(self.place, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise UsageError(
                _lacking(place, PACKAGES.get(protocol, "the package that fsspec names: " + _text(error)))
            ) from error
        except ValueError as error:
            raise UsageError(f"No shards at {place}: {_text(error)}.") from error

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def sizes(self) -> dict[str, int]:
        """As of `zoo.sharding.store.Store`."""
        with self._told("Cannot list"):
            try:
                entries = self._fs.ls(self._root, detail=True)
            except FileNotFoundError as error:
                if "bucket" in str(error).lower():  # nothing at a path is a place to begin; no bucket is none
                    raise
                return {}
        return {
            e["name"].rstrip("/").rpartition("/")[2]: int(e["size"] or 0)
            for e in entries
            if e["name"].strip("/") != self._root.strip("/")
        }

    def read(self, name: str) -> bytes:
        """As of `zoo.sharding.store.Store`."""
        with self._told(f"Cannot read {name} at"):
            content: bytes = self._fs.cat_file(self._path(name))
        return content

    def sha256(self, name: str) -> str:
        """As of `zoo.sharding.store.Store`."""
        digest = hashlib.sha256()
        with self._told(f"Cannot read {name} at"), self._fs.open(self._path(name), "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    @contextmanager
    def writing(self, name: str) -> Iterator[Sink]:
        """As of `zoo.sharding.store.Store`; a file of this machine holds it until it is sent."""
        with tempfile.TemporaryDirectory(prefix="zoo-shard-") as folder:
            part = Path(folder) / name
            with part.open("wb") as file:
                yield Written(file, part)
            with self._told(f"Cannot write {name} to"):
                self._fs.put_file(str(part), self._path(name))

    def remove(self, name: str) -> None:
        """As of `zoo.sharding.store.Store`."""
        with self._told(f"Cannot remove {name} at"):
            if self._fs.exists(self._path(name)):
                self._fs.rm_file(self._path(name))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nothing: object stores know no locks, and have no half-written files."""
        yield

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Make whatever a protocol's package raises (each has errors of its own) one line."""
        try:
            yield
        except Exception as error:
            raise DataError(f"{what} {self.place}: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    text = _text(error)
    kind = type(error).__name__
    if "credential" in text.lower() or "credential" in kind.lower():
        return f"{text} (the environment has no credentials for it)"
    return text if isinstance(error, OSError) else f"{kind}: {text}"


def _lacking(place: str, package: str) -> str:
    return f"{place} needs {package}: pip install 'maskzoo[shards]' has fsspec and s3fs, or install it."


def _text(error: BaseException) -> str:
    """What an error says, on one line, without a full stop."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
