"""The files that a request reads, on their way into `inputs/` of a run folder and back: photos bare of metadata, or none at all.

A name in `inputs/` is the first half of a file's sha256 with its suffix. Where nothing is copied (`--no-inputs`) the manifest has the whole
sha256 of each file as it was given, and `zoo replay --input` is told where they lie.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.checks.before_loading import existing_file
from zoo.errors import UsageError, few
from zoo.files.bare import bare_photo
from zoo.files.digests import sha256
from zoo.files.images import to_pil
from zoo.files.jsonfiles import named
from zoo.files.opened import OpenedFiles
from zoo.files.runfiles import INPUTS, is_input, own_file
from zoo.files.writing import told, write_atomic
from zoo.maps import SemanticMap
from zoo.style import Style

if TYPE_CHECKING:
    import PIL.Image

SEARCHED = 100_000
"""So many files of the folders of `--input` are looked at."""


class Inputs:
    """The files a request reads, each once, named by its digest so that equal inputs have equal names.

    `add` only collects; `copy_to` writes them into `inputs/` of a run folder. digests: by name the sha256 of what was given, filled where
    nothing is copied.
    """

    def __init__(self, files: OpenedFiles | None = None, *, copied: bool = True) -> None:
        """files: those that the run has opened, whose bytes are the ones that are copied. copied: False: `copy_to` writes nothing."""
        self._files = OpenedFiles() if files is None else files
        self._pending: dict[str, tuple[Path, bool] | bytes] = {}
        self._names: dict[tuple[Path, bool], str] = {}
        self.copied = copied
        self.digests: dict[str, str] = {}

    def add(self, value: Any, photo: bool = False) -> str:
        """A path, SemanticMap, Style, photo tensor or PNG's bytes as a file name relative to the run folder.

        photo: the file is a photo, which is copied without metadata; maps and styles are copied as they are.
        Raises UsageError for no file, DataError for one that was changed since the run read it.
        """
        if isinstance(value, str | Path):
            key = (Path(value), photo)
            if key not in self._names:
                self._names[key] = self._add_file(*key)
            return self._names[key]
        if isinstance(value, Style):
            content, suffix = value.to_bytes(), ".safetensors"
        else:
            content, suffix = value if isinstance(value, bytes) else _png(value), ".png"
        digest = hashlib.sha256(content).hexdigest()
        return self._keep(digest, suffix, content)

    def _add_file(self, path: Path, photo: bool) -> str:
        existing_file(path)
        digest, suffix = self._files.verified(path), path.suffix.lower()
        if photo and self.copied:
            content, suffix = self._bare(path)
            digest = hashlib.sha256(content).hexdigest()
        return self._keep(digest, suffix, (path, photo))

    def _keep(self, digest: str, suffix: str, content: tuple[Path, bool] | bytes) -> str:
        name = f"{INPUTS}/{digest[:16]}{suffix}"
        if self.copied:
            self._pending[name] = content
        else:
            self.digests[name] = digest
        return name

    def _bare(self, path: Path) -> tuple[bytes, str]:
        with self._files.stream(path) as file:
            content = file.read()
        return bare_photo(content, path, self._files.pixels(path))

    def copy_to(self, folder: Path) -> None:
        """Write what is not there yet with the bytes that its name says. Raises DataError."""
        for name, content in self._pending.items():
            target = folder / name
            if target.is_file() and sha256(target).startswith(target.stem):
                continue
            with told(target.parent):
                target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                write_atomic(target, lambda part, content=content: part.write_bytes(content))
            elif content[1]:
                write_atomic(target, lambda part, path=content[0]: part.write_bytes(self._bare(path)[0]))
            else:
                write_atomic(target, lambda part, path=content[0]: self._files.copy(path, part))


def _png(value: Any) -> bytes:
    """A SemanticMap [1, H, W] or a photo tensor [3, H, W] as PNG bytes."""
    return png_of(value.to_pil() if isinstance(value, SemanticMap) else to_pil(value.reshape(value.shape[-3:])))


def png_of(image: PIL.Image.Image) -> bytes:
    """A picture as a PNG's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


class InputFiles:
    """Where the inputs of a manifest lie: in its folder, else among files that the user points to.

    Called with a name of the manifest it gives the path. What is found nowhere is collected in `missing`.
    """

    def __init__(self, folder: Path, digests: Mapping[str, str] | None = None, places: Sequence[Path] = ()) -> None:
        """digests: sha256 by name, of inputs that were not copied. places: files, and folders to look in. Raises UsageError for a place
        that is not there."""
        self._folder, self._digests = folder, dict(digests or {})
        self.missing: dict[str, str] = {}
        self._offered: dict[str, Path] = {}
        for place in places:
            if not place.exists():
                raise UsageError(f"There is no file or folder {place} to take inputs from.")
            for path in _files_below(place) if place.is_dir() else (place,):
                self._offered.setdefault(sha256(path), path)

    def __call__(self, name: Any) -> str:
        """Raises TypeError for what is no name of an input, or is one that does not hold what it should."""
        if not is_input(name):
            raise TypeError(f"{named(name)} is no file name in {INPUTS}/")
        stem = name[len(INPUTS) + 1 :].partition(".")[0]
        if not re.fullmatch(r"[0-9a-f]{16}", stem):
            raise TypeError(f"{named(name)} is not named by its digest")
        digest: str = self._digests.get(name) or stem
        path = own_file(self._folder, name)
        if path is None and os.path.lexists(self._folder / name):
            raise TypeError(f"{name} is a link or no ordinary file")
        if path is None:
            path = next((p for d, p in self._offered.items() if d.startswith(digest)), None)
        elif not sha256(path).startswith(digest):
            raise TypeError(f"{name} has other bytes than the run read")
        if path is None:
            self.missing[name] = digest
            return str(self._folder / name)
        return str(path)

    def check(self) -> None:
        """Raise UsageError that asks for what is missing."""
        if self.missing:
            wanted = [f"{self._folder / n} (sha256 {d}{'…' if len(d) < 64 else ''})" for n, d in self.missing.items()]
            raise UsageError(
                f"There is no file {few(wanted)}: the run reads it. Say where it lies, a file or a folder to look in:"
                ' <<input="PHOTO">>.'
            )


def _files_below(folder: Path) -> Iterator[Path]:
    """The ordinary files of a folder, and of those in it; no links are followed."""
    seen = 0
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = Path(above) / name
            if path.is_file() and not path.is_symlink():
                seen += 1
                if seen > SEARCHED:
                    raise UsageError(f"{folder} holds more than {SEARCHED} files: name a smaller folder.")
                yield path
