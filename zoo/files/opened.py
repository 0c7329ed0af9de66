"""The files that a command is given, each opened once: all checks, the run and the manifest see the same bytes. No torch in here.

Memory stays bounded. What was read or decoded (the bytes as they lie on the disk, class numbers as uint8, photos as uint8 RGB) is
kept as long as it fits into `KEPT`; beyond that only the latest is, while digests, sizes and classes of all files are
remembered. What is not kept is read again, and a file that has other bytes then is refused.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from zoo.errors import DataError
from zoo.files.decoding import check_file, decode_image, one_line
from zoo.files.images import is_transparent, photo_pixels
from zoo.files.kept import Kept
from zoo.files.mapfiles import MapFile, check_instances, map_file, to_values
from zoo.files.tally import tally_numbers
from zoo.labels import LabelSpace

T = TypeVar("T")
KEPT = 256 << 20
"""Bytes of files and decoded pictures that stay in memory."""


class OpenedFiles:
    """Lives as long as one command or run. Files are named by their paths; the bytes first read are the ones that count."""

    def __init__(self, kept: int = KEPT, *, trusted: bool = False) -> None:
        """kept: bytes that may stay in memory. trusted: maps are in the order that is said (they have been used before)."""
        self.kept = Kept(kept)
        self.trusted = trusted
        self._notes: dict[str, None] = {}
        self._digests: dict[Path, str] = {}
        self._maps: dict[Path, OpenedMap] = {}
        self._photos: dict[Path, OpenedPhoto] = {}

    def map(self, path: Path | str) -> OpenedMap:
        """A label map or instance map. Raises DataError as `read_map_file` does, or if the file has changed."""
        path = Path(path)
        if path not in self._maps:
            file = self.map_file(path)
            self._maps[path] = OpenedMap(path, self.sha256(path), file.mode, file.size, file.values is not None, self)
        return self._maps[path]

    def photo(self, path: Path | str) -> OpenedPhoto:
        """A photo. Raises DataError as `open_image` does, or if the file has changed."""
        path = Path(path)
        if path not in self._photos:
            height, width, _ = self.pixels(path).shape
            self._photos[path] = OpenedPhoto(path, self.sha256(path), (height, width), self)
        return self._photos[path]

    def parsed(self, path: Path | str, parse: Callable[[bytes, Path], T]) -> T:
        """What `parse(content, path)` makes of any other file, once."""
        path = Path(path)

        def make() -> tuple[T, int]:
            with self.stream(path) as file:
                content = file.read()
            return parse(content, path), len(content)

        return self.kept.once((path, parse), make)

    def note(self, text: str) -> None:
        """Keep what the user should know of a file, once."""
        self._notes[text] = None

    def take_notes(self) -> list[str]:
        """What has been noted since this was last asked, with marks as in the texts of errors."""
        notes = list(self._notes)
        self._notes.clear()
        return notes

    def sha256(self, path: Path | str) -> str:
        """Hex digest of a file's bytes."""
        path = Path(path)
        if path not in self._digests:
            self.stream(path).close()
        return self._digests[path]

    def verified(self, path: Path | str) -> str:
        """`sha256` of a file whose bytes are in memory or have just been read again. Raises DataError if they changed."""
        self.stream(path).close()
        return self.sha256(path)

    def expect(self, path: Path | str, digest: str) -> None:
        """Refuse a file, once it is read, whose bytes have not this sha256."""
        self._digests.setdefault(Path(path), digest)

    def copy(self, path: Path | str, target: Path) -> None:
        """Write the bytes that were read to another file."""
        with self.stream(path) as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy)

    def release(self) -> None:
        """Give the memory back; digests and facts stay, so that a change of a file is still noticed."""
        self.kept.clear()

    def stream(self, path: Path | str) -> IO[bytes]:
        """A file from its beginning, read from the disk if it is not in memory. Raises DataError if its bytes are no longer those that
        were read first."""
        path = Path(path)
        found = self.kept.get((path, "bytes"))
        if found is not None:
            return io.BytesIO(found)
        check_file(path)
        with one_line(path):
            if path.stat().st_size > self.kept.limit:
                file = path.open("rb")
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
            else:
                content = path.read_bytes()
                digest, file = hashlib.sha256(content).hexdigest(), io.BytesIO(content)
                self.kept.add((path, "bytes"), content, len(content))
        if self._digests.setdefault(path, digest) != digest:
            self.kept.drop((path, "bytes"))
            file.close()
            raise DataError(
                f"{path} was changed since it was first read: run this again, and leave it alone until everything is written."
            )
        return file

    # --- decoded once -------------------------------------------------------------------------------------------------

    def map_file(self, path: Path) -> MapFile:
        """Values and colours of a map; kept until its class numbers are asked for."""

        def make() -> tuple[MapFile, int]:
            with self.stream(path) as file:
                found = map_file(path, decode_image(path, file, exact=True))
            return found, sum(a.nbytes for a in (found.values, found.colors) if a is not None)

        return self.kept.once((path, "map"), make)

    def pixels(self, path: Path) -> np.ndarray:
        """A photo as uint8 RGB [H, W, 3], upright (`photo_pixels`)."""

        def make() -> tuple[np.ndarray, int]:
            with self.stream(path) as file:
                image = decode_image(path, file)
            if is_transparent(image):
                self.note(f"{path} is transparent: it is laid on white.")
            found = photo_pixels(image, path)
            return found, found.nbytes

        return self.kept.once((path, "photo"), make)


@dataclass(eq=False)
class OpenedMap:
    """A map file as it was first read. size: (height, width); numbers: False if it holds colours only.

    passed: what callers have found in order, for them to look at it once.
    """

    path: Path
    sha256: str
    mode: str
    size: tuple[int, int]
    numbers: bool
    _files: OpenedFiles
    passed: set[Hashable] = field(default_factory=set)
    _shown: dict[LabelSpace, frozenset[int]] = field(default_factory=dict)

    @property
    def file(self) -> MapFile:
        """Its values and colours."""
        return self._files.map_file(self.path)

    def labels(self, space: LabelSpace) -> np.ndarray:
        """Class values uint8 [H, W] in `space`, not to be written to. Raises LabelError as `to_values` does."""

        def make() -> tuple[np.ndarray, int]:
            found = to_values(self.file, space)
            self._files.kept.drop((self.path, "map"))  # several times as large, and no longer needed
            self._shown[space] = frozenset(tally_numbers(found).keys.tolist())
            return found, found.nbytes

        return self._files.kept.once((self.path, space), make)

    def shown(self, space: LabelSpace) -> frozenset[int]:
        """The class values that occur. Raises LabelError as `to_values` does."""
        if space not in self._shown:
            self.labels(space)
        return self._shown[space]

    def check_instances(self, size: tuple[int, int]) -> None:
        """Raise DataError if these are no object numbers of a map of (height, width)."""
        check_instances(self.path, self.mode, self.numbers, self.size, size)

    def instances(self, size: tuple[int, int]) -> np.ndarray:
        """Object numbers int32 [H, W] of a map of (height, width), not to be written to. Raises DataError."""
        self.check_instances(size)
        values = self.file.values
        assert values is not None
        return values.astype(np.int32, copy=False)


@dataclass(eq=False)
class OpenedPhoto:
    """A photo as it was first read. size: (height, width), upright."""

    path: Path
    sha256: str
    size: tuple[int, int]
    _files: OpenedFiles

    @property
    def pixels(self) -> np.ndarray:
        """uint8 RGB [H, W, 3], upright, not to be written to."""
        return self._files.pixels(self.path)
