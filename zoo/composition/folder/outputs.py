"""The output folder of a composition: written so that a crash loses nothing and the same command goes on.

`manifest.json` first, then per sample a map and a picture, or one of them (each written under a temporary name and renamed), then its line
in `metadata.jsonl` in one write. Continuing holds the files against the digests in their lines and makes what is damaged again, and
only that. One process at a time writes (`zoo.files.locks`). No torch at import.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from zoo.composition.folder.card import write_card
from zoo.composition.folder.finished import finished
from zoo.composition.folder.overview import write_grid
from zoo.composition.folder.records import (
    FOLDERS,
    GRID,
    IMAGES,
    MANIFEST,
    MAPS,
    METADATA,
    VOLATILE,
    differences,
    file_of,
    image_ending,
    line_of,
    read_manifest,
)
from zoo.composition.folder.target import check_target, is_blank, remove_run, tidy
from zoo.composition.summary import summarize
from zoo.errors import DataError, UsageError
from zoo.files.digests import sha256
from zoo.files.images import save_image, save_picture, to_pil
from zoo.files.jsonfiles import named
from zoo.files.locks import LOCK, Lock, folder_lock, remove_left
from zoo.files.mapformats import MAP_FORMATS
from zoo.files.pictureformats import QUALITY
from zoo.files.runfiles import PASTED, PASTED_DIGEST, PASTED_NAME, pasted_name
from zoo.files.writing import append, cannot_write, told, write_atomic, write_text

if TYPE_CHECKING:
    from zoo.labels import LabelSpace

OTHER = " Or choose another <<folder>>."


class Copies(Protocol):
    """Input files that belong into the folder (`manifest.Inputs`)."""

    def copy_to(self, folder: Path) -> None: ...


class OutputFolder:
    """`done` samples are finished; `write` adds those that are missing. A new folder is made at the first `write`.

    notes: what differs from the session that began the run (versions, device); its bytes may differ. damaged: samples that had
    been finished and are missing now, because their files are not what was written. Use it in a `with` block, at whose end others may
    write the folder.
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

        Raises UsageError if the folder holds anything but this very run (or a shorter one of the same request), DataError if it
        cannot be written or another process writes it."""
        self.path, self.manifest = path, manifest
        self.notes: list[str] = []
        self.damaged = 0
        self._records: dict[int, dict[str, Any]] = {}
        self._inputs, self._open, self._replaced, self._space = inputs, False, None, space
        self._lock: Lock | None = None
        check_target(path, overwrite=overwrite)
        if not path.is_dir() or is_blank(path):
            return
        if overwrite:
            self._replaced = read_manifest(path)
            self._lock = folder_lock(path, OTHER)
            return
        self._continue(read_manifest(path), manifest)
        if self.finished:
            remove_left(path / LOCK)
        else:
            self._lock = folder_lock(path, OTHER)
            try:
                self._continue(read_manifest(path), manifest)  # it may have changed until now
            except BaseException:
                self.close()
                raise

    @property
    def records(self) -> list[dict[str, Any]]:
        """The lines of the finished samples, in order."""
        return [self._records[index] for index in sorted(self._records)]

    @property
    def done(self) -> int:
        """Finished samples."""
        return len(self._records)

    @property
    def missing(self) -> set[int]:
        """The numbers of the samples that are still to be made."""
        return set(range(self.manifest["samples"])) - set(self._records)

    @property
    def finished(self) -> bool:
        """True if every sample of the run is there and the grid too."""
        return (
            bool(self.manifest.get("finished"))
            and self.done == self.manifest["samples"]
            and (self.path / GRID).is_file()
        )

    def _continue(self, old: dict[str, Any], now: dict[str, Any]) -> None:
        """Take over what the folder holds. old: its manifest; now: of this session."""
        differing = differences(old, now)
        # samples are numbered map by map, and a last batch that was not full has other last bits than a full one
        known = old["samples"] if not differing else 0
        if set(differing) == {"samples", "request (n)"}:
            known = self._grown(old, now)
        elif differing:
            raise UsageError(
                f"{self.path} holds another run (it differs in {', '.join(differing)}): choose another <<folder>>, or <<overwrite>> it."
            )
        self.manifest = {**now, **{k: old[k] for k in VOLATILE if k in old}}
        self.notes = [
            f"{k} {old['versions'].get(k)} -> {v}" for k, v in now["versions"].items() if old["versions"].get(k) != v
        ]
        self.notes += [f"device {old['device']} -> {now['device']}"] if old["device"] != now["device"] else []
        kinds = [kind for kind, name in FOLDERS.items() if name in self._kinds]
        self._records, self.damaged = finished(
            self.path, kinds, samples=known, seed=now["request"]["seed"], pasted=self._pastes
        )
        summary = self.manifest.pop("summary", None)
        if self.done < now["samples"]:
            self.manifest.pop("finished", None)
        elif summary is not None:  # whatever the folder says of its samples: what they are
            self.manifest["summary"] = self._summary()

    def _summary(self) -> dict[str, Any]:
        """What the manifest says of the finished samples in short."""
        asked = self.manifest["request"]
        return summarize(self.records, sets=asked.get("label_sets") is not None, balance=asked.get("balance"))

    def _grown(self, old: dict[str, Any], now: dict[str, Any]) -> int:
        """How many samples of a run of another `n` are those of this run: whole batches. Raises UsageError where none can be."""
        before, n, batch = old["request"]["n"], now["request"]["n"], now["request"]["batch_size"]
        if now["samples"] != n:
            reason = "a run over several maps, photos or graphs, whose samples are numbered by <<n>>, so that it cannot change"
        elif now["request"].get("style_to") is not None:
            reason = "a run whose styles are steps from one to another, so that <<n>> cannot change"
        elif type(before) is not int or before != old["samples"] or before < 1:
            raise DataError(
                f"{self.path / MANIFEST} is damaged: it says {named(before)} and {named(old['samples'])} samples."
            )
        elif before > n:
            reason = f"{before} samples of this run, and <<n={n}>> asks for fewer: ask for {before} or more"
        else:
            return before // batch * batch
        raise UsageError(f"{self.path} holds {reason}. Or choose another <<folder>>, or <<overwrite>> it.")

    @property
    def _kinds(self) -> list[str]:
        """The folders of what a sample has: maps, images or both."""
        return [n for n in (MAPS, IMAGES) if self.manifest.get(n, True)]

    @property
    def _pastes(self) -> bool:
        """Whether each picture is also blended into its photo."""
        return bool(self.manifest["request"].get("paste"))

    @property
    def _ending(self) -> str:
        return image_ending(self.manifest["request"])

    # --- one at a time ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let other processes write the folder."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the folder ready: remove the run it replaces, cut off what is incomplete, write the manifest and the inputs."""
        if self._open:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error, OTHER) from error
        with told(self.path):
            if self._lock is None:
                self._lock = folder_lock(self.path, OTHER)
                if not is_blank(self.path):
                    raise DataError(
                        f"Another process has begun a run in {self.path} meanwhile: choose another <<folder>>."
                    )
            if self._replaced is not None:
                remove_run(self.path, self._replaced)
            tidy(self.path)
            self._write_lines()
            self._write_manifest()
            for name in (*self._kinds, *((PASTED,) if self._pastes else ())):
                (self.path / name).mkdir(exist_ok=True)
            if self._inputs is not None:
                self._inputs.copy_to(self.path)
        self._open = True

    def _write_lines(self) -> None:
        """Make `metadata.jsonl` hold the lines of the finished samples, in order, and no other."""
        path, lines = self.path / METADATA, b"".join(map(_line, self.records))
        if not path.is_file() if not lines else path.is_file() and path.read_bytes() == lines:
            return
        write_atomic(path, lambda part: part.write_bytes(lines))

    def _write_manifest(self) -> None:
        write_text(self.path / MANIFEST, json.dumps(self.manifest, indent=2) + "\n")

    def write(self, part: Any) -> None:
        """Add the samples of a batch (a `composition.Part`) that are not there yet. Raises DataError."""
        self._begin()
        for row, record in enumerate(part.records):
            if record["index"] in self._records:
                continue
            digests = {}
            for kind, save in self._savers(part, row).items():
                path = self.path / file_of(kind, record["index"], self._ending)
                with told(path):
                    save(path)
                    digests[kind] = sha256(path)
            self._append(line_of({**record, **self._save_pasted(part, row)}, digests, self._ending))

    def _save_pasted(self, part: Any, row: int) -> dict[str, str]:
        """Write the picture of a row in its photo, where the run has such; returns what its line says of it."""
        if part.pasted is None:
            return {}
        import PIL.Image

        name = pasted_name(part.records[row]["index"])
        with told(self.path / name):
            save_image(PIL.Image.fromarray(part.pasted[row]), self.path / name)
            return {PASTED_NAME: name, PASTED_DIGEST: sha256(self.path / name)}

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
        append(self.path / METADATA, _line(record))
        self._records[record["index"]] = record

    def finish(self) -> None:
        """Write the grid of the first samples, the data set card and the summary. Raises DataError."""
        self._begin()
        records = self.records
        with told(self.path):
            self._write_lines()  # samples that were made again came last
            self._write_sheet(records)
            self.manifest = {**self.manifest, "finished": True, "summary": self._summary()}
            write_card(self.path, self.manifest, records, self._space)
            self._write_manifest()

    def _write_sheet(self, records: list[dict[str, Any]]) -> None:
        """Write the grid of the first samples."""
        write_grid(self.path, self.manifest, records, self._kinds, self._space)


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
