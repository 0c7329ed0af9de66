"""The output folder of a composition: written so that a crash loses nothing and the same command goes on.

`manifest.json` first, then per sample a map and a picture, or one of them (each written under a temporary name and renamed), then its line
in `metadata.jsonl` in one write. Continuing keeps the lines that end in a newline and parse. No torch at import.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zoo.composition.folder.card import write_card
from zoo.composition.folder.overview import write_grid
from zoo.composition.folder.records import (
    GRID,
    IMAGES,
    INPUTS,
    MANIFEST,
    MAPS,
    METADATA,
    VOLATILE,
    check_target,
    differences,
    file_of,
    files_of,
    image_ending,
    line_of,
    read_manifest,
    read_records,
    remove_run,
)
from zoo.composition.summary import summarize
from zoo.errors import DataError, UsageError
from zoo.files.digests import sha256
from zoo.files.images import save_picture, to_pil, write_text
from zoo.files.mapformats import MAP_FORMATS
from zoo.files.pictureformats import QUALITY

if TYPE_CHECKING:
    from zoo.labels import LabelSpace


class Copies(Protocol):
    """Input files that belong into the folder (`manifest.Inputs`)."""

    def copy_to(self, folder: Path) -> None: ...


class OutputFolder:
    """`done` samples are finished; `write` adds those that are missing. Nothing is written before the first `write`.

    notes: what differs from the session that began the run (versions, device); its bytes may differ.
    """

    def __init__(
        self,
        path: Path,
        manifest: dict[str, Any],
        inputs: Copies | None = None,
        *,
        overwrite: bool = False,
        space: LabelSpace | None = None,
    ) -> None:
        """space: of the maps, whose classes and colours the grid and the card show.

        Raises UsageError if the folder holds anything but this very run, DataError if it cannot be written."""
        self.path, self.manifest = path, manifest
        self.records: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._inputs, self._open, self._replaced, self._space = inputs, False, None, space
        check_target(path, overwrite=overwrite)
        if path.is_dir() and any(path.iterdir()):
            if overwrite:
                self._replaced = read_manifest(path)
            else:
                self._continue(read_manifest(path))

    @property
    def done(self) -> int:
        """Finished samples."""
        return len(self.records)

    @property
    def finished(self) -> bool:
        """True if every sample of the run is there and the grid too."""
        return (
            bool(self.manifest.get("finished"))
            and self.done == self.manifest["samples"]
            and (self.path / GRID).is_file()
        )

    def _continue(self, old: dict[str, Any]) -> None:
        differing = differences(old, self.manifest)
        if differing:
            raise UsageError(
                f"{self.path} holds another run (it differs in {', '.join(differing)}): choose another <<folder>>, or <<overwrite>> it."
            )
        now, self.manifest = self.manifest, {**self.manifest, **{k: old[k] for k in VOLATILE if k in old}}
        self.notes = [
            f"{k} {old['versions'].get(k)} -> {v}" for k, v in now["versions"].items() if old["versions"].get(k) != v
        ]
        self.notes += [f"device {old['device']} -> {now['device']}"] if old["device"] != now["device"] else []
        for record in read_records(self.path / METADATA):
            if not all((self.path / f).is_file() for f in files_of(record)):
                break
            self.records.append(record)

    @property
    def _kinds(self) -> list[str]:
        """The folders of what a sample has: maps, images or both."""
        return [n for n in (MAPS, IMAGES) if self.manifest.get(n, True)]

    @property
    def _ending(self) -> str:
        return image_ending(self.manifest["request"])

    # --- writing ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the folder ready: remove the run it replaces, cut off what is incomplete, write the manifest and the inputs."""
        if self._open:
            return
        if self._replaced is not None:
            remove_run(self.path, self._replaced)
        try:
            for name in self._kinds:
                (self.path / name).mkdir(parents=True, exist_ok=True)
            self._tidy()
        except OSError as error:
            raise DataError(
                f"Cannot make the folder {self.path}: {error.strerror or error}. Choose another <<folder>>."
            ) from error
        self._write_manifest()
        if self._inputs is not None:
            self._inputs.copy_to(self.path)
        self._open = True

    def _tidy(self) -> None:
        """Leave the lines of the finished samples only, and no half-written picture of a killed session."""
        metadata = self.path / METADATA
        if metadata.is_file():
            with metadata.open("rb") as file:
                kept = [file.readline() for _ in self.records]
            if [json.loads(line) for line in kept] == self.records:
                os.truncate(metadata, sum(map(len, kept)))
            else:  # lines of an older form, so that all lines have the same keys
                write_text(metadata, "".join(json.dumps(record) + "\n" for record in self.records))
        for part in (p for name in (MAPS, IMAGES, INPUTS) for p in (self.path / name).glob("*.part")):
            part.unlink(missing_ok=True)
        for name in (MANIFEST, GRID):
            for part in self.path.glob(f"{name}.*.part"):
                part.unlink(missing_ok=True)

    def _write_manifest(self) -> None:
        write_text(self.path / MANIFEST, json.dumps(self.manifest, indent=2) + "\n")

    def write(self, part: Any) -> None:
        """Add the samples of a batch (a `composition.Part`) that are not there yet."""
        self._begin()
        for row, record in enumerate(part.records):
            if record["index"] < self.done:
                continue
            digests = {}
            for kind, save in self._savers(part, row).items():
                path = self.path / file_of(kind, record["index"], self._ending)
                save(path)
                digests[kind] = sha256(path)
            self._append(line_of(record, digests, self._ending))

    def _savers(self, part: Any, row: int) -> dict[str, Callable[[Path], None]]:
        """What writes the map and the picture of a row, where there are any."""
        savers: dict[str, Callable[[Path], None]] = {}
        if part.maps is not None:
            map_format = self.manifest["request"].get("map_format", MAP_FORMATS[0])
            savers["map"] = lambda path: part.maps.to_png(path, row, map_format)
        if part.images is not None:
            quality = self.manifest["request"].get("quality") or QUALITY
            savers["image"] = lambda path: save_picture(to_pil(part.images[row]), path, quality)
        return savers

    def _append(self, record: dict[str, Any]) -> None:
        try:
            with (self.path / METADATA).open("ab", buffering=0) as file:
                file.write(json.dumps(record).encode() + b"\n")
        except OSError as error:
            raise DataError(f"Cannot write {self.path / METADATA}: {error.strerror or error}.") from error
        self.records.append(record)

    def finish(self) -> None:
        """Write the grid of the first samples, the data set card and the summary."""
        self._begin()
        write_grid(self.path, self.manifest, self.records, self._kinds, self._space)
        sets = self.manifest["request"].get("label_sets") is not None
        self.manifest = {**self.manifest, "finished": True, "summary": summarize(self.records, sets=sets)}
        write_card(self.path, self.manifest, self.records, self._space)
        self._write_manifest()
